/* See history_state.h. */
#include "replay/history_state.h"

void history_state_end(void *state)
{
    samples_fini(&((struct history_state *)state)->finished);
}

int history_state_learn(void *state, const struct replay_run *run)
{
    struct history_state *history = state;
    const struct sample sample = {run->started_s, run->peak_bytes, run->ended_s - run->started_s,
                                  run->input_bytes};
    return run->failed ? 0 : samples_add(&history->finished, &sample);
}
