/* See limits.h. */
#include "agent/limits.h"

struct cgroup_limits limits_to_kernel(const struct msg_limits *limits)
{
    return (struct cgroup_limits){
        .memory_bytes = limits->memory_bytes,
        .cpu_millicores = limits->cpu_millicores,
        .cpu_weight = limits->cpu_weight,
        .io_read_bps = limits->io_read_bps,
        .io_write_bps = limits->io_write_bps,
        .io_weight = limits->io_weight,
        .net_egress_bps = limits->net_egress_bps,
        .net_priority = limits->net_priority,
    };
}

struct msg_limits limits_from_kernel(const struct cgroup_limits *limits)
{
    return (struct msg_limits){
        .memory_bytes = limits->memory_bytes,
        .cpu_millicores = limits->cpu_millicores,
        .cpu_weight = limits->cpu_weight,
        .io_read_bps = limits->io_read_bps,
        .io_write_bps = limits->io_write_bps,
        .io_weight = limits->io_weight,
        .net_egress_bps = limits->net_egress_bps,
        .net_priority = limits->net_priority,
    };
}

static int64_t higher(int64_t a, int64_t b)
{
    return limits_more(a, b) ? b : a;
}

static int32_t weight(int32_t value)
{
    return value ? value : 100; /* the kernel's default */
}

void limits_raise_to(struct msg_limits *highest, const struct msg_limits *limits)
{
    highest->memory_bytes = higher(highest->memory_bytes, limits->memory_bytes);
    highest->cpu_millicores = (int32_t)higher(highest->cpu_millicores, limits->cpu_millicores);
    if (weight(limits->cpu_weight) > weight(highest->cpu_weight))
        highest->cpu_weight = limits->cpu_weight;
    highest->io_read_bps = higher(highest->io_read_bps, limits->io_read_bps);
    highest->io_write_bps = higher(highest->io_write_bps, limits->io_write_bps);
    if (weight(limits->io_weight) > weight(highest->io_weight))
        highest->io_weight = limits->io_weight;
    highest->net_egress_bps = higher(highest->net_egress_bps, limits->net_egress_bps);
    highest->net_priority = FS_MIN(highest->net_priority, limits->net_priority);
}

unsigned limits_raised(const struct msg_limits *before, const struct msg_limits *after)
{
    unsigned raised = 0;
    if (limits_more(before->memory_bytes, after->memory_bytes))
        raised |= 1u << MSG_CAUSE_MEMORY;
    if (limits_more(before->cpu_millicores, after->cpu_millicores) ||
        weight(after->cpu_weight) > weight(before->cpu_weight))
        raised |= 1u << MSG_CAUSE_CPU;
    if (limits_more(before->io_read_bps, after->io_read_bps) ||
        limits_more(before->io_write_bps, after->io_write_bps) ||
        weight(after->io_weight) > weight(before->io_weight))
        raised |= 1u << MSG_CAUSE_IO;
    if (limits_more(before->net_egress_bps, after->net_egress_bps) ||
        after->net_priority < before->net_priority)
        raised |= 1u << MSG_CAUSE_NET;
    return raised;
}

int64_t limits_amount(const struct msg_limits *limits, enum msg_cause cause)
{
    switch (cause) {
    case MSG_CAUSE_MEMORY:
        return limits->memory_bytes;
    case MSG_CAUSE_CPU:
        return limits->cpu_millicores;
    case MSG_CAUSE_IO:
        return FS_MAX(limits->io_read_bps, limits->io_write_bps);
    case MSG_CAUSE_NET:
        return limits->net_egress_bps;
    default:
        return 0;
    }
}
