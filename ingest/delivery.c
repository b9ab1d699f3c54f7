/* See delivery.h. Records come from a free list that grows with what is in flight, so the way of a tick does
 * not call malloc; copies of events and records do, they are a few per execution. */
#include "ingest/delivery.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buffer.h"
#include "common/clock.h"

#define BLOCK_COUNT 256
#define TRIES_MAX 5 /* of a small message in batches that were refused for their size */

struct delivery {
    struct deliveries *all;
    struct delivery *next, *previous; /* of the same owner; next also in the free list */
    struct delivery_owner *owner;     /* NULL: nobody, or gone */
    uint64_t number;
    size_t bytes;
    int64_t given_ms;
    unsigned tries;
    const char *topic;  /* where it was sent last; NULL: quarantine */
    bool kept, reduced; /* there is a copy; its payload is the reduced form already */
    struct buffer copy; /* payload, key, origin, reason; the last two terminated */
    size_t payload_size, key_size, reason_at;
};

struct block {
    struct block *next;
    struct delivery deliveries[BLOCK_COUNT];
};

struct deliveries {
    struct stream *stream;
    const char *service;
    struct delivery_handler handler;
    struct delivery *free;
    struct block *blocks;
    size_t bytes, count;
    int64_t progress_ms; /* last confirmation, or when the first of the waiting was given */
};

struct deliveries *delivery_create(struct stream *stream, const char *service,
                                   const struct delivery_handler *handler)
{
    struct deliveries *all = calloc(1, sizeof *all);
    if (!all)
        return NULL;
    all->stream = stream;
    all->service = service;
    all->handler = *handler;
    return all;
}

void delivery_destroy(struct deliveries *all)
{
    while (all && all->blocks) {
        struct block *next = all->blocks->next;
        free(all->blocks);
        all->blocks = next;
    }
    free(all);
}

static struct delivery *take(struct deliveries *all)
{
    if (!all->free) {
        struct block *block = calloc(1, sizeof *block);
        if (!block)
            return NULL;
        block->next = all->blocks;
        all->blocks = block;
        for (size_t i = 0; i < BLOCK_COUNT; i++) {
            block->deliveries[i].next = all->free;
            all->free = &block->deliveries[i];
        }
    }
    struct delivery *delivery = all->free;
    all->free = delivery->next;
    return delivery;
}

static void give(struct deliveries *all, struct delivery *delivery)
{
    buffer_fini(&delivery->copy);
    delivery->next = all->free;
    all->free = delivery;
}

static void link_owner(struct delivery *delivery)
{
    struct delivery_owner *owner = delivery->owner;
    if (!owner)
        return;
    delivery->next = owner->first;
    if (owner->first)
        owner->first->previous = delivery;
    owner->first = delivery;
    owner->bytes += delivery->bytes;
}

static void unlink_owner(struct delivery *delivery)
{
    struct delivery_owner *owner = delivery->owner;
    if (!owner)
        return;
    if (delivery->previous)
        delivery->previous->next = delivery->next;
    else
        owner->first = delivery->next;
    if (delivery->next)
        delivery->next->previous = delivery->previous;
    owner->bytes -= delivery->bytes;
    delivery->owner = NULL;
}

static void settle(struct delivery *delivery, int error)
{
    struct deliveries *all = delivery->all;
    struct delivery_owner *owner = delivery->owner;
    uint64_t number = delivery->number;
    int64_t waited_ms = clock_monotonic_ms() - delivery->given_ms;
    unlink_owner(delivery);
    all->bytes -= delivery->bytes;
    all->count--;
    give(all, delivery);
    all->handler.settled(all->handler.context, owner, number, error, waited_ms);
}

static void on_delivered(void *context, int error);

static struct str copied_payload(const struct delivery *delivery)
{
    return (struct str){(const char *)delivery->copy.data, delivery->payload_size};
}

static void make_copy(struct delivery *delivery, struct str payload, struct str key, const char *origin,
                      const char *reason)
{
    struct buffer *copy = &delivery->copy;
    buffer_init(copy, 0);
    buffer_append_str(copy, payload);
    buffer_append_str(copy, key);
    buffer_append(copy, origin, strlen(origin) + 1);
    delivery->reason_at = copy->size;
    buffer_append(copy, reason, strlen(reason) + 1);
    delivery->payload_size = payload.size;
    delivery->key_size = key.size;
    delivery->kept = true;
}

