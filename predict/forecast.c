/* See forecast.h. */
#include "predict/forecast.h"

#include <math.h>

#include "model/alarm_level.h"
#include "schemas/limits.h"

#define USAGE_MAX 1e15 /* 1 PB, 1 PB/s: nothing real is above (as in model/features.c) */
#define MILLICORES_MAX 1e9
#define STALLED_PERMILLE 300        /* share of the last second */
#define MEMORY_STALLED_PERMILLE 150 /* allocate acts from there on (policy_defaults.memory_stalled) */
#define NET_FULL_PERCENT 85         /* of an egress limit: senders wait only once the class is full */

static double bounded(double value, double most)
{
    return value > 0 ? fmin(value, most) : 0; /* NaN: 0 */
}

void usage_read(const struct feature_state *state, const struct msg_counters *counters, struct usage *out)
{
    double periods = features_rate(state, FEATURE_RATE_PERIODS);
    demand_now(state, counters, out->now);
    for (size_t r = 0; r < DEMAND_RESOURCE_COUNT; r++)
        out->now[r] = bounded(out->now[r], r == DEMAND_CPU ? MILLICORES_MAX : USAGE_MAX);
    out->throttled = periods > 0 ? bounded(features_rate(state, FEATURE_RATE_THROTTLED) / periods, 1) : 0;
    out->io_stall = bounded(features_rate(state, FEATURE_RATE_IO_STALL) * 1e-6, 1);
    out->memory_stall = bounded(features_rate(state, FEATURE_RATE_MEMORY_FULL) * 1e-6, 1);
}

float forecast_logistic(float logit)
{
    return 1 / (1 + expf(-logit));
}

/* Never below now: a head may say so, but what is used has been needed. */
static struct msg_demand_quantiles quantiles(enum demand_resource resource, double now,
                                             const float ratios[NETWORK_QUANTILES])
{
    struct msg_demand_quantiles out;
    out.p50 = fmax(now, demand_peak(resource, now, (double)ratios[0]));
    out.p90 = fmax(out.p50, demand_peak(resource, now, (double)ratios[1]));
    out.p99 = fmax(out.p90, demand_peak(resource, now, (double)ratios[2]));
    return out;
}

/* Of memory and other the alarm's horizon lies between the two; of the rest it is the deadline, which may be
 * further away than both. */
static void order_horizons(const struct network_output *answer, struct forecast *out)
{
    for (size_t i = 0; i < NETWORK_CAUSES; i++) {
        float soon = answer->horizon_probabilities[0][i], later = answer->horizon_probabilities[1][i];
        float alarm = out->probabilities[i];
        bool between = i == MSG_CAUSE_MEMORY - 1 || i == MSG_CAUSE_OTHER - 1;
        out->horizons[1][i] = between ? fmaxf(later, alarm) : fminf(later, alarm);
        out->horizons[0][i] = fminf(soon, fminf(alarm, out->horizons[1][i]));
    }
}

void forecast_from(const struct network *network, const float logits[NETWORK_CAUSES],
                   const struct network_output *answer, const struct usage *usage, struct forecast *out)
{
    for (size_t i = 0; i < NETWORK_CAUSES; i++) {
        out->log_odds[i] = logits[i];
        out->levels[i] = out->probabilities[i] = forecast_logistic(logits[i]);
    }
    for (size_t r = 0; r < DEMAND_RESOURCE_COUNT; r++)
        out->demand[r] = quantiles((enum demand_resource)r, usage->now[r], answer->demand[r]);
    memcpy(out->thresholds, network->thresholds, sizeof out->thresholds);
    out->horizon_ms = network->horizon_ms;
    memset(out->horizons, 0, sizeof out->horizons);
    if (network->has_horizons)
        order_horizons(answer, out);
    forecast_conclude(out);
}

void forecast_follow(struct forecast *forecast, struct forecast_levels *levels, int64_t time_us,
                     const struct msg_limits *limits, bool known)
{
    int64_t passed_us;
    bool follows = levels->begun && levels->known == known && limits_equal(limits, &levels->limits) &&
                   !__builtin_sub_overflow(time_us, levels->time_us, &passed_us);
    float keeps = follows && passed_us >= 0 ? alarm_level_keeps(passed_us / 1000) : 0;
    for (size_t i = 0; i < NETWORK_CAUSES; i++) {
        levels->log_odds[i] = alarm_level_next(levels->log_odds[i], forecast->log_odds[i], keeps);
        forecast->levels[i] = forecast_logistic(levels->log_odds[i]);
    }
    levels->begun = true;
    levels->known = known;
    levels->time_us = time_us;
    levels->limits = *limits;
    forecast_conclude(forecast);
}

