/* See features.h. Two halves: take the sample into the averages, then write the features from averages and
 * gauges. */
#include "model/features.h"

#include <assert.h>
#include <math.h>

#include "model/profile.h"
#include "schemas/hints.h"

#define MIB 1048576.0
#define AHEAD_S 10.0         /* the horizon the projections look ahead: the design's default */
#define EXHAUSTION_MAX_S 1e3 /* further away counts as never */
#define LEAST_STEP_S 1e-4    /* samples closer than this (a clock's hiccup) count as so far apart */
#define LONGEST_START_S 1e6  /* a start time further back is not believed */
#define REFUTED 1.1          /* times the largest peak of a profile: what needs more is no run of its kind */
#define GAUGE_MAX 1e15       /* 1 PB, 1 P/s: nothing real is above */

enum constant { FAST, SECOND, SLOW };
static const double constants_s[] = {0.3, 1, 5};

/* Which time constant each rate has. */
static const uint8_t rate_constants[FEATURE_RATE_COUNT] = {
    [FEATURE_RATE_MEMORY_FAST] = FAST,    [FEATURE_RATE_MEMORY_SECOND] = SECOND,
    [FEATURE_RATE_MEMORY_SLOW] = SLOW,    [FEATURE_RATE_MEMORY_GROWING] = SLOW,
    [FEATURE_RATE_CPU] = SECOND,          [FEATURE_RATE_CPU_SOME] = SECOND,
    [FEATURE_RATE_MEMORY_SOME] = SECOND,  [FEATURE_RATE_MEMORY_FULL] = SECOND,
    [FEATURE_RATE_IO_SOME] = SECOND,      [FEATURE_RATE_IO_FULL] = SECOND,
    [FEATURE_RATE_IO_STALL] = SECOND,     [FEATURE_RATE_IO_STALL_SLOW] = SLOW,
    [FEATURE_RATE_IO_READ] = SECOND,      [FEATURE_RATE_IO_WRITE] = SECOND,
    [FEATURE_RATE_NET] = SECOND,          [FEATURE_RATE_FAULTS] = SECOND,
    [FEATURE_RATE_MAJOR_FAULTS] = SECOND, [FEATURE_RATE_THROTTLED] = SECOND,
    [FEATURE_RATE_THROTTLED_SLOW] = SLOW, [FEATURE_RATE_PERIODS] = SECOND,
    [FEATURE_RATE_PERIODS_SLOW] = SLOW,   [FEATURE_RATE_BRAKE] = SECOND,
    [FEATURE_RATE_PROGRESS] = SLOW,       [FEATURE_RATE_READING] = SLOW,
    [FEATURE_RATE_DATA] = SLOW,
};

static double clamp(double value, double least, double most)
{
    if (!(value >= least)) /* also NaN */
        return least;
    return value > most ? most : value;
}

static double slog(double value)
{
    double size = log1p(clamp(fabs(value), 0, GAUGE_MAX));
    return value < 0 ? -size : size;
}

static double share(double value)
{
    return clamp(value, 0, 1);
}

static double ratio(double value, double limit)
{
    return limit > 0 ? clamp(value / limit, 0, 2) : 0;
}

/* ln(a/b) / 4 within -1..1; 0 when either is not known. */
static double log_ratio(double a, double b)
{
    return a > 0 && b > 0 ? clamp(log(a / b) / 4, -1, 1) : 0;
}

static double gauge(int64_t value)
{
    return clamp((double)value, 0, GAUGE_MAX);
}

static double left(double all, double done)
{
    return clamp(all - done, 0, GAUGE_MAX);
}

double features_rate(const struct feature_state *state, enum feature_rate rate)
{
    float weight = state->weights[rate_constants[rate]];
    return weight > 0 ? (double)state->rates[rate] / (double)weight : 0;
}

static double rate_or_none(const struct feature_state *state, enum feature_rate rate)
{
    return clamp(features_rate(state, rate), 0, GAUGE_MAX);
}

/* --- taking a sample in --- */

static bool find_gauge(const struct msg_counters *counters, const char *name, double *out)
{
    for (size_t i = 0; i < counters->custom.count; i++) {
        const struct msg_custom_metric *metric = &counters->custom.items[i];
        if (!str_equal(metric->name, str_of(name)) || !isfinite(metric->value))
            continue;
        *out = metric->value;
        return true;
    }
    return false;
}

