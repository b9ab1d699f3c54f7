/* Topics: metadata, creation of those that are missing, the check of co-partitioning. */
#include "common/stream_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"

#define CREATE_TIMEOUT_MS 20000

const struct rd_kafka_metadata *stream_metadata(struct stream *stream, int timeout_ms, char *error,
                                                size_t error_size)
{
    const struct rd_kafka_metadata *metadata;
    /* All topics: asking for one by name makes a broker that allows it create the topic with its own
     * defaults. */
    rd_kafka_resp_err_t code = rd_kafka_metadata(stream->producer, 1, NULL, &metadata, timeout_ms);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return metadata;
    stream_serve_reports(stream);
    snprintf(error, error_size, "Kafka at %s does not answer: %s", stream->brokers,
             stream->counters.last_error[0] ? stream->counters.last_error : rd_kafka_err2str(code));
    return NULL;
}

static const struct rd_kafka_metadata_topic *
find_topic(const struct stream *stream, const struct rd_kafka_metadata *metadata, const char *topic)
{
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const char *name = metadata->topics[i].topic;
        if (strncmp(name, stream->prefix, stream->prefix_size) == 0 &&
            strcmp(name + stream->prefix_size, topic) == 0)
            return &metadata->topics[i];
    }
    return NULL;
}

static bool have_leaders(const struct stream *stream, const struct rd_kafka_metadata *metadata,
                         const char *const *topics, size_t count)
{
    for (size_t t = 0; t < count; t++) {
        const struct rd_kafka_metadata_topic *topic = find_topic(stream, metadata, topics[t]);
        for (int p = 0; topic && p < topic->partition_cnt; p++)
            if (topic->partitions[p].leader < 0)
                return false;
    }
    return true;
}

const struct rd_kafka_metadata *stream_metadata_led(struct stream *stream, const char *const *topics,
                                                    size_t count, char *error, size_t error_size)
{
    int64_t deadline_ms = clock_monotonic_ms() + STREAM_OPEN_TIMEOUT_MS;
    for (;;) {
        const struct rd_kafka_metadata *metadata =
            stream_metadata(stream, STREAM_OPEN_TIMEOUT_MS, error, error_size);
        if (!metadata || have_leaders(stream, metadata, topics, count) || clock_monotonic_ms() >= deadline_ms)
            return metadata; /* one without: what needs that partition will tell */
        rd_kafka_metadata_destroy(metadata);
        poll(NULL, 0, 50);
    }
}

int stream_metadata_partitions(const struct stream *stream, const struct rd_kafka_metadata *metadata,
                               const char *topic)
{
    const struct rd_kafka_metadata_topic *found = find_topic(stream, metadata, topic);
    return found && found->partition_cnt > 0 ? found->partition_cnt : -ENOENT;
}

int stream_partition_count(struct stream *stream, const char *topic, int timeout_ms)
{
    char error[256];
    const struct rd_kafka_metadata *metadata = stream_metadata(stream, timeout_ms, error, sizeof error);
    if (!metadata)
        return -EHOSTDOWN;
    int count = stream_metadata_partitions(stream, metadata, topic);
    rd_kafka_metadata_destroy(metadata);
    return count;
}

int stream_query_offsets(struct stream *stream, rd_kafka_t *handle, const char *full_name, int32_t partition,
                         int timeout_ms, int64_t *low, int64_t *high)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    for (;;) {
        int64_t first, end;
        rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
            handle, full_name, partition, &first, &end, FS_MIN(timeout_ms, STREAM_REQUEST_TIMEOUT_MS));
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            *low = first;
            *high = end;
            return 0;
        }
        stream_note_error(stream, rd_kafka_err2str(code));
        if (clock_monotonic_ms() >= deadline_ms)
            return -EHOSTDOWN;
        poll(NULL, 0, 20);
    }
}

int stream_topics_check(struct stream *stream, const char *const *topics, size_t count, char *error,
                        size_t error_size)
{
    const struct rd_kafka_metadata *metadata = stream_metadata_led(stream, topics, count, error, error_size);
    if (!metadata)
        return -EHOSTDOWN;
    int result = 0;
    for (size_t i = 0; i < count && result >= 0; i++) {
        int partitions = stream_metadata_partitions(stream, metadata, topics[i]);
        if (partitions < 0) {
            snprintf(error, error_size, "topic %s%s does not exist on Kafka at %s", stream->prefix, topics[i],
                     stream->brokers);
            result = -ENOENT;
        } else if (i > 0 && partitions != result) {
            snprintf(error, error_size,
                     "topics %s%s and %s%s must have the same number of partitions, they have %d and %d: add "
                     "partitions "
                     "to the smaller one",
                     stream->prefix, topics[0], stream->prefix, topics[i], result, partitions);
            result = -EINVAL;
        } else {
            result = partitions;
        }
    }
    rd_kafka_metadata_destroy(metadata);
    return result;
}

