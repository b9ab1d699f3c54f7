/* What becomes durable in which order. See allocate.h.
 *
 * A settlement goes: allocation produced -> (delivered) `written` -> Redis -> `waiting` -> dead letter and
 * verdict produced
 * -> (delivered) its ticket is released -> the offset is stored. A crash anywhere leaves the record unread:
 * it comes again, the allocation says that it is counted and which verdict was given, and the rest is done
 * once more. */
#include <errno.h>

#include "allocate/allocate.h"
#include "common/clock.h"
#include "common/topics.h"

static void push(struct settlement_list *list, struct settlement *settlement)
{
    settlement->next = NULL;
    if (list->tail)
        list->tail->next = settlement;
    else
        list->head = settlement;
    list->tail = settlement;
}

static struct settlement *pop(struct settlement_list *list)
{
    struct settlement *settlement = list->head;
    if (!settlement)
        return NULL;
    list->head = settlement->next;
    if (!list->head)
        list->tail = NULL;
    return settlement;
}

struct settlement *settlement_begin(struct allocate *allocate, struct str code, struct ticket *ticket)
{
    struct settlement *settlement = allocate->free_settlements;
    if (!settlement)
        return NULL;
    allocate->free_settlements = settlement->next;
    allocate->settling++;
    settlement->next = NULL;
    settlement->ticket = ticket;
    settlement->tombstone = settlement->failed = settlement->held = settlement->dead_sent = false;
    settlement->outstanding = 0;
    settlement->begun_us = clock_monotonic_us();
    settlement->pool[0] = '\0';
    (void)str_copy(settlement->code, sizeof settlement->code, code); /* validated */
    buffer_reset(&settlement->verdict);
    buffer_reset(&settlement->dead);
    if (ticket)
        ledger_hold(ticket);
    return settlement;
}

static void give_back(struct settlement *settlement)
{
    struct allocate *allocate = settlement->owner;
    if (settlement->dead.capacity > (64u << 10))
        buffer_fini(&settlement->dead); /* a large one is rare: not kept for each */
    settlement->next = allocate->free_settlements;
    allocate->free_settlements = settlement;
    allocate->settling--;
}

void settlement_cancel(struct settlement *settlement)
{
    if (settlement->ticket)
        ledger_release(settlement->owner->ledger, settlement->ticket);
    give_back(settlement);
}

/* All of it is durable; or nobody will know: the process ends and the record comes again. */
static void finish(struct settlement *settlement)
{
    struct allocate *allocate = settlement->owner;
    double seconds = (double)(clock_monotonic_us() - settlement->begun_us) / 1e6;
    metric_observe(allocate->metrics.settled_seconds, seconds);
    if (settlement->ticket && !settlement->failed)
        ledger_release(allocate->ledger, settlement->ticket);
    give_back(settlement);
}

static void on_allocation_delivered(void *context, int error)
{
    struct settlement *settlement = context;
    struct allocate *allocate = settlement->owner;
    if (error == 0) {
        push(&allocate->written, settlement);
        return;
    }
    allocate_fail(allocate, error, "the allocation of %s was not delivered: %s", settlement->code,
                  strerror(-error));
    settlement->failed = true;
    finish(settlement);
}

int settlement_publish(struct settlement *settlement, struct code_entry *entry,
                       const struct msg_allocation *allocation)
{
    struct allocate *allocate = settlement->owner;
    struct buffer *out = &allocate->out;
    buffer_reset(out);
    int result = codec_encode(&msg_allocation_type, allocation, out);
    if (result == 0)
        result =
            stream_produce(allocate->stream, TOPIC_ALLOCATIONS, settlement->code, strlen(settlement->code),
                           out->data, out->size, on_allocation_delivered, settlement);
    if (result == -EAGAIN)
        return result;
    if (result == 0 && entry) {
        result = book_set_allocation(allocate->book, entry, allocation);
        if (result < 0) /* it is on its way, and the settlement with it */
            allocate_fail(allocate, result, "out of memory for the allocation of %s", settlement->code);
    } else if (result < 0) {
        allocate_fail(allocate, result, "the allocation of %s was not accepted: %s", settlement->code,
                      strerror(-result));
        settlement_cancel(settlement);
        return result;
    }
    metric_add(allocate->metrics.allocations, 1);
    return result;
}

int settlement_publish_tombstone(struct settlement *settlement)
{
    struct allocate *allocate = settlement->owner;
    settlement->tombstone = true;
    int result = stream_produce(allocate->stream, TOPIC_ALLOCATIONS, settlement->code,
                                strlen(settlement->code), NULL, 0, on_allocation_delivered, settlement);
    if (result == -EAGAIN)
        return result;
    if (result < 0) {
        allocate_fail(allocate, result, "the tombstone of %s was not accepted: %s", settlement->code,
                      strerror(-result));
        settlement_cancel(settlement);
        return result;
    }
    metric_add(allocate->metrics.tombstones, 1);
    return 0;
}

void settlement_publish_verdict(struct settlement *settlement)
{
    push(&settlement->owner->waiting, settlement);
}