static bool custom_progress(const struct msg_counters *counters, double *out)
{
    double value;
    if (!find_gauge(counters, "progress", &value))
        return false;
    *out = share(value);
    return true;
}

static bool input_reading(const struct feature_input *input, double *out)
{
    double value;
    if (input->input_bytes < INPUT_SMALL_BYTES || !find_gauge(input->counters, GAUGE_INPUT_READ, &value))
        return false;
    *out = share(value / gauge(input->input_bytes));
    return true;
}

static bool data_asked(const struct feature_input *input, double *out)
{
    double value;
    if (!find_gauge(input->counters, GAUGE_DATA, &value) || !(value > 0))
        return false;
    *out = clamp(value, 0, GAUGE_MAX);
    return true;
}

static void average(struct feature_state *state, enum feature_rate rate, const double keep[3],
                    double per_second)
{
    double k = keep[rate_constants[rate]], now = clamp(per_second, -GAUGE_MAX, GAUGE_MAX);
    state->rates[rate] = (float)(k * (double)state->rates[rate] + (1 - k) * now);
}

/* Averages the growth of a cumulative counter; one that fell began anew and counts from zero. */
static void count(struct feature_state *state, enum feature_rate rate, const double keep[3], double step_s,
                  int64_t before, int64_t now)
{
    double base = now >= before ? gauge(before) : 0;
    average(state, rate, keep, left(gauge(now), base) / step_s);
}

static void count_counters(struct feature_state *s, const struct msg_counters *c, const double keep[3],
                           double step_s)
{
    count(s, FEATURE_RATE_CPU, keep, step_s, s->cpu_usage_us, c->cpu_usage_us);
    count(s, FEATURE_RATE_CPU_SOME, keep, step_s, s->cpu_some_us, c->cpu_some_us);
    count(s, FEATURE_RATE_MEMORY_SOME, keep, step_s, s->memory_some_us, c->memory_some_us);
    count(s, FEATURE_RATE_MEMORY_FULL, keep, step_s, s->memory_full_us, c->memory_full_us);
    count(s, FEATURE_RATE_IO_SOME, keep, step_s, s->io_some_us, c->io_some_us);
    count(s, FEATURE_RATE_IO_FULL, keep, step_s, s->io_full_us, c->io_full_us);
    count(s, FEATURE_RATE_IO_STALL, keep, step_s, s->io_stall_us, c->io_stall_us);
    count(s, FEATURE_RATE_IO_STALL_SLOW, keep, step_s, s->io_stall_us, c->io_stall_us);
    count(s, FEATURE_RATE_IO_READ, keep, step_s, s->io_read_bytes, c->io_read_bytes);
    count(s, FEATURE_RATE_IO_WRITE, keep, step_s, s->io_write_bytes, c->io_write_bytes);
    count(s, FEATURE_RATE_NET, keep, step_s, s->net_tx_bytes, c->net_tx_bytes);
    count(s, FEATURE_RATE_FAULTS, keep, step_s, s->page_faults, c->page_faults);
    count(s, FEATURE_RATE_MAJOR_FAULTS, keep, step_s, s->major_faults, c->major_faults);
    count(s, FEATURE_RATE_THROTTLED, keep, step_s, s->cpu_throttled_periods, c->cpu_throttled_periods);
    count(s, FEATURE_RATE_THROTTLED_SLOW, keep, step_s, s->cpu_throttled_periods, c->cpu_throttled_periods);
    count(s, FEATURE_RATE_PERIODS, keep, step_s, s->cpu_periods, c->cpu_periods);
    count(s, FEATURE_RATE_PERIODS_SLOW, keep, step_s, s->cpu_periods, c->cpu_periods);
    count(s, FEATURE_RATE_BRAKE, keep, step_s, s->brake_us, c->brake_us);
}

static void count_memory(struct feature_state *state, const struct msg_counters *counters,
                         const double keep[3], double step_s)
{
    double growth = (gauge(counters->memory_bytes) - gauge(state->memory_bytes)) / step_s;
    average(state, FEATURE_RATE_MEMORY_FAST, keep, growth);
    average(state, FEATURE_RATE_MEMORY_SECOND, keep, growth);
    average(state, FEATURE_RATE_MEMORY_SLOW, keep, growth);
    average(state, FEATURE_RATE_MEMORY_GROWING, keep, growth > 0 ? 1 : 0);
}

