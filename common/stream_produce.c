/* Producing: copies into librdkafka's queue, delivery reports to callbacks, quarantine. */
#include "common/stream_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/topics.h"

#define DELIVERIES_PER_BLOCK 256
#define QUARANTINE_REDUCED_BYTES ((size_t)64 << 10)

/* As many blocks as reports were ever pending at once; librdkafka's queue bounds that. */
struct stream_delivery_block {
    struct stream_delivery_block *next;
    struct stream_delivery deliveries[DELIVERIES_PER_BLOCK];
};

static struct stream_delivery *delivery_take(struct stream *stream)
{
    if (!stream->free_deliveries) {
        struct stream_delivery_block *block = malloc(sizeof *block);
        if (!block)
            return NULL;
        block->next = stream->delivery_blocks;
        stream->delivery_blocks = block;
        for (size_t i = 0; i < DELIVERIES_PER_BLOCK; i++) {
            block->deliveries[i].next = stream->free_deliveries;
            stream->free_deliveries = &block->deliveries[i];
        }
    }
    struct stream_delivery *delivery = stream->free_deliveries;
    stream->free_deliveries = delivery->next;
    return delivery;
}

static void delivery_give(struct stream *stream, struct stream_delivery *delivery)
{
    if (!delivery)
        return;
    delivery->next = stream->free_deliveries;
    stream->free_deliveries = delivery;
}

void stream_deliveries_free(struct stream *stream)
{
    while (stream->delivery_blocks) {
        struct stream_delivery_block *next = stream->delivery_blocks->next;
        free(stream->delivery_blocks);
        stream->delivery_blocks = next;
    }
}

void stream_delivery_report(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
    (void)handle;
    struct stream *stream = opaque;
    struct stream_delivery *delivery = message->_private;
    int result = stream_errno(message->err);
    if (result == 0) {
        stream->counters.delivered++;
    } else {
        stream->counters.delivery_failed++;
        stream_note_error(stream, rd_kafka_err2str(message->err));
    }
    if (!delivery)
        return;
    struct stream_delivery report = *delivery;
    delivery_give(stream, delivery); /* before the callback: it may produce */
    report.on_delivered(report.context, result);
}

static rd_kafka_topic_t *producer_topic(struct stream *stream, const char *name)
{
    struct stream_topic_entry *last = &stream->topics[stream->last_produced_topic];
    if (stream->topic_count > 0 && last->producer_topic && strcmp(last->name, name) == 0)
        return last->producer_topic;
    struct stream_topic_entry *entry = stream_topic_add(stream, name);
    if (!entry)
        return NULL;
    if (!entry->producer_topic)
        entry->producer_topic = rd_kafka_topic_new(stream->producer, entry->full_name, NULL);
    stream->last_produced_topic = (size_t)(entry - stream->topics);
    return entry->producer_topic;
}

static int produce_once(rd_kafka_topic_t *topic, int32_t partition, struct str key, struct str value,
                        struct stream_delivery *delivery)
{
    /* librdkafka does not write to the payload, its prototype only lacks the const. */
    int result = rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)value.data,
                                  value.size, key.data, key.size, delivery);
    return result == 0 ? 0 : stream_errno(rd_kafka_last_error());
}

/* Counts, and finds the reason behind a refusal. */
static int produce_result(struct stream *stream, int result)
{
    if (result == 0)
        stream->counters.produced++;
    else if (result == -EAGAIN)
        stream->counters.produce_refused++;
    else if (stream_check_fatal(stream) < 0)
        result = -EPIPE;
    return result;
}

int stream_produce_to(struct stream *stream, const char *topic, int32_t partition, const void *key,
                      size_t key_size, const void *value, size_t value_size,
                      stream_delivered_fn *on_delivered, void *context)
{
    if (stream->failure)
        return stream->failure;
    if (stream->transactional && !stream->in_transaction)
        return stream->transaction_lost ? -ECANCELED : -EINVAL;
    rd_kafka_topic_t *handle = producer_topic(stream, topic);
    if (!handle)
        return -ENOMEM;
    struct stream_delivery *delivery = NULL;
    if (on_delivered) {
        delivery = delivery_take(stream);
        if (!delivery)
            return -ENOMEM;
        *delivery = (struct stream_delivery){.on_delivered = on_delivered, .context = context};
    }
    struct str key_bytes = {key, key_size}, value_bytes = {value, value_size};
    if (stream->framer.frame && value)
        value_bytes = stream->framer.frame(stream->framer.context, topic, value_bytes);
    int result = produce_once(handle, partition, key_bytes, value_bytes, delivery);
    if (result == -EAGAIN) {
        stream_serve_reports(stream); /* reports that nobody takes would keep the queue full for ever */
        result = produce_once(handle, partition, key_bytes, value_bytes, delivery);
    }
    if (result < 0)
        delivery_give(stream, delivery);
    return produce_result(stream, result);
}

int stream_produce(struct stream *stream, const char *topic, const void *key, size_t key_size,
                   const void *value, size_t value_size, stream_delivered_fn *on_delivered, void *context)
{
    return stream_produce_to(stream, topic, RD_KAFKA_PARTITION_UA, key, key_size, value, value_size,
                             on_delivered, context);
}

