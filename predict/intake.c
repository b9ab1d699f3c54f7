/* What comes in through the group: ticks into the engine, records for the end of the batch. See predict.h. */
#include <errno.h>

#include "common/clock.h"
#include "predict/predict.h"
#include "schemas/name.h"

#define UNKNOWN_WAIT_MS 2000                /* within the 5 s in which every attempt has a risk */
#define UNKNOWN_AGAIN_MS 60000              /* the schema is still looked for once a second */
#define TICKS_SOFT_BYTES ((size_t)16 << 20) /* decoded ticks that wait for one step */

static enum stream_outcome note(struct predict *predict, const char *topic,
                                const struct stream_message *message, enum stream_outcome outcome)
{
    int result = ledger_note(predict->ledger, topic, message->partition, message->offset);
    if (result == 0)
        return outcome;
    predict_fail(predict, result, "noting an offset");
    return STREAM_FATAL;
}

static enum stream_outcome quarantine(struct predict *predict, const char *topic,
                                      const struct stream_message *message)
{
    metric_add(predict->metrics.quarantined, 1);
    if (!log_limited(&predict->limiter, predict->now_ms))
        log_warn("quarantined", "topic=%s partition=%d offset=%lld", topic, (int)message->partition,
                 (long long)message->offset);
    return note(predict, topic, message, STREAM_QUARANTINE);
}

/* --- telemetry --- */

static void release_ticks(struct predict *predict)
{
    engine_flush(predict->engine);
    arena_reset(predict->ticks);
}

/* Ticks that share the batch's arena are stepped first when the arena runs out; what does not fit alone is
 * refused. */
static enum stream_outcome decode_tick(struct predict *predict, const struct stream_message *message,
                                       struct msg_tick *tick)
{
    if (arena_used(predict->ticks) > TICKS_SOFT_BYTES)
        release_ticks(predict);
    for (int attempt = 0; attempt < 2; attempt++) {
        enum stream_outcome outcome = topic_codec_decode(predict->codec, &msg_tick_type, message,
                                                         predict->ticks, tick, predict->now_ms);
        if (outcome != STREAM_FATAL)
            return outcome;
        release_ticks(predict);
    }
    stream_set_reason(predict->stream, "a tick of %zu bytes does not fit into memory", message->value_size);
    return STREAM_QUARANTINE;
}

/* The engine borrows a tick until the end of the batch: beside its samples, where that lives. */
static struct msg_tick *keep_tick(struct predict *predict, const struct msg_tick *tick)
{
    struct msg_tick *kept = arena_alloc(predict->ticks, 1, sizeof *kept);
    if (kept)
        *kept = *tick;
    else
        stream_set_reason(predict->stream, "a tick of %zu samples does not fit into memory",
                          tick->samples.count);
    return kept;
}

/* Names go into risks, which others must be able to read. */
static bool tick_valid(struct stream *stream, const struct msg_tick *tick)
{
    if (!name_valid(tick->node, PREDICT_NODE_MAX) || !name_valid(tick->pool, PREDICT_NODE_MAX)) {
        stream_set_reason(stream,
                          "the name of the node or of its pool is not 1..%d bytes of [A-Za-z0-9._:+@/-]",
                          PREDICT_NODE_MAX);
        return false;
    }
    for (size_t i = 0; i < tick->samples.count; i++) {
        const struct msg_sample *sample = &tick->samples.items[i];
        if (!name_valid(sample->code, PROFILE_CODE_MAX - 1) || sample->attempt < 1) {
            stream_set_reason(
                stream, "sample %zu: its code is not 1..128 bytes of [A-Za-z0-9._:+@/-], or attempt %d < 1",
                i, (int)sample->attempt);
            return false;
        }
    }
    return true;
}

/* False for a repeat. */
static bool take_order(struct predict *predict, const struct msg_tick *tick, int32_t partition)
{
    struct node *node = table_find(predict->nodes, tick->node.data, tick->node.size);
    if (!node)
        node = table_add(predict->nodes, tick->node.data, tick->node.size);
    if (!order_take(&node->order, tick)) {
        metric_add(predict->metrics.repeats, 1);
        return false;
    }
    node->partition = partition;
    node->seen_ms = predict->now_ms;
    table_touch(predict->nodes, node);
    return true;
}

