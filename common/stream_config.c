/* librdkafka's configuration: our defaults, then the user's [kafka] section. Keys that Forestall's guarantees
 * rest on are refused there. "producer.KEY" and "consumer.KEY" apply to one side only. */
#include "common/stream_internal.h"

#include <stdio.h>

#include "common/config.h"

struct property {
    const char *key, *value;
    bool optional; /* librdkafka 2.0 may not know it */
};

/* Where the numbers come from: docs/design/kafka-client.md. */
static const struct property shared_properties[] = {
    {"socket.nagle.disable", "true", false}, /* its default lets small requests wait */
    {"socket.keepalive.enable", "true", false},
    {"reconnect.backoff.ms", "50", false},
    {"reconnect.backoff.max.ms", "500", false}, /* default 10 s: noticed 16-19 s late instead of 3 s */
    {"log.connection.close", "false", false},
    /* default 5 min: so long a broker that hung, was put off its partitions and leads them again may go
       unnoticed */
    {"topic.metadata.refresh.interval.ms", "5000", false},
};

static const struct property producer_properties[] = {
    {"enable.idempotence", "true", false},
    {"acks", "all", false},
    {"partitioner", "murmur2_random", false}, /* the same partition as Java clients choose */
    {"linger.ms", "1", false},                /* 0 overloads at 10,000 msg/s, 5 adds 2.5 ms at the median */
    {"queue.buffering.max.messages", "1000000", false},
};

static const struct property consumer_properties[] = {
    {"partition.assignment.strategy", "range",
     false},                               /* co-partitioning; cooperative loops for ever before 2.6.1 */
    {"session.timeout.ms", "6000", false}, /* the lowest that brokers accept by default */
    {"heartbeat.interval.ms", "500", false},
    {"enable.auto.offset.store", "false", false}, /* offsets move after the effect only */
    {"auto.commit.interval.ms", "1000", false},
    {"enable.partition.eof", "true", false},
    {"allow.auto.create.topics", "false", false},
    {"queued.min.messages", "1000000", false}, /* a full queue makes 2.0.2 back off for a second */
    {"fetch.error.backoff.ms", "50", false},
    {"fetch.queue.backoff.ms", "10", true}, /* from 2.2 */
};

static const char *const locked_keys[] = {
    "enable.idempotence",       "acks",
    "request.required.acks",    "partitioner",
    "transactional.id",         "group.id",
    "group.instance.id",        "partition.assignment.strategy",
    "isolation.level",          "client.id",
    "enable.auto.offset.store", "enable.auto.commit",
    "auto.offset.reset",        "metadata.broker.list",
    "enable.partition.eof",     "bootstrap.servers",
};

static bool set(rd_kafka_conf_t *conf, const char *key, const char *value, char *error, size_t error_size)
{
    char reason[256];
    if (rd_kafka_conf_set(conf, key, value, reason, sizeof reason) == RD_KAFKA_CONF_OK)
        return true;
    snprintf(error, error_size, "kafka.%s = \"%s\": %s", key, value, reason);
    return false;
}

/* The user's: what a value is only librdkafka knows, it may be a password, so no error of ours repeats it. */
static bool set_theirs(rd_kafka_conf_t *conf, const char *key, const char *value, char *error,
                       size_t error_size)
{
    char reason[256];
    if (rd_kafka_conf_set(conf, key, value, reason, sizeof reason) == RD_KAFKA_CONF_OK)
        return true;
    snprintf(error, error_size, "kafka.%s: %s", key, reason);
    return false;
}

static bool set_all(rd_kafka_conf_t *conf, const struct property *properties, size_t count, char *error,
                    size_t error_size)
{
    for (size_t i = 0; i < count; i++) {
        char reason[128];
        const struct property *property = &properties[i];
        if (property->optional && rd_kafka_conf_set(conf, property->key, property->value, reason,
                                                    sizeof reason) == RD_KAFKA_CONF_UNKNOWN)
            continue;
        if (!property->optional && !set(conf, property->key, property->value, error, error_size))
            return false;
    }
    return true;
}

static bool set_size(rd_kafka_conf_t *conf, const char *key, size_t value, char *error, size_t error_size)
{
    char text[32];
    snprintf(text, sizeof text, "%zu", value);
    return set(conf, key, text, error, error_size);
}

static bool is_locked(const char *key)
{
    for (size_t i = 0; i < FS_COUNT(locked_keys); i++) {
        if (strcmp(locked_keys[i], key) == 0)
            return true;
    }
    return false;
}

/* Without its side's prefix; NULL: it is for the other side. */
static const char *strip_side(const char *key, const char *side, const char *other)
{
    if (strncmp(key, other, strlen(other)) == 0)
        return NULL;
    return strncmp(key, side, strlen(side)) == 0 ? key + strlen(side) : key;
}

