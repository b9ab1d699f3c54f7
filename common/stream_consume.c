/* What is read: group subscription with its rebalances, assignment without a group, stored offsets, closing.
 */
#include "common/stream_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"

static void slot_begin(struct stream *stream, struct stream_slot *slot, int64_t start, int64_t committed)
{
    *slot = (struct stream_slot){.assigned = true,
                                 .assigned_drain = stream->drain,
                                 .position = start,
                                 .rewind = start,
                                 .stored = -1,
                                 .handed = -1,
                                 .wanted = -1,
                                 .floor = committed >= 0 ? committed : -1,
                                 .end_target = -1,
                                 .known_ms = stream_known_from_ms(stream)};
}

static void slot_end(struct stream *stream, struct stream_slot *slot)
{
    if (slot->retry_at_ms > 0)
        stream->waiting--;
    *slot = (struct stream_slot){0};
}

static void end_all_slots(struct stream *stream)
{
    for (size_t t = 0; t < stream->topic_count; t++) {
        for (int32_t p = 0; p < stream->topics[t].slot_count; p++) {
            if (stream->topics[t].slots[p].assigned)
                slot_end(stream, &stream->topics[t].slots[p]);
        }
    }
}

void stream_hand_offsets(struct stream *stream)
{
    if (!stream->offsets_dirty)
        return;
    stream->offsets_dirty = false;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (size_t t = 0; t < stream->topic_count; t++) {
        const struct stream_topic_entry *topic = &stream->topics[t];
        for (int32_t p = 0; p < topic->slot_count; p++) {
            struct stream_slot *slot = &topic->slots[p];
            if (!slot->assigned || slot->stored <= slot->handed)
                continue;
            rd_kafka_topic_partition_list_add(list, topic->full_name, p)->offset = slot->stored;
            slot->handed = slot->stored;
        }
    }
    if (list->cnt > 0)
        (void)rd_kafka_offsets_store(stream->consumer,
                                     list); /* fails per partition, only for one just revoked */
    rd_kafka_topic_partition_list_destroy(list);
}

/* The group's committed offsets into the list; left at INVALID when the coordinator does not answer. */
static void look_up_committed(struct stream *stream, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    for (int attempt = 0; attempt < 3 && code != RD_KAFKA_RESP_ERR_NO_ERROR; attempt++)
        code = rd_kafka_committed(stream->consumer, list, STREAM_REQUEST_TIMEOUT_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        stream_note_error(stream, rd_kafka_err2str(code));
        for (int i = 0; i < list->cnt; i++)
            list->elems[i].offset = RD_KAFKA_OFFSET_STORED; /* librdkafka goes on asking */
    }
}

static struct stream_partition *partitions_of(const struct stream *stream,
                                              const rd_kafka_topic_partition_list_t *list)
{
    struct stream_partition *partitions = calloc((size_t)FS_MAX(list->cnt, 1), sizeof *partitions);
    for (int i = 0; partitions && i < list->cnt; i++) {
        int64_t offset = list->elems[i].offset;
        int64_t start = offset >= 0 || offset == RD_KAFKA_OFFSET_STORED ? offset : STREAM_OFFSET_BEGINNING;
        partitions[i] =
            (struct stream_partition){.topic = list->elems[i].topic + stream->prefix_size,
                                      .partition = list->elems[i].partition,
                                      .committed_offset = offset >= 0 ? offset : STREAM_OFFSET_NONE,
                                      .start_offset = start};
    }
    return partitions;
}