static void take_tick(struct predict *predict, const struct msg_tick *tick,
                      const struct stream_message *message, enum feed_action action)
{
    struct telemetry *telemetry = &predict->telemetry[message->partition];
    struct engine_tick context = {.tick = tick,
                                  .partition = message->partition,
                                  .consumed_us = predict->consumed_us,
                                  .now_ms = predict->now_ms,
                                  .muted = action == FEED_BUILD};
    bool taken = take_order(predict, tick, message->partition);
    feed_handled(&telemetry->feed, message->offset);
    metric_add(predict->metrics.ticks, 1);
    for (size_t i = 0; taken && i < tick->samples.count; i++)
        engine_add(predict->engine, &context, &tick->samples.items[i]);
}

/* A tick written with an unknown schema holds up every node of its partition, and a lost tick costs
 * resolution only: so it waits for its schema much shorter than other messages do, and once one was given up
 * the others do not wait. */
static enum stream_outcome bound_wait(struct predict *predict, struct telemetry *telemetry)
{
    if (telemetry->unknown_since_ms == 0)
        telemetry->unknown_since_ms = predict->now_ms;
    bool given_up =
        telemetry->unknown_told_ms != 0 && predict->now_ms - telemetry->unknown_told_ms < UNKNOWN_AGAIN_MS;
    if (!given_up && predict->now_ms - telemetry->unknown_since_ms < UNKNOWN_WAIT_MS)
        return STREAM_RETRY;
    telemetry->unknown_since_ms = 0;
    telemetry->unknown_told_ms = predict->now_ms;
    stream_set_reason(predict->stream, "a tick written with a schema that nobody put into the topic schemas");
    return STREAM_QUARANTINE;
}

static enum feed_action look(struct predict *predict, struct telemetry *telemetry,
                             const struct stream_message *message)
{
    struct feed *feed = &telemetry->feed;
    int64_t age_ms = predict->consumed_us / 1000 - message->timestamp_ms;
    bool caught_up = feed->phase != FEED_LIVE && stream_caught_up(predict->stream);
    uint32_t least = UINT32_MAX;
    if (feed_ends_pass(feed, message->offset)) {
        release_ticks(predict);
        least = engine_least_ticks(predict->engine, message->partition);
    }
    return feed_take(feed, &predict->rules, message->offset, age_ms, caught_up, least);
}

static enum stream_outcome take_telemetry(struct predict *predict, const struct stream_message *message)
{
    struct telemetry *telemetry = &predict->telemetry[message->partition];
    struct msg_tick tick, *kept = NULL;
    if (telemetry->rewinding)
        return STREAM_DONE; /* comes again; not noted */
    enum feed_action action = look(predict, telemetry, message);
    if (action == FEED_REWIND) {
        telemetry->rewinding = true;
        return STREAM_DONE;
    }
    enum stream_outcome outcome = decode_tick(predict, message, &tick);
    if (outcome == STREAM_RETRY)
        outcome = bound_wait(predict, telemetry);
    else
        telemetry->unknown_since_ms = 0;
    if (outcome == STREAM_DONE && !tick_valid(predict->stream, &tick))
        outcome = STREAM_QUARANTINE;
    if (outcome == STREAM_DONE && !(kept = keep_tick(predict, &tick)))
        outcome = STREAM_QUARANTINE;
    if (outcome == STREAM_QUARANTINE && action == FEED_BUILD)
        outcome = STREAM_DONE; /* it went there when it came first */
    else if (outcome == STREAM_QUARANTINE)
        outcome = quarantine(predict, TOPIC_TELEMETRY, message);
    else if (outcome == STREAM_DONE)
        take_tick(predict, kept, message, action);
    return outcome == STREAM_DONE ? note(predict, TOPIC_TELEMETRY, message, STREAM_DONE) : outcome;
}

/* --- finished executions --- */

/* Not in this batch: from this record on the partition is read again. */
static enum stream_outcome hold(struct records *records, const struct stream_message *message)
{
    records->held = true;
    records->held_offset = message->offset;
    return STREAM_DONE; /* not noted */
}

static bool batch_full(const struct predict *predict)
{
    return predict->finished_waiting == PREDICT_RECORDS ||
           (predict->finished_waiting > 0 && predict->finished_ticks >= PREDICT_RECORD_TICKS);
}

