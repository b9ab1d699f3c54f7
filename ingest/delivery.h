/* What was given to Kafka and is not confirmed yet.
 *
 * Guarantees: every message accepted is settled exactly once, and settled without error only after Kafka
 * confirmed it (acks=all), in `quarantine` if it had to be. Of messages with an owner a copy is kept until
 * then: what the broker refuses as too large goes to `quarantine` in reduced form, and counts as settled
 * there. Bounded by the caller, who looks at delivery_bytes() before giving more. One thread; callbacks run
 * inside stream_poll() and delivery_send(). */
#ifndef FORESTALL_INGEST_DELIVERY_H
#define FORESTALL_INGEST_DELIVERY_H

#include "common/buffer.h"
#include "common/stream.h"

/* Larger than this a refusal for its size is the message's own fault; smaller, it shared a batch with one
 * that is. */
#define DELIVERY_SMALL_BYTES ((size_t)64 << 10)

struct deliveries;
struct delivery;

/* Whoever waits for confirmations; zero-initialised, embedded. */
struct delivery_owner {
    struct delivery *first;
    size_t bytes; /* of its unsettled messages */
};

struct delivery_handler {
    void *context;
    /* owner NULL: nobody waits for it (any more). error 0: it is in Kafka for good; otherwise it is not, and
     * has to come again. waited_ms: since it was given. */
    void (*settled)(void *context, struct delivery_owner *owner, uint64_t number, int error,
                    int64_t waited_ms);
    /* Appends a form of this message that any broker takes. */
    void (*reduce)(void *context, struct str payload, struct buffer *out);
};

struct delivery_message {
    const char *topic; /* a literal; NULL: to quarantine */
    struct str key, payload;
    const char *origin;           /* whom it came from, for quarantine; never NULL */
    const char *reason;           /* quarantine: why */
    struct delivery_owner *owner; /* NULL: nobody waits, no copy is kept */
    uint64_t number;
};

/* stream and the handler's context are borrowed. NULL: out of memory. */
struct deliveries *delivery_create(struct stream *stream, const char *service,
                                   const struct delivery_handler *handler);
/* After stream_close(): everything is reported by then. */
void delivery_destroy(struct deliveries *deliveries);
/* 0: accepted, will be settled; -EAGAIN: the producer's queue is full, later; -EPIPE and others: as
 * stream_produce(). A message too large for the client itself: with an owner it is accepted and goes to
 * quarantine in reduced form; without one -EMSGSIZE. */
FS_MUST_CHECK int delivery_send(struct deliveries *deliveries, const struct delivery_message *message,
                                int64_t now_ms);
/* The owner is going away: its messages are no longer reported to it. */
void delivery_forget(struct deliveries *deliveries, struct delivery_owner *owner);
/* Bytes not confirmed. */
size_t delivery_bytes(const struct deliveries *deliveries);
/* How long Kafka has confirmed nothing although something waits; 0: nothing waits. */
int64_t delivery_stalled_ms(const struct deliveries *deliveries, int64_t now_ms);

#endif
