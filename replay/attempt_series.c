/* See attempt.h: a recorded program in a closed loop with a policy, in virtual time.
 *
 * The program follows its recorded memory over its own running time, straight between samples; demand does
 * not depend on the limit (model/labels.h says where that is wrong). Its own time stands still while the
 * brake holds it. A limit is in force LOOP_S after the sample it was decided on. The brake takes hold below
 * the limit (agent/limit_marks.h), a step late, and gives up after DEADLINE_S; without it the kernel kills at
 * the limit. The agent's advance comes with the step in which a program came near its limit; what was decided
 * before it is ignored. */
#include <math.h>

#include "agent/limit_marks.h"
#include "replay/attempt.h"

#define STEP_S 0.002           /* of virtual time; the brake's delay */
#define LOOP_S 0.02            /* sample to limit in the kernel, median */
#define DEADLINE_S 5.0         /* the agent's default */
#define KERNEL (3 * LIMIT_MIB) /* charged beside the program's own memory: 1 to 5 MiB were measured */
#define ADVANCE_MOST 4
#define PENDING_NONE (-1.0)

struct flight {
    const struct attempt_input *input;
    const struct msg_execution_record *record;
    struct attempt_result *out;
    double now_s, progress_s, duration_s;
    double limit, used, peak;
    double decided;     /* limit of the last decision */
    bool frozen, spent; /* in the brake now; its deadline has passed */
    double frozen_since_s;
    double due_s, due_limit; /* a limit on its way */
    double next_s;           /* when adjust is asked again */
    size_t at;               /* newest point at or before progress; may be one too early */
    int64_t sequence;
};

static double point_s(const struct flight *flight, size_t i)
{
    return (double)(flight->record->series.items[i].time_us - flight->record->started_us) / 1e6;
}

static double memory_of(const struct flight *flight, size_t i)
{
    return (double)FS_MAX(flight->record->series.items[i].counters.memory_bytes, 0);
}

static double demand(struct flight *flight)
{
    size_t last = flight->record->series.count - 1;
    while (flight->at < last && point_s(flight, flight->at + 1) <= flight->progress_s)
        flight->at++;
    double from_s = point_s(flight, flight->at), from = memory_of(flight, flight->at);
    if (flight->progress_s <= from_s) /* before the first sample: from nothing */
        return from_s > 0 ? from * fmax(flight->progress_s, 0) / from_s : from;
    if (flight->at == last)
        return from;
    double to_s = point_s(flight, flight->at + 1), to = memory_of(flight, flight->at + 1);
    return to_s > from_s ? from + (to - from) * (flight->progress_s - from_s) / (to_s - from_s) : to;
}

static bool has_brake(const struct flight *flight)
{
    return flight->input->brake && flight->input->policy->brake;
}

/* As on cgroup v1. */
static enum limit_brake brake_of(const struct flight *flight)
{
    return has_brake(flight) ? LIMIT_BRAKE_EXACT : LIMIT_BRAKE_NONE;
}

static void counters_now(const struct flight *flight, struct msg_counters *out)
{
    *out = flight->record->series.items[flight->at].counters;
    double cache = fmax((double)out->memory_usage_bytes - (double)out->memory_bytes, 0);
    out->memory_bytes = (int64_t)flight->used;
    out->memory_usage_bytes = (int64_t)(flight->used + fmin(cache, fmax(flight->limit - flight->used, 0)));
    out->memory_peak_bytes = (int64_t)flight->peak;
    out->brake_engaged = flight->frozen;
    out->brake_us = (int64_t)(flight->out->stalled_s * 1e6);
    out->oom_kills = 0;
}

static void ask(struct flight *flight, bool extra)
{
    const struct attempt_input *input = flight->input;
    struct msg_counters counters;
    counters_now(flight, &counters);
    const struct replay_moment moment = {
        .now_s = input->start_s + flight->now_s,
        .started_s = input->start_s,
        .limit_bytes = flight->limit,
        .used_bytes = flight->used,
        .peak_bytes = flight->peak,
        .stalled_s = flight->out->stalled_s,
        .braked = flight->frozen,
        .extra = extra,
        .attempt = input->attempt,
        .sequence = ++flight->sequence,
        .counters = &counters,
        .record = flight->record,
    };
    double wanted = input->policy->adjust(input->state, &moment);
    if (wanted == flight->limit)
        return;
    flight->due_s = flight->now_s + LOOP_S;
    flight->due_limit = wanted;
}

