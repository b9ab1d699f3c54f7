/* See train.h: how a network scales and cuts its features, from those that it will learn from. */
#include <math.h>
#include <stdlib.h>

#include "model/train.h"

#define NARROWEST 1e-3f /* of a segment */

void train_fit_scaling(struct network *network, const struct train_sequence *sequences, size_t count,
                       size_t first)
{
    size_t inputs = network->shape.inputs;
    for (size_t i = first; i < inputs; i++) {
        double sum = 0, squares = 0, n = 0;
        for (size_t s = 0; s < count; s++)
            for (size_t t = 0; t < sequences[s].steps; t++) {
                double x = (double)sequences[s].features[t * inputs + i];
                sum += x;
                squares += x * x;
                n += 1;
            }
        double mean = n > 0 ? sum / n : 0, variance = n > 0 ? squares / n - mean * mean : 0;
        network->mean[i] = (float)mean;
        network->scale[i] = (float)(1 / fmax(sqrt(fmax(variance, 0)), 0.1));
    }
}

static int ascending(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;
    return (left > right) - (left < right);
}

/* Values of one feature, every so many, those at zero left out: there it mostly means "nothing known". */
static size_t sample(const struct train_sequence *sequences, size_t count, size_t inputs, size_t feature,
                     size_t every, float *out, size_t most)
{
    size_t taken = 0, tick = 0;
    for (size_t s = 0; s < count; s++)
        for (size_t t = 0; t < sequences[s].steps; t++) {
            float x = sequences[s].features[t * inputs + feature];
            if (tick++ % every == 0 && x != 0 && taken < most)
                out[taken++] = x;
        }
    return taken;
}

bool train_fit_segments(struct network *network, const struct train_sequence *sequences, size_t count,
                        size_t first, const size_t *features, size_t feature_count)
{
    enum { SAMPLES = 100000 };
    float *values = malloc(SAMPLES * sizeof *values);
    size_t each = feature_count ? (network->shape.segments - first) / feature_count : 0, ticks = 0;
    for (size_t s = 0; s < count; s++)
        ticks += sequences[s].steps;
    for (size_t f = 0; values && f < feature_count; f++) {
        size_t n = sample(sequences, count, network->shape.inputs, features[f], ticks / SAMPLES + 1, values,
                          SAMPLES);
        qsort(values, n, sizeof *values, ascending);
        for (size_t i = 0; i < each; i++) {
            float low = n ? values[(n - 1) * i / each] : 0, high = n ? values[(n - 1) * (i + 1) / each] : 0;
            network->segments[first + f * each + i] =
                (struct network_segment){features[f], low, 1 / fmaxf(high - low, NARROWEST)};
        }
    }
    free(values);
    return values != NULL;
}
