/* Life of a stream: opening with a clear error, events, counters, the table of topics, closing in bounded
 * time. */
#include "common/stream_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"

int stream_errno(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return 0;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        return -EAGAIN;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        return -EMSGSIZE;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        return -ENOENT;
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
        return -EPIPE;
    case RD_KAFKA_RESP_ERR__STATE:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
        return -EINVAL;
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
        return -ETIMEDOUT;
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
        return -ECANCELED;
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
        return -EHOSTDOWN;
    default:
        return -EIO;
    }
}

void stream_note_error(struct stream *stream, const char *text)
{
    snprintf(stream->counters.last_error, sizeof stream->counters.last_error, "%s", text);
}

int stream_fail(struct stream *stream, const char *reason)
{
    if (!stream->failure)
        snprintf(stream->failure_reason, sizeof stream->failure_reason, "%s", reason);
    stream->failure = -EPIPE;
    stream_note_error(stream, reason);
    return -EPIPE;
}

void stream_note_away(struct stream *stream)
{
    if (!stream->disconnected)
        stream->away_since_ms = clock_monotonic_ms();
    stream->disconnected = true;
}

/* A connection that was closed for being idle also looks like an outage, but a short one. */
void stream_note_answer(struct stream *stream)
{
    int64_t away_ms = clock_monotonic_ms() - stream->away_since_ms;
    char reason[160];
    bool was_away = stream->disconnected && away_ms >= STREAM_OUTAGE_LEAST_MS;
    stream->disconnected = false;
    if (!was_away || !stream->restarts_after_outage)
        return;
    (void)snprintf(
        reason, sizeof reason,
        "Kafka was away for %.1f s, and librdkafka %s may not find every partition again: start anew "
        "(service.restart_after_outage)",
        (double)away_ms * 1e-3, rd_kafka_version_str());
    (void)stream_fail(stream, reason); /* the next call reports it */
}

int stream_check_fatal(struct stream *stream)
{
    char reason[256];
    rd_kafka_t *handles[] = {stream->producer, stream->consumer};
    for (size_t i = 0; i < FS_COUNT(handles) && !stream->failure; i++) {
        if (handles[i] &&
            rd_kafka_fatal_error(handles[i], reason, sizeof reason) != RD_KAFKA_RESP_ERR_NO_ERROR)
            (void)stream_fail(stream, reason); /* its result is stream->failure */
    }
    return stream->failure;
}

