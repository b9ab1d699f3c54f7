/* Limits as messages carry them and as the kernel layer takes them; comparing and joining them. Pure. */
#ifndef FORESTALL_AGENT_LIMITS_H
#define FORESTALL_AGENT_LIMITS_H

#include "agent/cgroup.h"
#include "schemas/messages.h"

struct cgroup_limits limits_to_kernel(const struct msg_limits *limits);
struct msg_limits limits_from_kernel(const struct cgroup_limits *limits);

/* Is b more than a? 0 means no limit, which is more than any. */
static inline bool limits_more(int64_t a, int64_t b)
{
    return a != 0 && (b == 0 || b > a);
}

/* *highest becomes the higher of both, resource by resource. Weights count too; a better priority is the
 * lower number. */
void limits_raise_to(struct msg_limits *highest, const struct msg_limits *limits);
/* Bit set (1 << enum msg_cause) of the resources of which after has more than before. */
unsigned limits_raised(const struct msg_limits *before, const struct msg_limits *after);
/* Amount of one resource in its unit; for I/O the larger of both directions. */
int64_t limits_amount(const struct msg_limits *limits, enum msg_cause cause);

#endif
