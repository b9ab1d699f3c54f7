/* Batches: draining librdkafka's queue, dropping what is stale, positions, pause, resume, seek.
 *
 * librdkafka 2.0 may hand over messages of revoked partitions and may go on at a wrong offset after pause and
 * resume (fixed in 2.1). So the position of each partition is kept here: messages before it are dropped, and
 * resume seeks to it. The queue is drained without waiting, because rd_kafka_consume_batch_queue() waits
 * until the array is full; waiting is done on the event descriptor, which delivery reports wake as well. */
#include "common/stream_internal.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "common/clock.h"

#define WAIT_SLICE_MS 100 /* the longest that a lost wake-up could cost */
#define PROBE_EVERY_MS 1000
#define PROBE_TIMEOUT_MS 100

void stream_message_from(const struct stream *stream, const rd_kafka_message_t *raw,
                         struct stream_message *out)
{
    const char *name = rd_kafka_topic_name(raw->rkt) + stream->prefix_size;
    rd_kafka_timestamp_type_t type;
    *out = (struct stream_message){.topic = str_of(name),
                                   .partition = raw->partition,
                                   .offset = raw->offset,
                                   .timestamp_ms = rd_kafka_message_timestamp(raw, &type),
                                   .key = raw->key,
                                   .key_size = raw->key_len,
                                   .value = raw->payload,
                                   .value_size = raw->len,
                                   .handle = raw};
}

/* The slot of a consumed message, or NULL when its partition is not ours. */
static struct stream_slot *slot_of(struct stream *stream, const rd_kafka_message_t *raw)
{
    const char *name = rd_kafka_topic_name(raw->rkt);
    struct stream_topic_entry *topic = &stream->topics[stream->last_consumed_topic];
    if (stream->topic_count == 0 || strcmp(topic->full_name, name) != 0) {
        topic = stream_topic_find(stream, name + stream->prefix_size);
        if (!topic)
            return NULL;
        stream->last_consumed_topic = (size_t)(topic - stream->topics);
    }
    if (raw->partition < 0 || raw->partition >= topic->slot_count || !topic->slots[raw->partition].assigned)
        return NULL;
    return &topic->slots[raw->partition];
}

/* True when the partition must be read again from its position: an end met in the drain of its assignment may
 * be that of an earlier one, and librdkafka tells an end only once. */
static bool take_event(struct stream *stream, const rd_kafka_message_t *raw)
{
    struct stream_slot *slot = raw->rkt ? slot_of(stream, raw) : NULL;
    if (raw->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        stream->counters.broker_errors++;
        stream_note_error(stream, rd_kafka_message_errstr(raw));
        return false;
    }
    if (!slot)
        return false;
    slot->reseek = slot->assigned_drain == stream->drain;
    slot->lost = !slot->reseek && stream_lost_end(stream, raw, slot);
    stream->any_lost |= slot->lost;
    slot->end_seen = !slot->reseek && !slot->lost;
    return slot->reseek;
}

/* Whether this message is the next of its partition; moves the position. */
static bool take_message(struct stream *stream, const rd_kafka_message_t *raw)
{
    struct stream_slot *slot = slot_of(stream, raw);
    if (!slot)
        return false;
    if (slot->assigned_drain == stream->drain) {
        slot->reseek = true; /* of this or of an earlier assignment? read them again */
        return false;
    }
    if (raw->offset < slot->position) {
        slot->lost = slot->lost || stream_lost_end(stream, raw, slot);
        stream->any_lost |= slot->lost;
        return false;
    }
    if (slot->end_target < 0) {
        int64_t low, high = -1;
        rd_kafka_resp_err_t code = rd_kafka_get_watermark_offsets(
            stream->consumer, rd_kafka_topic_name(raw->rkt), raw->partition, &low, &high);
        slot->end_target = code == RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0 ? high : -1;
    }
    slot->position = raw->offset + 1;
    rd_kafka_timestamp_type_t type;
    slot->known_ms = rd_kafka_message_timestamp(raw, &type);
    return true;
}

