/* From agents to Kafka: judged, forwarded unchanged, acknowledged after the report; back-pressure. See
 * ingest.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/topics.h"
#include "ingest/ingest.h"
#include "ingest/judge.h"
#include "ingest/reduce.h"

/* offsetof the owner within its connection */
static struct connection *connection_of(struct delivery_owner *owner)
{
    return (struct connection *)((char *)owner - offsetof(struct connection, unacked));
}

static void block(struct ingest *ingest, struct connection *connection)
{
    if (connection->listed[LIST_BLOCKED])
        return;
    connection_list(&ingest->lists[LIST_BLOCKED], LIST_BLOCKED, connection);
    metric_add(ingest->counters.blocked, 1);
    peers_watch(ingest, connection);
}

/* --- quarantine --- */

void uplink_put_aside(struct ingest *ingest, const struct connection *connection, struct str bytes,
                      const char *reason)
{
    int64_t second = ingest->now_ms / 1000;
    if (second != ingest->quarantine_second) {
        ingest->quarantine_second = second;
        ingest->quarantine_used = 0;
    }
    struct delivery_message message = {.payload = bytes, .origin = connection->origin, .reason = reason};
    if (ingest->quarantine_used >= ingest->options->quarantine_rate ||
        delivery_send(ingest->deliveries, &message, ingest->now_ms) < 0) {
        metric_add(ingest->counters.quarantine_skipped, 1);
        return;
    }
    ingest->quarantine_used++;
    metric_add(ingest->counters.quarantined, 1);
}

int uplink_quarantine(struct ingest *ingest, struct connection *connection, uint64_t number,
                      struct str payload, const char *reason)
{
    struct delivery_message message = {.payload = payload,
                                       .origin = connection->origin,
                                       .reason = reason,
                                       .owner = &connection->unacked,
                                       .number = number};
    int result = delivery_send(ingest->deliveries, &message, ingest->now_ms);
    if (result == 0)
        metric_add(ingest->counters.quarantined, 1);
    return result;
}

/* --- forwarding --- */

static bool acknowledged(enum frame_type type)
{
    return type == FRAME_EVENT || type == FRAME_RECORD;
}

/* -EAGAIN: the frame comes again; else the stream has failed for good or memory is out, and the agent keeps
 * what it has. */
static enum uplink_result refused(struct ingest *ingest, struct connection *connection, int error)
{
    if (error == -EAGAIN) {
        ingest->refused = true;
        return UPLINK_BLOCKED;
    }
    if (error == -EPIPE)
        ingest->failure = error;
    peers_dismiss(ingest, connection, CLOSE_KAFKA, strerror(-error));
    return UPLINK_TAKEN;
}

static enum uplink_result set_aside(struct ingest *ingest, struct connection *connection,
                                    enum frame_type type, uint64_t number, struct str payload,
                                    const char *reason)
{
    metric_add(ingest->counters.invalid, 1);
    if (!log_limited(&ingest->limiter, ingest->now_ms)) {
        char origin[700];
        log_warn("message_invalid", "peer=%s bytes=%zu reason=\"%s\"",
                 log_quote(origin, sizeof origin, str_of(connection->origin)), payload.size, reason);
    }
    if (!acknowledged(type)) {
        uplink_put_aside(ingest, connection, payload, reason);
        return UPLINK_TAKEN;
    }
    int result = uplink_quarantine(ingest, connection, number, payload, reason);
    return result < 0 ? refused(ingest, connection, result) : UPLINK_TAKEN;
}

enum uplink_result uplink_judge(struct ingest *ingest, struct connection *connection, enum frame_type type,
                                uint64_t number, struct str payload, bool *unknown)
{
    int64_t now_us = clock_realtime_us();
    *unknown = false;
    arena_reset(ingest->arena);
    struct judged judged = judge_message(ingest->codec, &connection->identity, type, payload, ingest->arena,
                                         now_us + ingest->options->clock_skew_ms * 1000);
    if (judged.judgement == JUDGED_UNKNOWN_SCHEMA) {
        *unknown = true;
        return UPLINK_TAKEN;
    }
    if (judged.judgement == JUDGED_INVALID) {
        char sentence[SESSION_SENTENCE_MAX];
        if (judged.wrong_us != 0 &&
            session_clock_fault(judged.wrong_us, now_us, ingest->options->clock_skew_ms, sentence,
                                sizeof sentence))
            peers_dismiss(ingest, connection, CLOSE_CLOCK, sentence);
        return set_aside(ingest, connection, type, number, payload, judged.reason);
    }
    struct delivery_message message = {.topic = judged.topic,
                                       .key = judged.key,
                                       .payload = payload,
                                       .origin = connection->origin,
                                       .owner = acknowledged(type) ? &connection->unacked : NULL,
                                       .number = number};
    int result = delivery_send(ingest->deliveries, &message, ingest->now_ms);
    if (result == -EMSGSIZE) /* only of ticks and status: nobody waits for them, so they come here */
        return set_aside(ingest, connection, type, number, payload, "more bytes than Kafka takes");
    if (result < 0)
        return refused(ingest, connection, result);
    metric_add(ingest->counters.forwarded, 1);
    if (type == FRAME_TICK)
        metric_observe(ingest->counters.tick_age, (double)(now_us - judged.time_us) / 1e6);
    return UPLINK_TAKEN;
}

