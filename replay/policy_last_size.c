/* Last size x factor (BuildBuddy): the newest measured size times a factor; after an OOM twice what was
 * observed. */
#include "replay/policy.h"

struct state {
    double last_bytes, factor;
};

static int begin(void *state, const struct replay_settings *settings, struct str code)
{
    (void)code;
    ((struct state *)state)->factor = settings->size_factor;
    return 0;
}

static double allocate(void *state, const struct replay_request *request)
{
    const struct state *last = state;
    return last->last_bytes > 0 ? last->last_bytes * last->factor : request->requested_bytes;
}

static int learn(void *state, const struct replay_run *run)
{
    if (!run->failed)
        ((struct state *)state)->last_bytes = run->peak_bytes;
    return 0;
}

const struct replay_policy policy_last_size = {
    .name = "last-size",
    .summary = "the last size x --size-factor; twice after a failure",
    .state_size = sizeof(struct state),
    .begin = begin,
    .allocate = allocate,
    .retry = policy_retry_double,
    .learn = learn,
};
