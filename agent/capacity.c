/* See capacity.h. */
#include "agent/capacity.h"

#include "agent/limits.h"

static int64_t add(int64_t sum, int64_t amount, int sign)
{
    int64_t result;
    if (__builtin_add_overflow(sum, sign > 0 ? amount : -amount, &result))
        return sign > 0 ? INT64_MAX : 0;
    return FS_MAX(result, 0);
}

static int32_t clamp32(int64_t value)
{
    return (int32_t)FS_MIN(value, INT32_MAX);
}

void capacity_commit(struct msg_limits *committed, const struct msg_limits *limits, int sign)
{
    committed->memory_bytes = add(committed->memory_bytes, limits->memory_bytes, sign);
    committed->cpu_millicores = clamp32(add(committed->cpu_millicores, limits->cpu_millicores, sign));
    committed->io_read_bps = add(committed->io_read_bps, limits->io_read_bps, sign);
    committed->io_write_bps = add(committed->io_write_bps, limits->io_write_bps, sign);
    committed->net_egress_bps = add(committed->net_egress_bps, limits->net_egress_bps, sign);
}

static int64_t left(int64_t total, int64_t committed)
{
    return total == 0 ? 0 : FS_MAX(total - committed, 0);
}

struct msg_limits capacity_free(const struct capacity *capacity, const struct msg_limits *committed)
{
    const struct msg_limits *total = &capacity->total;
    return (struct msg_limits){
        .memory_bytes = left(total->memory_bytes, committed->memory_bytes),
        .cpu_millicores = (int32_t)left(total->cpu_millicores, committed->cpu_millicores),
        .io_read_bps = left(total->io_read_bps, committed->io_read_bps),
        .io_write_bps = left(total->io_write_bps, committed->io_write_bps),
        .net_egress_bps = left(total->net_egress_bps, committed->net_egress_bps),
    };
}

/* Would the sum pass the total when this attempt goes from before to after? */
static bool passes(int64_t total, int64_t committed, int64_t before, int64_t after)
{
    return total != 0 && after > before && add(add(committed, before, -1), after, 1) > total;
}

static enum msg_cause first_short(const struct msg_limits *total, const struct msg_limits *committed,
                                  const struct msg_limits *before, const struct msg_limits *after)
{
    if (passes(total->memory_bytes, committed->memory_bytes, before->memory_bytes, after->memory_bytes))
        return MSG_CAUSE_MEMORY;
    if (passes(total->cpu_millicores, committed->cpu_millicores, before->cpu_millicores,
               after->cpu_millicores))
        return MSG_CAUSE_CPU;
    if (passes(total->io_read_bps, committed->io_read_bps, before->io_read_bps, after->io_read_bps) ||
        passes(total->io_write_bps, committed->io_write_bps, before->io_write_bps, after->io_write_bps))
        return MSG_CAUSE_IO;
    if (passes(total->net_egress_bps, committed->net_egress_bps, before->net_egress_bps,
               after->net_egress_bps))
        return MSG_CAUSE_NET;
    return MSG_CAUSE_NONE;
}

enum msg_cause capacity_admits(const struct capacity *capacity, const struct msg_limits *committed,
                               const struct msg_limits *limits)
{
    struct msg_limits nothing = {0}, total = capacity->total;
    if (total.memory_bytes != 0)
        total.memory_bytes = FS_MAX(total.memory_bytes - capacity->raise_reserve_bytes, 1);
    return first_short(&total, committed, &nothing, limits);
}

enum msg_cause capacity_raises(const struct capacity *capacity, const struct msg_limits *committed,
                               const struct msg_limits *before, const struct msg_limits *after)
{
    bool memory_grows = limits_more(before->memory_bytes, after->memory_bytes);
    if (memory_grows && capacity->raise_ceiling_bytes != 0 &&
        (after->memory_bytes == 0 || after->memory_bytes > capacity->raise_ceiling_bytes))
        return MSG_CAUSE_MEMORY;
    return first_short(&capacity->total, committed, before, after);
}
