/* From Kafka to agents: admissions and adjustments to the connection of their node, writers' schemas into the
 * codec. Read by every instance without a group and kept by nobody: who sends one sends it again until the
 * agent answers. See ingest.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/topics.h"
#include "ingest/ingest.h"
#include "schemas/schema_record.h"

struct downward {
    const struct msg_type *type;
    enum frame_type frame;
    struct metric *passed;
};

union order {
    struct msg_admission admission;
    struct msg_adjustment adjustment;
};

static void learn(struct ingest *ingest, const struct stream_message *message)
{
    struct str key = {message->key, message->key_size}, value = {message->value, message->value_size};
    if (schema_record_learn(ingest->codec, key, value))
        ingest->learned = true;
}

static void not_passed(struct ingest *ingest, const struct stream_message *message, const char *reason)
{
    metric_add(ingest->counters.not_passed, 1);
    if (!log_limited(&ingest->limiter, ingest->now_ms))
        log_warn("not_passed_on", "topic=%s partition=%d offset=%" PRId64 " reason=\"%s\"",
                 message->topic.data, message->partition, message->offset, reason);
    if (stream_quarantine(ingest->stream, message, ingest->service->name, reason) == 0)
        metric_add(ingest->counters.quarantined, 1);
    else
        metric_add(ingest->counters.quarantine_skipped, 1);
}

/* The bytes the agent gets: as they are when it reads them for sure, else in our own version. NULL data: it
 * was said why. */
static struct str translate(struct ingest *ingest, const struct stream_message *message,
                            const struct downward *downward, struct buffer *storage)
{
    struct str framed = {message->value, message->value_size}, none = {NULL, 0};
    union order order;
    uint64_t fingerprint;
    arena_reset(ingest->arena);
    int error = codec_decode(ingest->codec, downward->type, framed, ingest->arena, &order);
    struct str node = downward->frame == FRAME_ADMISSION ? order.admission.node : order.adjustment.node;
    if (error == -ENOENT) /* its schema is on its way through the topic `schemas`; the sender repeats */
        metric_add(ingest->counters.not_passed, 1);
    else if (error < 0)
        not_passed(ingest, message, "not readable");
    else if (!str_equal(node, (struct str){message->key, message->key_size}))
        not_passed(ingest, message, "its key is not its node");
    else if (codec_fingerprint(framed, &fingerprint) == 0 && fingerprint == downward->type->fingerprint)
        return framed;
    else if (codec_encode(downward->type, &order, storage) == 0)
        return buffer_str(storage);
    else
        not_passed(ingest, message, "cannot be written in this version's form within a frame");
    return none;
}

static void pass(struct ingest *ingest, struct connection *connection, const struct stream_message *message,
                 const struct downward *downward)
{
    struct buffer storage;
    buffer_init(&storage, FRAME_MAX_DEFAULT);
    struct str framed = translate(ingest, message, downward, &storage);
    if (framed.data && framed.size + 1 > FRAME_MAX_DEFAULT) {
        not_passed(ingest, message, "longer than a frame may be");
    } else if (framed.data) {
        connection_send(connection, downward->frame, framed);
        peers_touch(ingest, connection);
        metric_add(downward->passed, 1);
        metric_observe(ingest->counters.downward_time,
                       (double)(clock_realtime_us() - message->timestamp_ms * 1000) / 1e6);
    }
    buffer_fini(&storage);
}

void downlink_take(struct ingest *ingest, const struct stream_message *message)
{
    if (str_equal(message->topic, str_of(TOPIC_SCHEMAS))) {
        learn(ingest, message);
        return;
    }
    struct downward downward = {&msg_adjustment_type, FRAME_ADJUSTMENT,
                                ingest->counters.to_agent[COUNTERS_ADJUSTMENT]};
    if (str_equal(message->topic, str_of(TOPIC_EXECUTIONS_ADMITTED)))
        downward = (struct downward){&msg_admission_type, FRAME_ADMISSION,
                                     ingest->counters.to_agent[COUNTERS_ADMISSION]};
    struct connection *connection =
        message->key ? map_get(ingest->nodes, message->key, message->key_size) : NULL;
    if (!connection || !message->value)
        metric_add(ingest->counters.not_here, 1);
    else
        pass(ingest, connection, message, &downward);
}
