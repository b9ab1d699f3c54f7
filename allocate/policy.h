/* What allocate decides about a running attempt: a pure function of the risk, what is known of the code, what
 * people fixed, what the node has left, and a clock value. docs/design/allocation.md gives the reasons and
 * the arithmetic.
 *
 * Memory is chosen by expected cost over the time until the next decision,
 *
 *     cost(L) = slack_s * (usable(L) - demand) + P(demand > usable(L)) * used * (rerun_s + time spent)
 *
 * and bounded by `memory_headroom` times what was really seen, so that a wrong forecast cannot run away (a
 * stall for want of page cache is no forecast: twice what was seen). On a node with a brake the bound is
 * tighter: a program that outgrows such a raise is held for some milliseconds, which costs less than memory
 * that nobody uses; where the agent gives an advance instead, likewise. CPU, I/O and network go to what the
 * throttling says the program would use, at most `rate_step` times at once: an idle quota costs nothing until
 * somebody else wants it, and shrinking gives it back. */
#ifndef FORESTALL_ALLOCATE_POLICY_H
#define FORESTALL_ALLOCATE_POLICY_H

#include "schemas/messages.h"

struct policy_config {
    double memory_headroom;        /* a raise without history never exceeds this multiple of the usage seen */
    double memory_headroom_braked; /* the same on a node with a brake: what outgrows it waits some
                                      milliseconds */
    double memory_step;            /* smallest raise worth a decision, as a ratio */
    double memory_stalled; /* share of the last second that all tasks wait for memory, from which page cache
                              needs room */
    int64_t memory_overhead_bytes; /* kernel memory charged beside memory_bytes: stacks, page tables, slab */
    int64_t memory_overhead_braked_bytes; /* the same on a node with a brake or advances, which make up for
                                             what is above it */
    double brake_share;                   /* the brake takes hold so far below the limit, */
    int64_t brake_least_bytes;            /* at least so far: agent/limit_marks.h; both 0: no brake */
    double brake_step;                    /* least raise of a program that waits in the brake, as a ratio */
    double rate_step;                     /* most that one raise multiplies CPU, I/O or network by */
    double rate_stalled;    /* share of the last second a resource must stall for a raise by deadline alone */
    double deadline_share;  /* share of its time a program may stall before its deadline counts */
    double deadline_late;   /* share of its time after which steps are not bounded any more */
    int64_t rate_settle_us; /* shares are of the last second: so long after a raise they say nothing new */
    double cover_ms;        /* demand to cover until the next decision takes effect */
    double rerun_s;         /* what a rerun costs beside the time already spent, seconds of the limit */
    double slack_s;         /* how long a raise is paid for, seconds */
    int64_t settle_us;      /* after an adjustment, wait this long for a sample that shows it */
    int64_t unanswered_max_us; /* longest wait before the same is asked for again */
    int64_t shrink_after_us;   /* quiet time before the first shrink, and between two */
    double shrink_step;        /* one shrink multiplies by this */
    double shrink_slack;       /* shrink only above this multiple of the demand's p99 */
    double shrink_slack_short; /* the same while somebody on the node is short */
};

/* Defaults with the source of each number in policy.c. */
extern const struct policy_config policy_defaults;

/* Peaks of earlier executions, rising, and the share of the executions each stands for. */
struct policy_peak {
    double value, weight;
};

#define POLICY_PEAKS_MAX 12

/* What finished executions of the code say; runs = 0: nothing. Bytes and seconds. */
struct policy_history {
    int64_t runs;
    double memory_p95, memory_max;
    double duration_p50_s, duration_p95_s; /* 0 = not known */
    struct policy_peak memory[POLICY_PEAKS_MAX];
    uint32_t memory_count;
};

/* What the node offers; known = false: no status yet, the agent is the arbiter anyway. */
struct policy_node {
    bool known;
    bool brake; /* a program that comes to its limit waits, or is given more before anybody decides */
    struct msg_limits capacity, free;
};

/* What allocate keeps about one running attempt between two risks. Zero = just begun. */
struct policy_attempt {
    struct msg_limits wanted; /* last decided, all zero = none */
    bool began;
    struct msg_limits in_force; /* of the risk before, when it began */
    int64_t wanted_us;          /* when; 0 = none */
    uint32_t unanswered;        /* decisions in a row that no sample showed */
    bool observed;              /* it was for the log only: no sample will show it */
    int64_t quiet_since_us;     /* since when nothing was probable and no brake engaged; 0 = not yet */
    int64_t shrunk_us;          /* last shrink */
    bool braked;                /* the brake has been engaged in this attempt */
    int64_t memory_raised_us, cpu_raised_us, io_raised_us,
        net_raised_us;           /* when a sample showed it; 0 = never */
    int64_t seen_us, seen_bytes; /* newest sample of its memory */
    double growth_bps;           /* fastest growth of it seen lately, bytes per second */
    int64_t oom_kills;           /* answered by a raise so far */
    int64_t refused_bytes;       /* memory limit that the node refused although it seemed to fit; 0 = none */
};

struct policy_input {
    const struct msg_risk *risk;
    const struct policy_history *history;  /* NULL = nothing known */
    const struct msg_code_policy *fixed;   /* NULL = nothing fixed */
    const struct policy_node *node;        /* NULL = not known */
    bool node_short;                       /* somebody's raise was refused on this node */
    const struct msg_limits *first_limits; /* the attempt began with these; NULL = not known */
    int64_t now_us;                        /* monotonic: only differences count */
};

#define POLICY_REASON_MAX 320

struct policy_decision {
    enum msg_direction direction; /* KEEP: nothing to send */
    bool act;                     /* false: decided for the log only (held out, or the code's mode) */
    enum msg_cause cause;
    struct msg_limits limits; /* all of them, changed or not */
    float probability;        /* of the cause */
    double expected_cost, kept_cost;
    char reason[POLICY_REASON_MAX];
};

/* Decides; updates *attempt (also on KEEP: it counts quiet time). The caller sends the decision when not KEEP
 * and act. */
void policy_decide(const struct policy_config *config, const struct policy_input *input,
                   struct policy_attempt *attempt, struct policy_decision *decision);

/* A risk that was decided on before a restart: what it shows is known, and answered. */
void policy_recall(struct policy_attempt *attempt, const struct msg_risk *risk);

/* True while the attempt waits for a sample that shows the last decision; it must be looked at again at
 * *due_us. */
bool policy_is_open(const struct policy_config *config, const struct policy_attempt *attempt,
                    int64_t *due_us);

/* The limits a person's floor and ceiling allow; the pin wins over both. fixed may be NULL. */
struct msg_limits policy_bound(struct msg_limits limits, const struct msg_code_policy *fixed);

/* Up to which a running execution may be raised before anybody decides, in bytes; INT64_MAX: nobody bounds
 * it. */
int64_t policy_memory_most(const struct msg_code_policy *fixed);

/* Memory that a program can use under a limit before it meets the brake, a sixteenth (at least 4 MiB) below
 * the limit as agent/limit_marks.h has it, and the least limit under which it can use so much. */
double policy_memory_usable(const struct policy_config *config, double limit);
double policy_memory_limit(const struct policy_config *config, double usable);

#endif
