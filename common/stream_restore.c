/* Reads one partition from its beginning to its end on a consumer of its own, opened at the first use. A
 * restore inside another one's callback has a second consumer: on the same one it would take the outer one's
 * partition away. */
#include "common/stream_internal.h"

#include <errno.h>

#include "common/clock.h"

#define BATCH 256

static int open_restorer(struct stream *stream)
{
    rd_kafka_t **restorer = &stream->restorers[stream->restoring];
    if (*restorer)
        return 0;
    char error[256];
    struct stream_consumer_settings settings = {.read_committed = true, .hurried = true};
    rd_kafka_conf_t *conf = stream_config_consumer(stream, &settings, error, sizeof error);
    if (conf)
        *restorer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
    if (!*restorer) {
        if (conf)
            rd_kafka_conf_destroy(conf);
        stream_note_error(stream, error);
        return -ENOMEM;
    }
    rd_kafka_poll_set_consumer(*restorer);
    stream->restorer_queues[stream->restoring] = rd_kafka_queue_get_consumer(*restorer);
    return 0;
}

struct restore {
    struct stream *stream;
    rd_kafka_t *consumer;
    rd_kafka_queue_t *queue;
    const char *full_name;
    int32_t partition;
    int64_t end; /* as of the call */
    stream_restore_fn *on_message;
    void *context;
    bool finished;
};

static int take(struct restore *restore, const rd_kafka_message_t *raw)
{
    if (!raw->rkt || raw->partition != restore->partition ||
        strcmp(rd_kafka_topic_name(raw->rkt), restore->full_name) != 0)
        return 0; /* of the partition before */
    if (raw->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        restore->finished = true;
        return 0;
    }
    if (raw->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        stream_note_error(restore->stream, rd_kafka_message_errstr(raw));
        return raw->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
                       raw->err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION
                   ? -ENOENT
                   : 0; /* librdkafka goes on trying */
    }
    if (raw->offset + 1 >= restore->end)
        restore->finished = true;
    if (raw->offset >= restore->end)
        return 0;
    struct stream_message message;
    stream_message_from(restore->stream, raw, &message);
    return restore->on_message(restore->context, &message);
}

static int read_to_end(struct restore *restore, int64_t deadline_ms)
{
    rd_kafka_message_t *raw[BATCH];
    int result = 0;
    while (result >= 0 && !restore->finished) {
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        if (left_ms <= 0)
            return -ETIMEDOUT;
        /* Wait for one only: a batch call waits until its array is full. */
        ssize_t got = rd_kafka_consume_batch_queue(restore->queue, (int)FS_MIN(left_ms, 500), raw, 1);
        if (got == 1) {
            ssize_t more = rd_kafka_consume_batch_queue(restore->queue, 0, raw + 1, BATCH - 1);
            got += more > 0 ? more : 0;
        }
        for (ssize_t i = 0; i < got; i++) {
            if (result >= 0 && !restore->finished)
                result = take(restore, raw[i]);
            rd_kafka_message_destroy(raw[i]);
        }
    }
    return FS_MIN(result, 0);
}

static rd_kafka_resp_err_t assign_only(const struct restore *restore, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, restore->full_name, restore->partition)->offset = offset;
    rd_kafka_resp_err_t code = rd_kafka_assign(restore->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

static int read_partition(struct restore *restore, int64_t low, int64_t deadline_ms)
{
    struct stream *stream = restore->stream;
    rd_kafka_resp_err_t code = assign_only(restore, low);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return stream_errno(code);
    stream->restoring++;
    int result = read_to_end(restore, deadline_ms);
    stream->restoring--;
    (void)rd_kafka_assign(restore->consumer, NULL); /* stops fetching; cannot fail on an open consumer */
    return result;
}

int stream_restore(struct stream *stream, const char *topic, int32_t partition, stream_restore_fn *on_message,
                   void *context, int timeout_ms)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    if (stream->restoring == STREAM_RESTORE_DEPTH)
        return -EBUSY;
    struct stream_topic_entry *entry = stream_topic_add(stream, topic);
    int result = entry ? open_restorer(stream) : -ENOMEM;
    if (result < 0)
        return result;
    int partitions = stream_partition_count(stream, topic, FS_MIN(timeout_ms, STREAM_OPEN_TIMEOUT_MS));
    if (partitions < 0 || partition < 0 || partition >= partitions)
        return partitions < 0 ? partitions : -ENOENT;
    struct restore restore = {.stream = stream,
                              .consumer = stream->restorers[stream->restoring],
                              .queue = stream->restorer_queues[stream->restoring],
                              .full_name = entry->full_name,
                              .partition = partition,
                              .on_message = on_message,
                              .context = context};
    int64_t low;
    result = stream_query_offsets(stream, restore.consumer, entry->full_name, partition,
                                  FS_MIN(timeout_ms, STREAM_OPEN_TIMEOUT_MS), &low, &restore.end);
    if (result < 0)
        return result;
    return low >= restore.end ? 0 : read_partition(&restore, low, deadline_ms);
}
