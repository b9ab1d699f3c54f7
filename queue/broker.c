/* See broker.h. */
#include "queue/broker.h"

#include <errno.h>
#include <stdio.h>

#include "common/topics.h"
#include "schemas/topic_codec.h"

static const char *const consumed[] = {TOPIC_EXECUTIONS_REQUESTED, TOPIC_EXECUTIONS_EVENTS, TOPIC_NODES,
                                       TOPIC_VERDICTS};
static const char *const family[] = {TOPIC_EXECUTIONS_REQUESTED, TOPIC_EXECUTIONS_EVENTS, TOPIC_NODES,
                                     TOPIC_VERDICTS, TOPIC_EXECUTIONS_STATE};

static const struct msg_type *const written[] = {&msg_execution_state_type, &msg_admission_type,
                                                 &msg_execution_request_type};

/* On a stream of its own: a transactional one cannot write outside a transaction. */
static int prepare(const struct stream_options *options, int32_t created, int *partitions, char *error,
                   size_t error_size)
{
    struct stream *stream = stream_open(options, error, error_size);
    if (!stream)
        return -EHOSTDOWN;
    int result = topics_prepare(stream, options->topic_prefix, created, error, error_size);
    if (result == 0)
        result = stream_topics_check(stream, family, FS_COUNT(family), error, error_size);
    if (result > 0) {
        *partitions = result;
        result = topic_codec_announce(stream, written, FS_COUNT(written), error, error_size);
    }
    stream_close(stream);
    return result;
}

int broker_open(const struct service *service, const struct queue_options *options, struct stream **stream,
                int *partitions, char *error, size_t error_size)
{
    char id[256];
    struct stream_options settings = {.brokers = service->options.brokers,
                                      .topic_prefix = service->options.topic_prefix,
                                      .schema_registry = service->options.schema_registry,
                                      .restart_after_outage = service->options.restart_after_outage,
                                      .client_id = service->name,
                                      .config = service->config};
    int result = prepare(&settings, (int32_t)service->options.partitions, partitions, error, error_size);
    if (result < 0)
        return result;
    (void)snprintf(id, sizeof id, "%sforestall-queue-%s", service->options.topic_prefix, options->member);
    settings.transactional_id = id;
    struct stream *opened = stream_open(&settings, error, error_size);
    if (!opened)
        return -EHOSTDOWN;
    result = topic_codec_frame(opened, written, FS_COUNT(written), error, error_size);
    if (result < 0) {
        stream_close(opened);
        return result;
    }
    *stream = opened;
    return 0;
}

int broker_join(struct stream *stream, const struct service *service, const struct queue_options *options,
                const struct stream_callbacks *callbacks, void *context, char *error, size_t error_size)
{
    char group[256];
    service_group(service, group, sizeof group);
    return stream_subscribe(stream, group, options->member, consumed, FS_COUNT(consumed), callbacks, context,
                            error, error_size);
}
