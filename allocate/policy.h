/* What allocate decides about a running attempt: a pure function of the risk, what is known of the code, what people
 * fixed, what the node has left, and a clock value. docs/design/allocation.md gives the reasons and the arithmetic.
 *
 * Memory is chosen by expected cost over the time until the next decision:
 *     cost(L) = slack seconds of (L - demand) + P(demand > L) * (seconds of a rerun) * L
 * and bounded by `memory_headroom` times what was really seen, so that a wrong forecast cannot run away: the brake holds a
 * program that outgrows a tight raise for some milliseconds, which costs less than memory that nobody uses.
 * CPU, I/O and network are multiplied while their cause stays probable: an idle quota costs nothing until somebody else
 * wants it, and shrinking gives it back. */
#ifndef FORESTALL_ALLOCATE_POLICY_H
#define FORESTALL_ALLOCATE_POLICY_H

#include "schemas/messages.h"

struct policy_config {
    double memory_headroom;        /* a raise without history never exceeds this multiple of the usage seen */
    double memory_step;            /* smallest raise worth a decision, as a ratio */
    int64_t memory_overhead_bytes; /* kernel memory charged beside memory_bytes: stacks, page tables, slab */
    double rate_step;              /* one raise of CPU, I/O or network multiplies by this */
    double cover_ms;               /* demand to cover until the next decision takes effect */
    double rerun_s;                /* what a rerun costs beside the time already spent, seconds of the limit */
    double slack_s;                /* how long a raise is paid for, seconds */
    int64_t settle_us;             /* after an adjustment, wait this long for a sample that shows it */
    int64_t shrink_after_us;       /* quiet time before the first shrink, and between two */
    double shrink_step;            /* one shrink multiplies by this */
    double shrink_slack;           /* shrink only above this multiple of the demand's p99 */
};

/* Defaults with the source of each number in policy.c. */
extern const struct policy_config policy_defaults;

/* What finished executions of the code say; runs = 0: nothing. Bytes and millicores. */
struct policy_history {
    int64_t runs;
    double memory_p95, memory_max;
};

/* What the node offers; known = false: no status yet, the agent is the arbiter anyway. */
struct policy_node {
    bool known, brake;
    struct msg_limits capacity, free;
};

/* What allocate keeps about one running attempt between two risks. */
struct policy_attempt {
    struct msg_limits wanted; /* last sent, all zero = none */
    int64_t wanted_us;        /* when; 0 = none */
    int64_t quiet_since_us;   /* since when nothing was probable and no brake engaged; 0 = not yet */
    int64_t shrunk_us;        /* last shrink */
    bool braked;              /* the brake has been engaged in this attempt */
};

struct policy_input {
    const struct msg_risk *risk;
    const struct policy_history *history;
    const struct msg_code_policy *fixed; /* NULL = nothing fixed */
    const struct policy_node *node;
    bool node_short; /* somebody's raise was refused on this node */
    int64_t now_us;
};

#define POLICY_REASON_MAX 256

struct policy_decision {
    enum msg_direction direction; /* KEEP: nothing to send */
    enum msg_cause cause;
    struct msg_limits limits; /* all of them, changed or not */
    float probability;        /* of the cause */
    double expected_cost, kept_cost;
    char reason[POLICY_REASON_MAX];
};

/* Decides; updates *attempt (also on KEEP: it counts quiet time). The caller sends the decision when not KEEP. */
void policy_decide(const struct policy_config *config, const struct policy_input *input, struct policy_attempt *attempt,
                   struct policy_decision *decision);

/* The limits a person's floor and ceiling allow; the pin wins over both. fixed may be NULL. */
struct msg_limits policy_bound(struct msg_limits limits, const struct msg_code_policy *fixed);

bool policy_limits_equal(const struct msg_limits *a, const struct msg_limits *b);

#endif
