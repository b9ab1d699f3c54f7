/* Decaying histogram as the recommenders of VPA, Crane and Koordinator share it, in doubles so that their
 * vectors come out exactly. Exponential: bucket k starts at first * (growth^k - 1) / (growth - 1); linear:
 * at k * first. A sample weighs weight * 2^((t - reference) / half life); the reference moves before the
 * numbers get large. A percentile is the end of the bucket in which it is reached (the start of the last),
 * without interpolation. Source: kubernetes/autoscaler 55c37cd5,
 * vertical-pod-autoscaler/pkg/recommender/util. (model/histogram.h is the product's own; it never takes a
 * sample back and counts in floats.) */
#ifndef FORESTALL_REPLAY_DECAY_H
#define FORESTALL_REPLAY_DECAY_H

#include "common/base.h"

struct decay_scale {
    double first, max; /* start of bucket 1; largest value of interest */
    double growth;     /* ratio of neighbouring widths; 0 = linear */
    double half_life_s, epsilon;
};

struct decay {
    struct decay_scale scale;
    double reference_s, total;
    uint32_t buckets;
    double *weights; /* [buckets] */
};

FS_MUST_CHECK int decay_open(struct decay *decay, const struct decay_scale *scale);
void decay_close(struct decay *decay);
void decay_reset(struct decay *decay);
void decay_add(struct decay *decay, double value, double weight, double time_s);
/* Takes a sample back; what is left below epsilon is nothing. */
void decay_subtract(struct decay *decay, double value, double weight, double time_s);
/* 0 when empty. share 0..1. */
double decay_percentile(const struct decay *decay, double share);
uint32_t decay_bucket_of(const struct decay *decay, double value);

#endif
