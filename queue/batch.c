/* One batch: each record is decoded and given to the ledger of its partition; what belongs elsewhere is
 * passed on, what cannot be read goes to quarantine, what cannot be read yet is held. */
#include <errno.h>

#include "queue/server.h"

#define HOLD_MS 200 /* between two tries to read a record whose schema is not known yet */

static const struct msg_type *const input_types[INPUT_COUNT] = {
    [INPUT_REQUESTED] = &msg_execution_request_type,
    [INPUT_EVENTS] = &msg_execution_event_type,
    [INPUT_NODES] = &msg_node_status_type,
    [INPUT_VERDICTS] = &msg_verdict_type,
};

union message {
    struct msg_execution_request request;
    struct msg_execution_event event;
    struct msg_node_status status;
    struct msg_verdict verdict;
};

static enum input input_of(const struct stream_message *message)
{
    enum input input = 0;
    while (input < INPUT_COUNT && strcmp(message->topic.data, input_topics[input]) != 0)
        input++;
    return input;
}

static struct str pool_of(enum input input, const union message *decoded)
{
    switch (input) {
    case INPUT_REQUESTED:
        return decoded->request.pool;
    case INPUT_EVENTS:
        return decoded->event.pool;
    case INPUT_NODES:
        return decoded->status.pool;
    case INPUT_VERDICTS:
        return decoded->verdict.pool;
    case INPUT_COUNT:
        break;
    }
    return (struct str){NULL, 0};
}

static int give(struct server *server, struct ledger *ledger, enum input input, const union message *decoded,
                int64_t published_us, const char **fault)
{
    switch (input) {
    case INPUT_REQUESTED:
        return ledger_request(ledger, &decoded->request, server->at, fault);
    case INPUT_EVENTS:
        return ledger_event(ledger, &decoded->event, server->at, fault);
    case INPUT_NODES:
        return ledger_status(ledger, &decoded->status, published_us, server->at, fault);
    case INPUT_VERDICTS:
        return ledger_verdict(ledger, &decoded->verdict, server->at, fault);
    case INPUT_COUNT:
        break;
    }
    return 0;
}

/* An empty pool belongs nowhere: it is dealt with where it was found. */
static bool elsewhere(const struct server *server, const struct stream_message *message, struct str pool)
{
    return pool.size > 0 &&
           stream_partition_of(pool.data, pool.size, server->partition_count) != message->partition;
}

static void hold(struct server *server, struct slot *slot, enum input input,
                 const struct stream_message *message)
{
    slot->skipped_batch = server->batch_number;
    slot->held_until_ms = server->now_ms + HOLD_MS;
    if (stream_seek(server->stream, input_topics[input], message->partition, message->offset) < 0 ||
        stream_pause(server->stream, input_topics[input], message->partition) < 0)
        slot->held_until_ms = 0; /* just revoked: it comes to its next owner */
}

static int64_t published_us(const struct server *server, const struct stream_message *message)
{
    return message->timestamp_ms > 0 ? message->timestamp_ms * 1000 : server->at.now_us;
}

static void take(struct server *server, struct slot *slot, enum input input,
                 const struct stream_message *message)
{
    union message decoded;
    const char *fault = NULL;
    arena_reset(server->arena);
    enum stream_outcome outcome = message->value
                                      ? topic_codec_decode(server->codec, input_types[input], message,
                                                           server->arena, &decoded, server->now_ms)
                                      : STREAM_DONE;
    if (outcome == STREAM_RETRY) {
        hold(server, slot, input, message);
        return;
    }
    slot->next = message->offset + 1;
    server->positions_moved = true;
    struct str pool =
        outcome == STREAM_DONE && message->value ? pool_of(input, &decoded) : (struct str){NULL, 0};
    if (outcome != STREAM_DONE || !message->value)
        effects_quarantine(server, message,
                           !message->value           ? "a record without a value"
                           : outcome == STREAM_FATAL ? "larger than can be decoded"
                                                     : stream_reason(server->stream));
    else if (elsewhere(server, message, pool))
        effects_republish(server, message, pool);
    else if (give(server, server->partitions[message->partition].ledger, input, &decoded,
                  published_us(server, message), &fault) == -EINVAL)
        effects_quarantine(server, message, fault);
}

void batch_take(struct server *server, const struct stream_batch *batch)
{
    server->batch_number++;
    for (size_t i = 0; i < batch->count && server->trouble == 0; i++) {
        const struct stream_message *message = &batch->messages[i];
        enum input input = input_of(message);
        struct slot *slot = input < INPUT_COUNT ? partitions_slot(server, input, message->partition) : NULL;
        if (slot && slot->skipped_batch != server->batch_number)
            take(server, slot, input, message);
    }
}
