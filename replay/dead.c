/* See dead.h. */
#include "replay/dead.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "allocate/policy.h"
#include "replay/ours.h"

#define MIB 1048576.0
#define AHEAD_US 10000000 /* one horizon */
#define TICK_US 100000
#define SLOPE_US 1000000
#define STALL_MOST 0.98

static double last_memory(const struct msg_execution_record *record)
{
    double most = (double)record->totals.memory_peak_bytes;
    if (record->series.count > 0)
        most = fmax(most, (double)record->series.items[record->series.count - 1].counters.memory_bytes);
    return most;
}

static double growth_at_end(const struct msg_execution_record *record)
{
    const struct msg_series_point *points = record->series.items;
    size_t last = record->series.count, first;
    if (last < 2)
        return 0;
    for (first = --last; first > 0 && points[last].time_us - points[first].time_us < SLOPE_US;)
        first--;
    double passed_s = (double)(points[last].time_us - points[first].time_us) / 1e6;
    double grown = (double)(points[last].counters.memory_bytes - points[first].counters.memory_bytes);
    return passed_s > 0 ? fmax(grown / passed_s, 0) : 0;
}

/* The recording with a horizon of the same growth behind it. *made is to be freed. */
static int extend(const struct msg_execution_record *record, double growth, struct msg_execution_record *out,
                  struct msg_series_point **made)
{
    size_t count = record->series.count, more = AHEAD_US / TICK_US;
    struct msg_series_point *points = calloc(count + more, sizeof *points);
    if (!points)
        return -ENOMEM;
    memcpy(points, record->series.items, count * sizeof *points);
    for (size_t i = 0; i < more; i++) {
        struct msg_series_point *point = &points[count + i];
        *point = points[count + i - 1];
        point->time_us += TICK_US;
        point->counters.memory_bytes += (int64_t)(growth * TICK_US / 1e6);
    }
    *out = *record;
    out->series = (struct msg_series_point_array){points, count + more};
    out->ended_us = points[count + more - 1].time_us;
    *made = points;
    return 0;
}

static int survives(const struct replay_policy *policy, const struct msg_execution_record *record,
                    const struct replay_settings *settings, const struct simulate_options *options, bool *out)
{
    const struct trace_row row = {.code = record->code,
                                  .start_s = (double)record->started_us / 1e6,
                                  .runtime_s = (double)(record->ended_us - record->started_us) / 1e6,
                                  .requested_bytes = (double)record->first_limits.memory_bytes,
                                  .input_bytes = NAN,
                                  .evaluate = true,
                                  .record = record};
    struct trace_row rows[1] = {row};
    const struct trace trace = {.rows = rows, .count = 1, .capacity = 1};
    struct simulate_options once = *options;
    struct score score;
    once.tries_max = 1;
    int result = simulate(policy, settings, &once, &trace, &score);
    *out = result == 0 && score.failures == 0;
    score_fini(&score);
    return result;
}

static const char *held_back(const struct msg_execution_record *record)
{
    for (size_t i = record->adjustments.count; i > 0; i--) {
        const struct msg_applied_adjustment *applied = &record->adjustments.items[i - 1];
        if (applied->result == MSG_ADJUSTMENT_RESULT_REFUSED_CAPACITY)
            return "its node had no room for more";
        char reason[256];
        (void)str_copy(reason, sizeof reason, applied->adjustment.reason); /* cut is fine: it is searched */
        if (strstr(reason, "cut to its ceiling"))
            return "its ceiling held it back: raise it with `forestall allocation set`";
        if (strstr(reason, "cut to what the node has"))
            return "its node had no room for more";
    }
    return "its raises came too late or were too small";
}

static int judge_memory(const struct msg_execution_record *record, const struct replay_settings *settings,
                        const struct simulate_options *options, struct dead_verdict *out)
{
    struct msg_series_point *points = NULL;
    struct msg_execution_record longer;
    out->growth = growth_at_end(record);
    double peak = last_memory(record), ahead = peak + out->growth * AHEAD_US / 1e6;
    out->had = (double)record->highest_limits.memory_bytes;
    out->needed = policy_memory_limit(&policy_defaults, fmax(ahead, peak * 1.05));
    (void)snprintf(
        out->advice, sizeof out->advice,
        "killed at %.0f MiB of at most %.0f, growing %.0f MiB/s; %.0f MiB from the start cover that "
        "growth for 10 s more; %s",
        peak / MIB, out->had / MIB, out->growth / MIB, out->needed / MIB, held_back(record));
    if (record->series.count < 2 || record->first_limits.memory_bytes <= 0)
        return 0;
    int result = extend(record, out->growth, &longer, &points);
    for (size_t i = 0; result == 0 && i < replay_policy_count; i++)
        if (replay_policies[i]->adjust) {
            ours_reset(settings->ours);
            result = survives(replay_policies[i], &longer, settings, options, &out->saved_by[i]);
        }
    free(points);
    return result;
}

/* What was used was held back by the stall: without it so much more would have been used. */
static double unstalled(double had, double stalled_us, double lasted_us)
{
    return had / (1 - fmin(fmax(stalled_us / fmax(lasted_us, 1), 0), STALL_MOST));
}

static int judge_rate(const struct msg_execution_record *record, struct dead_verdict *out)
{
    const struct msg_limits *had = &record->highest_limits;
    double lasted_us = (double)(record->ended_us - record->started_us), stalled_us = 0;
    const char *unit = "bytes/s";
    if (record->cause == MSG_CAUSE_CPU) {
        out->had = had->cpu_millicores;
        stalled_us = (double)record->totals.cpu_throttled_us;
        unit = "millicores";
    } else if (record->cause == MSG_CAUSE_IO) {
        out->had = (double)FS_MAX(had->io_read_bps, had->io_write_bps);
        stalled_us = (double)record->totals.io_stall_us;
    } else {
        out->had = (double)had->net_egress_bps;
        stalled_us = lasted_us / 2; /* nothing tells how long senders waited: twice */
    }
    out->needed = unstalled(out->had, stalled_us, lasted_us);
    (void)snprintf(out->advice, sizeof out->advice,
                   "stalled for %.0f %% of its %.1f s under at most %.0f %s of %s; %.0f from the start would "
                   "have let it use what it was ready to use",
                   100 * stalled_us / fmax(lasted_us, 1), lasted_us / 1e6, out->had, unit,
                   msg_cause_name(record->cause), out->needed);
    return 0;
}

int dead_judge(const struct msg_execution_record *record, const struct replay_settings *settings,
               const struct simulate_options *options, struct dead_verdict *out)
{
    *out = (struct dead_verdict){.cause = record->cause};
    switch (record->cause) {
    case MSG_CAUSE_MEMORY:
        return judge_memory(record, settings, options, out);
    case MSG_CAUSE_CPU:
    case MSG_CAUSE_IO:
    case MSG_CAUSE_NET:
        return judge_rate(record, out);
    case MSG_CAUSE_NONE:
    case MSG_CAUSE_OTHER:
        break;
    }
    (void)snprintf(out->advice, sizeof out->advice,
                   "no resource was short: no allocation would have saved it");
    return -EINVAL;
}
