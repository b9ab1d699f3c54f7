/* Which ticks of a node are new. Ticks of one node come in order of their partition; ingest or a replay may
 * bring some of them again. Pure. */
#ifndef FORESTALL_PREDICT_ORDER_H
#define FORESTALL_PREDICT_ORDER_H

#include "schemas/messages.h"

/* The last tick taken of a node; all zero = none. */
struct order {
    bool known;
    uint8_t incarnation[16];
    int64_t epoch, sequence, time_us;
};

/* True for a tick that is to be taken, which is then remembered. Of one incarnation (epoch, sequence) must
 * rise; gaps are fine. Another incarnation is taken when its clock is ahead: the node was given a new agent,
 * and what the old one left behind in the stream is a repeat. */
bool order_take(struct order *order, const struct msg_tick *tick);

#endif
