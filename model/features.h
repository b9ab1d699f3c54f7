/* From raw samples of one execution to the model's inputs; inference and training run this very code.
 *
 * The order below is a contract between a model and its features: a change of any meaning raises
 * FEATURES_VERSION, which a model file carries and its reader compares. New ones come at the end and raise
 * nothing: a model of before is read as one for which they weigh nothing (network_widen.h). Each feature is
 * bounded (most lie in -1..2) and finite whatever the sample says: absurd values are clamped, counters that
 * fall begin anew, lost ticks cost resolution only because counters are cumulative. The first sample has
 * rates too: counters began at zero when the attempt started. Rates are exponential averages with time
 * constants of 0.3, 1 and 5 s, corrected for their start, so a state is a few hundred bytes instead of a
 * window. Names of the scales: "share" 0..1 of the time; "ratio" value / limit; "log ratio" ln(a/b) / 4
 * within -1..1; "slog" sign(x) ln(1
 * + |x|). */
#ifndef FORESTALL_MODEL_FEATURES_H
#define FORESTALL_MODEL_FEATURES_H

#include "schemas/messages.h"

#define FEATURES_VERSION 1

struct profile_summary; /* model/profile.h */

enum feature_index {
    FEATURE_MEMORY_LOG,               /* log2(1 + MiB) / 10 */
    FEATURE_MEMORY_LIMITED,           /* 1: there is a memory limit */
    FEATURE_MEMORY_TO_LIMIT,          /* ratio, at most 2; 0 without a limit (so are all that name a limit) */
    FEATURE_MEMORY_HEADROOM_LOG,      /* log2(1 + MiB left) / 10 */
    FEATURE_MEMORY_RATE_FAST,         /* slog of 10 * (limits per second), 0.3 s */
    FEATURE_MEMORY_RATE_SECOND,       /* 1 s */
    FEATURE_MEMORY_RATE_SLOW,         /* 5 s */
    FEATURE_MEMORY_ACCELERATION,      /* fast less slow, same scale */
    FEATURE_MEMORY_EXHAUSTION_FAST,   /* 1 - ln(1 + s) / ln(1 + 1000): 1 = now, 0.65 = 10 s, 0 = never; by the
                                         0.3 s rate */
    FEATURE_MEMORY_EXHAUSTION_SECOND, /* 1 s */
    FEATURE_MEMORY_EXHAUSTION_SLOW,   /* 5 s */
    FEATURE_MEMORY_PROJECTED,         /* ln(1 + (memory + 10 s of growth) / limit) */
    FEATURE_MEMORY_PEAK_TO_LIMIT,     /* lifetime peak, ratio, at most 2 */
    FEATURE_MEMORY_BELOW_PEAK,        /* 1 - memory / lifetime peak: sawtooths */
    FEATURE_MEMORY_RATE_LOG,          /* slog of MiB/s over 1 s, / 7 */
    FEATURE_MEMORY_RATE_MAX_LOG,      /* slog of the highest MiB/s of the 0.3 s rate ever, / 7 */
    FEATURE_MEMORY_GROWING,           /* share of the last 5 s in which memory grew */
    FEATURE_CACHE_SHARE,              /* 1 - memory / all memory charged */
    FEATURE_USAGE_TO_LIMIT,           /* all memory charged, ratio, at most 2 */
    FEATURE_MEMORY_PRESSURE_SOME,     /* share, 1 s (so are the next ones) */
    FEATURE_MEMORY_PRESSURE_FULL,
    FEATURE_CPU_PRESSURE_SOME,
    FEATURE_IO_PRESSURE_SOME,
    FEATURE_IO_PRESSURE_FULL,
    FEATURE_CPU_LIMITED,          /* 1: there is a CPU quota */
    FEATURE_CPU_CORES_LOG,        /* ln(1 + cores used) */
    FEATURE_CPU_TO_LIMIT,         /* ratio, at most 2 */
    FEATURE_CPU_PER_TASK,         /* cores per task, at most 2 */
    FEATURE_THROTTLED_SHARE,      /* share of quota periods throttled, 1 s */
    FEATURE_THROTTLED_SHARE_SLOW, /* 5 s */
    FEATURE_TASKS_LOG,            /* ln(1 + tasks) / 4 */
    FEATURE_IO_LIMITED,
    FEATURE_IO_STALL_SHARE,      /* share, 1 s */
    FEATURE_IO_STALL_SHARE_SLOW, /* 5 s */
    FEATURE_IO_READ_TO_LIMIT,    /* ratio, at most 2, 1 s */
    FEATURE_IO_WRITE_TO_LIMIT,
    FEATURE_IO_RATE_LOG, /* slog of MiB/s / 7 */
    FEATURE_NET_LIMITED,
    FEATURE_NET_TO_LIMIT, /* ratio, at most 2, 1 s */
    FEATURE_NET_RATE_LOG,
    FEATURE_FAULT_RATE_LOG,       /* slog of 1,000/s / 7 */
    FEATURE_MAJOR_FAULT_RATE_LOG, /* slog of 1/s / 7 */
    FEATURE_ELAPSED_LOG,          /* ln(1 + s) / 7 */
    FEATURE_HAS_TIMEOUT,
    FEATURE_ELAPSED_TO_TIMEOUT, /* ratio, at most 2; 0 without a timeout (so are all that name a deadline) */
    FEATURE_TIME_LEFT_LOG,      /* ln(1 + s left) / 7 */
    FEATURE_HAS_PROGRESS,       /* 1: the program reports a gauge `progress`, 0..1 */
    FEATURE_PROGRESS,
    FEATURE_PROGRESS_FINISH, /* log ratio of the finish extrapolated from it to the deadline; > 0 = too late
                              */
    FEATURE_BRAKE_ENGAGED,
    FEATURE_BRAKE_SHARE, /* share, 1 s */
    FEATURE_OOM_KILLS,   /* 1: there was one */
    FEATURE_RETRY,       /* 1: attempt > 1 */
    FEATURE_HAS_PROFILE, /* 1: finished records of this code are known, and this attempt's peak is not far
                            above all of theirs; else all below are 0 */
    FEATURE_PROFILE_RUNS_LOG,     /* ln(1 + runs) / 5 */
    FEATURE_PROFILE_P50_TO_LIMIT, /* log ratio of the memory peak's p50 to the limit */
    FEATURE_PROFILE_P95_TO_LIMIT,
    FEATURE_PROFILE_MAX_TO_LIMIT,
    FEATURE_MEMORY_TO_PROFILE_P50, /* log ratio of memory now to that quantile */
    FEATURE_MEMORY_TO_PROFILE_MAX,
    FEATURE_PROFILE_TIME_LEFT, /* ln(1 + expected seconds left) / 7 */
    FEATURE_PROFILE_ELAPSED,   /* elapsed / p50 duration, at most 2 */
    FEATURE_PROFILE_CPU_NEED, /* log ratio of the CPU seconds still to come to what rate and deadline allow */
    FEATURE_PROFILE_IO_NEED,  /* the same of block bytes */
    FEATURE_PROFILE_NET_NEED, /* the same of bytes sent */
    FEATURE_PROFILE_LIKENESS, /* of which runs the profile is, PROFILE_LIKE_... of profile.h: 1 of the same
                                 command and input, 0.5 of the same command, 0 of all of the code */
    FEATURE_PROFILE_RISE,     /* 1: how their memory rose is known (model/rise.h); else all below are 0 */
    FEATURE_PROFILE_CROSSING, /* scale of exhaustion: when theirs, by the clock, would cross this limit */
    FEATURE_PROFILE_CROSSING_CPU,   /* by the CPU time used, at the rate of the last second */
    FEATURE_PROFILE_CROSSING_LEVEL, /* from where theirs first was as high as this peak is now */
    FEATURE_PROFILE_AHEAD,          /* log ratio of their highest until 10 s from now to the limit */
    FEATURE_MEMORY_TO_PROFILE_NOW,  /* log ratio of this peak to theirs at the same time */
    FEATURE_INPUT_TO_PROFILE, /* log ratio of the size of the input to that of the runs that the profile is
                                 of; 0 when either is not known */
    FEATURE_HAS_READING,    /* 1: how much of its input was read is known (GAUGE_INPUT_READ, schemas/hints.h);
                               else all    below are 0 */
    FEATURE_READING,        /* share of its size, at most 1 */
    FEATURE_READING_LEFT,   /* scale of exhaustion: when all of it is read, by the 5 s rate */
    FEATURE_READING_FINISH, /* as PROGRESS_FINISH */
    FEATURE_READING_PROJECTED, /* log ratio to the limit of the memory held when all is read, if it grows with
                                  each byte as it did since the start */
    FEATURE_READING_PROJECTED_SLOW, /* if it grows with each byte as over the last 5 s */
    FEATURE_HAS_DATA, /* 1: what its processes have asked for is known (GAUGE_DATA); else all below are 0 */
    FEATURE_DATA_TO_LIMIT,   /* log ratio */
    FEATURE_DATA_TO_MEMORY,  /* log ratio to memory now; > 0 = it may use more without asking */
    FEATURE_DATA_EXHAUSTION, /* scale of exhaustion: when they will have asked for the limit, by the 5 s rate
                              */
    FEATURE_DATA_STEADY,     /* ln(1 + s since they had asked for more than ever before) / 7 */
    FEATURE_COUNT
};

