/* Linear extrapolation: at every sample the limit covers what the slope of the last second leads to in ten;
 * from one execution to the next the line through the last two peaks, never below the last one. */
#include <math.h>

#include "replay/rule.h"

#define PERIOD_S 0.1
#define AHEAD_S 10
#define SMOOTH 0.1 /* a second of samples */

static double allocate(void *state, const struct replay_request *request)
{
    const struct rule_state *rule = state;
    if (rule->last_bytes <= 0)
        return request->requested_bytes;
    double step = rule->before_bytes > 0 ? rule->last_bytes - rule->before_bytes : 0;
    return rule->last_bytes + fmax(step, 0);
}

static double adjust(void *state, const struct replay_moment *moment)
{
    struct rule_state *rule = state;
    bool first = moment->sequence <= 1 || rule->seen_s < moment->started_s;
    double passed_s = moment->now_s - rule->seen_s;
    if (first)
        rule->slope_bps = 0;
    else if (passed_s > 0)
        rule->slope_bps += SMOOTH * ((moment->used_bytes - rule->seen_bytes) / passed_s - rule->slope_bps);
    rule->seen_bytes = moment->used_bytes;
    rule->seen_s = moment->now_s;
    return fmax(moment->limit_bytes, moment->used_bytes + rule->slope_bps * AHEAD_S);
}

const struct replay_policy policy_linear = {
    .name = "linear",
    .summary =
        "what the slope of the last second leads to in 10 s; across executions the last two peaks' line",
    .state_size = sizeof(struct rule_state),
    .period_s = PERIOD_S,
    .allocate = allocate,
    .retry = policy_retry_double,
    .learn = rule_learn,
    .adjust = adjust,
};
