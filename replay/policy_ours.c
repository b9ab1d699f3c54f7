/* The product's own: the next execution starts with what allocate/settle makes of the records before it; a
 * running one is watched by predict's engine and raised by allocate/policy. What is kept of a code is what
 * the topics would carry: its Allocation and its CodeProfile. As in operation, an allocation is settled
 * before the profile that counts the same record is known. */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "allocate/history.h"
#include "allocate/settle.h"
#include "allocate/verdict.h"
#include "replay/ours_internal.h"
#include "replay/policy.h"
#include "schemas/hints.h"
#include "schemas/request.h"

#define EPOCH_US 1000000000000000 /* of traces that count from 0: a time of its own, always positive */
#define ATTEMPTS 1000000          /* the replay bounds the tries */

struct state {
    struct ours_tools *tools;
    char code[PROFILE_CODE_MAX];
    struct msg_allocation allocation;
    struct settle_storage storage[2]; /* of the allocation, and of the one before */
    int turn;
    bool known;
    struct policy_history history;
    bool has_history;
    struct policy_attempt attempt; /* the running one */
    double limit_bytes, retry_bytes;
    struct msg_limits first_limits;
    bool raised;
};

static int begin(void *state, const struct replay_settings *settings, struct str code)
{
    struct state *ours = state;
    ours->tools = settings->ours;
    (void)str_copy(ours->code, sizeof ours->code, code); /* longer codes are refused by the trace's reader */
    return 0;
}

static int64_t in_us(double time_s)
{
    return (int64_t)llround(time_s * 1e6) + (time_s < 1e8 ? EPOCH_US : 0);
}

/* Of finished executions only the peak is known: it is all that was charged, and nothing holds a program that
 * outgrows its limit. */
static const struct policy_config *config_of(bool series)
{
    static _Thread_local struct policy_config bare;
    if (series)
        return &policy_defaults;
    bare = policy_defaults;
    bare.memory_overhead_bytes = bare.memory_overhead_braked_bytes = 0;
    bare.brake_share = 0;
    bare.brake_least_bytes = 0;
    return &bare;
}

static struct settle_input input_of(const struct state *ours, int64_t now_us, bool series)
{
    return (struct settle_input){.config = &settle_defaults,
                                 .policy = config_of(series),
                                 .history = ours->has_history ? &ours->history : NULL,
                                 .now_us = now_us,
                                 .saved = recent_saved(ours->tools->outgrown, ours->tools->outgrown_failed)};
}

static void take(struct state *ours, const struct msg_allocation *next)
{
    ours->tools->outgrown += (double)(next->outgrown - ours->allocation.outgrown);
    ours->tools->outgrown_failed += (double)(next->outgrown_failed - ours->allocation.outgrown_failed);
    ours->allocation = *next;
    ours->turn ^= 1;
    ours->known = true;
}

static struct settle_storage *storage_of(struct state *ours)
{
    return &ours->storage[ours->turn ^ 1];
}

/* --- the next try --- */

static void begin_try(struct state *ours, double limit_bytes)
{
    struct ours_tools *tools = ours->tools;
    ours->attempt = (struct policy_attempt){0};
    ours->first_limits = (struct msg_limits){.memory_bytes = (int64_t)limit_bytes};
    ours->raised = false;
    tools->point_count = 0;
    tools->tries++;
    memcpy(tools->execution, &tools->tries, sizeof tools->tries);
}

static double allocate(void *state, const struct replay_request *request)
{
    struct state *ours = state;
    double limit = ours->known ? (double)settle_start_bytes(&ours->allocation, request->input_bytes)
                               : request->requested_bytes;
    begin_try(ours, limit);
    return limit;
}

static double retry(void *state, const struct replay_request *request, const struct replay_run *failed)
{
    struct state *ours = state;
    (void)request;
    (void)failed;
    begin_try(ours, ours->retry_bytes);
    return ours->retry_bytes;
}

/* --- while it runs --- */

static void sample(const struct state *ours, const struct replay_moment *moment, struct msg_sample *out)
{
    const struct msg_series_point *first = &moment->record->series.items[0];
    *out = (struct msg_sample){
        .attempt = moment->attempt,
        .code = str_of(ours->code),
        .started_us = in_us(moment->started_s),
        .limits = first->limits,
        .counters = *moment->counters,
    };
    out->limits.memory_bytes = (int64_t)moment->limit_bytes;
    struct request_identity what = request_identity(&moment->record->request);
    out->command = what.command;
    out->input_bytes = what.input_bytes;
    memcpy(out->execution, ours->tools->execution, sizeof out->execution);
}

static void keep_point(struct ours_tools *tools, const struct msg_sample *from, int64_t time_us)
{
    if (tools->point_count == OURS_POINTS_MAX)
        return;
    tools->points[tools->point_count++] = (struct msg_series_point){time_us, from->limits, from->counters};
}

static double decide(struct state *ours, const struct replay_moment *moment)
{
    struct policy_decision decision;
    const struct policy_node node = {.known = true,
                                     .brake = true}; /* with room for everything, and advances at least */
    const struct policy_input input = {
        .risk = &ours->tools->risk,
        .history = ours->has_history ? &ours->history : NULL,
        .node = &node,
        .first_limits = &ours->first_limits,
        .now_us = in_us(moment->now_s),
    };
    policy_decide(&policy_defaults, &input, &ours->attempt, &decision);
    if (decision.direction == MSG_DIRECTION_KEEP)
        return moment->limit_bytes;
    if (decision.direction == MSG_DIRECTION_RAISE) {
        struct settle_input settle = input_of(ours, input.now_us, true);
        struct msg_allocation next;
        ours->raised = true;
        if (settle_raise(&settle, ours->known ? &ours->allocation : NULL, &ours->first_limits, &decision,
                         storage_of(ours), &next))
            take(ours, &next);
    }
    return (double)decision.limits.memory_bytes;
}

