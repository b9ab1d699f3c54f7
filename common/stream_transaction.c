/* Transactions: what was produced and the offsets of what was consumed become visible as one, or not at all.
 *
 * A commit whose outcome cannot be known is never repeated as new work: retriable errors repeat the same
 * call, an abort is complete before the consumer goes back, anything else ends the stream (-EPIPE) and the
 * restart reads the truth from Kafka. */
#include "common/stream_internal.h"

#include <errno.h>

#include "common/clock.h"

#define STEP_TIMEOUT_MS 10000
#define GIVE_UP_MS 60000 /* far beyond transaction.timeout.ms: the broker has decided by then */

enum verdict { VERDICT_DONE, VERDICT_ABORT, VERDICT_DEAD };

typedef rd_kafka_error_t *step_fn(struct stream *stream, const rd_kafka_topic_partition_list_t *offsets);

static rd_kafka_error_t *send_offsets(struct stream *stream, const rd_kafka_topic_partition_list_t *offsets)
{
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(stream->consumer);
    if (!group)
        return rd_kafka_error_new(RD_KAFKA_RESP_ERR__STATE, "the stream has no consumer group");
    rd_kafka_error_t *error =
        rd_kafka_send_offsets_to_transaction(stream->producer, offsets, group, STEP_TIMEOUT_MS);
    rd_kafka_consumer_group_metadata_destroy(group);
    return error;
}

static rd_kafka_error_t *commit(struct stream *stream, const rd_kafka_topic_partition_list_t *offsets)
{
    (void)offsets;
    return rd_kafka_commit_transaction(stream->producer, STEP_TIMEOUT_MS);
}

static rd_kafka_error_t *roll_back(struct stream *stream, const rd_kafka_topic_partition_list_t *offsets)
{
    (void)offsets;
    return rd_kafka_abort_transaction(stream->producer, STEP_TIMEOUT_MS);
}

/* Repeats a step while that is safe. */
static enum verdict run_step(struct stream *stream, step_fn *step,
                             const rd_kafka_topic_partition_list_t *offsets)
{
    int64_t deadline_ms = clock_monotonic_ms() + GIVE_UP_MS;
    for (;;) {
        rd_kafka_error_t *error = step(stream, offsets);
        if (!error)
            return VERDICT_DONE;
        bool fatal = rd_kafka_error_is_fatal(error) != 0;
        bool needs_abort = rd_kafka_error_txn_requires_abort(error) != 0;
        bool again = rd_kafka_error_is_retriable(error) && clock_monotonic_ms() < deadline_ms;
        if (fatal || (!needs_abort && !again))
            (void)stream_fail(stream, rd_kafka_error_string(error)); /* the verdict says it */
        else
            stream_note_error(stream, rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        if (fatal)
            return VERDICT_DEAD;
        if (needs_abort)
            return VERDICT_ABORT;
        if (!again)
            return VERDICT_DEAD;
    }
}

int stream_rewind(struct stream *stream)
{
    for (size_t t = 0; t < stream->topic_count; t++) {
        const struct stream_topic_entry *topic = &stream->topics[t];
        for (int32_t p = 0; p < topic->slot_count; p++) {
            struct stream_slot *slot = &topic->slots[p];
            if (!slot->assigned || slot->position == slot->rewind)
                continue;
            int result = stream_seek(stream, topic->name, p, slot->rewind);
            if (result < 0)
                return stream_fail(stream, "cannot go back to the last committed position");
        }
    }
    return 0;
}

int stream_begin(struct stream *stream)
{
    if (stream->failure)
        return stream->failure;
    if (!stream->transactional || stream->in_transaction)
        return -EINVAL;
    rd_kafka_error_t *error = rd_kafka_begin_transaction(stream->producer);
    if (error) {
        (void)stream_fail(stream,
                          rd_kafka_error_string(error)); /* the state allows it: only a fatal error is left */
        rd_kafka_error_destroy(error);
        return -EPIPE;
    }
    stream->in_transaction = true;
    stream->transaction_lost = false;
    return 0;
}

int stream_abort(struct stream *stream)
{
    stream->transaction_lost = stream->revoking && stream->in_transaction;
    if (!stream->in_transaction)
        return stream->failure;
    stream->in_transaction = false;
    if (stream->failure)
        return stream->failure;
    stream->counters.transactions_aborted++;
    if (run_step(stream, roll_back, NULL) != VERDICT_DONE)
        return stream_fail(stream, "cannot abort the transaction");
    return stream->mode == STREAM_MODE_NONE || stream->revoking ? 0 : stream_rewind(stream);
}

static rd_kafka_topic_partition_list_t *offsets_of(struct stream *stream,
                                                   const struct stream_position *positions, size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        struct stream_topic_entry *topic = stream_topic_add(stream, positions[i].topic);
        if (!topic) {
            rd_kafka_topic_partition_list_destroy(list);
            return NULL;
        }
        rd_kafka_topic_partition_list_add(list, topic->full_name, positions[i].partition)->offset =
            positions[i].offset;
    }
    return list;
}

static void remember_positions(struct stream *stream, const struct stream_position *positions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct stream_slot *slot = stream_slot_find(stream, positions[i].topic, positions[i].partition);
        if (slot)
            slot->rewind = positions[i].offset;
    }
}

int stream_commit_transaction(struct stream *stream, const struct stream_position *positions, size_t count)
{
    if (stream->failure)
        return stream->failure;
    if (!stream->in_transaction) {
        bool lost = stream->transaction_lost;
        stream->transaction_lost = false;
        return lost ? -EAGAIN : -EINVAL;
    }
    enum verdict verdict = VERDICT_DONE;
    if (count > 0) {
        rd_kafka_topic_partition_list_t *offsets = offsets_of(stream, positions, count);
        verdict = offsets ? run_step(stream, send_offsets, offsets) : VERDICT_ABORT;
        if (offsets)
            rd_kafka_topic_partition_list_destroy(offsets);
    }
    if (verdict == VERDICT_DONE)
        verdict = run_step(stream, commit, NULL);
    if (verdict == VERDICT_DONE) {
        stream->in_transaction = false;
        stream->counters.transactions++;
        remember_positions(stream, positions, count);
        return 0;
    }
    if (verdict == VERDICT_DEAD) {
        stream->in_transaction = false;
        return -EPIPE;
    }
    return stream_abort(stream) < 0 ? -EPIPE : -EAGAIN;
}
