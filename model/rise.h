/* How a run's memory rose to its peak, in sixteen numbers: when it first reached each share of it, by the
 * clock and by the CPU time used. Small enough to keep for every run; between two shares memory counts as a
 * straight line. Pure. */
#ifndef FORESTALL_MODEL_RISE_H
#define FORESTALL_MODEL_RISE_H

#include "schemas/messages.h"

#define RISE_LEVELS 8 /* 0.2, 0.4, 0.55, 0.7, 0.8, 0.9, 0.96 and 1 of the peak: denser where limits lie */

/* Each ascends. s[RISE_LEVELS - 1] = 0: not known. */
struct rise {
    float s[RISE_LEVELS];     /* seconds since the start */
    float cpu_s[RISE_LEVELS]; /* CPU seconds used until then */
};

static inline bool rise_known(const struct rise *rise)
{
    return rise->s[RISE_LEVELS - 1] > 0;
}

/* From a record's series; not known without one. */
struct rise rise_of_record(const struct msg_execution_record *record);

/* When this share of the peak was reached, on either clock; shares above 1 count as 1. */
double rise_when(const float clock[RISE_LEVELS], double share);
/* The share of the peak that was reached by then, 0..1. */
double rise_share(const float clock[RISE_LEVELS], double when);

/* What a message holds of it; borrows. */
struct msg_float_array rise_store(const float clock[RISE_LEVELS], bool known);
/* Empty arrays: not known. -EBADMSG: not RISE_LEVELS ascending numbers each. */
FS_MUST_CHECK int rise_load(struct rise *rise, const struct msg_float_array *s,
                            const struct msg_float_array *cpu_s);

#endif
