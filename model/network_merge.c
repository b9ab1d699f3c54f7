/* See network_merge.h. Gates lie in four blocks, so unit j of a member is column gate * hidden + j of each.
 */
#include "model/network_merge.h"

#include <errno.h>

static bool same(const float *a, const float *b, size_t count)
{
    size_t i = 0;
    while (i < count && a[i] == b[i])
        i++;
    return i == count;
}

static bool same_segments(const struct network *a, const struct network *b)
{
    for (size_t i = 0; i < a->shape.segments && i < b->shape.segments; i++)
        if (a->segments[i].feature != b->segments[i].feature || a->segments[i].low != b->segments[i].low ||
            a->segments[i].scale != b->segments[i].scale)
            return false;
    return a->shape.segments == b->shape.segments;
}

static bool alike(const struct network *a, const struct network *b)
{
    return a->shape.inputs == b->shape.inputs && a->shape.layers == b->shape.layers &&
           a->features_version == b->features_version && a->horizon_ms == b->horizon_ms &&
           same(a->mean, b->mean, FS_COUNT(a->mean)) && same(a->scale, b->scale, FS_COUNT(a->scale)) &&
           a->bound == b->bound && same_segments(a, b);
}

/* Row `from` of a member's matrix to row `to` of the whole's, each gate's columns to its own place. */
static void place(const real *from, real *to, size_t hidden, size_t whole, size_t at)
{
    for (size_t gate = 0; gate < 4; gate++)
        memcpy(to + gate * whole + at, from + gate * hidden, hidden * sizeof *to);
}

static void place_layer(const struct network *member, struct network *out, size_t l, size_t at)
{
    const struct network_layer *from = &member->layers[l];
    struct network_layer *to = &out->layers[l];
    size_t hidden = member->shape.hidden, whole = out->shape.hidden, offset = l == 0 ? 0 : at;
    for (size_t row = 0; row < from->inputs; row++)
        place(from->weight + row * 4 * hidden, to->weight + (offset + row) * 4 * whole, hidden, whole, at);
    for (size_t row = 0; row < hidden; row++)
        place(from->weight + (from->inputs + row) * 4 * hidden,
              to->weight + (to->inputs + at + row) * 4 * whole, hidden, whole, at);
    place(from->bias, to->bias, hidden, whole, at);
}

static void place_head(const struct network *member, struct network *out, size_t at, real share)
{
    size_t hidden = member->shape.hidden;
    for (size_t i = 0; i < hidden * NETWORK_OUTPUTS; i++)
        out->head_weight[at * NETWORK_OUTPUTS + i] = member->head_weight[i] * share;
    for (size_t i = 0; i < NETWORK_OUTPUTS; i++)
        out->head_bias[i] += member->head_bias[i] * share;
}

int network_merge(struct network *const *members, size_t count, struct network **out)
{
    if (count == 0)
        return -EINVAL;
    struct network_shape shape = members[0]->shape;
    shape.hidden = 0;
    for (size_t m = 0; m < count; m++) {
        if (!alike(members[0], members[m]))
            return -EINVAL;
        shape.hidden += members[m]->shape.hidden;
    }
    if (shape.hidden > NETWORK_HIDDEN_MAX)
        return -EINVAL;
    struct network *whole = network_create(&shape, 0);
    if (!whole)
        return -ENOMEM;
    memset(whole->weights, 0, whole->weight_count * sizeof *whole->weights);
    memcpy(whole->mean, members[0]->mean, sizeof whole->mean);
    memcpy(whole->scale, members[0]->scale, sizeof whole->scale);
    memcpy(whole->segments, members[0]->segments, sizeof whole->segments);
    whole->bound = members[0]->bound;
    whole->features_version = members[0]->features_version;
    whole->horizon_ms = members[0]->horizon_ms;
    for (size_t m = 0; m < count; m++)
        whole->has_horizons = whole->has_horizons && members[m]->has_horizons;
    for (size_t m = 0, at = 0; m < count; at += members[m++]->shape.hidden) {
        for (size_t l = 0; l < shape.layers; l++)
            place_layer(members[m], whole, l, at);
        place_head(members[m], whole, at, (real)1 / (real)count);
    }
    network_find_blocks(whole);
    *out = whole;
    return 0;
}
