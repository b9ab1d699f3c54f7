/* The embedded broker: librdkafka's mock cluster with our topics, and a reader of the compacted topics that
 * keeps their newest values in broker_state.h's file. */
#include "common/embedded_broker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "common/broker_state.h"
#include "common/clock.h"
#include "common/stream.h"
#include "common/topics.h"

#define FIRST_JOIN_MS 100
#define SETTLE_MS 2
#define SAVE_EVERY_MS 1000
#define FEED_TIMEOUT_MS 30000
#define REST_TIMEOUT_MS 10000
#define STATE_BYTES_MAX ((size_t)256 << 20)

struct embedded_broker {
    rd_kafka_t *handle; /* the mock lives in a client instance */
    rd_kafka_mock_cluster_t *cluster;
    struct stream *reader;
    struct broker_state *state;
    char *state_path, *bootstrap_path, *prefix;
    int lock_fd;
    int64_t save_at_ms; /* earliest next save */
    uint64_t overflow_count;
};

static bool fail(char *error, size_t error_size, const char *what, const char *detail)
{
    snprintf(error, error_size, "embedded broker: %s%s%s", what, detail ? ": " : "", detail ? detail : "");
    return false;
}

static bool open_cluster(struct embedded_broker *broker, char *error, size_t error_size)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, NULL);
    broker->handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    if (!broker->handle) {
        rd_kafka_conf_destroy(conf);
        return fail(error, error_size, "cannot start", reason);
    }
    broker->cluster = rd_kafka_mock_cluster_new(broker->handle, 1);
#if RD_KAFKA_VERSION >= 0x020800ff
    if (broker->cluster) /* older ones make the first member of a group wait 3 s for others */
        rd_kafka_mock_group_initial_rebalance_delay_ms(broker->cluster, FIRST_JOIN_MS);
#endif
    return broker->cluster || fail(error, error_size, "cannot start", "no mock cluster");
}

/* The mock's thread answers a request before it empties the pipe it is woken by
 * (rd_kafka_mock_cluster_io_poll() up to 2.8 at least): a request that comes in between is seen only a second
 * later. */
static void let_settle(void)
{
    (void)poll(NULL, 0, SETTLE_MS);
}

static bool make_topics(struct embedded_broker *broker, int32_t partitions, char *error, size_t error_size)
{
    struct stream_topic topics[TOPIC_COUNT];
    topics_fill(topics, partitions);
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        char name[256];
        snprintf(name, sizeof name, "%s%s", broker->prefix, topics[i].name);
        rd_kafka_resp_err_t code = rd_kafka_mock_topic_create(broker->cluster, name, topics[i].partitions, 1);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return fail(error, error_size, name, rd_kafka_err2str(code));
        let_settle();
    }
    return true;
}

