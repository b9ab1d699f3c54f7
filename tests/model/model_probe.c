/* For test_safetensors.py: `model_probe write FILE INPUTS HIDDEN LAYERS SEED` writes a network with five
 * segments and a bound; `model_probe
 * step FILE STEPS` loads one, steps it on features x[t][i] = sin(t + i) and prints the raw logits and demand
 * of the last step. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buffer.h"
#include "model/network.h"

static int write_network(char **arguments)
{
    struct network_shape shape = {strtoul(arguments[1], NULL, 10), strtoul(arguments[2], NULL, 10),
                                  strtoul(arguments[3], NULL, 10), 5};
    static char texts[NETWORK_INPUTS_MAX][32];
    const char *names[NETWORK_INPUTS_MAX];
    struct network *network = network_create(&shape, strtoul(arguments[4], NULL, 10));
    struct buffer bytes;
    FILE *file = fopen(arguments[0], "wb");
    if (!network || !file)
        return 1;
    for (size_t i = 0; i < shape.inputs; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "x%zu", i);
        names[i] = texts[i];
        network->mean[i] = 0.1f * (float)i;
        network->scale[i] = 0.5f;
    }
    for (size_t i = 0; i < shape.segments; i++)
        network->segments[i] = (struct network_segment){i * 3, 0.2f * (float)i - 0.7f, 2};
    network->bound = 0.8f;
    buffer_init(&bytes, 0);
    int result = network_save(network, names, &bytes);
    result |= fwrite(bytes.data, 1, bytes.size, file) != bytes.size;
    result |= fclose(file);
    (void)printf("%s\n", network->version);
    buffer_fini(&bytes);
    network_destroy(network);
    return result != 0;
}

static int step_network(char **arguments)
{
    static char bytes[1 << 20];
    char error[256] = "cannot open";
    FILE *file = fopen(arguments[0], "rb");
    struct network *network;
    size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (file)
        (void)fclose(file); /* read only */
    if (!file || network_load((struct str){bytes, size}, &network, error, sizeof error) < 0) {
        (void)fprintf(stderr, "%s\n", error);
        return 1;
    }
    struct network_scratch *scratch = network_scratch_create(&network->shape);
    float features[NETWORK_INPUTS_MAX];
    real *state = calloc(network_state_size(&network->shape), sizeof *state);
    struct network_output out = {0};
    for (long t = 0; t < strtol(arguments[1], NULL, 10); t++) {
        for (size_t i = 0; i < network->shape.inputs; i++)
            features[i] = (float)sin((double)t + (double)i);
        network_step(network, scratch, features, &state, &out, 1);
    }
    for (size_t i = 0; i < NETWORK_CAUSES; i++)
        (void)printf("%.9g %.9g\n", (double)out.logits[i], (double)out.probabilities[i]);
    for (size_t i = 0; i < NETWORK_RESOURCES; i++)
        (void)printf("%.9g %.9g %.9g\n", (double)out.demand[i][0], (double)out.demand[i][1],
                     (double)out.demand[i][2]);
    for (size_t h = 0; h < NETWORK_HORIZONS; h++)
        for (size_t i = 0; i < NETWORK_CAUSES; i++)
            (void)printf("%.9g\n", (double)out.horizon_probabilities[h][i]);
    free(state);
    network_scratch_destroy(scratch);
    network_destroy(network);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 7 && str_equal(str_of(argv[1]), str_of("write")))
        return write_network(argv + 2);
    if (argc == 4 && str_equal(str_of(argv[1]), str_of("step")))
        return step_network(argv + 2);
    (void)fprintf(stderr, "usage: model_probe write FILE INPUTS HIDDEN LAYERS SEED | step FILE STEPS\n");
    return 2;
}
