/* See simulate.h. */
#include "simulate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base.h"

#define MIB 1048576.0
#define TICK_MS 100
#define LOOP_MS 20
#define FREEZE_MS 2
#define BRAKE_DEADLINE_MS 5000
#define HORIZON_MS 10000
#define KERNEL_BYTES (3 * MIB) /* charged beside the program's own memory */
#define REFRESH_MS 5000

double simulate_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (double)(*state >> 11) * 0x1p-53;
}

static double normal(uint64_t *state)
{
    double a = fmax(simulate_random(state), 1e-12), b = simulate_random(state);
    return sqrt(-2 * log(a)) * cos(6.283185307179586 * b);
}

static double curve_at(const struct curve *curve, double at_ms)
{
    for (size_t i = 1; i < curve->count; i++) {
        if (at_ms > curve->at_ms[i])
            continue;
        double span = fmax(curve->at_ms[i] - curve->at_ms[i - 1], 1e-9);
        double share = fmax(at_ms - curve->at_ms[i - 1], 0) / span;
        return curve->bytes[i - 1] + (curve->bytes[i] - curve->bytes[i - 1]) * fmin(share, 1);
    }
    return curve->bytes[curve->count - 1];
}

static double peak_between(const struct curve *curve, double from_ms, double to_ms)
{
    double peak = fmax(curve_at(curve, from_ms), curve_at(curve, to_ms));
    for (size_t i = 0; i < curve->count; i++)
        if (curve->at_ms[i] > from_ms && curve->at_ms[i] < to_ms)
            peak = fmax(peak, curve->bytes[i]);
    return peak;
}

double curve_peak(const struct curve *curve)
{
    return peak_between(curve, 0, curve->at_ms[curve->count - 1]);
}

/* One run. */
struct run {
    const struct simulation *with;
    uint64_t random;
    bool blind; /* the forecaster misses this one */
    double now_ms, progress_ms, limit, used, seen_peak;
    double frozen_since_ms, over_since_ms; /* negative: not */
    double due_ms, due_limit;              /* a decision on its way; due_ms 0: none */
    double published_ms, published_used, published_limit;
    bool published_above, published_braked;
    int64_t sequence;
    struct policy_attempt attempt;
    struct simulated result;
};

static double level(double limit)
{
    return limit - fmax(limit / 16, 4 * MIB);
}

static bool is_frozen(const struct run *run)
{
    return run->frozen_since_ms >= 0;
}

static void brake(struct run *run)
{
    double charged = run->used + KERNEL_BYTES;
    if (!run->with->brake) {
        run->result.killed |= charged > run->limit;
        return;
    }
    if (is_frozen(run)) {
        if (charged <= level(run->limit))
            run->frozen_since_ms = -1;
        else if (run->now_ms - run->frozen_since_ms > BRAKE_DEADLINE_MS)
            run->result.killed = true;
        return;
    }
    if (charged <= level(run->limit)) {
        run->over_since_ms = -1;
        return;
    }
    if (run->over_since_ms < 0)
        run->over_since_ms = run->now_ms;
    if (run->now_ms - run->over_since_ms < FREEZE_MS && charged < run->limit)
        return;
    run->frozen_since_ms = run->now_ms;
    run->over_since_ms = -1;
    run->result.brakes++;
}

static void forecast(struct run *run, struct msg_risk *risk)
{
    const struct forecaster *by = &run->with->forecaster;
    double scale = run->with->scale;
    double truth = scale * peak_between(run->with->curve, run->progress_ms, run->progress_ms + HORIZON_MS);
    double said = fmax(run->used, truth * by->bias * exp(by->spread * normal(&run->random)));
    if (run->blind)
        said = run->used * 1.01;
    risk->memory.p50 = said;
    risk->memory.p90 = said * 1.1;
    risk->memory.p99 = said * 1.25;
    bool fails = truth + KERNEL_BYTES > run->limit && !run->blind;
    double probability =
        fails ? 0.75 + 0.2 * simulate_random(&run->random) : 0.1 * simulate_random(&run->random);
    if (simulate_random(&run->random) < by->alarm)
        probability = 0.7;
    risk->probability = risk->probabilities.memory = (float)probability;
    risk->above = probability >= (double)risk->threshold;
}

/* When predict would publish: contract of the topic. */
static bool is_published(struct run *run, const struct msg_risk *risk)
{
    bool moved = fabs(run->used - run->published_used) >= 0.02 * fmax(run->published_used, 1);
    return run->sequence == 1 || risk->above != run->published_above ||
           risk->brake_engaged != run->published_braked || run->limit != run->published_limit ||
           (risk->above && moved) || run->now_ms - run->published_ms >= REFRESH_MS;
}