static double adjust(void *state, const struct replay_moment *moment)
{
    struct state *ours = state;
    struct ours_tools *tools = ours->tools;
    struct msg_sample samples[1];
    struct msg_tick tick = {.epoch = 1,
                            .sequence = moment->sequence,
                            .time_us = in_us(moment->now_s),
                            .samples = {samples, 1},
                            .extra = moment->extra};
    const struct engine_tick with = {.tick = &tick, .now_ms = tick.time_us / 1000};
    sample(ours, moment, samples);
    if (!moment->extra)
        keep_point(tools, samples, tick.time_us);
    tools->told = false;
    engine_add(tools->engine, &with, samples);
    engine_flush(tools->engine);
    return tools->told ? decide(ours, moment) : moment->limit_bytes;
}

/* --- when it has ended --- */

/* What a record borrows. */
struct parts {
    struct msg_applied_adjustment adjustment;
    enum msg_cause cause;
    struct msg_str_entry hint;
    char input[32];
};

static void record_of(const struct state *ours, const struct replay_run *run, struct parts *parts,
                      struct msg_execution_record *out)
{
    *out = (struct msg_execution_record){
        .attempt = run->attempt,
        .code = str_of(ours->code),
        .request = {.max_attempts = ATTEMPTS},
        .started_us = in_us(run->started_s),
        .ended_us = in_us(run->ended_s),
        .outcome = run->failed ? MSG_OUTCOME_OOM_KILLED : MSG_OUTCOME_FINISHED,
        .cause = run->failed ? MSG_CAUSE_MEMORY : MSG_CAUSE_NONE,
        .totals = {.memory_peak_bytes = (int64_t)run->peak_bytes, .oom_kills = run->failed},
        .first_limits = {.memory_bytes = (int64_t)run->first_limit_bytes},
        .highest_limits = {.memory_bytes = (int64_t)run->limit_bytes},
        .last_limits = {.memory_bytes = (int64_t)run->limit_bytes},
        .propensity = 1,
        .series_inclusion = 1,
        .series_stride = 1,
    };
    if (run->record)
        out->request.argv = run->record->request.argv;
    out->series = (struct msg_series_point_array){ours->tools->points, ours->tools->point_count};
    parts->cause = MSG_CAUSE_MEMORY;
    bool raised = ours->raised || run->limit_bytes > run->first_limit_bytes; /* or by an advance */
    if (raised || (ours->known && ours->allocation.raised.count > 0))
        out->raised = (struct msg_cause_array){&parts->cause, 1};
    if (isfinite(run->input_bytes)) {
        (void)snprintf(parts->input, sizeof parts->input, "%.0f", run->input_bytes);
        parts->hint = (struct msg_str_entry){str_of(HINT_INPUT_BYTES), str_of(parts->input)};
        out->request.hints = (struct msg_str_map){&parts->hint, 1};
    }
    if (!raised)
        return;
    parts->adjustment = (struct msg_applied_adjustment){.adjustment = {.direction = MSG_DIRECTION_RAISE},
                                                        .result = MSG_ADJUSTMENT_RESULT_APPLIED};
    out->adjustments = (struct msg_applied_adjustment_array){&parts->adjustment, 1};
}

static void settle(struct state *ours, const struct msg_execution_record *record, bool series)
{
    struct settle_input input = input_of(ours, record->ended_us, series);
    struct verdict verdict;
    struct msg_allocation next;
    if (settle_record(&input, ours->known ? &ours->allocation : NULL, record, storage_of(ours), &next))
        take(ours, &next);
    if (!settle_failed(record))
        return;
    verdict_judge(&input, record, ours->known ? &ours->allocation : NULL, NULL, &verdict);
    ours->retry_bytes = (double)verdict.limits.memory_bytes;
}

/* What predict does with a finished record, and what allocate reads of the profile it publishes. */
static int profile(struct state *ours, const struct msg_execution_record *record)
{
    static const struct profile_position nowhere = {.offset = -1};
    struct ours_tools *tools = ours->tools;
    struct code *code = codes_own(tools->codes, str_of(ours->code));
    if (!code)
        return -ENOMEM;
    int ticks = tools->engine ? learn(tools->learner, code, record, engine_champion(tools->engine), NULL) : 0;
    if (ticks < 0)
        return ticks;
    fs_drop(profile_count(&code->profile, record, &nowhere, record->ended_us)); /* always counted: no guard */
    history_of(&code->profile, &ours->history);
    ours->has_history = true;
    return 0;
}

static int learn_run(void *state, const struct replay_run *run)
{
    struct state *ours = state;
    struct msg_execution_record record;
    struct parts parts;
    record_of(ours, run, &parts, &record);
    settle(ours, &record, run->record != NULL);
    int result = profile(ours, &record);
    ours->tools->point_count = 0;
    ours->raised = false;
    return result;
}

const struct replay_policy policy_ours = {
    .name = "ours",
    .summary = "Forestall: allocate's and predict's own code",
    .state_size = sizeof(struct state),
    .period_s = 0.1,
    .brake = true,
    .advance = true,
    .events = true,
    .begin = begin,
    .allocate = allocate,
    .retry = retry,
    .learn = learn_run,
    .adjust = adjust,
};
