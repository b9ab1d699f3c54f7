/* What is learned online about one code, in memory: counts, decaying histograms of demand, its latest runs
 * and the online head; and how it maps to the CodeProfile message. Pure: no clock, no I/O, no allocation but
 * from the caller's arena.
 *
 * A record counts once: the profile carries the offset of the last record of each partition in it, and what
 * is at or below is skipped. What a record says about demand:
 * - the memory peak counts for runs that finished, timed out or were OOM-killed; the peak of a killed run is
 * a lower bound, so it counts PROFILE_OOM_BUMP times (VPA's rule without its 100 MiB);
 * - CPU time, duration and totals count only for runs that finished: others stopped somewhere on the way;
 * - cancelled and lost attempts count as runs only. */
#ifndef FORESTALL_MODEL_PROFILE_H
#define FORESTALL_MODEL_PROFILE_H

#include "model/histogram.h"
#include "model/online.h"
#include "model/rise.h"
#include "schemas/hints.h"
#include "schemas/request.h"

#define PROFILE_CODE_MAX 129 /* 128 bytes and the end */
#define PROFILE_TOPIC_MAX 64
#define PROFILE_THROUGH_MAX 8
#define PROFILE_OOM_BUMP 1.2
#define PROFILE_HALF_LIFE_S 86400.0 /* VPA's 24 h */
#define PROFILE_RECENT_MAX 64       /* latest runs that are kept one by one, ... */
#define PROFILE_RECENT_SAME 16      /* ... and of one command */

enum profile_quantity {
    PROFILE_MEMORY_PEAK, /* bytes */
    PROFILE_CPU_PEAK,    /* millicores */
    PROFILE_CPU_TIME,    /* seconds */
    PROFILE_DURATION,    /* seconds */
    PROFILE_IO_PEAK,     /* bytes per second */
    PROFILE_NET_PEAK,    /* bytes per second */
    PROFILE_IO_TOTAL,    /* bytes */
    PROFILE_NET_TOTAL,   /* bytes */
    PROFILE_QUANTITY_COUNT
};

struct profile_position {
    char topic[PROFILE_TOPIC_MAX];
    int32_t partition;
    int64_t offset;
};

/* One of the latest runs; its peak is a lower bound unless it finished, the rest then 0. */
struct profile_run {
    struct request_identity what;
    bool finished;
    float memory_peak; /* bytes, of a killed run PROFILE_OOM_BUMP times what it reached */
    float cpu_time_s, duration_s;
    float io_total, net_total; /* bytes */
    struct rise rise;          /* of a run that finished; may be not known */
};

struct profile {
    char code[PROFILE_CODE_MAX];
    int64_t revision, updated_us, runs, finished;
    int64_t failures[MSG_CAUSE_COUNT];
    struct histogram histograms[PROFILE_QUANTITY_COUNT];
    struct online_head head, shadow; /* champion's, challenger's */
    struct profile_position through[PROFILE_THROUGH_MAX];
    uint32_t through_count, recent_count;
    struct profile_run recent[PROFILE_RECENT_MAX]; /* oldest first */
};

/* How like an execution the runs are that a summary is of: all of its code; of its very command, with other
 * inputs; of its command with an input of its size (or, as for it, of no known size). */
#define PROFILE_LIKE_CODE 0.0
#define PROFILE_LIKE_COMMAND 0.5
#define PROFILE_LIKE_INPUT 1.0
#define PROFILE_SAME_INPUT 1.05 /* ratio of sizes up to which inputs are alike; below INPUT_SMALL_BYTES: 1   \
                                 */
#define PROFILE_LARGER_MOST                                                                                  \
    3.0 /* logarithm of how much larger or smaller an input is, as far as it is believed */

/* What features and policies read of a profile; runs = 0: nothing is known and the rest is 0. A quantity
 * nobody has seen yet is 0 as well. */
struct profile_summary {
    int64_t runs, finished;
    double likeness; /* PROFILE_LIKE_...: of which runs all but the peaks of rates is */
    double memory_p50, memory_p95, memory_max; /* peak memory_bytes of a run */
    double cpu_peak_p95;                       /* millicores */
    double cpu_time_p50_s, cpu_time_p95_s;
    double duration_p50_s, duration_p95_s;
    double io_peak_p95, net_peak_p95;   /* bytes per second */
    double io_total_p50, net_total_p50; /* bytes */
    double
        input_p50; /* bytes, of runs of its command whose input is known and not small; 0: there are none */
    struct rise rise; /* medians; of runs of its command only, else not known */
};

/* An empty profile. code longer than 128 bytes is cut. */
void profile_init(struct profile *profile, struct str code);
/* Counts one record. 1 = counted (revision rises), 0 = was in it already. topic must be shorter than
 * PROFILE_TOPIC_MAX; offset < 0: no guard (records from files). The online head is not touched: see
 * online_learn. */
FS_MUST_CHECK int profile_count(struct profile *profile, const struct msg_execution_record *record,
                                const struct profile_position *position, int64_t now_us);
/* True when the record at this position is in the profile. */
bool profile_contains(const struct profile *profile, const struct profile_position *position);
/* For such an execution: from the latest runs most like it, else from all of the code. what NULL: from all.
 */
void profile_summarise(const struct profile *profile, const struct request_identity *what,
                       struct profile_summary *out);
/* How like an execution another one of the same code is. */
double profile_likeness(const struct request_identity *a, const struct request_identity *b);

/* -EBADMSG: not usable, the profile is unchanged. */
FS_MUST_CHECK int profile_load(struct profile *profile, const struct msg_code_profile *message);
/* Arrays come from the arena, strings borrow from the profile. -ENOMEM. */
FS_MUST_CHECK int profile_store(const struct profile *profile, struct arena *arena,
                                struct msg_code_profile *out);

/* --- the latest runs (profile_recent.c) --- */

/* The oldest goes when there are too many, of all or of the command. False: the run is not kept, its command
 * is not known or a number is absurd. */
bool profile_recent_add(struct profile *profile, const struct profile_run *run);
/* Overwrites what the runs most like it tell, and likeness. Where sizes of inputs are known and not small, it
 * is what those runs would have needed with an input as large as this one: memory and work (CPU time,
 * duration, bytes) go with a power of the size, fitted to them. Unchanged where none is of its command and
 * sizes are not known. */
void profile_recent_summarise(const struct profile *profile, const struct request_identity *what,
                              struct profile_summary *out);

#endif
