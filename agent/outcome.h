/* How an attempt ended and why: a pure function of what the kernel says, never of the exit status alone
 * (design §4.6). */
#ifndef FORESTALL_AGENT_OUTCOME_H
#define FORESTALL_AGENT_OUTCOME_H

#include "schemas/messages.h"

#define OUTCOME_DETAIL_MAX 192

struct outcome_facts {
    int wait_status;       /* of waitpid(2); meaningful when status_known */
    bool status_known;     /* false: the supervisor was lost, nobody has the status */
    bool start_failed;     /* the program was never executed */
    bool timed_out;        /* its time ended and it was killed for that */
    bool ended_on_purpose; /* cancel, lease, end of the node: killed by Forestall */
    const char *purpose;   /* why it was ended, or why it did not start; may be NULL */
    int64_t duration_us;
    const struct msg_counters *counters; /* the last ones */
    bool cpu_limited, net_limited;       /* a limit is in force */
    int64_t net_egress_bps;              /* that limit */
};

struct outcome {
    enum msg_outcome outcome;
    enum msg_cause cause;
    int32_t exit_status; /* -1 when ended by a signal or unknown */
    int32_t signal;
    char detail[OUTCOME_DETAIL_MAX]; /* what the cause was read from */
};

struct outcome outcome_judge(const struct outcome_facts *facts);

#endif
