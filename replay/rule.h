/* What the three simple rules over a running program share: they know the last peak of the code, so that its
 * next execution begins where the rule would have it. */
#ifndef FORESTALL_REPLAY_RULE_H
#define FORESTALL_REPLAY_RULE_H

#include "replay/policy.h"

struct rule_state {
    double last_bytes;         /* peak of the newest finished execution; 0 = none yet */
    double before_bytes;       /* of the one before it */
    double seen_bytes, seen_s; /* of the sample before in a running try */
    double slope_bps;          /* least squares or difference, as the rule has it */
};

int rule_learn(void *state, const struct replay_run *run);

#endif