static void on_assigned(struct stream *stream, rd_kafka_topic_partition_list_t *list)
{
    look_up_committed(stream, list);
    struct stream_partition *partitions = partitions_of(stream, list);
    if (!partitions) {
        (void)stream_fail(stream, "out of memory in a rebalance"); /* the next call reports it */
        return;
    }
    if (stream->callbacks.assigned)
        stream->callbacks.assigned(stream->callback_context, partitions, (size_t)list->cnt);
    for (int i = 0; i < list->cnt; i++) {
        int64_t start = partitions[i].start_offset;
        if (start < 0 && start != STREAM_OFFSET_END && start != RD_KAFKA_OFFSET_STORED)
            start = STREAM_OFFSET_BEGINNING; /* a caller subtracted more than there is */
        struct stream_slot *slot = stream_slot_add(stream, partitions[i].topic, partitions[i].partition);
        if (!slot) {
            (void)stream_fail(stream, "out of memory in a rebalance"); /* the next call reports it */
            continue;
        }
        slot_begin(stream, slot, start, partitions[i].committed_offset);
        list->elems[i].offset = start;
    }
    free(partitions);
    rd_kafka_resp_err_t code = rd_kafka_assign(stream->consumer, list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        stream_note_error(stream, rd_kafka_err2str(code));
}

/* librdkafka keeps a pause for a partition that is revoked and comes back, and would never read it again. */
static void lift_pauses(struct stream *stream)
{
    rd_kafka_topic_partition_list_t *stopped = rd_kafka_topic_partition_list_new(8);
    for (size_t t = 0; t < stream->topic_count; t++) {
        const struct stream_topic_entry *topic = &stream->topics[t];
        for (int32_t p = 0; p < topic->slot_count; p++) {
            if (topic->slots[p].assigned && topic->slots[p].stopped)
                rd_kafka_topic_partition_list_add(stopped, topic->full_name, p);
        }
    }
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (stopped->cnt > 0)
        code = rd_kafka_resume_partitions(stream->consumer, stopped);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        stream_note_error(stream, rd_kafka_err2str(code));
    rd_kafka_topic_partition_list_destroy(stopped);
}

static void on_revoked(struct stream *stream, const rd_kafka_topic_partition_list_t *list)
{
    bool lost = rd_kafka_assignment_lost(stream->consumer) != 0;
    stream->revoking = true;
    struct stream_partition *partitions = partitions_of(stream, list);
    if (partitions && stream->callbacks.revoked)
        stream->callbacks.revoked(stream->callback_context, partitions, (size_t)list->cnt, lost);
    free(partitions);
    if (stream->in_transaction)
        fs_drop(stream_abort(stream)); /* a failure is recorded in the stream */
    stream->revoking = false;
    if (!lost)
        stream_hand_offsets(stream);
    lift_pauses(stream);
    (void)rd_kafka_assign(stream->consumer, NULL); /* commits what was handed; nothing to do about an error */
    end_all_slots(stream);
}

void stream_rebalance(rd_kafka_t *handle, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                      void *opaque)
{
    (void)handle;
    struct stream *stream = opaque;
    stream->counters.rebalances++;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        on_assigned(stream, list);
    } else {
        if (code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
            stream_note_error(stream, rd_kafka_err2str(code));
        on_revoked(stream, list);
    }
}

static int open_consumer(struct stream *stream, const struct stream_consumer_settings *settings, char *error,
                         size_t error_size)
{
    rd_kafka_conf_t *conf = stream_config_consumer(stream, settings, error, error_size);
    if (!conf)
        return -EINVAL;
    stream->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, error_size);
    if (!stream->consumer) {
        rd_kafka_conf_destroy(conf);
        return -EINVAL;
    }
    rd_kafka_poll_set_consumer(stream->consumer);
    stream->consumer_queue = rd_kafka_queue_get_consumer(stream->consumer);
    stream_connect_events(stream, stream->consumer_queue);
    return 0;
}

/* Every topic must be there. 0, -ENOENT, -EHOSTDOWN. */
static int require_topics(struct stream *stream, const char *const *topics, size_t count, char *error,
                          size_t error_size)
{
    const struct rd_kafka_metadata *metadata =
        stream_metadata(stream, STREAM_OPEN_TIMEOUT_MS, error, error_size);
    if (!metadata)
        return -EHOSTDOWN;
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        if (stream_metadata_partitions(stream, metadata, topics[i]) < 0) {
            snprintf(error, error_size, "topic %s%s does not exist on Kafka at %s", stream->prefix, topics[i],
                     stream->brokers);
            result = -ENOENT;
        }
    }
    rd_kafka_metadata_destroy(metadata);
    return result;
}

int stream_subscribe(struct stream *stream, const char *group, const char *member, const char *const *topics,
                     size_t count, const struct stream_callbacks *callbacks, void *context, char *error,
                     size_t error_size)
{
    if (stream->mode != STREAM_MODE_NONE) {
        snprintf(error, error_size, "this stream reads something already");
        return -EBUSY;
    }
    int result = require_topics(stream, topics, count, error, error_size);
    if (result < 0)
        return result;
    struct stream_consumer_settings settings = {.group = group, .member = member, .read_committed = true};
    result = open_consumer(stream, &settings, error, error_size);
    if (result < 0)
        return result;
    stream->mode = STREAM_MODE_GROUP;
    stream->callbacks = callbacks ? *callbacks : (struct stream_callbacks){0};
    stream->callback_context = context;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count && result == 0; i++) {
        struct stream_topic_entry *topic = stream_topic_add(stream, topics[i]);
        if (topic)
            rd_kafka_topic_partition_list_add(list, topic->full_name, RD_KAFKA_PARTITION_UA);
        else
            result = -ENOMEM;
    }
    rd_kafka_resp_err_t code =
        result == 0 ? rd_kafka_subscribe(stream->consumer, list) : RD_KAFKA_RESP_ERR__FAIL;
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    snprintf(error, error_size, "cannot subscribe: %s",
             result < 0 ? "too many topics" : rd_kafka_err2str(code));
    return result < 0 ? result : -EIO;
}