static bool pass_through(rd_kafka_conf_t *conf, const struct config *config, bool producer, char *error,
                         size_t error_size)
{
    size_t cursor = 0;
    const char *key, *value;
    while (config && config_passthrough_next(config, "kafka", &cursor, &key, &value)) {
        const char *name =
            producer ? strip_side(key, "producer.", "consumer.") : strip_side(key, "consumer.", "producer.");
        if (!name)
            continue;
        if (strcmp(name, "brokers") == 0 || strcmp(name, "topic_prefix") == 0) {
            snprintf(error, error_size, "kafka.%s is no setting of librdkafka: set service.%s", name, name);
            return false;
        }
        if (is_locked(name)) {
            snprintf(error, error_size, "kafka.%s cannot be changed: Forestall's guarantees rest on it",
                     name);
            return false;
        }
        if (!set_theirs(conf, name, value, error, error_size))
            return false;
        if (strcmp(name, "debug") == 0)
            rd_kafka_conf_set_log_cb(conf,
                                     rd_kafka_log_print); /* asked for: librdkafka's own lines on stderr */
    }
    return true;
}

static void on_error(rd_kafka_t *handle, int code, const char *reason, void *opaque)
{
    struct stream *stream = opaque;
    stream->counters.broker_errors++;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        stream_note_away(stream);
        if (stream->counters.last_error[0])
            return; /* the connection error before it says more */
    }
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        char text[256] = "";
        (void)rd_kafka_fatal_error(handle, text,
                                   sizeof text);            /* the code is known: only the text is wanted */
        (void)stream_fail(stream, text[0] ? text : reason); /* recorded; the next call reports it */
        return;
    }
    stream_note_error(stream, reason);
}

static rd_kafka_conf_t *base(struct stream *stream, char *error, size_t error_size)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, stream);
    rd_kafka_conf_set_log_cb(conf, NULL); /* the services log; error_cb brings what matters */
    rd_kafka_conf_set_error_cb(conf, on_error);
    if (set_all(conf, shared_properties, FS_COUNT(shared_properties), error, error_size) &&
        set(conf, "bootstrap.servers", stream->brokers, error, error_size) &&
        set(conf, "client.id", stream->client_id, error, error_size))
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

rd_kafka_conf_t *stream_config_producer(struct stream *stream, const char *transactional_id, char *error,
                                        size_t error_size)
{
    rd_kafka_conf_t *conf = base(stream, error, error_size);
    if (!conf)
        return NULL;
    rd_kafka_conf_set_dr_msg_cb(conf, stream_delivery_report);
    bool ok = set_all(conf, producer_properties, FS_COUNT(producer_properties), error, error_size) &&
              set_size(conf, "queue.buffering.max.kbytes", FS_MAX(stream->max_inflight_bytes / 1024, 1),
                       error, error_size);
    if (ok && transactional_id) {
        ok = set(conf, "transactional.id", transactional_id, error, error_size) &&
             set(conf, "transaction.timeout.ms", "10000", error, error_size);
    } else if (ok) {
        ok = set(conf, "message.timeout.ms", "0", error, error_size); /* keep trying for ever */
    }
    if (ok && pass_through(conf, stream->config, true, error, error_size))
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

rd_kafka_conf_t *stream_config_consumer(struct stream *stream,
                                        const struct stream_consumer_settings *settings, char *error,
                                        size_t error_size)
{
    rd_kafka_conf_t *conf = base(stream, error, error_size);
    if (!conf)
        return NULL;
    /* rd_kafka_assign() wants a group id even when the group is never joined. */
    const char *group = settings->group ? settings->group : stream->client_id;
    bool commits = settings->group && !stream->transactional;
    bool ok = set_all(conf, consumer_properties, FS_COUNT(consumer_properties), error, error_size) &&
              set(conf, "group.id", group, error, error_size) &&
              set(conf, "enable.auto.commit", commits ? "true" : "false", error, error_size) &&
              set(conf, "isolation.level", settings->read_committed ? "read_committed" : "read_uncommitted",
                  error, error_size) &&
              set(conf, "auto.offset.reset", "earliest", error, error_size) &&
              set_size(conf, "queued.max.messages.kbytes", FS_MAX(stream->max_fetched_bytes / 1024, 1), error,
                       error_size);
    if (ok && settings->member)
        ok = set(conf, "group.instance.id", settings->member, error, error_size);
    /* The mock answers an empty fetch only after this time, and then with one batch. An idle consumer costs 5
     * % of a core at 1 ms and 2 % at 5 ms (measured); a demo has a dozen of them. */
    if (ok && (stream->embedded || settings->hurried))
        ok = set(conf, "fetch.wait.max.ms", "5", error, error_size);
    if (settings->group)
        rd_kafka_conf_set_rebalance_cb(conf, stream_rebalance);
    if (ok && pass_through(conf, stream->config, false, error, error_size))
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}