/* Rates of one counter's growth per second, exponentially averaged. */
enum feature_rate {
    FEATURE_RATE_MEMORY_FAST, /* of the gauge memory_bytes; signed */
    FEATURE_RATE_MEMORY_SECOND,
    FEATURE_RATE_MEMORY_SLOW,
    FEATURE_RATE_MEMORY_GROWING,
    FEATURE_RATE_CPU,
    FEATURE_RATE_CPU_SOME,
    FEATURE_RATE_MEMORY_SOME,
    FEATURE_RATE_MEMORY_FULL,
    FEATURE_RATE_IO_SOME,
    FEATURE_RATE_IO_FULL,
    FEATURE_RATE_IO_STALL,
    FEATURE_RATE_IO_STALL_SLOW,
    FEATURE_RATE_IO_READ,
    FEATURE_RATE_IO_WRITE,
    FEATURE_RATE_NET,
    FEATURE_RATE_FAULTS,
    FEATURE_RATE_MAJOR_FAULTS,
    FEATURE_RATE_THROTTLED, /* of periods: throttled per second; divided by periods per second */
    FEATURE_RATE_THROTTLED_SLOW,
    FEATURE_RATE_PERIODS,
    FEATURE_RATE_PERIODS_SLOW,
    FEATURE_RATE_BRAKE,
    FEATURE_RATE_PROGRESS, /* of the gauge `progress`, 5 s */
    FEATURE_RATE_READING,  /* of the share of the input that was read, 5 s */
    FEATURE_RATE_DATA,     /* of GAUGE_DATA, 5 s; signed */
    FEATURE_RATE_COUNT
};