/* Gives librdkafka all slots of a group-less stream with their positions. */
static int assign_slots(struct stream *stream)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(64);
    for (size_t t = 0; t < stream->topic_count; t++) {
        const struct stream_topic_entry *topic = &stream->topics[t];
        for (int32_t p = 0; p < topic->slot_count; p++) {
            if (topic->slots[p].assigned)
                rd_kafka_topic_partition_list_add(list, topic->full_name, p)->offset =
                    topic->slots[p].position;
        }
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(stream->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    return stream_errno(code);
}

/* These partitions beside the others. Giving librdkafka the whole list again stops and starts them all; a
 * third list before the first stop is answered stops a partition twice, which ends the process (an assertion
 * in 2.0.2). */
static int assign_beside(struct stream *stream, const struct stream_position *starts, size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        const struct stream_slot *slot = stream_slot_find(stream, starts[i].topic, starts[i].partition);
        const char *name = stream_topic_find(stream, starts[i].topic)->full_name;
        rd_kafka_topic_partition_list_add(list, name, starts[i].partition)->offset = slot->position;
    }
    rd_kafka_error_t *failure = rd_kafka_incremental_assign(stream->consumer, list);
    int result = failure ? stream_errno(rd_kafka_error_code(failure)) : 0;
    if (failure)
        rd_kafka_error_destroy(failure);
    rd_kafka_topic_partition_list_destroy(list);
    return result;
}

static int add_free_slot(struct stream *stream, const char *topic, int32_t partition, int64_t start)
{
    struct stream_slot *slot = stream_slot_add(stream, topic, partition);
    if (!slot)
        return -ENOMEM;
    if (start ==
        STREAM_OFFSET_END) { /* concrete, so that what is produced from now on is certainly after it */
        int64_t low;
        int result =
            stream_query_offsets(stream, stream->consumer, stream_topic_find(stream, topic)->full_name,
                                 partition, STREAM_OPEN_TIMEOUT_MS, &low, &start);
        if (result < 0)
            return result;
    }
    slot_begin(stream, slot, start < 0 ? STREAM_OFFSET_BEGINNING : start, STREAM_OFFSET_NONE);
    return 0;
}

int stream_assign_all(struct stream *stream, const char *const *topics, size_t count, enum stream_start start,
                      bool read_committed, char *error, size_t error_size)
{
    if (stream->mode != STREAM_MODE_NONE) {
        snprintf(error, error_size, "this stream reads something already");
        return -EBUSY;
    }
    int result = require_topics(stream, topics, count, error, error_size);
    if (result < 0)
        return result;
    struct stream_consumer_settings settings = {.read_committed = read_committed};
    result = open_consumer(stream, &settings, error, error_size);
    if (result < 0)
        return result;
    stream->mode = STREAM_MODE_FREE;
    const struct rd_kafka_metadata *metadata =
        stream_metadata(stream, STREAM_OPEN_TIMEOUT_MS, error, error_size);
    if (!metadata)
        return -EHOSTDOWN;
    int64_t offset = start == STREAM_FROM_END ? STREAM_OFFSET_END : STREAM_OFFSET_BEGINNING;
    for (size_t i = 0; i < count && result == 0; i++) {
        int partitions = stream_metadata_partitions(stream, metadata, topics[i]);
        for (int32_t p = 0; p < partitions && result == 0; p++)
            result = add_free_slot(stream, topics[i], p, offset);
    }
    rd_kafka_metadata_destroy(metadata);
    if (result == 0)
        result = assign_slots(stream);
    if (result < 0)
        snprintf(error, error_size, "cannot read from Kafka at %s: %s", stream->brokers,
                 stream->counters.last_error[0] ? stream->counters.last_error : strerror(-result));
    return result;
}

/* 0, -ENOENT for one that the cluster does not have, -EHOSTDOWN. */
static int require_partitions(struct stream *stream, const struct stream_position *starts, size_t count)
{
    char error[256];
    const struct rd_kafka_metadata *metadata =
        stream_metadata(stream, STREAM_OPEN_TIMEOUT_MS, error, sizeof error);
    if (!metadata)
        return -EHOSTDOWN;
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        int partitions = stream_metadata_partitions(stream, metadata, starts[i].topic);
        if (starts[i].partition < 0 || starts[i].partition >= partitions)
            result = -ENOENT;
    }
    rd_kafka_metadata_destroy(metadata);
    return result;
}