static void on_delivered(void *context, int error)
{
    struct settlement *settlement = context;
    struct allocate *allocate = settlement->owner;
    settlement->outstanding--;
    if (error != 0) {
        allocate_fail(allocate, error, "verdict or dead letter of %s was not delivered: %s", settlement->code,
                      strerror(-error));
        settlement->failed = true;
    }
    if (settlement->outstanding == 0 && !settlement->held)
        finish(settlement);
}

/* The broker takes less than we thought: the dead letter is kept in quarantine, cut, rather than nowhere. */
static void on_dead_delivered(void *context, int error)
{
    struct settlement *settlement = context;
    struct allocate *allocate = settlement->owner;
    if (error != -EMSGSIZE) {
        on_delivered(context, error);
        return;
    }
    error = stream_quarantine_bytes(allocate->stream, settlement->dead.data, settlement->dead.size,
                                    ALLOCATE_SERVICE, settlement->code,
                                    "a dead letter larger than the broker takes", on_delivered, settlement);
    if (error != 0)
        on_delivered(context, error == -EAGAIN ? 0 : error); /* the queue is full: its verdict counts more */
}

/* 0; -EAGAIN: later; negative: the service fails. */
static int send(struct settlement *settlement, const char *topic, const char *key, const struct buffer *value,
                stream_delivered_fn *delivered)
{
    struct allocate *allocate = settlement->owner;
    settlement->outstanding++; /* before: a full queue makes stream_produce() serve reports */
    int result = stream_produce(allocate->stream, topic, key, strlen(key), value->data, value->size,
                                delivered, settlement);
    if (result == 0)
        return 0;
    settlement->outstanding--;
    if (result == -EMSGSIZE && delivered == on_dead_delivered) {
        settlement->outstanding++;
        delivered(settlement, result);
        return 0;
    }
    if (result != -EAGAIN)
        allocate_fail(allocate, result, "%s for %s was not accepted: %s", topic, settlement->code,
                      strerror(-result));
    return result;
}

/* False: the producer is full, it stays in `waiting`. Dead letter first: who sees the verdict finds the
 * letter. */
static bool send_verdict(struct settlement *settlement)
{
    int result = 0;
    settlement->held = true; /* an early report must not finish it */
    if (settlement->dead.size > 0 && !settlement->dead_sent) {
        result =
            send(settlement, TOPIC_EXECUTIONS_DLQ, settlement->code, &settlement->dead, on_dead_delivered);
        settlement->dead_sent = result == 0;
    }
    if (result == 0 && settlement->verdict.size > 0)
        result = send(settlement, TOPIC_VERDICTS, settlement->pool, &settlement->verdict, on_delivered);
    if (result == -EAGAIN)
        return false;
    settlement->held = false;
    settlement->failed |= result < 0;
    if (settlement->outstanding == 0)
        finish(settlement);
    return true;
}

static void to_redis(struct allocate *allocate, const struct settlement *settlement)
{
    struct msg_allocation allocation;
    if (settlement->tombstone) {
        mirror_delete(allocate->mirror, settlement->code);
        return;
    }
    const struct code_entry *entry = book_find(allocate->book, str_of(settlement->code));
    arena_reset(allocate->look_arena);
    if (entry && book_allocation_message(entry, topic_codec_codec(allocate->codec), allocate->look_arena,
                                         &allocation) == 0)
        mirror_set(allocate->mirror, &allocation); /* the newest is as good, or better */
}

void effects_step(struct allocate *allocate)
{
    if (allocate->written.head) {
        for (const struct settlement *each = allocate->written.head; each; each = each->next)
            to_redis(allocate, each);
        (void)mirror_flush(allocate->mirror); /* Redis away: the topic has it, a rebuild follows */
        for (struct settlement *each; (each = pop(&allocate->written));)
            push(&allocate->waiting, each);
    }
    while (allocate->failure == 0 && allocate->waiting.head) {
        struct settlement *settlement = pop(&allocate->waiting);
        if (send_verdict(settlement))
            continue;
        settlement->next = allocate->waiting.head; /* back to the front */
        allocate->waiting.head = settlement;
        if (!allocate->waiting.tail)
            allocate->waiting.tail = settlement;
        return;
    }
}

void effects_store_offsets(struct allocate *allocate)
{
    struct ledger_position position;
    while (ledger_next(allocate->ledger, &position)) {
        struct stream_message message = {
            .topic = str_of(position.topic), .partition = position.partition, .offset = position.offset};
        if (stream_store_offset(allocate->stream, &message) == 0 &&
            strcmp(position.topic, TOPIC_EXECUTIONS_FINISHED) == 0 &&
            position.partition < ALLOCATE_PARTITIONS_MAX)
            allocate->stored_records[position.partition] = position.offset;
    }
}

void effects_drain(struct allocate *allocate, int timeout_ms)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    while (allocate->failure == 0) {
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        effects_step(allocate);
        if (left_ms <= 0 || (stream_flush(allocate->stream, (int)left_ms) < 0) ||
            (allocate->settling == 0 && ledger_pending(allocate->ledger) == 0))
            break;
    }
    effects_store_offsets(allocate);
}
