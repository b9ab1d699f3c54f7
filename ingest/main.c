/* forestall-ingest: the agents' gateway. What it does is in ingest.h, the loop in loop.c; here it begins and
 * ends. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/topics.h"
#include "common/unwritable.h"
#include "ingest/ingest.h"
#include "schemas/published.h"
#include "schemas/topic_codec.h"

#define FILES_BESIDE 64 /* descriptors that are no agents: Kafka, epoll, logs */
#define SCHEMAS_TIMEOUT_MS 10000
#define LOG_BURST 20 /* lines per second about agents */
/* A frame of 1 MiB decodes to 16 MiB at the worst (empty strings), twice that when it is resolved. */
#define ARENA_BLOCK_BYTES ((size_t)256 << 10)
#define ARENA_LIMIT_BYTES ((size_t)64 << 20)

/* What agents write, and what ingest writes itself where it translates for them. */
static const struct msg_type *const written[] = {&msg_tick_type, &msg_node_status_type,
                                                 &msg_execution_event_type, &msg_execution_record_type};

static int fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "forestall-ingest: %s%s%s\n", what, why[0] ? ": " : "", why);
    return -EINVAL;
}

/* One descriptor per agent. */
static int raise_files(int64_t connections, char *error, size_t size)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)connections + FILES_BESIDE;
    int result = getrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
    if (result == 0 && limit.rlim_cur >= wanted)
        return 0;
    limit.rlim_cur = FS_MIN(wanted, limit.rlim_max);
    if (result == 0 && setrlimit(RLIMIT_NOFILE, &limit) < 0)
        result = -errno;
    if (result < 0) {
        (void)snprintf(error, size, "cannot allow %ju descriptors for ingest.max_connections=%lld: %s",
                       (uintmax_t)wanted, (long long)connections, strerror(-result));
        return result;
    }
    if (limit.rlim_cur < wanted)
        log_warn("few_descriptors",
                 "limit=%ju wanted=%ju hint=\"raise LimitNOFILE or lower ingest.max_connections\"",
                 (uintmax_t)limit.rlim_cur, (uintmax_t)wanted);
    return 0;
}

static int learn_schema(void *context, const struct stream_message *message)
{
    downlink_take(context, message);
    return 0;
}

/* Reads orders from now on, and schemas: those that are there and those to come. All in one assignment,
 * because librdkafka 2.0 may fail an assertion when it is closed soon after a second one. */
static int open_orders(struct ingest *ingest, char *error, size_t size)
{
    static const char *const topics[] = {TOPIC_EXECUTIONS_ADMITTED, TOPIC_ADJUSTMENTS, TOPIC_SCHEMAS};
    int result =
        stream_assign_all(ingest->stream, topics, FS_COUNT(topics), STREAM_FROM_END, true, error, size);
    if (result < 0)
        return result;
    (void)snprintf(error, size, "cannot read the topic %s from Kafka at %s", TOPIC_SCHEMAS,
                   ingest->service->options.brokers);
    return stream_restore(ingest->stream, TOPIC_SCHEMAS, 0, learn_schema, ingest, SCHEMAS_TIMEOUT_MS);
}

static int open_kafka(struct ingest *ingest, char *error, size_t size)
{
    const struct service *service = ingest->service;
    struct stream_options options = {.brokers = service->options.brokers,
                                     .topic_prefix = service->options.topic_prefix,
                                     .schema_registry = service->options.schema_registry,
                                     .restart_after_outage = service->options.restart_after_outage,
                                     .client_id = service->name,
                                     .config = service->config,
                                     .max_inflight_bytes = (size_t)ingest->options->inflight_bytes};
    ingest->stream = stream_open(&options, error, size);
    if (!ingest->stream)
        return -EHOSTDOWN;
    topic_codec_measure_framing(&ingest->stream, 1, service->metrics);
    stream_measure(&ingest->stream, 1, service->metrics);
    int result = topics_prepare(ingest->stream, service->options.topic_prefix,
                                (int32_t)service->options.partitions, error, size);
    if (result == 0)
        result = topic_codec_announce(ingest->stream, written, FS_COUNT(written), error, size);
    if (service->options.schema_registry[0])
        ingest->register_schema = topic_codec_announce_foreign;
    for (size_t i = 0; result == 0 && i < FS_COUNT(written); i++)
        result = uplink_note_published(ingest, written[i]->fingerprint);
    return result == 0 ? open_orders(ingest, error, size) : result;
}

