/* See network_widen.h. */
#include "model/network_widen.h"

#include <errno.h>
#include <stdio.h>

#include "model/features.h"

/* Rows of the first layer: features, segments, the hidden state. */
static void copy_weights(struct network *to, const struct network *from)
{
    const struct network_layer *ours = &to->layers[0], *theirs = &from->layers[0];
    size_t gates = 4 * from->shape.hidden, features = from->shape.inputs * gates,
           segments = from->shape.segments * gates;
    memset(ours->weight, 0, ours->inputs * gates * sizeof(real));
    memcpy(ours->weight, theirs->weight, features * sizeof(real));
    memcpy(ours->weight + to->shape.inputs * gates, theirs->weight + features, segments * sizeof(real));
    const real *rest = theirs->weight + theirs->inputs * gates; /* to the end of the block: laid out alike */
    memcpy(ours->weight + ours->inputs * gates, rest,
           (size_t)(from->weights + from->weight_count - rest) * sizeof(real));
}

struct network *network_widen(const struct network *network, size_t inputs, size_t segments)
{
    struct network_shape shape = network->shape;
    if (inputs < shape.inputs || segments < shape.segments)
        return NULL;
    shape.inputs = inputs;
    shape.segments = segments;
    struct network *wide = network_create(&shape, 0);
    if (!wide)
        return NULL;
    copy_weights(wide, network);
    memcpy(wide->mean, network->mean, network->shape.inputs * sizeof *wide->mean);
    memcpy(wide->scale, network->scale, network->shape.inputs * sizeof *wide->scale);
    memcpy(wide->segments, network->segments, network->shape.segments * sizeof *wide->segments);
    memcpy(wide->slope, network->slope, sizeof wide->slope);
    memcpy(wide->intercept, network->intercept, sizeof wide->intercept);
    memcpy(wide->thresholds, network->thresholds, sizeof wide->thresholds);
    memcpy(wide->horizon_slope, network->horizon_slope, sizeof wide->horizon_slope);
    memcpy(wide->horizon_intercept, network->horizon_intercept, sizeof wide->horizon_intercept);
    memcpy(wide->version, network->version, sizeof wide->version);
    wide->bound = network->bound;
    wide->has_horizons = network->has_horizons;
    wide->block = network->block;
    wide->horizon_ms = network->horizon_ms;
    wide->features_version = network->features_version;
    return wide;
}

size_t network_inputs_used(const struct network *network)
{
    size_t gates = 4 * network->shape.hidden, used = network->shape.inputs;
    for (; used > 0; used--) {
        const real *row = network->layers[0].weight + (used - 1) * gates;
        for (size_t i = 0; i < gates; i++)
            if (row[i] != 0)
                return used;
    }
    return used;
}

int network_load_current(struct str bytes, struct network **out, char *error, size_t error_size)
{
    struct network *network;
    int result = network_load(bytes, &network, error, error_size);
    if (result < 0)
        return result;
    if (network->features_version != FEATURES_VERSION || network->shape.inputs > FEATURE_COUNT) {
        (void)snprintf(
            error, error_size,
            "model: made for features version %d with %zu inputs, this program has version %d with %d",
            (int)network->features_version, network->shape.inputs, FEATURES_VERSION, FEATURE_COUNT);
        network_destroy(network);
        return -EBADMSG;
    }
    if (network->shape.inputs < FEATURE_COUNT) {
        struct network *narrow = network;
        network = network_widen(narrow, FEATURE_COUNT, narrow->shape.segments);
        network_destroy(narrow);
    }
    *out = network;
    return network ? 0 : -ENOMEM;
}