/* Makes the directory and holds it: two brokers on one state would overwrite each other's. */
static bool open_directory(struct embedded_broker *broker, const char *directory, char *error,
                           size_t error_size)
{
    char path[4096];
    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        return fail(error, error_size, directory, strerror(errno));
    snprintf(path, sizeof path, "%s/broker.lock", directory);
    broker->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (broker->lock_fd < 0)
        return fail(error, error_size, path, strerror(errno));
    if (flock(broker->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return fail(error, error_size, directory, "in use by another process");
    if (asprintf(&broker->state_path, "%s/topics.state", directory) < 0 ||
        asprintf(&broker->bootstrap_path, "%s/bootstrap", directory) < 0)
        return fail(error, error_size, "out of memory", NULL);
    return true;
}

static bool load_state(struct embedded_broker *broker, size_t limit, char *error, size_t error_size)
{
    char reason[256] = "out of memory";
    broker->state = broker_state_create(limit);
    if (!broker->state)
        return fail(error, error_size, "out of memory", NULL);
    if (broker->state_path && broker_state_load(broker->state, broker->state_path, reason, sizeof reason) < 0)
        return fail(error, error_size, broker->state_path, reason);
    return true;
}

static void count_failure(void *context, int result)
{
    if (result < 0)
        ++*(size_t *)context;
}

static int feed_one(struct stream *writer, const struct broker_value *value, size_t *failures)
{
    int64_t deadline_ms = clock_monotonic_ms() + FEED_TIMEOUT_MS;
    int result;
    while ((result = stream_produce_to(writer, value->topic, value->partition, value->key.data,
                                       value->key.size, value->value.data, value->value.size, count_failure,
                                       failures)) == -EAGAIN &&
           clock_monotonic_ms() < deadline_ms) {
        result = stream_flush(writer, 1000);
        if (result < 0 && result != -ETIMEDOUT)
            return result;
    }
    return result;
}

/* Puts the kept values back into the topics. */
static bool feed(struct embedded_broker *broker, const struct embedded_broker_options *how, char *error,
                 size_t error_size)
{
    struct stream_options options = {.brokers = embedded_broker_bootstrap(broker),
                                     .topic_prefix = broker->prefix,
                                     .client_id = "forestall-embedded-feed"};
    struct stream *writer = stream_open(&options, error, error_size);
    if (!writer)
        return false;
    size_t cursor = 0, failures = 0;
    struct broker_value value;
    int result = 0;
    while (result == 0 && broker_state_next(broker->state, &cursor, &value)) {
        int partitions = stream_partition_count(writer, value.topic, 5000);
        if (partitions <= value.partition) {
            snprintf(error, error_size,
                     "embedded broker: %s was made with more partitions than there are now (topic %s, "
                     "partition %d): "
                     "start with as many, or remove the file",
                     broker->state_path, value.topic, (int)value.partition);
            stream_close(writer);
            return false;
        }
        if (how->renew)
            value.value = how->renew(how->renew_context, value.topic, value.value);
        result = feed_one(writer, &value, &failures);
    }
    if (result == 0)
        result = stream_flush(writer, FEED_TIMEOUT_MS);
    stream_close(writer);
    if (result < 0 || failures > 0)
        return fail(error, error_size, "cannot feed the kept values back",
                    strerror(result < 0 ? -result : EIO));
    return true;
}

static bool open_reader(struct embedded_broker *broker, char *error, size_t error_size)
{
    struct stream_options options = {.brokers = embedded_broker_bootstrap(broker),
                                     .topic_prefix = broker->prefix,
                                     .client_id = "forestall-embedded-keep"};
    const char *names[TOPIC_COUNT];
    size_t count = 0;
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        if (topic_definitions[i].topic.compact)
            names[count++] = topic_definitions[i].topic.name;
    }
    broker->reader = stream_open(&options, error, error_size);
    return broker->reader && stream_assign_all(broker->reader, names, count, STREAM_FROM_BEGINNING, true,
                                               error, error_size) == 0;
}

/* For processes that were not told the port. */
static bool publish_bootstrap(struct embedded_broker *broker, char *error, size_t error_size)
{
    if (!broker->bootstrap_path)
        return true;
    const char *bootstrap = embedded_broker_bootstrap(broker);
    struct str content = str_of(bootstrap);
    int result = broker_state_write_file(broker->bootstrap_path, &content, 1);
    return result == 0 || fail(error, error_size, broker->bootstrap_path, strerror(-result));
}

struct embedded_broker *embedded_broker_open(const struct embedded_broker_options *options, char *error,
                                             size_t error_size)
{
    struct embedded_broker *broker = calloc(1, sizeof *broker);
    if (!broker) {
        (void)fail(error, error_size, "out of memory", NULL);
        return NULL;
    }
    broker->lock_fd = -1;
    broker->prefix = strdup(options->topic_prefix ? options->topic_prefix : "");
    size_t limit = options->max_state_bytes ? options->max_state_bytes : STATE_BYTES_MAX;
    if (broker->prefix &&
        (!options->state_dir || open_directory(broker, options->state_dir, error, error_size)) &&
        load_state(broker, limit, error, error_size) && open_cluster(broker, error, error_size) &&
        make_topics(broker, options->partitions, error, error_size) &&
        feed(broker, options, error, error_size) && open_reader(broker, error, error_size) &&
        publish_bootstrap(broker, error, error_size))
        return broker;
    broker_state_destroy(broker->state); /* nothing new was taken in: do not write it */
    broker->state = NULL;
    embedded_broker_close(broker);
    return NULL;
}

const char *embedded_broker_bootstrap(const struct embedded_broker *broker)
{
    return rd_kafka_mock_cluster_bootstraps(broker->cluster);
}

static int keep(void *context, const struct stream_message *message)
{
    struct embedded_broker *broker = context;
    struct broker_value value = {.topic = message->topic.data,
                                 .partition = message->partition,
                                 .key = {message->key, message->key_size},
                                 .value = {message->value, message->value_size}};
    if (broker_state_put(broker->state, &value) < 0)
        broker->overflow_count++;
    return 0;
}

/* 0 or negative. */
static int take_in(struct embedded_broker *broker, int timeout_ms)
{
    struct stream_batch batch;
    int result = stream_poll(broker->reader, &batch, timeout_ms);
    for (size_t i = 0; result >= 0 && i < batch.count; i++)
        result = keep(broker, &batch.messages[i]);
    stream_batch_release(&batch);
    return FS_MIN(result, 0);
}

/* Reads every compacted partition again, to its end: what the reader has not fetched yet is in there. */
static void take_in_rest(struct embedded_broker *broker)
{
    int64_t deadline_ms = clock_monotonic_ms() + REST_TIMEOUT_MS;
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        const char *topic = topic_definitions[i].topic.name;
        int partitions = topic_definitions[i].topic.compact
                             ? stream_partition_count(broker->reader, topic, REST_TIMEOUT_MS)
                             : 0;
        for (int32_t p = 0; p < partitions; p++) {
            int64_t left_ms = deadline_ms - clock_monotonic_ms();
            /* A failure leaves what the reader took in before. */
            if (left_ms <= 0 || stream_restore(broker->reader, topic, p, keep, broker, (int)left_ms) < 0)
                return;
        }
    }
}

