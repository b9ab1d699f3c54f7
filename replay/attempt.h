/* One try of one execution under one policy: of an execution of which only the peak is known, and of a
 * recorded series in a closed loop. Pure. */
#ifndef FORESTALL_REPLAY_ATTEMPT_H
#define FORESTALL_REPLAY_ATTEMPT_H

#include "replay/policy.h"
#include "replay/trace.h"

struct attempt_input {
    const struct replay_policy *policy;
    void *state;
    const struct trace_row *row;
    double start_s, limit_bytes;
    double failure_at; /* share of its time after which a try that does not fit fails; not of series */
    bool brake;        /* false: nobody has one */
    int32_t attempt;
};

struct attempt_result {
    bool failed;
    double seconds;       /* it took */
    double wasted_byte_s; /* slack of one that finished, all it was given of one that failed */
    double slack_share_s; /* share of the limit not used, times time */
    double highest_limit_bytes, last_limit_bytes;
    double peak_bytes; /* it held */
    double stalled_s;
    uint64_t changes; /* while it ran */
    uint64_t raises;
};

void attempt_finished(const struct attempt_input *input, struct attempt_result *out);
/* The row has a record with a series of two points at least. */
void attempt_series(const struct attempt_input *input, struct attempt_result *out);

#endif
