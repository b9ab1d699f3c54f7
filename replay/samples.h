/* The newest finished executions of one code, oldest first, bounded: what the rules over past sizes read. */
#ifndef FORESTALL_REPLAY_SAMPLES_H
#define FORESTALL_REPLAY_SAMPLES_H

#include "common/base.h"

#define SAMPLES_MAX 4096

struct sample {
    double time_s, value, seconds; /* seconds: it ran */
    double input;                  /* NAN: not known */
};

struct samples {
    struct sample *items;
    size_t count, capacity;
    double *sorted; /* scratch, [capacity] */
};

/* Zeroed = empty. Past SAMPLES_MAX the oldest half goes. 0, -ENOMEM. */
FS_MUST_CHECK int samples_add(struct samples *samples, const struct sample *sample);
void samples_fini(struct samples *samples);
/* Drops those older than this. */
void samples_expire(struct samples *samples, double before_s);
/* Of the newest `newest` values; 0 when there is none. linear: interpolated as numpy does, rank share * (n -
 * 1); disc: the smallest value whose rank is at least share * n, as SQL's percentile_disc. */
double samples_percentile_linear(const struct samples *samples, size_t newest, double share);
double samples_percentile_disc(const struct samples *samples, size_t newest, double share);

#endif