static void remember(struct feature_state *state, const struct msg_counters *counters, int64_t time_us)
{
    state->time_us = time_us;
    state->memory_bytes = counters->memory_bytes;
    state->cpu_usage_us = counters->cpu_usage_us;
    state->cpu_throttled_periods = counters->cpu_throttled_periods;
    state->cpu_periods = counters->cpu_periods;
    state->cpu_some_us = counters->cpu_some_us;
    state->memory_some_us = counters->memory_some_us;
    state->memory_full_us = counters->memory_full_us;
    state->io_some_us = counters->io_some_us;
    state->io_full_us = counters->io_full_us;
    state->io_stall_us = counters->io_stall_us;
    state->io_read_bytes = counters->io_read_bytes;
    state->io_write_bytes = counters->io_write_bytes;
    state->net_tx_bytes = counters->net_tx_bytes;
    state->page_faults = counters->page_faults;
    state->major_faults = counters->major_faults;
    state->brake_us = counters->brake_us;
}

/* Seconds since the last sample, or since the start for the first one; 0 when time did not move on. */
static double step_seconds(const struct feature_state *state, const struct feature_input *input)
{
    int64_t since_us = state->time_us > 0 ? state->time_us : input->started_us;
    if (input->time_us <= 0 || since_us < 0 || input->time_us <= since_us)
        return state->time_us > 0 || input->time_us <= 0 ? 0 : LEAST_STEP_S;
    return clamp((double)(input->time_us - since_us) * 1e-6, LEAST_STEP_S, LONGEST_START_S);
}

static void take_data(struct feature_state *state, const struct feature_input *input, const double keep[3],
                      double step_s)
{
    double data;
    if (!data_asked(input, &data))
        return;
    average(state, FEATURE_RATE_DATA, keep, (data - state->data) / step_s);
    state->data = data;
    if (data > state->data_most) {
        state->data_most = data;
        state->data_rose_us = input->time_us;
    }
}

/* When the clock was set back, the averages stay and the next sample measures from this one. */
static void take(struct feature_state *state, const struct feature_input *input)
{
    bool set_back = input->time_us > 0 && input->time_us < state->time_us;
    double step_s = set_back ? LEAST_STEP_S : step_seconds(state, input), keep[3], progress, reading;
    if (!(step_s > 0))
        return;
    if (set_back) /* how long ago it was stays as well */
        state->data_rose_us = FS_MAX(state->data_rose_us - (state->time_us - input->time_us), 0);
    for (size_t i = 0; i < FS_COUNT(constants_s); i++) {
        keep[i] = set_back ? 1 : exp(-step_s / constants_s[i]);
        state->weights[i] = (float)(keep[i] * (double)state->weights[i] + 1 - keep[i]);
    }
    count_memory(state, input->counters, keep, step_s);
    count_counters(state, input->counters, keep, step_s);
    if (custom_progress(input->counters, &progress)) {
        average(state, FEATURE_RATE_PROGRESS, keep, left(progress, state->progress) / step_s);
        state->progress = progress;
    }
    if (input_reading(input, &reading)) {
        average(state, FEATURE_RATE_READING, keep, left(reading, state->reading) / step_s);
        state->reading = reading;
    }
    take_data(state, input, keep, step_s);
    state->memory_rate_max = fmax(state->memory_rate_max, features_rate(state, FEATURE_RATE_MEMORY_FAST));
    remember(state, input->counters, input->time_us);
}

/* --- writing the features --- */

/* 1 = exhausted now, 0 = not within EXHAUSTION_MAX_S. */
static double exhaustion(double bytes_left, double bytes_per_second)
{
    if (bytes_left <= 0)
        return 1;
    if (!(bytes_per_second > 0))
        return 0;
    double seconds = clamp(bytes_left / bytes_per_second, 0, EXHAUSTION_MAX_S);
    return 1 - log1p(seconds) / log1p(EXHAUSTION_MAX_S);
}

