/* Witt et al., percentile predictor: the 95th of all peaks of the code; twice after a failure. */
#include "replay/history_state.h"

#define SHARE 0.95

static double allocate(void *state, const struct replay_request *request)
{
    const struct history_state *history = state;
    double wanted = samples_percentile_linear(&history->finished, SAMPLES_MAX, SHARE);
    return wanted > 0 ? wanted : request->requested_bytes;
}

const struct replay_policy policy_witt_percentile = {
    .name = "witt-percentile",
    .summary = "p95 of all runs; twice after a failure",
    .state_size = sizeof(struct history_state),
    .end = history_state_end,
    .allocate = allocate,
    .retry = policy_retry_double,
    .learn = history_state_learn,
};