static int open_memory(struct ingest *ingest)
{
    ingest->codec = codec_create();
    ingest->arena = arena_create(ARENA_BLOCK_BYTES, ARENA_LIMIT_BYTES);
    ingest->reduce = arena_create(ARENA_BLOCK_BYTES, ARENA_LIMIT_BYTES);
    ingest->nodes = map_create((size_t)ingest->options->max_connections);
    ingest->published = map_create(CODEC_SCHEMAS_MAX);
    bool whole = ingest->codec && ingest->arena && ingest->reduce && ingest->nodes && ingest->published;
    return whole ? published_learn(ingest->codec) : -ENOMEM;
}

static int open_deliveries(struct ingest *ingest, char *error, size_t size)
{
    struct delivery_handler handler = {.context = ingest, .settled = uplink_settled, .reduce = uplink_reduce};
    ingest->deliveries = delivery_create(ingest->stream, ingest->service->name, &handler);
    if (ingest->deliveries)
        return 0;
    (void)snprintf(error, size, "out of memory");
    return -ENOMEM;
}

/* Written beside and renamed, so that a reader sees all of it or nothing. */
static int tell_address(const struct ingest *ingest, char *error, size_t size)
{
    char path[4096];
    const char *file = ingest->options->address_file, *address = listener_address(ingest->listener);
    if (!*file)
        return 0;
    int length = snprintf(path, sizeof path, "%s.new", file);
    int fd = length < (int)sizeof path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
    bool written_out = fd >= 0 && dprintf(fd, "%s\n", address) > 0;
    if (fd >= 0 && close(fd) < 0)
        written_out = false;
    if (written_out && rename(path, file) == 0)
        return 0;
    int result = length >= (int)sizeof path ? -ENAMETOOLONG : errno ? -errno : -EIO;
    char what[sizeof path + 40];
    (void)snprintf(what, sizeof what, "cannot write ingest.address_file=%s", file);
    return unwritable_say(result, what, "ingest.address_file", error, size);
}

static int open_ingest(struct ingest *ingest, char *error, size_t size)
{
    (void)snprintf(error, size, "out of memory");
    int result = open_memory(ingest);
    if (result == 0)
        result = open_kafka(ingest, error, size);
    if (result == 0)
        result = open_deliveries(ingest, error, size);
    if (result == 0)
        result = raise_files(ingest->options->max_connections, error, size);
    if (result == 0) {
        char reason[256];
        result = listener_open(ingest->options->listen, reason, sizeof reason, &ingest->listener);
        if (result < 0)
            (void)snprintf(error, size, "ingest.listen: %s", reason);
        else
            result = tell_address(ingest, error, size);
    }
    return result;
}

static void close_ingest(struct ingest *ingest)
{
    listener_close(ingest->listener);
    stream_close(ingest->stream); /* the last reports come here, nobody waits for them */
    delivery_destroy(ingest->deliveries);
    map_destroy(ingest->published);
    map_destroy(ingest->nodes);
    arena_destroy(ingest->reduce);
    arena_destroy(ingest->arena);
    codec_destroy(ingest->codec);
}

static int serve(struct service *service, const struct ingest_options *options)
{
    char error[512] = "";
    struct ingest ingest = {.options = options,
                            .service = service,
                            .epoll_fd = -1,
                            .timer_fd = -1,
                            .limiter = {.burst = LOG_BURST}};
    counters_register(service->metrics, &ingest.counters);
    int result = open_ingest(&ingest, error, sizeof error);
    if (result < 0) {
        result = fail(error, "");
    } else {
        log_info("ready", "listen=%s brokers=%s", listener_address(ingest.listener),
                 service->options.brokers);
        result = loop_run(&ingest);
        if (result < 0) {
            if (stream_failed(ingest.stream, error, sizeof error) == 0)
                (void)snprintf(error, sizeof error, "%s", strerror(-result));
            log_error("failed", "error=\"%s\"", error);
        }
    }
    close_ingest(&ingest);
    log_info("stopped", "acknowledged=%.0f", metric_value(ingest.counters.acknowledged));
    return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct service service;
    struct ingest_options options = {0};
    int result = service_open(
        &service, "forestall-ingest",
        "The agents' gateway: takes what they report to Kafka, unchanged and validated, and what\n"
        "Kafka has for them back to their connection.",
        "forestall_ingest_", ingest_option_table, ingest_option_count, &options, argc, argv);
    if (result != 0)
        return result > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    int status = serve(&service, &options);
    service_close(&service);
    return status;
}