static void write_memory_limit(const struct feature_state *state, double memory, double usage, double peak,
                               double limit, float *out)
{
    double fast = features_rate(state, FEATURE_RATE_MEMORY_FAST);
    double second = features_rate(state, FEATURE_RATE_MEMORY_SECOND);
    double slow = features_rate(state, FEATURE_RATE_MEMORY_SLOW);
    out[FEATURE_MEMORY_LIMITED] = 1;
    out[FEATURE_MEMORY_TO_LIMIT] = (float)ratio(memory, limit);
    out[FEATURE_MEMORY_HEADROOM_LOG] = (float)(log2(1 + left(limit, memory) / MIB) / 10);
    out[FEATURE_MEMORY_RATE_FAST] = (float)clamp(slog(10 * fast / limit), -6, 6);
    out[FEATURE_MEMORY_RATE_SECOND] = (float)clamp(slog(10 * second / limit), -6, 6);
    out[FEATURE_MEMORY_RATE_SLOW] = (float)clamp(slog(10 * slow / limit), -6, 6);
    out[FEATURE_MEMORY_ACCELERATION] = (float)clamp(slog(10 * (fast - slow) / limit), -6, 6);
    out[FEATURE_MEMORY_EXHAUSTION_FAST] = (float)exhaustion(limit - memory, fast);
    out[FEATURE_MEMORY_EXHAUSTION_SECOND] = (float)exhaustion(limit - memory, second);
    out[FEATURE_MEMORY_EXHAUSTION_SLOW] = (float)exhaustion(limit - memory, slow);
    out[FEATURE_MEMORY_PROJECTED] =
        (float)clamp(log1p(clamp((memory + AHEAD_S * second) / limit, 0, 1e6)), 0, 5);
    out[FEATURE_MEMORY_PEAK_TO_LIMIT] = (float)ratio(peak, limit);
    out[FEATURE_USAGE_TO_LIMIT] = (float)ratio(usage, limit);
}

static void write_memory(const struct feature_state *state, const struct feature_input *input, float *out)
{
    const struct msg_counters *counters = input->counters;
    double memory = gauge(counters->memory_bytes), usage = gauge(counters->memory_usage_bytes);
    double peak = fmax(gauge(counters->memory_peak_bytes), memory);
    out[FEATURE_MEMORY_LOG] = (float)(log2(1 + memory / MIB) / 10);
    if (input->limits->memory_bytes > 0)
        write_memory_limit(state, memory, usage, peak, gauge(input->limits->memory_bytes), out);
    out[FEATURE_MEMORY_BELOW_PEAK] = (float)(peak > 0 ? share(1 - memory / peak) : 0);
    out[FEATURE_MEMORY_RATE_LOG] = (float)(slog(features_rate(state, FEATURE_RATE_MEMORY_SECOND) / MIB) / 7);
    out[FEATURE_MEMORY_RATE_MAX_LOG] = (float)(slog(state->memory_rate_max / MIB) / 7);
    out[FEATURE_MEMORY_GROWING] = (float)share(features_rate(state, FEATURE_RATE_MEMORY_GROWING));
    out[FEATURE_CACHE_SHARE] = (float)(usage > 0 ? share(1 - memory / usage) : 0);
    out[FEATURE_MEMORY_PRESSURE_SOME] = (float)share(features_rate(state, FEATURE_RATE_MEMORY_SOME) * 1e-6);
    out[FEATURE_MEMORY_PRESSURE_FULL] = (float)share(features_rate(state, FEATURE_RATE_MEMORY_FULL) * 1e-6);
    out[FEATURE_FAULT_RATE_LOG] = (float)(slog(rate_or_none(state, FEATURE_RATE_FAULTS) / 1000) / 7);
    out[FEATURE_MAJOR_FAULT_RATE_LOG] = (float)(slog(rate_or_none(state, FEATURE_RATE_MAJOR_FAULTS)) / 7);
}

static double period_share(const struct feature_state *state, enum feature_rate throttled,
                           enum feature_rate periods)
{
    double all = rate_or_none(state, periods);
    return all > 0 ? share(rate_or_none(state, throttled) / all) : 0;
}

