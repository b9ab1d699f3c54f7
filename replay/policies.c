/* The table of policies. See policy.h. */
#include "replay/policy.h"

const struct replay_policy *const replay_policies[POLICIES_MAX] = {
    &policy_ours,
    &policy_static,
    &policy_headroom,
    &policy_eta,
    &policy_eta_fast,
    &policy_linear,
    &policy_vpa,
    &policy_vpa_fair,
    &policy_crane,
    &policy_koordinator,
    &policy_autopilot,
    &policy_flotilla,
    &policy_witt_percentile,
    &policy_witt_regression,
    &policy_tovar,
    &policy_last_size,
    &policy_senpai,
};
const size_t replay_policy_count = 17;

double policy_retry_double(void *state, const struct replay_request *request, const struct replay_run *failed)
{
    (void)state;
    (void)request;
    return 2 * failed->limit_bytes;
}
