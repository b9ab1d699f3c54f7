/* See network.h: the units of networks that were merged do not hear each other, and need not be multiplied.
 */
#include "model/network.h"

#define MEMBERS_MAX 8

/* Whether rows first.. of a layer, one per unit, weigh nothing for units of other blocks. */
static bool apart(const struct network_layer *layer, size_t first, size_t hidden, size_t block)
{
    for (size_t row = 0; row < hidden; row++) {
        const real *weight = layer->weight + (first + row) * 4 * hidden;
        size_t from = row / block * block;
        for (size_t column = 0; column < 4 * hidden; column++)
            if (weight[column] != 0 && (column % hidden < from || column % hidden >= from + block))
                return false;
    }
    return true;
}

static bool in_blocks(const struct network *network, size_t block)
{
    size_t hidden = network->shape.hidden;
    for (size_t l = 0; l < network->shape.layers; l++) {
        const struct network_layer *layer = &network->layers[l];
        if (!apart(layer, layer->inputs, hidden, block) || (l > 0 && !apart(layer, 0, hidden, block)))
            return false;
    }
    return true;
}

void network_find_blocks(struct network *network)
{
    size_t hidden = network->shape.hidden;
    network->block = hidden;
    for (size_t members = MEMBERS_MAX; members > 1 && network->block == hidden; members--)
        if (hidden % members == 0 && in_blocks(network, hidden / members))
            network->block = hidden / members;
}