static void write_cpu(const struct feature_state *state, const struct feature_input *input, float *out)
{
    double cores = rate_or_none(state, FEATURE_RATE_CPU) * 1e-6;
    double limit = gauge(input->limits->cpu_millicores) / 1000, tasks = gauge(input->counters->tasks);
    out[FEATURE_CPU_PRESSURE_SOME] = (float)share(features_rate(state, FEATURE_RATE_CPU_SOME) * 1e-6);
    out[FEATURE_CPU_LIMITED] = limit > 0;
    out[FEATURE_CPU_CORES_LOG] = (float)clamp(log1p(cores), 0, 8);
    out[FEATURE_CPU_TO_LIMIT] = (float)ratio(cores, limit);
    out[FEATURE_CPU_PER_TASK] = (float)ratio(cores, tasks);
    out[FEATURE_THROTTLED_SHARE] = (float)period_share(state, FEATURE_RATE_THROTTLED, FEATURE_RATE_PERIODS);
    out[FEATURE_THROTTLED_SHARE_SLOW] =
        (float)period_share(state, FEATURE_RATE_THROTTLED_SLOW, FEATURE_RATE_PERIODS_SLOW);
    out[FEATURE_TASKS_LOG] = (float)clamp(log1p(tasks) / 4, 0, 5);
}

static void write_io(const struct feature_state *state, const struct feature_input *input, float *out)
{
    const struct msg_limits *limits = input->limits;
    double reads = rate_or_none(state, FEATURE_RATE_IO_READ),
           writes = rate_or_none(state, FEATURE_RATE_IO_WRITE);
    double sent = rate_or_none(state, FEATURE_RATE_NET);
    out[FEATURE_IO_PRESSURE_SOME] = (float)share(features_rate(state, FEATURE_RATE_IO_SOME) * 1e-6);
    out[FEATURE_IO_PRESSURE_FULL] = (float)share(features_rate(state, FEATURE_RATE_IO_FULL) * 1e-6);
    out[FEATURE_IO_LIMITED] = limits->io_read_bps > 0 || limits->io_write_bps > 0;
    out[FEATURE_IO_STALL_SHARE] = (float)share(features_rate(state, FEATURE_RATE_IO_STALL) * 1e-6);
    out[FEATURE_IO_STALL_SHARE_SLOW] = (float)share(features_rate(state, FEATURE_RATE_IO_STALL_SLOW) * 1e-6);
    out[FEATURE_IO_READ_TO_LIMIT] = (float)ratio(reads, gauge(limits->io_read_bps));
    out[FEATURE_IO_WRITE_TO_LIMIT] = (float)ratio(writes, gauge(limits->io_write_bps));
    out[FEATURE_IO_RATE_LOG] = (float)(slog((reads + writes) / MIB) / 7);
    out[FEATURE_NET_LIMITED] = limits->net_egress_bps > 0;
    out[FEATURE_NET_TO_LIMIT] = (float)ratio(sent, gauge(limits->net_egress_bps));
    out[FEATURE_NET_RATE_LOG] = (float)(slog(sent / MIB) / 7);
}

static void write_progress(const struct feature_state *state, const struct feature_input *input,
                           double elapsed_s, float *out)
{
    double progress, timeout_s = gauge(input->timeout_ms) / 1000;
    if (!custom_progress(input->counters, &progress))
        return;
    double rate = rate_or_none(state, FEATURE_RATE_PROGRESS);
    double finish_s = rate > 0 ? elapsed_s + (1 - progress) / rate : GAUGE_MAX;
    out[FEATURE_HAS_PROGRESS] = 1;
    out[FEATURE_PROGRESS] = (float)progress;
    out[FEATURE_PROGRESS_FINISH] = (float)log_ratio(progress >= 1 ? elapsed_s : finish_s, timeout_s);
}

/* A program that nobody knows tells by its input how far it is: many hold what they read, or part of it. */
static void write_reading(const struct feature_state *state, const struct feature_input *input,
                          double elapsed_s, float *out)
{
    double reading, timeout_s = gauge(input->timeout_ms) / 1000;
    if (!input_reading(input, &reading))
        return;
    double memory = gauge(input->counters->memory_bytes), limit = gauge(input->limits->memory_bytes);
    double rate = rate_or_none(state, FEATURE_RATE_READING), to_read = 1 - reading;
    double growth = fmax(features_rate(state, FEATURE_RATE_MEMORY_SLOW), 0);
    double more = rate > 0 ? growth / rate * to_read : 0;
    double finish_s = rate > 0 ? elapsed_s + to_read / rate : GAUGE_MAX;
    out[FEATURE_HAS_READING] = 1;
    out[FEATURE_READING] = (float)reading;
    out[FEATURE_READING_LEFT] = (float)exhaustion(to_read, rate);
    out[FEATURE_READING_FINISH] = (float)log_ratio(to_read > 0 ? finish_s : elapsed_s, timeout_s);
    out[FEATURE_READING_PROJECTED] = (float)log_ratio(reading > 0 ? memory / reading : 0, limit);
    out[FEATURE_READING_PROJECTED_SLOW] = (float)log_ratio(memory + more, limit);
}

