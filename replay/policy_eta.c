/* ETA rule of node watchers: warn above 85 % of the limit, critical above 95 % and growing; time left =
 * (limit - usage) / slope between two polls. The rule only tells; here it acts: half as much again when it is
 * critical, or when less than two polls are left. Polled every 5 s as published, and at 100 ms. The next
 * execution begins where the last peak would not be warned about. */
#include "replay/rule.h"

#define WARN 0.85
#define CRITICAL 0.95
#define STEP 1.5
#define POLL_S 5
#define POLL_FAST_S 0.1
#define POLLS_LEFT 2

static double allocate(void *state, const struct replay_request *request)
{
    const struct rule_state *rule = state;
    return rule->last_bytes > 0 ? rule->last_bytes / WARN : request->requested_bytes;
}

static double retry(void *state, const struct replay_request *request, const struct replay_run *failed)
{
    (void)state;
    (void)request;
    return failed->limit_bytes * STEP;
}

static double poll(void *state, const struct replay_moment *moment)
{
    struct rule_state *rule = state;
    bool first = moment->sequence <= 1 || rule->seen_s < moment->started_s;
    double passed_s = moment->now_s - rule->seen_s;
    double slope = first || passed_s <= 0 ? 0 : (moment->used_bytes - rule->seen_bytes) / passed_s;
    rule->seen_bytes = moment->used_bytes;
    rule->seen_s = moment->now_s;
    double used = moment->used_bytes / moment->limit_bytes;
    bool critical = used > CRITICAL && slope > 0;
    bool soon = slope > 0 && (moment->limit_bytes - moment->used_bytes) / slope < POLLS_LEFT * passed_s;
    return critical || soon ? moment->limit_bytes * STEP : moment->limit_bytes;
}

const struct replay_policy policy_eta = {
    .name = "eta",
    .summary = "half as much again when 95 % is used or the slope meets the limit, polled every 5 s",
    .state_size = sizeof(struct rule_state),
    .period_s = POLL_S,
    .allocate = allocate,
    .retry = retry,
    .learn = rule_learn,
    .adjust = poll,
};

const struct replay_policy policy_eta_fast = {
    .name = "eta-fast",
    .summary = "the same, polled every 100 ms",
    .state_size = sizeof(struct rule_state),
    .period_s = POLL_FAST_S,
    .allocate = allocate,
    .retry = retry,
    .learn = rule_learn,
    .adjust = poll,
};
