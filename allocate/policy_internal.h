/* Between the files of the policy: policy.c (order and bounds), policy_memory.c, policy_rate.c,
 * policy_shrink.c. */
#ifndef FORESTALL_ALLOCATE_POLICY_INTERNAL_H
#define FORESTALL_ALLOCATE_POLICY_INTERNAL_H

#include "allocate/policy.h"
#include "common/base.h"

#define POLICY_MIB 1048576.0

/* Everything a rule may look at and what it may change. */
struct policy_case {
    const struct policy_config *config;
    const struct policy_input *input;
    const struct msg_risk *risk;
    struct policy_attempt *attempt;
    struct policy_decision *decision;
    struct msg_limits wanted; /* without the bounds of people and node */
    int64_t least_memory;     /* below it a raise of memory does not help; 0 = none wanted */
};

/* Appends to the decision's reason, "; " between the parts; cut when too long. */
void policy_explain(struct policy_decision *decision, const char *format, ...) FS_PRINTF(2, 3);
/* What alarms of a cause (model/alarm_level.h): decisions answer it, and reasons tell it as p. */
float policy_cause_level(const struct msg_risk *risk, enum msg_cause cause);
/* The model's alarm for this cause: its level is at or above its own threshold. */
bool policy_alarmed(const struct msg_risk *risk, enum msg_cause cause);
/* Shares are of the last second: just after a raise they still tell of the time before. raised_us: when a
 * sample showed it, 0 = never. */
bool policy_just_raised(const struct policy_case *now, int64_t raised_us);
/* bytes rounded up to whole MiB: limits that people can read, and fewer of them. */
int64_t policy_whole_mib(double bytes);

/* Counts the sample's memory: growth, kills, brake. */
void policy_memory_observe(struct policy_case *now);
void policy_memory_decide(struct policy_case *now);
void policy_cpu_decide(struct policy_case *now);
void policy_io_decide(struct policy_case *now);
void policy_net_decide(struct policy_case *now);
void policy_shrink_decide(struct policy_case *now);

#endif
