/* See amounts.h. */
#include "allocate/amounts.h"

#include "common/base.h"

int64_t amount_get(const struct msg_limits *limits, enum amount amount)
{
    switch (amount) {
    case AMOUNT_MEMORY:
        return limits->memory_bytes;
    case AMOUNT_CPU:
        return limits->cpu_millicores;
    case AMOUNT_IO_READ:
        return limits->io_read_bps;
    case AMOUNT_IO_WRITE:
        return limits->io_write_bps;
    case AMOUNT_NET:
        return limits->net_egress_bps;
    case AMOUNT_COUNT:
        break;
    }
    return 0;
}

void amount_set(struct msg_limits *limits, enum amount amount, int64_t value)
{
    switch (amount) {
    case AMOUNT_MEMORY:
        limits->memory_bytes = value;
        break;
    case AMOUNT_CPU:
        limits->cpu_millicores = (int32_t)FS_MIN(value, INT32_MAX);
        break;
    case AMOUNT_IO_READ:
        limits->io_read_bps = value;
        break;
    case AMOUNT_IO_WRITE:
        limits->io_write_bps = value;
        break;
    case AMOUNT_NET:
        limits->net_egress_bps = value;
        break;
    case AMOUNT_COUNT:
        break;
    }
}

enum msg_cause amount_cause(enum amount amount)
{
    static const enum msg_cause causes[AMOUNT_COUNT] = {MSG_CAUSE_MEMORY, MSG_CAUSE_CPU, MSG_CAUSE_IO,
                                                        MSG_CAUSE_IO, MSG_CAUSE_NET};
    return amount < AMOUNT_COUNT ? causes[amount] : MSG_CAUSE_NONE;
}

bool cause_is_resource(enum msg_cause cause)
{
    for (enum amount amount = 0; amount < AMOUNT_COUNT; amount++)
        if (amount_cause(amount) == cause)
            return true;
    return false;
}

bool causes_hold(const enum msg_cause *items, size_t count, enum msg_cause cause)
{
    for (size_t i = 0; i < count; i++)
        if (items[i] == cause)
            return true;
    return false;
}

bool amount_more(int64_t a, int64_t b)
{
    return a != 0 && (b == 0 || b > a);
}

struct msg_limits amounts_highest(const struct msg_limits *a, const struct msg_limits *b)
{
    struct msg_limits highest = *a;
    for (enum amount amount = 0; amount < AMOUNT_COUNT; amount++)
        if (amount_more(amount_get(a, amount), amount_get(b, amount)))
            amount_set(&highest, amount, amount_get(b, amount));
    return highest;
}
