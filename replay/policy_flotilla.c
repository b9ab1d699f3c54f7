/* Flotilla: the discrete 99th percentile of the last 30 tries that exited 0, times 1.25; twice the memory
 * specified after an OOM. */
#include "replay/history_state.h"

#define NEWEST 30
#define SHARE 0.99
#define MARGIN 1.25

static double allocate(void *state, const struct replay_request *request)
{
    const struct history_state *history = state;
    double wanted = samples_percentile_disc(&history->finished, NEWEST, SHARE) * MARGIN;
    return wanted > 0 ? wanted : request->requested_bytes;
}

const struct replay_policy policy_flotilla = {
    .name = "flotilla",
    .summary = "p99 of the last 30 runs x 1.25",
    .state_size = sizeof(struct history_state),
    .end = history_state_end,
    .allocate = allocate,
    .retry = policy_retry_double,
    .learn = history_state_learn,
};
