/* What to do with an Adjustment that came in: a pure judgement in a fixed order, before anything is written
 * to the kernel. */
#ifndef FORESTALL_AGENT_ADJUST_H
#define FORESTALL_AGENT_ADJUST_H

#include "agent/capacity.h"
#include "agent/cgroup.h"

#define ADJUST_DETAIL_MAX 192

/* What the agent knows about the attempt it names. */
struct adjust_view {
    bool running;     /* an attempt of that execution and number runs here */
    bool incarnation; /* the decision was made for this agent */
    enum msg_arm arm;
    int64_t last_decision, last_epoch, last_sequence; /* of the last one applied; 0 = none */
    struct msg_limits limits;                         /* in force */
    struct msg_limits committed;                      /* of the whole node */
    const struct capacity *capacity;
};

struct adjust_verdict {
    bool apply;
    enum msg_adjustment_result result; /* when not applied */
    enum msg_cause short_of;           /* of REFUSED_CAPACITY */
    char detail[ADJUST_DETAIL_MAX];
};

/* Order: unknown, held out, expired, older decision or sample, bad limits, capacity. */
struct adjust_verdict adjust_judge(const struct msg_adjustment *adjustment, const struct adjust_view *view,
                                   int64_t now_us);

/* What the kernel made of it: APPLIED, PARTLY (some resource was not put in force) or REFUSED_KERNEL (none
 * that was asked to change was), with the reasons in detail. */
enum msg_adjustment_result adjust_result(const struct cgroup_apply_result *applied,
                                         const struct msg_limits *before, const struct msg_limits *after,
                                         char detail[ADJUST_DETAIL_MAX]);

#endif