rd_kafka_resp_err_t stream_take_error(struct stream *stream, rd_kafka_error_t *error)
{
    if (!error)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    stream_note_error(stream, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return code;
}

void stream_serve_reports(struct stream *stream)
{
    if (stream->serving)
        return; /* a callback produced into a full queue: the outer call goes on serving */
    stream->serving = true;
    rd_kafka_poll(stream->producer, 0);
    stream->serving = false;
}

void stream_wake(struct stream *stream)
{
    uint64_t one = 1;
    ssize_t written = write(stream->event_fd, &one, sizeof one);
    (void)written; /* EAGAIN: it is readable already */
}

void stream_connect_events(struct stream *stream, rd_kafka_queue_t *queue)
{
    static const uint64_t one = 1;
    rd_kafka_queue_io_event_enable(queue, stream->event_fd, &one, sizeof one);
}

struct stream_topic_entry *stream_topic_find(struct stream *stream, const char *name)
{
    for (size_t i = 0; i < stream->topic_count; i++) {
        if (strcmp(stream->topics[i].name, name) == 0)
            return &stream->topics[i];
    }
    return NULL;
}

struct stream_topic_entry *stream_topic_add(struct stream *stream, const char *name)
{
    struct stream_topic_entry *entry = stream_topic_find(stream, name);
    if (entry || stream->topic_count == STREAM_TOPICS_MAX)
        return entry;
    size_t name_size = strlen(name);
    char *full = malloc(stream->prefix_size + name_size + 1);
    if (!full)
        return NULL;
    memcpy(full, stream->prefix, stream->prefix_size);
    memcpy(full + stream->prefix_size, name, name_size + 1);
    entry = &stream->topics[stream->topic_count++];
    *entry = (struct stream_topic_entry){.full_name = full, .name = full + stream->prefix_size};
    return entry;
}

struct stream_slot *stream_slot_add(struct stream *stream, const char *name, int32_t partition)
{
    struct stream_topic_entry *topic = stream_topic_add(stream, name);
    if (!topic || partition < 0)
        return NULL;
    if (partition >= topic->slot_count) {
        size_t count = (size_t)partition + 1;
        struct stream_slot *slots = reallocarray(topic->slots, count, sizeof *slots);
        if (!slots)
            return NULL;
        memset(slots + topic->slot_count, 0, (count - (size_t)topic->slot_count) * sizeof *slots);
        topic->slots = slots;
        topic->slot_count = partition + 1;
    }
    return &topic->slots[partition];
}

struct stream_slot *stream_slot_find(struct stream *stream, const char *name, int32_t partition)
{
    struct stream_topic_entry *topic = stream_topic_find(stream, name);
    if (!topic || partition < 0 || partition >= topic->slot_count || !topic->slots[partition].assigned)
        return NULL;
    return &topic->slots[partition];
}

/* Asks the cluster something until it answers: the first metadata. */
static bool wait_for_broker(struct stream *stream, char *error, size_t error_size)
{
    const struct rd_kafka_metadata *metadata = NULL;
    int64_t deadline_ms = clock_monotonic_ms() + STREAM_OPEN_TIMEOUT_MS;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    while (code != RD_KAFKA_RESP_ERR_NO_ERROR && clock_monotonic_ms() < deadline_ms && !stream->failure) {
        code = rd_kafka_metadata(stream->producer, 0, NULL, &metadata, 500);
        stream_serve_reports(stream); /* brings the reason of a refused connection */
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char *reason =
            stream->counters.last_error[0] ? stream->counters.last_error : rd_kafka_err2str(code);
        snprintf(
            error, error_size,
            "cannot reach Kafka at %s within %d s (%s): is the broker running there? Set its address with "
            "service.brokers (environment FORESTALL_SERVICE_BROKERS)",
            stream->brokers, STREAM_OPEN_TIMEOUT_MS / 1000, reason);
        return false;
    }
    rd_kafka_metadata_destroy(metadata);
    stream->disconnected = false;
    char *cluster = rd_kafka_clusterid(stream->producer, 1000);
    stream->embedded = cluster && strncmp(cluster, "mockCluster", 11) == 0;
    if (cluster)
        rd_kafka_mem_free(stream->producer, cluster);
    return true;
}

/* False: neither yes, no nor auto. */
static bool choose_restarts(struct stream *stream, const char *choice)
{
    bool loses_partitions = rd_kafka_version() >= 0x020500ff;
    if (!choice || strcmp(choice, "no") == 0)
        return true;
    stream->restarts_after_outage = strcmp(choice, "yes") == 0 || loses_partitions;
    return strcmp(choice, "yes") == 0 || strcmp(choice, "auto") == 0;
}

static bool fence_predecessors(struct stream *stream, const char *transactional_id, char *error,
                               size_t error_size)
{
    int64_t deadline_ms = clock_monotonic_ms() + STREAM_FENCE_TIMEOUT_MS;
    for (;;) {
        rd_kafka_error_t *failure = rd_kafka_init_transactions(stream->producer, STREAM_OPEN_TIMEOUT_MS);
        if (!failure)
            return true;
        bool again = rd_kafka_error_is_retriable(failure) && clock_monotonic_ms() < deadline_ms;
        if (!again)
            snprintf(error, error_size, "Kafka at %s did not start transactions for transactional.id %s: %s",
                     stream->brokers, transactional_id, rd_kafka_error_string(failure));
        rd_kafka_error_destroy(failure);
        if (!again)
            return false;
    }
}

static bool open_producer(struct stream *stream, const char *transactional_id, char *error, size_t error_size)
{
    rd_kafka_conf_t *conf = stream_config_producer(stream, transactional_id, error, error_size);
    if (!conf)
        return false;
    stream->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, error_size);
    if (!stream->producer) {
        rd_kafka_conf_destroy(conf); /* rd_kafka_new() takes it only when it succeeds */
        return false;
    }
    stream->producer_queue = rd_kafka_queue_get_main(stream->producer);
    stream_connect_events(stream, stream->producer_queue);
    return wait_for_broker(stream, error, error_size) &&
           (!transactional_id || fence_predecessors(stream, transactional_id, error, error_size));
}

