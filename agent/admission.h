/* Whether an offered placement is run: a pure judgement in a fixed order, before anything is written. */
#ifndef FORESTALL_AGENT_ADMISSION_H
#define FORESTALL_AGENT_ADMISSION_H

#include "agent/capacity.h"

#define ADMISSION_REASON_MAX 160

struct admission_view {
    struct str node;
    const uint8_t *incarnation;
    bool draining;
    bool spool_full; /* no room for what this attempt will report */
    bool table_full; /* as many attempts as the agent takes */
    struct msg_limits committed;
    const struct capacity *capacity;
};

struct admission_verdict {
    bool accept;
    enum msg_cause short_of; /* the resource that did not fit; OTHER: the node is full in another way */
    char reason[ADMISSION_REASON_MAX];
};

/* Order: for whom, expired, well-formed, willing, room. */
struct admission_verdict admission_judge(const struct msg_admission *admission,
                                         const struct admission_view *view, int64_t now_us);

#endif
