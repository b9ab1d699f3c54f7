/* Writes a model file for the end-to-end tests: make_model PATH ramp | random SEED | other-features. Prints
 * its version. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/features.h"
#include "tests/predict/fixture.h"

int main(int argc, char **argv)
{
    struct buffer bytes;
    struct network *network;
    if (argc < 3) {
        (void)fprintf(stderr, "usage: make_model PATH ramp|random SEED|other-features\n");
        return EXIT_FAILURE;
    }
    if (strcmp(argv[2], "random") == 0)
        network = make_random_network(argc > 3 ? strtoull(argv[3], NULL, 10) : 1, 64, 1);
    else
        network = make_ramp_network();
    if (strcmp(argv[2], "other-features") == 0)
        network->features_version = FEATURES_VERSION + 1;
    save_network(network, &bytes);
    FILE *file = fopen(argv[1], "wb");
    bool written = file && fwrite(bytes.data, 1, bytes.size, file) == bytes.size;
    if (!file || fclose(file) != 0 || !written) {
        perror(argv[1]);
        return EXIT_FAILURE;
    }
    (void)printf("%s\n", network->version);
    buffer_fini(&bytes);
    network_destroy(network);
    return EXIT_SUCCESS;
}
