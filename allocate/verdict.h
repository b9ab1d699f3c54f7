/* What becomes of an execution whose attempt failed: another attempt with more of what was short, or its end,
 * with or without a dead letter. Pure. */
#ifndef FORESTALL_ALLOCATE_VERDICT_H
#define FORESTALL_ALLOCATE_VERDICT_H

#include "allocate/settle.h"

struct verdict {
    bool retry, dead_lettered;
    struct msg_limits limits; /* of the next attempt */
    char reason[SETTLE_REASON_MAX];
};

/* Judges a failed attempt (settle_failed) with the allocation that settle_record made of it (NULL: none).
 * `capacity` bounds what a retry could get; NULL or 0 = not known. */
void verdict_judge(const struct settle_input *input, const struct msg_execution_record *record,
                   const struct msg_allocation *allocation, const struct msg_limits *capacity,
                   struct verdict *verdict);

#endif
