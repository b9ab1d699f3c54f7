/* Static request: what was asked for, every time; after a failure twice that. */
#include "replay/policy.h"

static double allocate(void *state, const struct replay_request *request)
{
    (void)state;
    return request->requested_bytes;
}

const struct replay_policy policy_static = {
    .name = "static",
    .summary = "what was requested; twice that after a failure",
    .allocate = allocate,
    .retry = policy_retry_double,
};
