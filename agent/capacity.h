/* What fits on the node: the arbiter of admissions and raises (design §4.5). Pure.
 * Only limits count, never use: an attempt without a limit on a resource commits nothing of it. A capacity of
 * 0 means the resource is not rationed here. */
#ifndef FORESTALL_AGENT_CAPACITY_H
#define FORESTALL_AGENT_CAPACITY_H

#include "schemas/messages.h"

struct capacity {
    struct msg_limits total;     /* all the node offers */
    int64_t raise_reserve_bytes; /* memory that admissions leave for raises */
    int64_t raise_ceiling_bytes; /* no raise takes one attempt's memory above it; 0 = total */
};

/* Adds (sign 1) or takes away (sign -1) the limits of one attempt. */
void capacity_commit(struct msg_limits *committed, const struct msg_limits *limits, int sign);
/* total less committed, never below 0; resources that are not rationed stay 0. */
struct msg_limits capacity_free(const struct capacity *capacity, const struct msg_limits *committed);
/* MSG_CAUSE_NONE when an attempt with these limits fits beside what is committed and the raise reserve, else
 * what is short. */
enum msg_cause capacity_admits(const struct capacity *capacity, const struct msg_limits *committed,
                               const struct msg_limits *limits);
/* The same for changing one attempt's limits from before to after; only what grows is looked at, the reserve
 * may be used. */
enum msg_cause capacity_raises(const struct capacity *capacity, const struct msg_limits *committed,
                               const struct msg_limits *before, const struct msg_limits *after);

#endif