/* Memory that was asked for comes before memory that is used: by moments where it is asked for in pieces, by
 * all of it where buffers are made at the start; who asks for no more than is used has found its size. */
static void write_data(const struct feature_state *state, const struct feature_input *input, float *out)
{
    double data, memory = gauge(input->counters->memory_bytes), limit = gauge(input->limits->memory_bytes);
    if (!data_asked(input, &data))
        return;
    double steady_s = ((double)input->time_us - (double)state->data_rose_us) * 1e-6;
    double rate = features_rate(state, FEATURE_RATE_DATA);
    out[FEATURE_HAS_DATA] = 1;
    out[FEATURE_DATA_TO_LIMIT] = (float)log_ratio(data, limit);
    out[FEATURE_DATA_TO_MEMORY] = (float)log_ratio(data, memory);
    if (limit > 0)
        out[FEATURE_DATA_EXHAUSTION] = (float)exhaustion(limit - data, rate);
    out[FEATURE_DATA_STEADY] = (float)(log1p(clamp(steady_s, 0, LONGEST_START_S)) / 7);
}

static double elapsed_seconds(const struct feature_input *input)
{
    if (input->started_us <= 0 || input->time_us <= input->started_us)
        return 0;
    return clamp((double)(input->time_us - input->started_us) * 1e-6, 0, LONGEST_START_S);
}

static void write_life(const struct feature_state *state, const struct feature_input *input, double elapsed_s,
                       float *out)
{
    double timeout_s = gauge(input->timeout_ms) / 1000;
    out[FEATURE_ELAPSED_LOG] = (float)(log1p(elapsed_s) / 7);
    if (timeout_s > 0) {
        out[FEATURE_HAS_TIMEOUT] = 1;
        out[FEATURE_ELAPSED_TO_TIMEOUT] = (float)ratio(elapsed_s, timeout_s);
        out[FEATURE_TIME_LEFT_LOG] = (float)clamp(log1p(left(timeout_s, elapsed_s)) / 7, 0, 2);
    }
    write_progress(state, input, elapsed_s, out);
    write_reading(state, input, elapsed_s, out);
    write_data(state, input, out);
    out[FEATURE_BRAKE_ENGAGED] = input->counters->brake_engaged;
    out[FEATURE_BRAKE_SHARE] = (float)share(features_rate(state, FEATURE_RATE_BRAKE) * 1e-6);
    out[FEATURE_OOM_KILLS] = input->counters->oom_kills > 0;
    out[FEATURE_RETRY] = input->attempt > 1;
}

/* It may have more to do than any run before, and how much more no profile tells: as good as a code that
 * nobody knows, until it ends. */
static bool refuted(const struct feature_input *input)
{
    double peak = fmax(gauge(input->counters->memory_peak_bytes), gauge(input->counters->memory_bytes));
    return input->profile->memory_max > 0 && peak > REFUTED * input->profile->memory_max;
}