int stream_flush(struct stream *stream, int timeout_ms)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    /* In slices, so that a fatal error ends the wait. */
    while (rd_kafka_outq_len(stream->producer) > 0) {
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        if (left_ms <= 0)
            return -ETIMEDOUT;
        if (stream_check_fatal(stream) < 0)
            return -EPIPE;
        rd_kafka_flush(stream->producer, (int)FS_MIN(left_ms, 200));
    }
    return stream_check_fatal(stream);
}

int32_t stream_partition_of(const void *key, size_t key_size, int32_t partition_count)
{
    return rd_kafka_msg_partitioner_murmur2(NULL, key, key_size, partition_count, NULL, NULL);
}

static rd_kafka_headers_t *quarantine_headers(const struct stream_message *message, const char *service,
                                              const char *origin, const char *reason, size_t truncated_from)
{
    char number[32];
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    rd_kafka_header_add(headers, "service", -1, service, -1);
    rd_kafka_header_add(headers, "reason", -1, reason, -1);
    if (origin)
        rd_kafka_header_add(headers, "origin", -1, origin, -1);
    if (message) {
        rd_kafka_header_add(headers, "topic", -1, message->topic.data, (ssize_t)message->topic.size);
        snprintf(number, sizeof number, "%" PRId32, message->partition);
        rd_kafka_header_add(headers, "partition", -1, number, -1);
        snprintf(number, sizeof number, "%" PRId64, message->offset);
        rd_kafka_header_add(headers, "offset", -1, number, -1);
    }
    if (truncated_from > 0) {
        snprintf(number, sizeof number, "%zu", truncated_from);
        rd_kafka_header_add(headers, "truncated", -1, number, -1);
    }
    return headers;
}

static int quarantine_once(struct stream *stream, rd_kafka_topic_t *topic, struct str key, struct str value,
                           rd_kafka_headers_t *headers, struct stream_delivery *delivery)
{
    rd_kafka_resp_err_t code = rd_kafka_producev(
        stream->producer, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_KEY((void *)(uintptr_t)key.data, key.size),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)value.data, value.size), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(delivery), RD_KAFKA_V_END);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_headers_destroy(headers); /* taken over only on success */
    return stream_errno(code);
}

/* What is written about the bytes, beside them. */
struct quarantined {
    const struct stream_message *message; /* NULL: they did not come from Kafka */
    const char *service, *origin, *reason;
};

static int quarantine_reducing(struct stream *stream, rd_kafka_topic_t *topic,
                               const struct quarantined *about, struct str value,
                               struct stream_delivery *delivery)
{
    const struct stream_message *message = about->message;
    struct str key = {NULL, 0};
    if (message && message->key)
        key = (struct str){message->key, message->key_size};
    int result = quarantine_once(stream, topic, key, value,
                                 quarantine_headers(message, about->service, about->origin, about->reason, 0),
                                 delivery);
    if (result == -EAGAIN) {
        stream_serve_reports(stream);
        result = quarantine_once(stream, topic, key, value,
                                 quarantine_headers(message, about->service, about->origin, about->reason, 0),
                                 delivery);
    }
    if (result == -EMSGSIZE) {
        struct str head = {value.data, FS_MIN(value.size, QUARANTINE_REDUCED_BYTES)};
        key.size = FS_MIN(key.size, QUARANTINE_REDUCED_BYTES);
        result = quarantine_once(
            stream, topic, key, head,
            quarantine_headers(message, about->service, about->origin, about->reason, value.size), delivery);
    }
    return result;
}

static int quarantine(struct stream *stream, const struct quarantined *about, struct str value,
                      stream_delivered_fn *on_delivered, void *context)
{
    if (stream->failure)
        return stream->failure;
    if (stream->transactional && !stream->in_transaction)
        return stream->transaction_lost ? -ECANCELED : -EINVAL;
    rd_kafka_topic_t *topic = producer_topic(stream, TOPIC_QUARANTINE);
    struct stream_delivery *delivery = NULL;
    if (!topic)
        return -ENOMEM;
    if (on_delivered) {
        delivery = delivery_take(stream);
        if (!delivery)
            return -ENOMEM;
        *delivery = (struct stream_delivery){.on_delivered = on_delivered, .context = context};
    }
    int result = quarantine_reducing(stream, topic, about, value, delivery);
    if (result == 0)
        stream->counters.quarantined++;
    else
        delivery_give(stream, delivery);
    return produce_result(stream, result);
}

int stream_quarantine_reported(struct stream *stream, const struct stream_message *message,
                               const char *service, const char *reason, stream_delivered_fn *on_delivered,
                               void *context)
{
    struct quarantined about = {.message = message, .service = service, .reason = reason};
    return quarantine(stream, &about, (struct str){message->value, message->value_size}, on_delivered,
                      context);
}

int stream_quarantine(struct stream *stream, const struct stream_message *message, const char *service,
                      const char *reason)
{
    return stream_quarantine_reported(stream, message, service, reason, NULL, NULL);
}

int stream_quarantine_bytes(struct stream *stream, const void *value, size_t value_size, const char *service,
                            const char *origin, const char *reason, stream_delivered_fn *on_delivered,
                            void *context)
{
    struct quarantined about = {.service = service, .origin = origin, .reason = reason};
    return quarantine(stream, &about, (struct str){value, value_size}, on_delivered, context);
}