void forecast_conclude(struct forecast *forecast)
{
    const float *p = forecast->probabilities;
    float none = 1;
    size_t most = 0;
    forecast->above = false;
    for (size_t i = 0; i < NETWORK_CAUSES; i++) {
        bool above = forecast->levels[i] >= forecast->thresholds[i];
        none *= 1 - p[i];
        if (above == forecast->above ? p[i] > p[most] : above)
            most = i;
        forecast->above |= above;
    }
    forecast->probability = 1 - none;
    forecast->cause = (enum msg_cause)(MSG_CAUSE_MEMORY + most);
}

static int32_t permille(double share)
{
    return (int32_t)lround(share * 1000);
}

static struct msg_cause_probabilities causes(const float p[NETWORK_CAUSES])
{
    return (struct msg_cause_probabilities){p[0], p[1], p[2], p[3], p[4]};
}

void forecast_risk(const struct msg_tick *tick, const struct msg_sample *sample, const struct usage *usage,
                   const struct forecast *forecast, const char *model_version, struct msg_risk *out)
{
    const struct msg_counters *counters = &sample->counters;
    const float *least = forecast->thresholds;
    *out = (struct msg_risk){
        .attempt = sample->attempt,
        .code = sample->code,
        .node = tick->node,
        .pool = tick->pool,
        .epoch = tick->epoch,
        .sequence = tick->sequence,
        .sampled_us = tick->time_us,
        .horizon_ms = forecast->horizon_ms,
        .probability = forecast->probability,
        .probabilities = causes(forecast->probabilities),
        .cause = forecast->cause,
        .threshold = least[forecast->cause - MSG_CAUSE_MEMORY],
        .thresholds = causes(least),
        .levels = causes(forecast->levels),
        .within_2s = causes(forecast->horizons[0]),
        .within_30s = causes(forecast->horizons[1]),
        .above = forecast->above,
        .memory = forecast->demand[0],
        .cpu = forecast->demand[1],
        .io = forecast->demand[2],
        .net = forecast->demand[3],
        .limits = sample->limits,
        .memory_bytes = FS_MAX(counters->memory_bytes, 0),
        .memory_peak_bytes = FS_MAX(counters->memory_peak_bytes, FS_MAX(counters->memory_bytes, 0)),
        .cpu_millicores = (int32_t)lround(usage->now[1]),
        .throttled_permille = permille(usage->throttled),
        .io_bps = llround(usage->now[2]),
        .io_stall_permille = permille(usage->io_stall),
        .memory_stall_permille = permille(usage->memory_stall),
        .net_bps = llround(usage->now[3]),
        .tasks = counters->tasks,
        .started_us = sample->started_us,
        .timeout_ms = sample->timeout_ms,
        .brake_engaged = counters->brake_engaged,
        .oom_kills = counters->oom_kills,
        .arm = sample->arm,
        .model_version = str_of(model_version),
    };
    memcpy(out->execution, sample->execution, sizeof out->execution);
    memcpy(out->incarnation, tick->incarnation, sizeof out->incarnation);
}

/* Held up by a limit in force, of memory at any time, of others while a deadline comes nearer: whoever
 * decides must hear of it, whatever the model says. */
static bool is_stalled(const struct msg_risk *risk)
{
    const struct msg_limits *limits = &risk->limits;
    if (limits->memory_bytes > 0 && risk->memory_stall_permille >= MEMORY_STALLED_PERMILLE)
        return true;
    if (risk->timeout_ms <= 0)
        return false;
    return (limits->cpu_millicores > 0 && risk->throttled_permille >= STALLED_PERMILLE) ||
           ((limits->io_read_bps > 0 || limits->io_write_bps > 0) &&
            risk->io_stall_permille >= STALLED_PERMILLE) ||
           (limits->net_egress_bps > 0 && risk->net_bps >= limits->net_egress_bps / 100 * NET_FULL_PERCENT);
}

void forecast_view(const struct msg_risk *risk, struct publish_view *out)
{
    *out = (struct publish_view){.time_us = risk->sampled_us,
                                 .above = risk->above,
                                 .brake_engaged = risk->brake_engaged,
                                 .stalled = is_stalled(risk),
                                 .cause = risk->cause,
                                 .oom_kills = risk->oom_kills,
                                 .limits = risk->limits,
                                 .memory_bytes = (double)risk->memory_bytes,
                                 .demand = {risk->memory.p99, risk->cpu.p99, risk->io.p99, risk->net.p99}};
}