static void write_profile(const struct feature_state *state, const struct feature_input *input,
                          double elapsed_s, float *out)
{
    const struct profile_summary *profile = input->profile;
    const struct msg_counters *counters = input->counters;
    double limit = gauge(input->limits->memory_bytes), memory = gauge(counters->memory_bytes);
    double time_left_s = input->timeout_ms > 0 ? left(gauge(input->timeout_ms) / 1000, elapsed_s) : 0;
    double cpu_left_s = left(profile->cpu_time_p50_s, gauge(counters->cpu_usage_us) * 1e-6);
    double io_left =
        left(profile->io_total_p50, gauge(counters->io_read_bytes) + gauge(counters->io_write_bytes));
    double net_left = left(profile->net_total_p50, gauge(counters->net_tx_bytes));
    double cores = rate_or_none(state, FEATURE_RATE_CPU) * 1e-6;
    double io = rate_or_none(state, FEATURE_RATE_IO_READ) + rate_or_none(state, FEATURE_RATE_IO_WRITE);
    out[FEATURE_HAS_PROFILE] = 1;
    out[FEATURE_PROFILE_LIKENESS] = (float)share(profile->likeness);
    out[FEATURE_PROFILE_RUNS_LOG] = (float)clamp(log1p(gauge(profile->runs)) / 5, 0, 4);
    out[FEATURE_PROFILE_P50_TO_LIMIT] = (float)log_ratio(profile->memory_p50, limit);
    out[FEATURE_PROFILE_P95_TO_LIMIT] = (float)log_ratio(profile->memory_p95, limit);
    out[FEATURE_PROFILE_MAX_TO_LIMIT] = (float)log_ratio(profile->memory_max, limit);
    out[FEATURE_MEMORY_TO_PROFILE_P50] = (float)log_ratio(memory, profile->memory_p50);
    out[FEATURE_MEMORY_TO_PROFILE_MAX] = (float)log_ratio(memory, profile->memory_max);
    out[FEATURE_PROFILE_TIME_LEFT] = (float)clamp(log1p(left(profile->duration_p50_s, elapsed_s)) / 7, 0, 2);
    out[FEATURE_PROFILE_ELAPSED] = (float)ratio(elapsed_s, profile->duration_p50_s);
    out[FEATURE_PROFILE_CPU_NEED] = (float)log_ratio(cpu_left_s, cores * time_left_s);
    out[FEATURE_PROFILE_IO_NEED] = (float)log_ratio(io_left, io * time_left_s);
    out[FEATURE_PROFILE_NET_NEED] =
        (float)log_ratio(net_left, rate_or_none(state, FEATURE_RATE_NET) * time_left_s);
    out[FEATURE_INPUT_TO_PROFILE] = (float)log_ratio(gauge(input->input_bytes), profile->input_p50);
}

/* What runs most like it did at this point, by three clocks: none is right for all. The wall's is when
 * nothing slows it down, CPU time when its share of a processor is another, the level when it waited. */
static void write_rise(const struct feature_state *state, const struct feature_input *input, double elapsed_s,
                       float *out)
{
    const struct profile_summary *profile = input->profile;
    const struct rise *rise = &profile->rise;
    double limit = gauge(input->limits->memory_bytes), highest = profile->memory_p50;
    double peak = fmax(gauge(input->counters->memory_peak_bytes), gauge(input->counters->memory_bytes));
    if (!rise_known(rise) || !(highest > 0))
        return;
    out[FEATURE_PROFILE_RISE] = 1;
    out[FEATURE_MEMORY_TO_PROFILE_NOW] = (float)log_ratio(peak, highest * rise_share(rise->s, elapsed_s));
    out[FEATURE_PROFILE_AHEAD] = (float)log_ratio(highest * rise_share(rise->s, elapsed_s + AHEAD_S), limit);
    if (!(limit > 0) || limit > highest)
        return;
    double cores = rate_or_none(state, FEATURE_RATE_CPU) * 1e-6, share_of_it = limit / highest;
    double by_clock = rise_when(rise->s, share_of_it), by_cpu = rise_when(rise->cpu_s, share_of_it);
    double cpu_s = gauge(input->counters->cpu_usage_us) * 1e-6, level = rise_when(rise->s, peak / highest);
    out[FEATURE_PROFILE_CROSSING] = (float)exhaustion(by_clock - elapsed_s, 1);
    out[FEATURE_PROFILE_CROSSING_CPU] = (float)exhaustion(by_cpu - cpu_s, cores);
    out[FEATURE_PROFILE_CROSSING_LEVEL] = (float)exhaustion(by_clock - level, 1);
}

void features_step(struct feature_state *state, const struct feature_input *input, float out[FEATURE_COUNT])
{
    assert(input->limits && input->counters);
    take(state, input);
    double elapsed_s = elapsed_seconds(input);
    for (size_t i = 0; i < FEATURE_COUNT; i++)
        out[i] = 0;
    write_memory(state, input, out);
    write_cpu(state, input, out);
    write_io(state, input, out);
    write_life(state, input, elapsed_s, out);
    if (input->profile && input->profile->runs > 0 && !refuted(input)) {
        write_profile(state, input, elapsed_s, out);
        write_rise(state, input, elapsed_s, out);
    }
    for (size_t i = 0; i < FEATURE_COUNT; i++)
        out[i] = (float)clamp((double)out[i], -8, 8); /* a last line: a profile may hold any number */
}
