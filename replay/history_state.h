/* A state that is nothing but the samples of a code, for the rules that read past sizes. */
#ifndef FORESTALL_REPLAY_HISTORY_STATE_H
#define FORESTALL_REPLAY_HISTORY_STATE_H

#include "replay/policy.h"
#include "replay/samples.h"

struct history_state {
    struct samples finished; /* tries that finished */
};

void history_state_end(void *state);
/* Keeps finished tries. */
FS_MUST_CHECK int history_state_learn(void *state, const struct replay_run *run);

#endif