static int resend(struct delivery *delivery)
{
    struct deliveries *all = delivery->all;
    struct str payload = copied_payload(delivery);
    const char *key = payload.data + payload.size;
    if (!delivery->topic)
        return stream_quarantine_bytes(
            all->stream, payload.data, payload.size, all->service, key + delivery->key_size,
            (const char *)delivery->copy.data + delivery->reason_at, on_delivered, delivery);
    return stream_produce(all->stream, delivery->topic, key, delivery->key_size, payload.data, payload.size,
                          on_delivered, delivery);
}

/* Replaces the copy by its reduced form. */
static int reduce(struct delivery *delivery)
{
    struct deliveries *all = delivery->all;
    struct buffer whole = delivery->copy, reduced;
    char reason[200];
    const char *origin = (const char *)whole.data + delivery->payload_size + delivery->key_size;
    buffer_init(&reduced, 0);
    all->handler.reduce(all->handler.context, copied_payload(delivery), &reduced);
    if (delivery->topic)
        (void)snprintf(reason, sizeof reason, "%zu bytes are more than the broker takes for %s; reduced",
                       delivery->payload_size, delivery->topic);
    else
        (void)snprintf(reason, sizeof reason, "%.180s; reduced",
                       (const char *)whole.data + delivery->reason_at);
    make_copy(delivery, buffer_str(&reduced), (struct str){0}, origin, reason);
    delivery->reduced = true;
    delivery->topic = NULL;
    int error = buffer_error(&reduced) ? buffer_error(&reduced) : buffer_error(&delivery->copy);
    buffer_fini(&reduced);
    buffer_fini(&whole);
    return error;
}

/* 0: it is on its way again. A small message was refused together with its batch: once more, in another one.
 */
static int too_large(struct delivery *delivery)
{
    if (!delivery->kept)
        return -EMSGSIZE;
    if (delivery->payload_size > DELIVERY_SMALL_BYTES && !delivery->reduced) {
        int error = reduce(delivery);
        return error ? error : resend(delivery);
    }
    if (++delivery->tries > TRIES_MAX)
        return -EMSGSIZE;
    return resend(delivery);
}

static void on_delivered(void *context, int error)
{
    struct delivery *delivery = context;
    if (error == 0)
        delivery->all->progress_ms = clock_monotonic_ms();
    if (error == -EMSGSIZE && too_large(delivery) == 0)
        return;
    settle(delivery, error);
}

static int first_send(struct deliveries *all, struct delivery *delivery,
                      const struct delivery_message *message)
{
    int result;
    if (message->topic)
        result = stream_produce(all->stream, message->topic, message->key.data, message->key.size,
                                message->payload.data, message->payload.size, on_delivered, delivery);
    else
        result =
            stream_quarantine_bytes(all->stream, message->payload.data, message->payload.size, all->service,
                                    message->origin, message->reason, on_delivered, delivery);
    return result == -EMSGSIZE ? too_large(delivery) : result;
}

int delivery_send(struct deliveries *all, const struct delivery_message *message, int64_t now_ms)
{
    struct delivery *delivery = take(all);
    if (!delivery)
        return -ENOMEM;
    *delivery = (struct delivery){.all = all,
                                  .number = message->number,
                                  .bytes = message->payload.size + message->key.size,
                                  .given_ms = now_ms,
                                  .topic = message->topic};
    if (message->owner)
        make_copy(delivery, message->payload, message->key, message->origin,
                  message->reason ? message->reason : "");
    int result = buffer_error(&delivery->copy);
    if (result == 0)
        result = first_send(all, delivery, message);
    if (result < 0) {
        give(all, delivery);
        return result;
    }
    if (all->count++ == 0)
        all->progress_ms = now_ms;
    all->bytes += delivery->bytes;
    delivery->owner = message->owner;
    link_owner(delivery);
    return 0;
}

void delivery_forget(struct deliveries *all, struct delivery_owner *owner)
{
    (void)all;
    while (owner->first)
        unlink_owner(owner->first);
}

size_t delivery_bytes(const struct deliveries *all)
{
    return all->bytes;
}

int64_t delivery_stalled_ms(const struct deliveries *all, int64_t now_ms)
{
    return all->count == 0 ? 0 : now_ms - all->progress_ms;
}