static void reseek_slots(struct stream *stream)
{
    for (size_t t = 0; t < stream->topic_count; t++) {
        const struct stream_topic_entry *topic = &stream->topics[t];
        for (int32_t p = 0; p < topic->slot_count; p++) {
            if (!topic->slots[p].reseek)
                continue;
            topic->slots[p].reseek = false;
            if (stream_seek_slot(stream, topic, p, topic->slots[p].position) < 0)
                (void)stream_fail(stream, "cannot seek after a rebalance"); /* the next call reports it */
        }
    }
}

/* Fills stream->messages; returns how many. */
static size_t drain(struct stream *stream)
{
    stream->drain++;
    ssize_t got = rd_kafka_consume_batch_queue(stream->consumer_queue, 0, stream->raw, STREAM_BATCH_MAX);
    size_t kept = 0;
    bool reseek = false;
    for (ssize_t i = 0; i < got; i++) {
        rd_kafka_message_t *raw = stream->raw[i];
        if (raw->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            reseek |= take_event(stream, raw);
        } else if (take_message(stream, raw)) {
            stream_message_from(stream, raw, &stream->messages[kept]);
            stream->raw[kept++] = raw;
            continue;
        } else {
            stream->counters.dropped_stale++;
            reseek = true;
        }
        rd_kafka_message_destroy(raw);
    }
    if (reseek)
        reseek_slots(stream);
    if (stream->any_lost)
        stream_find_lost(stream);
    if (got == STREAM_BATCH_MAX)
        stream_wake(stream); /* librdkafka signals only when the queue turns non-empty */
    stream->raw_count = kept;
    stream->counters.consumed += kept;
    return kept;
}

/* While every broker is away: asks one second after the other whether one is back. Nothing else tells: a
 * message or a report may have been waiting here since before. */
static void probe(struct stream *stream)
{
    int64_t now_ms = clock_monotonic_ms();
    if (!stream->disconnected || now_ms < stream->probe_at_ms)
        return;
    stream->probe_at_ms = now_ms + PROBE_EVERY_MS;
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(stream->producer, 0, NULL, &metadata, PROBE_TIMEOUT_MS) ==
        RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(metadata);
        stream_note_answer(stream);
    }
}

static void clear_events(struct stream *stream)
{
    uint64_t count;
    ssize_t size = read(stream->event_fd, &count, sizeof count);
    (void)size; /* EAGAIN: nothing was signalled */
}

int stream_poll(struct stream *stream, struct stream_batch *batch, int timeout_ms)
{
    assert(!stream->batch_out);
    *batch = (struct stream_batch){.stream = stream};
    stream->batch_out = true;
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    for (;;) {
        clear_events(stream); /* before looking: what comes later signals again */
        stream_serve_reports(stream);
        if (stream->mode != STREAM_MODE_NONE) {
            stream_hand_offsets(stream);
            batch->count = drain(stream);
            batch->messages = stream->messages;
        }
        if (stream->disconnected)
            probe(stream);
        if (stream_check_fatal(stream) < 0) {
            batch->count = 0; /* nothing may take effect any more */
            return -EPIPE;
        }
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        if (batch->count > 0 || left_ms <= 0)
            return (int)batch->count;
        struct pollfd events = {.fd = stream->event_fd, .events = POLLIN};
        if (poll(&events, 1, (int)FS_MIN(left_ms, WAIT_SLICE_MS)) < 0 && errno == EINTR)
            return 0; /* a signal: the caller may want to stop */
    }
}

void stream_batch_release(struct stream_batch *batch)
{
    struct stream *stream = batch->stream;
    if (!stream)
        return;
    for (size_t i = 0; i < stream->raw_count; i++)
        rd_kafka_message_destroy(stream->raw[i]);
    stream->raw_count = 0;
    stream->batch_out = false;
    *batch = (struct stream_batch){0};
}

