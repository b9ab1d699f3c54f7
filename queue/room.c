/* See room.h. */
#include "queue/room.h"

#include "common/base.h"

int64_t room_get(const struct msg_limits *limits, enum room_resource resource)
{
    switch (resource) {
    case ROOM_MEMORY:
        return limits->memory_bytes;
    case ROOM_CPU:
        return limits->cpu_millicores;
    case ROOM_IO_READ:
        return limits->io_read_bps;
    case ROOM_IO_WRITE:
        return limits->io_write_bps;
    case ROOM_NET:
        return limits->net_egress_bps;
    case ROOM_COUNT:
        break;
    }
    return 0;
}

void room_set(struct msg_limits *limits, enum room_resource resource, int64_t amount)
{
    switch (resource) {
    case ROOM_MEMORY:
        limits->memory_bytes = amount;
        break;
    case ROOM_CPU:
        limits->cpu_millicores = (int32_t)FS_MIN(amount, INT32_MAX);
        break;
    case ROOM_IO_READ:
        limits->io_read_bps = amount;
        break;
    case ROOM_IO_WRITE:
        limits->io_write_bps = amount;
        break;
    case ROOM_NET:
        limits->net_egress_bps = amount;
        break;
    case ROOM_COUNT:
        break;
    }
}

enum msg_cause room_cause(enum room_resource resource)
{
    static const enum msg_cause causes[] = {
        [ROOM_MEMORY] = MSG_CAUSE_MEMORY, [ROOM_CPU] = MSG_CAUSE_CPU, [ROOM_IO_READ] = MSG_CAUSE_IO,
        [ROOM_IO_WRITE] = MSG_CAUSE_IO,   [ROOM_NET] = MSG_CAUSE_NET,
    };
    return resource < ROOM_COUNT ? causes[resource] : MSG_CAUSE_NONE;
}

void room_add(struct msg_limits *sum, const struct msg_limits *limits, int sign)
{
    for (enum room_resource r = 0; r < ROOM_COUNT; r++) {
        int64_t amount = room_get(limits, r), result;
        if (__builtin_add_overflow(room_get(sum, r), sign > 0 ? amount : -amount, &result))
            result = sign > 0 ? INT64_MAX : 0;
        room_set(sum, r, FS_MAX(result, 0));
    }
}

struct msg_limits room_free(const struct msg_limits *capacity, const struct msg_limits *committed,
                            double reserve)
{
    struct msg_limits free = {0};
    for (enum room_resource r = 0; r < ROOM_COUNT; r++) {
        int64_t total = room_get(capacity, r);
        if (total == 0) {
            room_set(&free, r, INT64_MAX);
            continue;
        }
        if (r == ROOM_MEMORY)
            total -= (int64_t)((double)total * reserve);
        room_set(&free, r, FS_MAX(total - room_get(committed, r), 0));
    }
    return free;
}

void room_larger(struct msg_limits *largest, const struct msg_limits *other)
{
    for (enum room_resource r = 0; r < ROOM_COUNT; r++)
        room_set(largest, r, FS_MAX(room_get(largest, r), room_get(other, r)));
}

enum room_fit room_fit(const struct msg_limits *wanted, const struct msg_limits *least,
                       const struct msg_limits *free, bool less, struct msg_limits *given)
{
    struct msg_limits result = *wanted;
    enum room_fit fit = ROOM_FIT_WHOLE;
    for (enum room_resource r = 0; r < ROOM_COUNT; r++) {
        int64_t want = room_get(wanted, r), have = room_get(free, r);
        if (want <= have)
            continue;
        if (!less || r == ROOM_MEMORY || have <= 0 || have < room_get(least, r))
            return ROOM_FIT_NO;
        room_set(&result, r, have);
        fit = ROOM_FIT_LESS;
    }
    *given = result;
    return fit;
}