/* Nothing held and on the list of those who hold: who goes through that list would never come to its end. */
static void drop_held(struct ingest *ingest, struct connection *connection)
{
    buffer_reset(&connection->held);
    connection_unlist(&ingest->lists[LIST_HELD], LIST_HELD, connection);
}

/* Only the newest tick of an agent waits: the older one gives way. */
static void hold(struct ingest *ingest, struct connection *connection, struct str payload)
{
    if (connection->held.size > 0)
        metric_add(ingest->counters.ticks_dropped, 1);
    buffer_reset(&connection->held);
    buffer_append_str(&connection->held, payload);
    if (buffer_error(&connection->held) < 0) {
        metric_add(ingest->counters.ticks_dropped, 1);
        drop_held(ingest, connection);
        return;
    }
    connection_list(&ingest->lists[LIST_HELD], LIST_HELD, connection);
}

static enum uplink_result take(struct ingest *ingest, struct connection *connection, enum frame_type type,
                               uint64_t number, struct str payload)
{
    bool unknown;
    enum uplink_result result = uplink_judge(ingest, connection, type, number, payload, &unknown);
    if (!unknown)
        return result;
    metric_add(ingest->counters.unknown_schema, 1);
    return parked_add(ingest, connection, type, number, payload) ? UPLINK_TAKEN : UPLINK_BLOCKED;
}

/* Puts the held tick before what comes now. */
static enum uplink_result let_go(struct ingest *ingest, struct connection *connection)
{
    if (connection->held.size == 0)
        return UPLINK_TAKEN;
    if (take(ingest, connection, FRAME_TICK, 0, buffer_str(&connection->held)) == UPLINK_BLOCKED)
        return UPLINK_BLOCKED;
    drop_held(ingest, connection);
    return UPLINK_TAKEN;
}

enum uplink_result uplink_take(struct ingest *ingest, struct connection *connection,
                               const struct frame *frame)
{
    uint64_t number = 0;
    struct str payload = frame->payload;
    enum uplink_result result = UPLINK_BLOCKED;
    bool numbered = acknowledged(frame->type);
    if (numbered && frame_number(frame->payload, &number, &payload) < 0) {
        uplink_put_aside(ingest, connection, frame->payload, "a frame is too short for its number");
        peers_dismiss(ingest, connection, CLOSE_PROTOCOL, "a frame is too short for its number");
        return UPLINK_TAKEN;
    }
    bool full = numbered && connection->unacked.bytes >= (size_t)ingest->options->unacked_bytes;
    if (frame->type == FRAME_TICK && ingest->gate == GATE_NARROW) {
        hold(ingest, connection, payload);
        return UPLINK_TAKEN;
    }
    if (ingest->gate != GATE_CLOSED && !full &&
        (frame->type != FRAME_TICK || let_go(ingest, connection) == UPLINK_TAKEN))
        result = take(ingest, connection, frame->type, number, payload);
    if (result == UPLINK_BLOCKED)
        block(ingest, connection);
    return result;
}

/* --- reports --- */

void uplink_settled(void *context, struct delivery_owner *owner, uint64_t number, int error,
                    int64_t waited_ms)
{
    struct ingest *ingest = context;
    ingest->refused = false;
    metric_observe(ingest->counters.delivery_time, (double)waited_ms / 1e3);
    if (error < 0)
        metric_add(ingest->counters.delivery_failed, 1);
    if (!owner)
        return;
    struct connection *connection = connection_of(owner);
    if (connection->times.state != SESSION_UP)
        return;
    if (error < 0) { /* it comes again on the agent's next connection */
        char sentence[120];
        (void)snprintf(sentence, sizeof sentence, "Kafka did not take spool entry %" PRIu64 ": %s", number,
                       strerror(-error));
        peers_dismiss(ingest, connection, CLOSE_KAFKA, sentence);
        return;
    }
    connection_send_number(connection, FRAME_ACK, number);
    peers_touch(ingest, connection);
    metric_add(ingest->counters.acknowledged, 1);
}

