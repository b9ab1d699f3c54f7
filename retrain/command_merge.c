/* `forestall-retrain merge`: several model files as one (model/network_merge.h), to be calibrated afterwards.
 */
#include <string.h>

#include "model/network_merge.h"
#include "retrain/commands.h"

int command_merge(const struct retrain_options *options, char *const *more, int count)
{
    struct network *members[FIT_MEMBERS_MAX] = {0}, *whole = NULL;
    if (!*options->out || count < 1 || count > FIT_MEMBERS_MAX)
        return command_fail("merge", "say --out FILE and up to 16 model files");
    int read = 0, result = 0;
    while (read < count && (members[read] = command_load_network(more[read])))
        read++;
    if (read == count && (result = network_merge(members, (size_t)count, &whole)) < 0)
        (void)command_fail("cannot merge",
                           "the models have other inputs, scaling, layers or horizons: train them "
                           "from the same records with the same options but seed, hidden and dropout");
    if (whole)
        result = command_save_network(options->out, whole);
    for (int i = 0; i < read; i++)
        network_destroy(members[i]);
    network_destroy(whole);
    return read == count && result == 0 ? 0 : 1;
}
