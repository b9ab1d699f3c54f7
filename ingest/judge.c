/* See judge.h. */
#include "ingest/judge.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/topics.h"
#include "ingest/validate.h"

static void FS_PRINTF(2, 3) invalid(struct judged *judged, const char *format, ...)
{
    va_list arguments;
    judged->judgement = JUDGED_INVALID;
    va_start(arguments, format);
    (void)vsnprintf(judged->reason, sizeof judged->reason, format, arguments); /* for people: cut is fine */
    va_end(arguments);
}

/* NULL when node and incarnation are the sender's. */
static const char *foreign(const struct identity *sender, struct str node,
                           const uint8_t incarnation[UUID_SIZE])
{
    struct str own = {sender->node, strlen(sender->node)};
    if (!str_equal(node, own))
        return "of another node";
    if (memcmp(incarnation, sender->incarnation, UUID_SIZE) != 0)
        return "of another incarnation";
    return NULL;
}

/* The same for what is about now: pool and epoch too. */
static const char *foreign_now(const struct identity *sender, struct str node,
                               const uint8_t incarnation[UUID_SIZE], struct str pool, int64_t epoch)
{
    const char *wrong = foreign(sender, node, incarnation);
    if (wrong)
        return wrong;
    if (!str_equal(pool, str_of(sender->pool)))
        return "of another pool";
    return epoch == sender->epoch ? NULL : "of another epoch";
}

static void forward(struct judged *judged, const char *topic, struct str key, int64_t time_us)
{
    judged->judgement = JUDGED_FORWARD;
    judged->topic = topic;
    judged->key = key;
    judged->time_us = time_us;
}

static const char *judge_tick(struct judged *judged, const struct identity *sender,
                              const struct msg_tick *tick, int64_t latest_us)
{
    forward(judged, TOPIC_TELEMETRY, tick->node, tick->time_us);
    const char *wrong = foreign_now(sender, tick->node, tick->incarnation, tick->pool, tick->epoch);
    return wrong ? wrong : validate_tick(tick, latest_us);
}

static const char *judge_status(struct judged *judged, const struct identity *sender,
                                const struct msg_node_status *status, int64_t latest_us)
{
    forward(judged, TOPIC_NODES, status->pool, status->time_us);
    const char *wrong = foreign_now(sender, status->node, status->incarnation, status->pool, status->epoch);
    if (!wrong && !str_equal(status->boot_id, str_of(sender->boot_id)))
        wrong = "of another boot";
    if (!wrong && !validate_time(status->time_us, latest_us))
        judged->wrong_us = status->time_us;
    return wrong ? wrong : validate_status(status, latest_us);
}

static const char *judge_event(struct judged *judged, const struct identity *sender,
                               const struct msg_execution_event *event, int64_t latest_us)
{
    forward(judged, TOPIC_EXECUTIONS_EVENTS, event->pool, event->time_us);
    const char *wrong = foreign(sender, event->node, event->incarnation);
    if (!wrong && (event->epoch < 1 || event->epoch > sender->epoch))
        wrong = "of an epoch still to come";
    return wrong ? wrong : validate_event(event, latest_us);
}

static const char *judge_record(struct judged *judged, const struct identity *sender,
                                const struct msg_execution_record *record, int64_t latest_us)
{
    forward(judged, TOPIC_EXECUTIONS_FINISHED, record->code, record->ended_us);
    const char *wrong = foreign(sender, record->node, record->incarnation);
    return wrong ? wrong : validate_record(record, latest_us);
}

union message {
    struct msg_tick tick;
    struct msg_node_status status;
    struct msg_execution_event event;
    struct msg_execution_record record;
};

static const struct msg_type *type_of(enum frame_type type)
{
    switch (type) {
    case FRAME_TICK:
        return &msg_tick_type;
    case FRAME_STATUS:
        return &msg_node_status_type;
    case FRAME_EVENT:
        return &msg_execution_event_type;
    default:
        return &msg_execution_record_type;
    }
}

static const char *judge_decoded(struct judged *judged, const struct identity *sender, enum frame_type type,
                                 const union message *message, int64_t latest_us)
{
    switch (type) {
    case FRAME_TICK:
        return judge_tick(judged, sender, &message->tick, latest_us);
    case FRAME_STATUS:
        return judge_status(judged, sender, &message->status, latest_us);
    case FRAME_EVENT:
        return judge_event(judged, sender, &message->event, latest_us);
    default:
        return judge_record(judged, sender, &message->record, latest_us);
    }
}

struct judged judge_message(struct codec *codec, const struct identity *sender, enum frame_type type,
                            struct str framed, struct arena *arena, int64_t latest_us)
{
    struct judged judged = {.judgement = JUDGED_INVALID};
    const struct msg_type *expected = type_of(type);
    union message message;
    int error = codec_decode(codec, expected, framed, arena, &message);
    if (error == -ENOENT && codec_fingerprint(framed, &judged.fingerprint) == 0)
        judged.judgement = JUDGED_UNKNOWN_SCHEMA;
    else if (error == -ENOENT)
        invalid(&judged, "%s framed for a schema registry, and none is configured", expected->name);
    else if (error == -ENOMEM)
        invalid(&judged, "%s grows absurdly large when decoded", expected->name);
    else if (error)
        invalid(&judged, "not a readable %s", expected->name);
    if (error)
        return judged;
    const char *wrong = judge_decoded(&judged, sender, type, &message, latest_us);
    if (wrong)
        invalid(&judged, "%s: %s", expected->name, wrong);
    return judged;
}
