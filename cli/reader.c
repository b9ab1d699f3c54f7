/* See reader.h. */
#include "cli/reader.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "schemas/topic_types.h"

#define ARENA_BLOCK_BYTES (1u << 20)
#define ARENA_BYTES (64u << 20) /* a dead letter is at most 900 KiB; its arrays are larger in memory */
#define COUNT_TIMEOUT_MS 10000

struct reader {
    struct stream *stream;
    struct topic_codec *codec;
    struct arena *arena;
    void *message; /* room for the largest type */
    uint64_t unreadable;
    char reason[256]; /* of the last of them */
};

static size_t largest_type(void)
{
    size_t size = 1, cursor = 0;
    const char *topic;
    const struct msg_type *type;
    while (topic_type_next(&cursor, &topic, &type))
        size = FS_MAX(size, type->size);
    return size;
}

struct reader *reader_open(const struct target *target, char *error, size_t error_size)
{
    struct reader *reader = calloc(1, sizeof *reader);
    if (!reader) {
        (void)snprintf(error, error_size, "out of memory");
        return NULL;
    }
    reader->stream = target_stream(target, error, error_size);
    if (reader->stream) {
        reader->codec = topic_codec_create(reader->stream);
        reader->arena = arena_create(ARENA_BLOCK_BYTES, ARENA_BYTES);
        reader->message = malloc(largest_type());
        if (reader->codec && reader->arena && reader->message)
            return reader;
        (void)snprintf(error, error_size, "out of memory");
    }
    reader_close(reader);
    return NULL;
}

/* Said once, or what a command shows would look whole. */
static void tell_unreadable(const struct reader *reader)
{
    if (reader->unreadable > 0)
        (void)fprintf(stderr, "forestall: %" PRIu64 " message%s could not be read and %s not shown: %s\n",
                      reader->unreadable, reader->unreadable == 1 ? "" : "s",
                      reader->unreadable == 1 ? "is" : "are", reader->reason);
}

void reader_close(struct reader *reader)
{
    if (!reader)
        return;
    tell_unreadable(reader);
    topic_codec_destroy(reader->codec);
    stream_close(reader->stream);
    arena_destroy(reader->arena);
    free(reader->message);
    free(reader);
}

struct stream *reader_stream(struct reader *reader)
{
    return reader->stream;
}

int reader_add_topics(struct reader *reader, const char *const *topics, size_t count, enum stream_start start,
                      char *error, size_t error_size)
{
    return stream_assign_all(reader->stream, topics, count, start, true, error, error_size);
}

static int unreadable_topic(const char *topic, int result, char *error, size_t error_size)
{
    (void)snprintf(error, error_size, "topic %s cannot be read: %s", topic,
                   result == -ENOENT ? "it does not exist (no service was ever started here?)"
                                     : strerror(-result));
    return result;
}

int reader_add_keys(struct reader *reader, const struct reader_key *keys, size_t count,
                    enum stream_start start, char *error, size_t error_size)
{
    struct stream_position starts[READER_KEYS_MAX] = {0};
    assert(count <= READER_KEYS_MAX);
    for (size_t i = 0; i < count; i++) {
        int partitions = stream_partition_count(reader->stream, keys[i].topic, COUNT_TIMEOUT_MS);
        if (partitions < 0)
            return unreadable_topic(keys[i].topic, partitions, error, error_size);
        starts[i] = (struct stream_position){
            .topic = keys[i].topic,
            .partition = stream_partition_of(keys[i].key.data, keys[i].key.size, partitions),
            .offset = start == STREAM_FROM_END ? STREAM_OFFSET_END : STREAM_OFFSET_BEGINNING,
        };
    }
    int result = stream_assign_at(reader->stream, starts, count);
    if (result < 0)
        (void)snprintf(error, error_size, "cannot read from Kafka (topic %s%s): %s", keys[0].topic,
                       count > 1 ? " and others" : "", strerror(-result));
    return result;
}

static int hand_out(struct reader *reader, const struct stream_message *message, reader_fn *on_message,
                    void *context)
{
    const struct msg_type *type = topic_type(message->topic.data);
    struct reader_message out = {.topic = message->topic.data,
                                 .partition = message->partition,
                                 .offset = message->offset,
                                 .timestamp_ms = message->timestamp_ms,
                                 .key = {message->key, message->key_size},
                                 .type = type};
    if (!type)
        return 0;
    if (message->value) {
        arena_reset(reader->arena);
        enum stream_outcome outcome = topic_codec_decode(reader->codec, type, message, reader->arena,
                                                         reader->message, clock_monotonic_ms());
        if (outcome !=
            STREAM_DONE) { /* unreadable, or of a version that nobody announced: others can be read */
            reader->unreadable++;
            (void)snprintf(reader->reason, sizeof reader->reason, "%s",
                           outcome == STREAM_RETRY ? "their version's schema is not in the topic schemas"
                                                   : stream_reason(reader->stream));
            return 0;
        }
        out.message = reader->message;
    }
    return on_message(context, &out);
}

/* *done: a callback had enough; the rest of the batch is dropped then. */
static int poll_once(struct reader *reader, reader_fn *on_message, void *context, int timeout_ms, bool *done)
{
    struct stream_batch batch;
    int count = stream_poll(reader->stream, &batch, timeout_ms), result = 0;
    for (size_t i = 0; count > 0 && i < batch.count && result == 0; i++)
        result = hand_out(reader, &batch.messages[i], on_message, context);
    stream_batch_release(&batch);
    *done = result == 1;
    return result < 0 ? result : count;
}

int reader_poll(struct reader *reader, reader_fn *on_message, void *context, int timeout_ms)
{
    bool done;
    return poll_once(reader, on_message, context, timeout_ms, &done);
}

int reader_scan(struct reader *reader, reader_fn *on_message, void *context, int64_t timeout_ms)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    for (;;) {
        bool done, complete = stream_caught_up(reader->stream);
        int result = poll_once(reader, on_message, context, complete ? 0 : 50, &done);
        if (result < 0 || done)
            return done ? 1 : result;
        if (complete && result == 0)
            return 0;
        if (clock_monotonic_ms() >= deadline_ms)
            return -ETIMEDOUT;
    }
}
