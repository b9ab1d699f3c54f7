/* Which consumed records have had their whole effect: offsets move only past those, in order.
 * Records are noted batch by batch; each produced message is tied to the open batch and reported when it is
 * in Kafka. A batch whose reports are all in, and all before it, is settled. Bounded; no broker, no
 * allocation after creation. */
#ifndef FORESTALL_PREDICT_LEDGER_H
#define FORESTALL_PREDICT_LEDGER_H

#include "common/base.h"

struct ledger;

/* batches: most open at a time; positions: most partitions. NULL when out of memory. */
struct ledger *ledger_create(size_t batches, size_t positions);
void ledger_destroy(struct ledger *ledger);
/* No batch can be opened before one is settled. */
bool ledger_full(const struct ledger *ledger);

/* The record belongs to the open batch (opening one). topic: a literal. -ENOSPC: more partitions than
 * foreseen. */
FS_MUST_CHECK int ledger_note(struct ledger *ledger, const char *topic, int32_t partition, int64_t offset);
/* One message will be produced for the open batch (opening one): the context for ledger_delivered. */
void *ledger_expect(struct ledger *ledger);
/* It was not accepted after all. */
void ledger_withdraw(void *context);
/* As stream_delivered_fn. An error is kept: ledger_failure. Canceled messages leave their batch open for
 * ever. */
void ledger_delivered(void *context, int error);
/* The batch is complete. */
void ledger_close_batch(struct ledger *ledger);

/* Calls store(context, topic, partition, offset) with the last record of each partition of every settled
 * batch, and forgets them. */
typedef void ledger_store_fn(void *context, const char *topic, int32_t partition, int64_t offset);
void ledger_settle(struct ledger *ledger, ledger_store_fn *store, void *context);
size_t ledger_open_batches(const struct ledger *ledger);
/* Forgets what is noted of this partition: it went away and came back elsewhere. */
void ledger_forget(struct ledger *ledger, const char *topic, int32_t partition);
/* The first error a report brought, 0 = none. -EMSGSIZE is none: that message can never be delivered (see
 * oversized). */
int ledger_failure(const struct ledger *ledger);
uint64_t ledger_oversized(const struct ledger *ledger);

#endif