void uplink_reduce(void *context, struct str payload, struct buffer *out)
{
    struct ingest *ingest = context;
    reduce_message(ingest->codec, payload, ingest->reduce, out);
}

/* --- the gate --- */

static void log_gate(struct ingest *ingest, enum gate before)
{
    if (ingest->gate == GATE_CLOSED || before == GATE_CLOSED)
        log_event(ingest->gate == GATE_CLOSED ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
                  ingest->gate == GATE_CLOSED ? "kafka_behind" : "kafka_caught_up",
                  "inflight_bytes=%zu stalled_ms=%" PRId64 " error=\"%s\"",
                  delivery_bytes(ingest->deliveries), delivery_stalled_ms(ingest->deliveries, ingest->now_ms),
                  stream_counters(ingest->stream)->last_error);
}

/* May its frames be taken again? Half of its limit, so that it does not flutter. */
static bool may_go_on(const struct ingest *ingest, const struct connection *connection)
{
    return ingest->gate != GATE_CLOSED &&
           connection->unacked.bytes <= (size_t)ingest->options->unacked_bytes / 2;
}

void uplink_look(struct ingest *ingest)
{
    enum gate before = ingest->gate;
    struct gate_view view = {.inflight_bytes = delivery_bytes(ingest->deliveries),
                             .limit_bytes = (size_t)ingest->options->inflight_bytes,
                             .stalled_ms = delivery_stalled_ms(ingest->deliveries, ingest->now_ms),
                             .stall_ms = ingest->options->stall_ms,
                             .refused = ingest->refused};
    ingest->gate = gate_judge(before, &view);
    if (ingest->gate != before)
        log_gate(ingest, before);
}

/* Each once: who cannot go on yet goes back to the end of its list. */
void uplink_go_on(struct ingest *ingest)
{
    struct connection_head *held = &ingest->lists[LIST_HELD], *blocked = &ingest->lists[LIST_BLOCKED];
    while (held->first && ingest->gate == GATE_OPEN && let_go(ingest, held->first) == UPLINK_TAKEN)
        ;
    for (size_t left = blocked->count; left > 0 && blocked->first && ingest->gate != GATE_CLOSED; left--) {
        struct connection *connection = blocked->first;
        connection_unlist(blocked, LIST_BLOCKED, connection);
        if (!may_go_on(ingest, connection)) {
            connection_list(blocked, LIST_BLOCKED, connection);
            continue;
        }
        frames_resume(ingest, connection);
        if (!connection->listed[LIST_CLOSED])
            peers_watch(ingest, connection);
        uplink_look(ingest);
    }
}

/* --- schemas --- */

int uplink_note_published(struct ingest *ingest, uint64_t fingerprint)
{
    return map_put(ingest->published, &fingerprint, sizeof fingerprint, ingest);
}

/* Blocks for as long as the registry takes, once for each version of an agent that is not ours. Without it
 * such values keep their single-object framing, which readers take too. */
static void register_schema(struct ingest *ingest, uint64_t fingerprint, struct str json)
{
    char error[512];
    if (ingest->register_schema &&
        ingest->register_schema(ingest->stream, fingerprint, json, error, sizeof error) < 0)
        log_warn("schema_not_registered", "fingerprint=%016" PRIx64 " reason=\"%s\"", fingerprint, error);
}

void uplink_schema(struct ingest *ingest, struct connection *connection, uint64_t fingerprint,
                   struct str json)
{
    char key[17], sentence[120];
    int result = codec_learn(ingest->codec, fingerprint, json);
    if (result < 0) {
        (void)snprintf(sentence, sizeof sentence, "schema %016" PRIx64 " is not taken: %s", fingerprint,
                       result == -EINVAL ? "no valid schema, or not the one with this fingerprint"
                                         : strerror(-result));
        uplink_put_aside(ingest, connection, json, sentence);
        return;
    }
    if (!map_get(ingest->published, &fingerprint, sizeof fingerprint)) {
        (void)snprintf(key, sizeof key, "%016" PRIx64, fingerprint);
        struct delivery_message message = {
            .topic = TOPIC_SCHEMAS, .key = str_of(key), .payload = json, .origin = connection->origin};
        result = delivery_send(ingest->deliveries, &message, ingest->now_ms);
        if (result == 0)
            result = uplink_note_published(ingest, fingerprint);
        if (result == 0)
            metric_add(ingest->counters.schemas, 1);
        register_schema(ingest, fingerprint, json);
    }
    parked_retry(ingest, connection);
}