static int open_free(struct stream *stream)
{
    char error[256];
    struct stream_consumer_settings settings = {.read_committed = true};
    int result = stream->consumer ? 0 : open_consumer(stream, &settings, error, sizeof error);
    if (result < 0)
        stream_note_error(stream, error);
    else
        stream->mode = STREAM_MODE_FREE;
    return result;
}

int stream_assign_at(struct stream *stream, const struct stream_position *starts, size_t count)
{
    if (stream->mode == STREAM_MODE_GROUP)
        return -EBUSY;
    int result = require_partitions(stream, starts, count);
    if (result == 0)
        result = open_free(stream);
    size_t added = 0;
    while (result == 0 && added < count) {
        const struct stream_position *start = &starts[added];
        result = stream_slot_find(stream, start->topic, start->partition)
                     ? -EALREADY
                     : add_free_slot(stream, start->topic, start->partition, start->offset);
        added += result == 0;
    }
    if (result == 0)
        result = assign_beside(stream, starts, count);
    for (size_t i = 0; result < 0 && i < added; i++)
        slot_end(stream, stream_slot_find(stream, starts[i].topic, starts[i].partition));
    return result;
}

int stream_store_offset(struct stream *stream, const struct stream_message *message)
{
    struct stream_slot *slot = stream_slot_find(stream, message->topic.data, message->partition);
    if (!slot)
        return -ESTALE;
    int64_t next = message->offset + 1;
    if (slot->went_back && next > slot->position)
        return -ESTALE; /* of what Kafka lost */
    if (slot->held) {
        slot->wanted = FS_MAX(slot->wanted, next);
        return 0;
    }
    if (next > slot->stored && next > slot->floor) {
        slot->stored = next;
        stream->offsets_dirty = true;
    }
    return 0;
}

int stream_commit(struct stream *stream)
{
    if (stream->mode != STREAM_MODE_GROUP || stream->transactional)
        return -EINVAL;
    stream_hand_offsets(stream);
    rd_kafka_queue_t *reply = rd_kafka_queue_new(stream->consumer);
    rd_kafka_resp_err_t code = rd_kafka_commit_queue(stream->consumer, NULL, reply, NULL, NULL);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(reply, STREAM_REQUEST_TIMEOUT_MS);
        code = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
        if (event)
            rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(reply);
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        stream->counters.commits++;
        return 0;
    case RD_KAFKA_RESP_ERR__NO_OFFSET:
        return 0;
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
        return -ESTALE;
    default:
        stream_note_error(stream, rd_kafka_err2str(code));
        return stream_check_fatal(stream) < 0 ? -EPIPE : -EHOSTDOWN;
    }
}

/* rd_kafka_consumer_close() waits for the coordinator without end; this one gives up. Messages that were
 * fetched come through the same queue (rd_kafka_queue_poll_callback() would assert on them). */
static void close_in_time(struct stream *stream)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(stream->consumer);
    rd_kafka_error_t *failure = rd_kafka_consumer_close_queue(stream->consumer, queue);
    int64_t deadline_ms = clock_monotonic_ms() + STREAM_CLOSE_TIMEOUT_MS;
    while (!failure && !rd_kafka_consumer_closed(stream->consumer) && clock_monotonic_ms() < deadline_ms) {
        ssize_t got = rd_kafka_consume_batch_queue(queue, 5, stream->raw, STREAM_BATCH_MAX);
        for (ssize_t i = 0; i < got; i++)
            rd_kafka_message_destroy(stream->raw[i]);
    }
    if (failure)
        rd_kafka_error_destroy(failure);
    rd_kafka_queue_destroy(queue);
}

void stream_consumer_close(struct stream *stream)
{
    if (stream->consumer) {
        stream_hand_offsets(stream);
        close_in_time(stream);
        rd_kafka_queue_destroy(stream->consumer_queue);
        rd_kafka_destroy_flags(stream->consumer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        stream->consumer = NULL;
    }
    for (size_t i = 0; i < STREAM_RESTORE_DEPTH; i++) {
        if (!stream->restorers[i])
            continue;
        rd_kafka_queue_destroy(stream->restorer_queues[i]);
        rd_kafka_destroy_flags(stream->restorers[i], RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        stream->restorers[i] = NULL;
    }
}