/* What is kept per execution between samples. All zero = new; copy and drop freely. */
struct feature_state {
    int64_t time_us; /* of the last sample; 0 = none */
    int64_t memory_bytes;
    int64_t cpu_usage_us, cpu_throttled_periods, cpu_periods;
    int64_t cpu_some_us, memory_some_us, memory_full_us, io_some_us, io_full_us, io_stall_us;
    int64_t io_read_bytes, io_write_bytes, net_tx_bytes;
    int64_t page_faults, major_faults, brake_us;
    double progress;        /* last value of the gauge */
    double reading;         /* share of the input that was read by the last sample */
    double data;            /* GAUGE_DATA of the last sample that had it */
    double data_most;       /* its highest */
    int64_t data_rose_us;   /* when that was */
    double memory_rate_max; /* bytes per second, highest 0.3 s rate */
    float rates[FEATURE_RATE_COUNT];
    float weights[3]; /* sum of averaging weights per time constant, 1 once warm */
};

/* One sample with what is known around it. */
struct feature_input {
    int64_t time_us;    /* of the tick, Unix microseconds */
    int64_t started_us; /* of the attempt */
    int64_t timeout_ms; /* 0 = none */
    int32_t attempt;
    int64_t input_bytes;             /* 0 = not known */
    const struct msg_limits *limits; /* in force at the sample */
    const struct msg_counters *counters;
    const struct profile_summary *profile; /* NULL = nothing known of the code */
};

/* Takes one sample in and writes the features. A sample no newer than the last one changes nothing in the
 * state's rates, but its gauges and limits are used; an older one (the node's clock was set back) is what
 * the next one is measured from. Never fails. */
void features_step(struct feature_state *state, const struct feature_input *input, float out[FEATURE_COUNT]);
/* Stable snake_case name; never NULL for index < FEATURE_COUNT. */
const char *feature_name(enum feature_index index);
/* The averaged rate of the state, corrected for its start: per second, in the counter's unit. */
double features_rate(const struct feature_state *state, enum feature_rate rate);

#endif