static enum stream_outcome take_finished(struct predict *predict, const struct stream_message *message)
{
    struct records *records = &predict->partitions[message->partition];
    if (records->held)
        return STREAM_DONE; /* comes again; not noted */
    if (batch_full(predict))
        return hold(records, message);
    struct finished *finished = &predict->finished[predict->finished_waiting];
    struct msg_execution_record *record = &finished->record;
    enum stream_outcome outcome = topic_codec_decode(predict->codec, &msg_execution_record_type, message,
                                                     predict->records, record, predict->now_ms);
    if (outcome == STREAM_FATAL && predict->finished_waiting > 0)
        return hold(records, message); /* the others fill the memory */
    if (outcome == STREAM_FATAL) {
        stream_set_reason(predict->stream, "a record of %zu bytes does not fit into memory",
                          message->value_size);
        outcome = STREAM_QUARANTINE;
    }
    if (outcome == STREAM_DONE && !name_valid(record->code, PROFILE_CODE_MAX - 1)) {
        stream_set_reason(predict->stream, "its code is not 1..128 bytes of [A-Za-z0-9._:+@/-]");
        outcome = STREAM_QUARANTINE;
    }
    if (outcome == STREAM_QUARANTINE)
        return quarantine(predict, TOPIC_EXECUTIONS_FINISHED, message);
    if (outcome != STREAM_DONE)
        return outcome;
    finished->partition = message->partition;
    finished->offset = message->offset;
    predict->finished_waiting++;
    predict->finished_ticks += FS_MIN(record->series.count, (size_t)predict->options->learn_ticks);
    return note(predict, TOPIC_EXECUTIONS_FINISHED, message, STREAM_DONE);
}

enum stream_outcome predict_take(void *context, const struct stream_message *message)
{
    struct predict *predict = context;
    if (predict->failure != 0)
        return STREAM_FATAL;
    if (str_equal(message->topic, str_of(TOPIC_TELEMETRY)))
        return take_telemetry(predict, message);
    return take_finished(predict, message);
}

/* --- the end of a batch --- */

void predict_forget(struct predict *predict, int32_t partition)
{
    struct node *next;
    engine_forget(predict->engine, partition);
    for (struct node *node = table_oldest(predict->nodes); node; node = next) {
        next = table_newer(predict->nodes, node);
        if (node->partition == partition)
            table_remove(predict->nodes, node);
    }
}

static void rewind_partitions(struct predict *predict)
{
    for (int32_t p = 0; p < predict->telemetry_count; p++) {
        struct telemetry *telemetry = &predict->telemetry[p];
        if (!telemetry->rewinding)
            continue;
        telemetry->rewinding = false;
        predict_forget(predict, p);
        metric_add(predict->metrics.rewound, 1);
        int result = stream_seek(predict->stream, TOPIC_TELEMETRY, p, telemetry->feed.start);
        if (result < 0 && result != -ESTALE)
            predict_fail(predict, result, "going back in telemetry");
    }
}

static void read_held_again(struct predict *predict)
{
    for (int32_t p = 0; p < predict->finished_count; p++) {
        struct records *records = &predict->partitions[p];
        if (!records->held)
            continue;
        records->held = false;
        int result = stream_seek(predict->stream, TOPIC_EXECUTIONS_FINISHED, p, records->held_offset);
        if (result < 0 && result != -ESTALE)
            predict_fail(predict, result, "going back in executions.finished");
    }
}

int predict_end_batch(void *context)
{
    struct predict *predict = context;
    int64_t before_us = clock_monotonic_us();
    release_ticks(predict);
    metric_observe(predict->metrics.step_seconds, (double)(clock_monotonic_us() - before_us) * 1e-6);
    predict_reread_codes(predict);
    for (size_t i = 0; i < predict->finished_waiting; i++)
        predict_finish(predict, &predict->finished[i]);
    predict->finished_waiting = predict->finished_ticks = 0;
    arena_reset(predict->records);
    rewind_partitions(predict);
    read_held_again(predict);
    if (predict->failure != 0)
        return predict->failure; /* the batch stays open: what it did not finish comes again */
    ledger_close_batch(predict->ledger);
    predict_settle(predict);
    return predict->failure;
}