static rd_kafka_NewTopic_t *new_topic(const struct stream *stream, const struct stream_topic *topic,
                                      char *error, size_t error_size)
{
    char name[256], retention[32];
    snprintf(name, sizeof name, "%s%s", stream->prefix, topic->name);
    rd_kafka_NewTopic_t *created = rd_kafka_NewTopic_new(name, topic->partitions, -1, error, error_size);
    if (!created)
        return NULL;
    if (topic->compact) {
        rd_kafka_NewTopic_set_config(created, "cleanup.policy", "compact");
        /* Only closed segments are compacted: small ones keep what a new owner has to read short. */
        rd_kafka_NewTopic_set_config(created, "segment.bytes", "67108864");
        rd_kafka_NewTopic_set_config(created, "min.cleanable.dirty.ratio", "0.2");
    } else if (topic->retention_ms > 0) {
        snprintf(retention, sizeof retention, "%" PRId64, topic->retention_ms);
        rd_kafka_NewTopic_set_config(created, "retention.ms", retention);
    }
    return created;
}

static int creation_result(const rd_kafka_topic_result_t *result, const char *brokers, char *error,
                           size_t error_size)
{
    rd_kafka_resp_err_t code = rd_kafka_topic_result_error(result);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return 0;
    const char *reason = rd_kafka_topic_result_error_string(result);
    snprintf(error, error_size, "cannot create topic %s on Kafka at %s: %s",
             rd_kafka_topic_result_name(result), brokers, reason ? reason : rd_kafka_err2str(code));
    return code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
                   code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED
               ? -EACCES
               : -EIO;
}

static int event_result(const struct stream *stream, rd_kafka_event_t *event, char *error, size_t error_size)
{
    rd_kafka_resp_err_t code = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        snprintf(error, error_size, "cannot create topics on Kafka at %s: %s", stream->brokers,
                 event ? rd_kafka_event_error_string(event) : "no answer in time");
        if (code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE)
            return -ENOTSUP;
        return code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT ? -EHOSTDOWN
                                                                                            : -EIO;
    }
    size_t count;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = creation_result(results[i], stream->brokers, error, error_size);
    return result;
}

static int create_topics(struct stream *stream, rd_kafka_NewTopic_t **topics, size_t count, char *error,
                         size_t error_size)
{
    char reason[256];
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(stream->producer, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    /* Both only fail for values out of range. */
    (void)rd_kafka_AdminOptions_set_request_timeout(options, CREATE_TIMEOUT_MS, reason, sizeof reason);
    (void)rd_kafka_AdminOptions_set_operation_timeout(options, CREATE_TIMEOUT_MS / 2, reason, sizeof reason);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(stream->producer);
    rd_kafka_CreateTopics(stream->producer, topics, count, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CREATE_TIMEOUT_MS + 1000);
    int result = event_result(stream, event, error, error_size);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    return result;
}

/* Number of topics that are not there yet, put into missing[] (room for all); -EHOSTDOWN, -EIO. */
static int collect_missing(struct stream *stream, const struct stream_topic *topics, size_t count,
                           rd_kafka_NewTopic_t **missing, char *error, size_t error_size)
{
    const struct rd_kafka_metadata *metadata =
        stream_metadata(stream, STREAM_OPEN_TIMEOUT_MS, error, error_size);
    if (!metadata)
        return -EHOSTDOWN;
    int found = 0;
    for (size_t i = 0; i < count; i++) {
        if (stream_metadata_partitions(stream, metadata, topics[i].name) > 0)
            continue;
        rd_kafka_NewTopic_t *topic = missing ? new_topic(stream, &topics[i], error, error_size) : NULL;
        if (missing && !topic) {
            rd_kafka_NewTopic_destroy_array(missing, (size_t)found);
            found = -EIO;
            break;
        }
        if (missing)
            missing[found] = topic;
        found++;
    }
    rd_kafka_metadata_destroy(metadata);
    return found;
}

int stream_topics_ensure(struct stream *stream, const struct stream_topic *topics, size_t count, char *error,
                         size_t error_size)
{
    rd_kafka_NewTopic_t **missing = calloc(count + 1, sizeof(rd_kafka_NewTopic_t *));
    if (!missing) {
        snprintf(error, error_size, "out of memory");
        return -ENOMEM;
    }
    int found = collect_missing(stream, topics, count, missing, error, error_size);
    int result = found;
    if (found > 0) {
        result = create_topics(stream, missing, (size_t)found, error, error_size);
        rd_kafka_NewTopic_destroy_array(missing, (size_t)found);
    }
    free(missing);
    if (found <= 0 || result < 0)
        return result;
    /* Created topics show up in the metadata a little later. */
    int64_t deadline_ms = clock_monotonic_ms() + STREAM_OPEN_TIMEOUT_MS;
    do {
        result = collect_missing(stream, topics, count, NULL, error, error_size);
        if (result > 0)
            poll(NULL, 0, 10);
    } while (result > 0 && clock_monotonic_ms() < deadline_ms);
    if (result > 0)
        snprintf(error, error_size, "created topics do not show up on Kafka at %s", stream->brokers);
    return result > 0 ? -EIO : result;
}