static void sample(struct run *run)
{
    const struct simulation *with = run->with;
    struct msg_risk risk = {.attempt = 1, .horizon_ms = HORIZON_MS, .threshold = 0.5f, .tasks = 1};
    struct policy_node node = {.known = true, .brake = with->brake};
    struct policy_decision decision;
    run->sequence++;
    risk.sequence = run->sequence;
    risk.sampled_us = (int64_t)(run->now_ms * 1000) + 1;
    risk.started_us = 1;
    risk.cause = MSG_CAUSE_MEMORY;
    risk.limits.memory_bytes = (int64_t)run->limit;
    risk.memory_bytes = (int64_t)run->used;
    run->seen_peak = fmax(run->seen_peak, run->used);
    risk.memory_peak_bytes = (int64_t)run->seen_peak;
    risk.brake_engaged = is_frozen(run);
    forecast(run, &risk);
    if (!is_published(run, &risk))
        return;
    run->published_above = risk.above;
    run->published_braked = risk.brake_engaged;
    run->published_limit = run->limit;
    run->published_used = run->used;
    run->published_ms = run->now_ms;
    if (with->node_free_bytes > 0) {
        node.capacity.memory_bytes = (int64_t)(run->limit + with->node_free_bytes);
        node.free.memory_bytes = (int64_t)with->node_free_bytes;
    }
    struct policy_input input = {.risk = &risk,
                                 .history = with->history,
                                 .node = &node,
                                 .now_us = risk.sampled_us + INT64_C(1000) * (LOOP_MS / 2)};
    policy_decide(with->config, &input, &run->attempt, &decision);
    if (decision.direction == MSG_DIRECTION_KEEP)
        return;
    if (getenv("SIMULATE_VERBOSE"))
        printf("    %6.0f ms %s %s\n", run->now_ms, msg_direction_name(decision.direction), decision.reason);
    run->result.adjustments++;
    run->result.raises += decision.direction == MSG_DIRECTION_RAISE;
    run->due_ms = run->now_ms + LOOP_MS;
    run->due_limit = (double)decision.limits.memory_bytes;
}

static void apply(struct run *run)
{
    bool lowered_too_far = run->due_limit < run->used + KERNEL_BYTES;
    run->due_ms = 0;
    if (lowered_too_far)
        return; /* EBUSY */
    run->limit = run->due_limit;
    run->result.highest_bytes = fmax(run->result.highest_bytes, run->limit);
    brake(run);
    sample(run); /* the agent sends one at once */
}

struct simulated simulate(const struct simulation *simulation)
{
    const struct curve *curve = simulation->curve;
    struct run run = {.with = simulation,
                      .random = simulation->seed * 2654435769u + 88172645463325252u,
                      .limit = simulation->limit_bytes,
                      .frozen_since_ms = -1,
                      .over_since_ms = -1};
    double end_ms = curve->at_ms[curve->count - 1];
    run.result.highest_bytes = run.limit;
    run.blind = simulate_random(&run.random) < simulation->forecaster.miss;
    while (run.progress_ms < end_ms && !run.result.killed) {
        if (!is_frozen(&run))
            run.progress_ms += 1;
        else
            run.result.braked_ms += 1;
        run.used = simulation->scale * curve_at(curve, run.progress_ms);
        run.result.peak_bytes = fmax(run.result.peak_bytes, run.used);
        brake(&run);
        if (run.due_ms > 0 && run.now_ms >= run.due_ms)
            apply(&run);
        if ((int64_t)run.now_ms % TICK_MS == 0)
            sample(&run);
        run.now_ms += 1;
    }
    run.result.duration_ms = run.now_ms;
    return run.result;
}

int simulate_load(const char *path, struct curve *curves, int max)
{
    FILE *file = fopen(path, "r");
    static char line[65536];
    int count = 0;
    if (!file)
        return -1;
    while (count < max && fgets(line, sizeof line, file)) {
        struct curve *curve = &curves[count];
        int used = 0;
        if (line[0] == '#' || sscanf(line, "%31s%n", curve->name, &used) != 1)
            continue;
        curve->count = 0;
        char *end, *at = line + used;
        while (curve->count < SIMULATE_POINTS_MAX) {
            double at_ms = strtod(at, &end);
            if (end == at || *end != ':')
                break;
            at = end + 1;
            double kib = strtod(at, &end);
            if (end == at)
                break;
            at = end;
            curve->at_ms[curve->count] = at_ms;
            curve->bytes[curve->count++] = kib * 1024;
        }
        count += curve->count > 1;
    }
    (void)fclose(file);
    return count;
}
