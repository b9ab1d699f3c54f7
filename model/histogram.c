/* See histogram.h. */
#include "model/histogram.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

#define EXPONENT_MAX 100 /* VPA: the reference moves when a new weight would be above 2^100 */

void histogram_init(struct histogram *histogram, double first, double max, double growth, double half_life_s)
{
    assert(first > 0 && growth > 1 && half_life_s > 0 && max > first);
    *histogram = (struct histogram){.first = first, .growth = growth, .half_life_s = half_life_s};
    double buckets = ceil(log(max * (growth - 1) / first + 1) / log(growth)) + 1;
    histogram->buckets = (uint32_t)fmin(buckets, HISTOGRAM_BUCKETS_MAX);
}

double histogram_bucket_start(const struct histogram *histogram, uint32_t bucket)
{
    return histogram->first * (pow(histogram->growth, bucket) - 1) / (histogram->growth - 1);
}

uint32_t histogram_bucket_of(const struct histogram *histogram, double value)
{
    if (!(value >= histogram->first))
        return 0;
    double bucket =
        floor(log(value * (histogram->growth - 1) / histogram->first + 1) / log(histogram->growth));
    return bucket < histogram->buckets ? (uint32_t)bucket : histogram->buckets - 1;
}

static double exponent(const struct histogram *histogram, int64_t time_us)
{
    return ((double)time_us - (double)histogram->reference_us) * 1e-6 / histogram->half_life_s;
}

/* Makes time_us the time at which weight 1 counts 1. */
static void move_reference(struct histogram *histogram, int64_t time_us)
{
    double factor = exp2(-exponent(histogram, time_us));
    histogram->total = 0;
    for (uint32_t i = 0; i < histogram->buckets; i++) {
        histogram->weights[i] = (float)((double)histogram->weights[i] * factor);
        histogram->total += (double)histogram->weights[i];
    }
    histogram->reference_us = time_us;
}

bool histogram_add(struct histogram *histogram, double value, double weight, int64_t time_us)
{
    if (!isfinite(value) || value < 0 || !isfinite(weight) || weight <= 0 || weight > 1e9 || time_us <= 0)
        return false;
    if (histogram->reference_us == 0)
        histogram->reference_us = time_us;
    if (exponent(histogram, time_us) > EXPONENT_MAX)
        move_reference(histogram, time_us);
    double counted = weight * exp2(exponent(histogram, time_us));
    histogram->weights[histogram_bucket_of(histogram, value)] += (float)counted;
    histogram->total += counted;
    return true;
}

/* First and last bucket that hold more than epsilon; false when none does. */
static bool range(const struct histogram *histogram, uint32_t *least, uint32_t *most)
{
    bool found = false;
    for (uint32_t i = 0; i < histogram->buckets; i++) {
        if ((double)histogram->weights[i] < HISTOGRAM_EPSILON)
            continue;
        if (!found)
            *least = i;
        *most = i;
        found = true;
    }
    return found;
}

static double bucket_end(const struct histogram *histogram, uint32_t bucket)
{
    uint32_t last = histogram->buckets - 1;
    return histogram_bucket_start(histogram, bucket < last ? bucket + 1 : last);
}

double histogram_percentile(const struct histogram *histogram, double share)
{
    uint32_t least = 0, most = 0;
    if (!range(histogram, &least, &most))
        return 0;
    double reached = 0, wanted = share * histogram->total;
    uint32_t bucket = least;
    for (; bucket < most; bucket++) {
        reached += (double)histogram->weights[bucket];
        if (reached >= wanted)
            break;
    }
    return bucket_end(histogram, bucket);
}

double histogram_max(const struct histogram *histogram)
{
    uint32_t least, most;
    return range(histogram, &least, &most) ? bucket_end(histogram, most) : 0;
}

bool histogram_empty(const struct histogram *histogram)
{
    uint32_t least, most;
    return !range(histogram, &least, &most);
}

int histogram_load(struct histogram *histogram, const struct msg_histogram *message)
{
    if (message->weights.count > histogram->buckets || message->reference_us < 0)
        return -EBADMSG;
    if (message->first != histogram->first || message->growth != histogram->growth ||
        !(message->half_life_s > 0) || !isfinite(message->half_life_s))
        return -EBADMSG;
    double total = 0;
    for (size_t i = 0; i < message->weights.count; i++) {
        float weight = message->weights.items[i];
        if (!isfinite(weight) || weight < 0)
            return -EBADMSG;
        total += (double)weight;
    }
    memset(histogram->weights, 0, sizeof histogram->weights);
    if (message->weights.count > 0)
        memcpy(histogram->weights, message->weights.items,
               message->weights.count * sizeof *histogram->weights);
    histogram->half_life_s = message->half_life_s;
    histogram->reference_us = message->reference_us;
    histogram->total = total; /* not the message's: it is the sum by definition */
    return 0;
}

int histogram_store(const struct histogram *histogram, struct arena *arena, struct msg_histogram *out)
{
    size_t used = histogram->buckets;
    while (used > 0 && !(histogram->weights[used - 1] > 0))
        used--;
    float *weights = arena_alloc(arena, used, sizeof *weights);
    if (!weights)
        return -ENOMEM;
    memcpy(weights, histogram->weights, used * sizeof *weights);
    *out = (struct msg_histogram){.first = histogram->first,
                                  .growth = histogram->growth,
                                  .half_life_s = histogram->half_life_s,
                                  .reference_us = histogram->reference_us,
                                  .total = histogram->total,
                                  .weights = {.items = weights, .count = used}};
    return 0;
}
