/* From the record of one finished attempt to one training sequence: features, labels, demand ahead. Pure but
 * for memory.
 *
 * A plan says how to read the record: as it happened, or as it would have happened under other limits or
 * another deadline. What the labels mean at a tick t, with horizon H:
 * - memory: positive when, within H after t, non-reclaimable memory crosses the limit in force at t, or the
 * kernel kills for memory. A raise in between does not make it negative: the demand crossed, only nobody
 * died.
 * - cpu, io, net: positive when this attempt will miss its deadline for lack of that resource, at whatever
 * time ahead. A deadline is known from the start, and more CPU helps the more the earlier it comes: with
 * "within H" the answer would come when 10 s are left and nothing can be mended. Without a deadline:
 * negative. The part before a raise of that resource, and H after it, is masked unless the deadline was
 * missed nevertheless: what would have been is not known. Held-out attempts tell it: they count by the
 * inverse of their propensity.
 * - other: positive when, within H after t, the attempt fails from cause OTHER (exit status, signal, a
 * deadline without a scarce resource). What is not known is masked: what comes after the end of a killed or
 * lost attempt, a deadline that an OOM kill forestalled.
 * - horizons: for every cause, whether the attempt fails from it within so long after t. Of cpu, io and net
 * that is strictly within: a deadline further away than the horizon is not missed within it.
 * - demand: ln ratio (demand.h) of the highest demand from t to t + H, always of the recording itself, so
 * that beyond a hypothetical limit the true demand counts. It is a lower bound (mask -1) where the program
 * could not show more: up to an OOM kill, in the brake, throttled, at its I/O or egress limit, or cut off by
 * the end.
 *
 * Hypothetical memory limits assume that a program's demand does not depend on its limit. That is wrong for
 * garbage collected heaps that size themselves by the limit (Java, .NET), and it leaves out reclaim: memory
 * charged is clipped to the limit, but the page cache pressure that the limit would have made is not
 * invented. Records of such programs should be run under real limits; `labels_hypothetical` says no where the
 * recording itself shows that its limit was felt. */
#ifndef FORESTALL_MODEL_LABELS_H
#define FORESTALL_MODEL_LABELS_H

#include "model/demand.h"
#include "model/network.h"
#include "model/train.h"

struct label_plan {
    int64_t memory_bytes; /* 0: limits as recorded; else this one from the start */
    double raise_at;      /* > 0: as if acted on: when memory reaches this share of the limit ... */
    double raise_by;      /* ... the limit is multiplied by this (> 1), and nothing ever crosses it */
    int64_t timeout_ms;   /* 0: as recorded; -1: none; else this one */
    double memory_scale; /* 0: 1; else the same program with so many times the memory, under so many times the
                            limit */
    double data_scale;   /* 0: 1; the same for block and network bytes */
    bool uncounted;      /* as if nobody had asked its processes: no GAUGE_INPUT_READ, no GAUGE_DATA */
};

struct labels {
    size_t ticks;
    int64_t *time_ms;            /* [ticks] since the start of the attempt */
    float *features;             /* [ticks][FEATURE_COUNT] */
    float *label, *mask;         /* [ticks][NETWORK_CAUSES] */
    float *demand, *demand_mask; /* [ticks][NETWORK_RESOURCES] */
    int8_t
        *horizons; /* [ticks][NETWORK_HORIZONS][NETWORK_CAUSES]: 1 = fails so, 0 = does not, -1 = not known */
    int64_t failure_ms;   /* since the start; INT64_MAX: it did not fail under the plan */
    enum msg_cause cause; /* of that failure */
};

/* True when the recording can tell what would have happened under this memory limit: its own limit was
 * higher, or never felt. */
bool labels_hypothetical(const struct msg_execution_record *record, int64_t memory_bytes);
/* profile: NULL = code not known. *out is to be freed with labels_fini. 0; -ENODATA: no series (or the plan
 * leaves no tick); -EINVAL: the recording cannot answer this plan; -ENOMEM. O(ticks * ticks within the
 * horizon). */
FS_MUST_CHECK int labels_make(const struct msg_execution_record *record, const struct label_plan *plan,
                              const struct profile_summary *profile, int32_t horizon_ms, struct labels *out);
void labels_fini(struct labels *labels);
/* The same as the trainer wants it; borrows. */
struct train_sequence labels_sequence(const struct labels *labels, float weight);

/* Draws plans for a record: the first is always "as recorded"; then hypothetical limits and deadlines on both
 * sides of what happened, as far as the recording can answer them. Repeatable from the seed. Returns how many
 * (at most LABEL_PLANS_MAX). */
#define LABEL_PLANS_MAX 20
size_t label_plans_draw(const struct msg_execution_record *record, uint64_t seed,
                        struct label_plan plans[LABEL_PLANS_MAX]);

/* The scarce resource behind a missed deadline by the counters at that moment; agent/outcome.c judges real
 * ones alike. */
enum msg_cause labels_deadline_cause(const struct msg_counters *counters, const struct msg_limits *limits,
                                     int64_t elapsed_us);

#endif