static void event(struct flight *flight)
{
    if (flight->input->policy->events)
        ask(flight, true);
}

static void brake(struct flight *flight)
{
    double charged = flight->used + KERNEL;
    bool over = charged > limit_brake_level(flight->limit);
    if (flight->frozen && !over) {
        flight->frozen = false;
        event(flight);
    } else if (flight->frozen && flight->now_s - flight->frozen_since_s > DEADLINE_S) {
        flight->frozen = false;
        flight->spent = true;
    } else if (!flight->frozen && over && has_brake(flight) && !flight->spent && charged <= flight->limit) {
        flight->frozen = true;
        flight->frozen_since_s = flight->now_s;
        event(flight);
    }
    flight->out->failed = charged > flight->limit;
}

static void set_limit(struct flight *flight, double limit)
{
    flight->out->changes++;
    flight->out->raises += limit > flight->limit;
    flight->limit = limit;
    flight->out->highest_limit_bytes = fmax(flight->out->highest_limit_bytes, limit);
}

static void apply(struct flight *flight)
{
    double limit = flight->due_limit;
    flight->due_s = PENDING_NONE;
    if (limit < flight->used + KERNEL) /* the kernel refuses to go below what is used */
        return;
    set_limit(flight, limit);
    flight->decided = limit;
    brake(flight);
    event(flight);
}

static void advance(struct flight *flight, double before)
{
    double held = flight->used + KERNEL,
           wanted = fmin(limit_advanced(held, brake_of(flight)), flight->decided * ADVANCE_MOST);
    if (!flight->input->policy->advance || flight->used <= before ||
        held < limit_near_level(flight->limit, brake_of(flight)) || wanted <= flight->limit)
        return;
    flight->due_s = PENDING_NONE;
    set_limit(flight, floor(wanted / LIMIT_MIB) * LIMIT_MIB);
    event(flight);
}

/* One step of virtual time, and what it cost. */
static void step(struct flight *flight)
{
    struct attempt_result *out = flight->out;
    double before = flight->used;
    flight->now_s += STEP_S;
    if (flight->frozen)
        out->stalled_s += STEP_S;
    else
        flight->progress_s += STEP_S;
    flight->used = demand(flight);
    flight->peak = fmax(flight->peak, flight->used);
    out->wasted_byte_s += fmax(flight->limit - flight->used, 0) * STEP_S;
    out->slack_share_s += fmax(1 - flight->used / flight->limit, 0) * STEP_S;
    advance(flight, before);
    brake(flight);
    if (out->failed)
        return;
    if (flight->due_s != PENDING_NONE && flight->now_s >= flight->due_s)
        apply(flight);
    if (flight->input->policy->adjust && flight->now_s >= flight->next_s) {
        flight->next_s += flight->input->policy->period_s;
        ask(flight, false);
    }
}

void attempt_series(const struct attempt_input *input, struct attempt_result *out)
{
    struct flight flight = {.input = input,
                            .record = input->row->record,
                            .out = out,
                            .duration_s = input->row->runtime_s,
                            .limit = input->limit_bytes,
                            .decided = input->limit_bytes,
                            .due_s = PENDING_NONE,
                            .next_s = input->policy->period_s};
    double given = 0;
    *out = (struct attempt_result){.highest_limit_bytes = input->limit_bytes};
    while (flight.progress_s < flight.duration_s && !out->failed) {
        given += flight.limit * STEP_S;
        step(&flight);
    }
    if (out->failed)
        out->wasted_byte_s = given;
    out->seconds = flight.now_s;
    out->last_limit_bytes = flight.limit;
    out->peak_bytes = out->failed ? fmin(flight.peak, flight.limit) : flight.peak;
}
