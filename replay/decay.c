/* See decay.h. */
#include "replay/decay.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define EXPONENT_MAX 100

static uint32_t count_buckets(const struct decay_scale *scale)
{
    if (scale->growth > 1)
        return (uint32_t)ceil(log(scale->max * (scale->growth - 1) / scale->first + 1) / log(scale->growth)) +
               1;
    return (uint32_t)ceil(scale->max / scale->first) + 1;
}

int decay_open(struct decay *decay, const struct decay_scale *scale)
{
    *decay = (struct decay){.scale = *scale, .buckets = count_buckets(scale)};
    decay->weights = calloc(decay->buckets, sizeof *decay->weights);
    return decay->weights ? 0 : -ENOMEM;
}

void decay_close(struct decay *decay)
{
    free(decay->weights);
    decay->weights = NULL;
}

void decay_reset(struct decay *decay)
{
    memset(decay->weights, 0, decay->buckets * sizeof *decay->weights);
    decay->reference_s = decay->total = 0;
}

uint32_t decay_bucket_of(const struct decay *decay, double value)
{
    const struct decay_scale *scale = &decay->scale;
    if (!(value >= scale->first))
        return 0;
    double bucket = scale->growth > 1
                        ? floor(log(value * (scale->growth - 1) / scale->first + 1) / log(scale->growth))
                        : floor(value / scale->first);
    return bucket < decay->buckets ? (uint32_t)bucket : decay->buckets - 1;
}

static double bucket_start(const struct decay *decay, uint32_t bucket)
{
    const struct decay_scale *scale = &decay->scale;
    if (scale->growth > 1)
        return scale->first * (pow(scale->growth, bucket) - 1) / (scale->growth - 1);
    return scale->first * bucket;
}

/* Weight 1 at time_s, in the unit of the weights kept. */
static double factor_at(struct decay *decay, double time_s)
{
    double exponent = (time_s - decay->reference_s) / decay->scale.half_life_s;
    if (exponent > EXPONENT_MAX) {
        double shrink = exp2(-exponent);
        for (uint32_t i = 0; i < decay->buckets; i++)
            decay->weights[i] *= shrink;
        decay->total *= shrink;
        decay->reference_s = time_s;
        exponent = 0;
    }
    return exp2(exponent);
}

void decay_add(struct decay *decay, double value, double weight, double time_s)
{
    double counted = weight * factor_at(decay, time_s);
    decay->weights[decay_bucket_of(decay, value)] += counted;
    decay->total += counted;
}

static double without(double weight, double taken, double epsilon)
{
    return weight - taken >= epsilon ? weight - taken : 0;
}

void decay_subtract(struct decay *decay, double value, double weight, double time_s)
{
    double taken = weight * factor_at(decay, time_s);
    double *bucket = &decay->weights[decay_bucket_of(decay, value)];
    *bucket = without(*bucket, taken, decay->scale.epsilon);
    decay->total = without(decay->total, taken, decay->scale.epsilon);
}

double decay_percentile(const struct decay *decay, double share)
{
    uint32_t least = 0, most = decay->buckets;
    while (least < decay->buckets && decay->weights[least] < decay->scale.epsilon)
        least++;
    while (most > least && decay->weights[most - 1] < decay->scale.epsilon)
        most--;
    if (most == least)
        return 0;
    double reached = 0;
    uint32_t bucket = least;
    for (; bucket < most - 1; bucket++) {
        reached += decay->weights[bucket];
        if (reached >= share * decay->total)
            break;
    }
    return bucket_start(decay, bucket < decay->buckets - 1 ? bucket + 1 : bucket);
}
