/* Topics as they are on the broker: partitions from the metadata, clean-up and retention by DescribeConfigs.
 */
#include "common/stream_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define DESCRIBE_TIMEOUT_MS 10000

static void take_entry(const rd_kafka_ConfigEntry_t *entry, struct stream_topic_state *out)
{
    const char *name = rd_kafka_ConfigEntry_name(entry), *value = rd_kafka_ConfigEntry_value(entry);
    if (!value)
        return;
    if (strcmp(name, "cleanup.policy") == 0) {
        out->compacts = strstr(value, "compact") != NULL;
        out->deletes = strstr(value, "delete") != NULL;
    } else if (strcmp(name, "retention.ms") == 0) {
        out->retention_ms = strtoll(value, NULL, 10);
    }
}

/* Which of ours a described resource is; -1: none. */
static int index_of(const struct stream *stream, const char *full_name, const char *const *topics,
                    size_t count)
{
    if (strncmp(full_name, stream->prefix, stream->prefix_size) != 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (strcmp(full_name + stream->prefix_size, topics[i]) == 0)
            return (int)i;
    return -1;
}

static int refused(const struct stream *stream, rd_kafka_resp_err_t code, const char *reason, char *error,
                   size_t error_size)
{
    (void)snprintf(error, error_size, "Kafka at %s does not tell the settings of its topics: %s",
                   stream->brokers, reason ? reason : rd_kafka_err2str(code));
    switch (code) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return -EACCES;
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
        return -EHOSTDOWN;
    default:
        return -EIO;
    }
}

static int take_resources(const struct stream *stream, rd_kafka_event_t *event, const char *const *topics,
                          size_t count, struct stream_topic_state *out, char *error, size_t error_size)
{
    size_t resource_count, entry_count;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &resource_count);
    for (size_t i = 0; i < resource_count; i++) {
        int index = index_of(stream, rd_kafka_ConfigResource_name(resources[i]), topics, count);
        rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resources[i]);
        if (index < 0 || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
            continue;
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return refused(stream, code, rd_kafka_ConfigResource_error_string(resources[i]), error,
                           error_size);
        const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resources[i], &entry_count);
        for (size_t e = 0; e < entry_count; e++)
            take_entry(entries[e], &out[index]);
        out[index].known = out[index].compacts || out[index].deletes;
    }
    return 0;
}

static int describe(struct stream *stream, rd_kafka_ConfigResource_t **resources, size_t resource_count,
                    const char *const *topics, size_t count, struct stream_topic_state *out, char *error,
                    size_t error_size)
{
    char reason[256];
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(stream->producer, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    /* Only fails for a value out of range. */
    (void)rd_kafka_AdminOptions_set_request_timeout(options, DESCRIBE_TIMEOUT_MS, reason, sizeof reason);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(stream->producer);
    rd_kafka_DescribeConfigs(stream->producer, resources, resource_count, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, DESCRIBE_TIMEOUT_MS + 1000);
    rd_kafka_resp_err_t code = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    int result = 0;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        result = take_resources(stream, event, topics, count, out, error, error_size);
    else if (code != RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE) /* nothing known, which is no fault */
        result = refused(stream, code, event ? rd_kafka_event_error_string(event) : NULL, error, error_size);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    return result;
}

static int describe_existing(struct stream *stream, const char *const *topics, size_t count,
                             struct stream_topic_state *out, char *error, size_t error_size)
{
    rd_kafka_ConfigResource_t *resources[STREAM_TOPICS_MAX];
    size_t used = 0;
    for (size_t i = 0; i < count && used < FS_COUNT(resources); i++) {
        char name[256];
        if (out[i].partitions == 0)
            continue;
        (void)snprintf(name, sizeof name, "%s%s", stream->prefix, topics[i]);
        resources[used] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
        used += resources[used] ? 1 : 0;
    }
    int result = used > 0 ? describe(stream, resources, used, topics, count, out, error, error_size) : 0;
    rd_kafka_ConfigResource_destroy_array(resources, used);
    return result;
}

int stream_topics_describe(struct stream *stream, const char *const *topics, size_t count,
                           struct stream_topic_state *out, char *error, size_t error_size)
{
    const struct rd_kafka_metadata *metadata = stream_metadata_led(stream, topics, count, error, error_size);
    if (!metadata)
        return -EHOSTDOWN;
    for (size_t i = 0; i < count; i++) {
        int partitions = stream_metadata_partitions(stream, metadata, topics[i]);
        out[i] = (struct stream_topic_state){.partitions = FS_MAX(partitions, 0), .retention_ms = -1};
    }
    rd_kafka_metadata_destroy(metadata);
    if (stream->embedded) /* librdkafka's mock knows no settings */
        return 0;
    return describe_existing(stream, topics, count, out, error, error_size);
}