static int save(struct embedded_broker *broker)
{
    if (!broker->state_path || !broker_state_dirty(broker->state))
        return 0;
    return broker_state_save(broker->state, broker->state_path);
}

int embedded_broker_poll(struct embedded_broker *broker, int timeout_ms)
{
    int result = take_in(broker, timeout_ms);
    int64_t now_ms = clock_monotonic_ms();
    if (result < 0 || now_ms < broker->save_at_ms)
        return result;
    broker->save_at_ms = now_ms + SAVE_EVERY_MS;
    return save(broker);
}

int embedded_broker_fd(const struct embedded_broker *broker)
{
    return stream_fd(broker->reader);
}

size_t embedded_broker_key_count(const struct embedded_broker *broker)
{
    return broker_state_count(broker->state);
}

uint64_t embedded_broker_overflow_count(const struct embedded_broker *broker)
{
    return broker->overflow_count;
}

void embedded_broker_close(struct embedded_broker *broker)
{
    if (!broker)
        return;
    if (broker->state && broker->reader) {
        take_in_rest(broker);
        (void)save(broker); /* failed: the file keeps what the last good save wrote */
    }
    stream_close(broker->reader);
    if (broker->cluster)
        rd_kafka_mock_cluster_destroy(broker->cluster);
    if (broker->handle)
        rd_kafka_destroy(broker->handle);
    broker_state_destroy(broker->state);
    if (broker->bootstrap_path)
        unlink(broker->bootstrap_path); /* a stale address would only mislead */
    if (broker->lock_fd >= 0)
        close(broker->lock_fd);
    free(broker->bootstrap_path);
    free(broker->state_path);
    free(broker->prefix);
    free(broker);
}
