/* Headroom rule: raise by a quarter when 80 % of the limit is used, at every sample; the next execution
 * begins with the last peak at 80 %. */
#include "replay/rule.h"

#define FULL 0.8
#define PERIOD_S 0.1

static double allocate(void *state, const struct replay_request *request)
{
    const struct rule_state *rule = state;
    return rule->last_bytes > 0 ? rule->last_bytes / FULL : request->requested_bytes;
}

static double retry(void *state, const struct replay_request *request, const struct replay_run *failed)
{
    (void)state;
    (void)request;
    return failed->limit_bytes / FULL;
}

static double adjust(void *state, const struct replay_moment *moment)
{
    (void)state;
    return moment->used_bytes > FULL * moment->limit_bytes ? moment->limit_bytes / FULL : moment->limit_bytes;
}

const struct replay_policy policy_headroom = {
    .name = "headroom",
    .summary = "a quarter more whenever 80 % is used",
    .state_size = sizeof(struct rule_state),
    .period_s = PERIOD_S,
    .allocate = allocate,
    .retry = retry,
    .learn = rule_learn,
    .adjust = adjust,
};
