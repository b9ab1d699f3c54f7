/* Which offsets may be stored: those whose effects, and the effects of all before them on their partition,
 * are durable. A message is taken as a ticket; whoever starts an effect for it holds the ticket until the
 * effect is durable. Pure bookkeeping, bounded, no allocation after creation; nothing here knows the broker.
 */
#ifndef FORESTALL_ALLOCATE_LEDGER_H
#define FORESTALL_ALLOCATE_LEDGER_H

#include "common/base.h"

#define LEDGER_LINES_MAX 4096 /* partitions of all topics together */

struct ledger;
struct ticket;

struct ledger_position {
    const char *topic;
    int32_t partition;
    int64_t offset; /* of the last message whose effects are durable */
};

/* max_tickets: messages under way at a time. NULL: out of memory. */
struct ledger *ledger_create(size_t max_tickets);
void ledger_destroy(struct ledger *ledger);
/* A ticket held once, by the caller. topic is borrowed for the life of the ledger. Offsets of a partition
 * come rising; one that was taken already gets a ticket that stores nothing. NULL: all tickets are out, or
 * too many partitions. */
struct ticket *ledger_take(struct ledger *ledger, const char *topic, int32_t partition, int64_t offset);
void ledger_hold(struct ticket *ticket);
/* The last release makes the ticket's offset durable. */
void ledger_release(struct ledger *ledger, struct ticket *ticket);
/* The newest ticket of its partition, held by nobody else, as if it had not been taken. */
void ledger_put_back(struct ledger *ledger, struct ticket *ticket);
/* Hands out each partition that came further since it was last handed out; false at the end. */
bool ledger_next(struct ledger *ledger, struct ledger_position *out);
/* The partition is not ours any more: nothing of it is handed out; tickets still held stay valid until
 * released. */
void ledger_forget(struct ledger *ledger, const char *topic, int32_t partition);
/* Tickets out at the moment. */
size_t ledger_pending(const struct ledger *ledger);

#endif
