/* A whole trace under one policy: try after try, learning from each. Pure but for memory. */
#ifndef FORESTALL_REPLAY_SIMULATE_H
#define FORESTALL_REPLAY_SIMULATE_H

#include "replay/attempt.h"
#include "replay/score.h"

struct simulate_options {
    double failure_at;
    int64_t tries_max; /* then the execution is given up */
    bool brake;
};

/* Fills *score (to be freed with score_fini, also on error). Rows that only teach are told to the policy as
 * finished runs under their request. An execution's outcome is known before the next row begins: rows stand
 * in order of start, and overlaps are passed over for all policies alike. 0, -ENOMEM. */
FS_MUST_CHECK int simulate(const struct replay_policy *policy, const struct replay_settings *settings,
                           const struct simulate_options *options, const struct trace *trace,
                           struct score *score);

#endif