bool stream_message_header(const struct stream_message *message, const char *name, struct str *value)
{
    rd_kafka_headers_t *headers;
    const void *data;
    size_t size;
    if (rd_kafka_message_headers(message->handle, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, name, &data, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    *value = (struct str){data, size};
    return true;
}

int stream_stop_or_go(struct stream *stream, const struct stream_topic_entry *topic, int32_t partition)
{
    struct stream_slot *slot = &topic->slots[partition];
    bool stop = slot->paused || slot->retry_at_ms > 0;
    if (slot->stopped == stop)
        return 0;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic->full_name, partition);
    rd_kafka_resp_err_t code = stop ? rd_kafka_pause_partitions(stream->consumer, list)
                                    : rd_kafka_resume_partitions(stream->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return stream_errno(code);
    slot->stopped = stop;
    return stop ? 0 : stream_seek_slot(stream, topic, partition, slot->position);
}

static int set_paused(struct stream *stream, const char *name, int32_t partition, bool paused)
{
    struct stream_slot *slot = stream_slot_find(stream, name, partition);
    if (!slot)
        return -ESTALE;
    slot->paused = paused;
    return stream_stop_or_go(stream, stream_topic_find(stream, name), partition);
}

int stream_pause(struct stream *stream, const char *topic, int32_t partition)
{
    return set_paused(stream, topic, partition, true);
}

int stream_resume(struct stream *stream, const char *topic, int32_t partition)
{
    return set_paused(stream, topic, partition, false);
}

int stream_seek_slot(struct stream *stream, const struct stream_topic_entry *topic, int32_t partition,
                     int64_t offset)
{
    if (offset == RD_KAFKA_OFFSET_STORED)
        return 0; /* its start is still being looked up: nothing was handed out, nothing to go back over */
    /* 2.0 takes the time-out of rd_kafka_seek_partitions() as microseconds. */
    int timeout_ms =
        rd_kafka_version() < 0x020100ff ? STREAM_REQUEST_TIMEOUT_MS * 1000 : STREAM_REQUEST_TIMEOUT_MS;
    int64_t deadline_ms = clock_monotonic_ms() + STREAM_REQUEST_TIMEOUT_MS;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *element =
        rd_kafka_topic_partition_list_add(list, topic->full_name, partition);
    rd_kafka_resp_err_t code;
    do {
        element->offset = offset;
        code = stream_take_error(stream, rd_kafka_seek_partitions(stream->consumer, list, timeout_ms));
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            code = element->err;
        if (code == RD_KAFKA_RESP_ERR__STATE) /* the partition is just being started */
            poll(NULL, 0, 5);
    } while (code == RD_KAFKA_RESP_ERR__STATE && clock_monotonic_ms() < deadline_ms);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        stream_note_error(stream, rd_kafka_err2str(code));
        return -EIO;
    }
    topic->slots[partition].position = offset;
    topic->slots[partition].end_seen = false;
    return 0;
}

int stream_seek(struct stream *stream, const char *topic, int32_t partition, int64_t offset)
{
    struct stream_slot *slot = stream_slot_find(stream, topic, partition);
    if (!slot)
        return -ESTALE;
    if (slot->stopped) { /* going on seeks */
        slot->position = offset;
        return 0;
    }
    return stream_seek_slot(stream, stream_topic_find(stream, topic), partition, offset);
}

static bool is_caught_up(const struct stream_slot *slot)
{
    return slot->end_seen || (slot->end_target >= 0 && slot->position >= slot->end_target);
}

bool stream_partition_caught_up(struct stream *stream, const char *topic, int32_t partition)
{
    const struct stream_slot *slot = stream_slot_find(stream, topic, partition);
    return slot && is_caught_up(slot);
}

bool stream_caught_up(const struct stream *stream)
{
    size_t assigned = 0;
    for (size_t t = 0; t < stream->topic_count; t++) {
        const struct stream_topic_entry *topic = &stream->topics[t];
        for (int32_t p = 0; p < topic->slot_count; p++) {
            if (!topic->slots[p].assigned)
                continue;
            assigned++;
            if (!is_caught_up(&topic->slots[p]))
                return false;
        }
    }
    return assigned > 0;
}

size_t stream_assigned_count(const struct stream *stream)
{
    size_t assigned = 0;
    for (size_t t = 0; t < stream->topic_count; t++) {
        for (int32_t p = 0; p < stream->topics[t].slot_count; p++)
            assigned += stream->topics[t].slots[p].assigned;
    }
    return assigned;
}