struct stream *stream_open(const struct stream_options *options, char *error, size_t error_size)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream) {
        snprintf(error, error_size, "out of memory");
        return NULL;
    }
    stream->brokers = strdup(options->brokers ? options->brokers : "");
    stream->prefix = strdup(options->topic_prefix ? options->topic_prefix : "");
    stream->client_id = strdup(options->client_id ? options->client_id : "forestall");
    stream->schema_registry = strdup(options->schema_registry ? options->schema_registry : "");
    stream->config = options->config;
    stream->transactional = options->transactional_id != NULL;
    stream->max_inflight_bytes = options->max_inflight_bytes ? options->max_inflight_bytes : (size_t)64 << 20;
    stream->max_fetched_bytes = options->max_fetched_bytes ? options->max_fetched_bytes : (size_t)64 << 20;
    stream->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (!stream->brokers || !stream->prefix || !stream->client_id || !stream->schema_registry ||
        stream->event_fd < 0) {
        snprintf(error, error_size, "out of memory or file descriptors");
        stream_close(stream);
        return NULL;
    }
    stream->prefix_size = strlen(stream->prefix);
    if (stream->brokers[0] == '\0')
        snprintf(error, error_size, "service.brokers is empty: give HOST:PORT");
    else if (!choose_restarts(stream, options->restart_after_outage))
        snprintf(error, error_size, "service.restart_after_outage is %s: give yes, no or auto",
                 options->restart_after_outage);
    else if (open_producer(stream, options->transactional_id, error, error_size))
        return stream;
    stream_close(stream);
    return NULL;
}

static void close_producer(struct stream *stream)
{
    fs_drop(stream_abort(stream)); /* the broker would abort it too, after its time-out */
    if (stream_flush(stream, STREAM_CLOSE_TIMEOUT_MS) < 0) {
        rd_kafka_purge(stream->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(stream->producer,
                       STREAM_REQUEST_TIMEOUT_MS); /* brings the reports of what was purged */
    }
    for (size_t i = 0; i < stream->topic_count; i++) {
        if (stream->topics[i].producer_topic)
            rd_kafka_topic_destroy(stream->topics[i].producer_topic);
    }
    rd_kafka_queue_destroy(stream->producer_queue);
    rd_kafka_destroy(stream->producer);
}

void stream_close(struct stream *stream)
{
    if (!stream)
        return;
    if (stream->batch_out) {
        struct stream_batch batch = {.stream = stream};
        stream_batch_release(&batch);
    }
    stream_consumer_close(stream);
    if (stream->producer)
        close_producer(stream);
    stream_deliveries_free(stream);
    for (size_t i = 0; i < stream->topic_count; i++) {
        free(stream->topics[i].full_name);
        free(stream->topics[i].slots);
    }
    if (stream->event_fd >= 0)
        close(stream->event_fd);
    free(stream->brokers);
    free(stream->prefix);
    free(stream->client_id);
    free(stream->schema_registry);
    if (stream->framer.destroy)
        stream->framer.destroy(stream->framer.context);
    free(stream);
}

void stream_set_framer(struct stream *stream, const struct stream_framer *framer)
{
    stream->framer = *framer;
}

void *stream_framer_context(const struct stream *stream)
{
    return stream->framer.context;
}

const char *stream_schema_registry(const struct stream *stream)
{
    return stream->schema_registry;
}

const char *stream_topic_prefix(const struct stream *stream)
{
    return stream->prefix;
}

int stream_fd(const struct stream *stream)
{
    return stream->event_fd;
}

int stream_wait(struct stream *const *streams, size_t count, int timeout_ms)
{
    struct pollfd fds[8];
    nfds_t used = 0;
    for (size_t i = 0; i < count && used < FS_COUNT(fds); i++) {
        if (streams[i])
            fds[used++] = (struct pollfd){.fd = streams[i]->event_fd, .events = POLLIN};
    }
    return poll(fds, used, timeout_ms) > 0;
}

const struct stream_counters *stream_counters(struct stream *stream)
{
    stream->counters.inflight = (size_t)rd_kafka_outq_len(stream->producer);
    return &stream->counters;
}

bool stream_connected(const struct stream *stream)
{
    return !stream->disconnected;
}

int stream_failed(struct stream *stream, char *reason, size_t reason_size)
{
    int result = stream_check_fatal(stream);
    if (result < 0)
        snprintf(reason, reason_size, "%s", stream->failure_reason);
    return result;
}
