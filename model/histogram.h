/* Decaying histogram over exponentially growing buckets, as the VPA recommender's (facts:
 * kubernetes/autoscaler): bucket k starts at first * (growth^k - 1) / (growth - 1); a sample's weight is
 * multiplied by 2^((time - reference) / half life), so nothing has to be aged: newer samples simply weigh
 * more, and the reference moves before the numbers get large. Fixed size, no allocation, pure. Values outside
 * the range fall into the first or the last bucket; absurd values (NaN, infinite, negative) and weights are
 * not counted. */
#ifndef FORESTALL_MODEL_HISTOGRAM_H
#define FORESTALL_MODEL_HISTOGRAM_H

#include "common/arena.h"
#include "schemas/messages.h"

#define HISTOGRAM_BUCKETS_MAX 256
#define HISTOGRAM_EPSILON 1e-4 /* a bucket below is empty; VPA: 0.001 * 0.1 */

struct histogram {
    double first, growth, half_life_s;
    int64_t reference_us; /* 0 until the first sample */
    double total;
    uint32_t buckets;
    float weights[HISTOGRAM_BUCKETS_MAX];
};

/* Empty, with enough buckets for values up to max (at most HISTOGRAM_BUCKETS_MAX). first > 0, growth > 1,
 * half_life_s > 0. */
void histogram_init(struct histogram *histogram, double first, double max, double growth, double half_life_s);
/* False when the value, weight or time was not usable. Older times than the reference are fine: they weigh
 * less. */
bool histogram_add(struct histogram *histogram, double value, double weight, int64_t time_us);
/* End of the bucket in which the share (0..1) of the weight is reached, start of the last bucket; 0 when
 * empty. */
double histogram_percentile(const struct histogram *histogram, double share);
/* End of the highest bucket that holds anything; 0 when empty. */
double histogram_max(const struct histogram *histogram);
bool histogram_empty(const struct histogram *histogram);

/* Start of bucket k, and the bucket a value belongs to. */
double histogram_bucket_start(const struct histogram *histogram, uint32_t bucket);
uint32_t histogram_bucket_of(const struct histogram *histogram, double value);

/* Takes weights and scale from a message; buckets keeps what init gave. -EBADMSG: not usable (more buckets,
 * other scale, negative or non-finite numbers), the histogram is unchanged. */
FS_MUST_CHECK int histogram_load(struct histogram *histogram, const struct msg_histogram *message);
/* weights come from the arena; trailing empty buckets are left out. -ENOMEM. */
FS_MUST_CHECK int histogram_store(const struct histogram *histogram, struct arena *arena,
                                  struct msg_histogram *out);

#endif
