/* See order.h. */
#include "predict/order.h"

static bool newer(const struct order *order, const struct msg_tick *tick)
{
    if (!order->known)
        return true;
    if (memcmp(order->incarnation, tick->incarnation, sizeof order->incarnation) != 0)
        return tick->time_us > order->time_us;
    return tick->epoch > order->epoch || (tick->epoch == order->epoch && tick->sequence > order->sequence);
}

bool order_take(struct order *order, const struct msg_tick *tick)
{
    if (!newer(order, tick))
        return false;
    order->known = true;
    memcpy(order->incarnation, tick->incarnation, sizeof order->incarnation);
    order->epoch = tick->epoch;
    order->sequence = tick->sequence;
    order->time_us = tick->time_us;
    return true;
}
