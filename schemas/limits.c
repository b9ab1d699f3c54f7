/* See limits.h. */
#include "schemas/limits.h"

#define WEIGHT_MAX 10000 /* cgroup v2's scale */
#define PRIORITY_MAX 7

const char *limits_fault(const struct msg_limits *limits)
{
    if (limits->memory_bytes < 0)
        return "limits.memory_bytes is negative";
    if (limits->cpu_millicores < 0)
        return "limits.cpu_millicores is negative";
    if (limits->cpu_weight < 0 || limits->cpu_weight > WEIGHT_MAX)
        return "limits.cpu_weight is outside 0..10000";
    if (limits->io_read_bps < 0 || limits->io_write_bps < 0)
        return "limits.io_read_bps or io_write_bps is negative";
    if (limits->io_weight < 0 || limits->io_weight > WEIGHT_MAX)
        return "limits.io_weight is outside 0..10000";
    if (limits->net_egress_bps < 0)
        return "limits.net_egress_bps is negative";
    if (limits->net_priority < 0 || limits->net_priority > PRIORITY_MAX)
        return "limits.net_priority is outside 0..7";
    return NULL;
}

bool limits_equal(const struct msg_limits *a, const struct msg_limits *b)
{
    return a->memory_bytes == b->memory_bytes && a->cpu_millicores == b->cpu_millicores &&
           a->cpu_weight == b->cpu_weight && a->io_read_bps == b->io_read_bps &&
           a->io_write_bps == b->io_write_bps && a->io_weight == b->io_weight &&
           a->net_egress_bps == b->net_egress_bps && a->net_priority == b->net_priority;
}
