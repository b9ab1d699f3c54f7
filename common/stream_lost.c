/* Kafka lost the end of a log that was read already (a power failure without replicas, an unclean leader), or
 * a topic was made anew: its end is before the position of who reads it.
 *
 * librdkafka then goes to the beginning by itself. All before the position would be dropped as handed out
 * already, and what is new with it until the old position is passed. So such a partition goes on at the first
 * message that is not older than the newest handed out, less a minute for clocks that differ: a few come
 * twice, none is passed over. Where nothing was handed out yet since the assignment it goes on from so far
 * back as repeats are certainly known to be ones.
 *
 * Not seen: a log that grew beyond the position again before it was asked for; what was written up to there
 * is passed over. */
#include "common/stream_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"

#define CLOCKS_DIFFER_MS 60000
#define AGAIN_MS 500

/* Of a group whose member has read nothing yet: half of what queue remembers of executions that ended
 * (queue.keep_done), so that no request of before is run again. */
#define GROUP_REREADS_MS ((int64_t)12 * 3600 * 1000)

int64_t stream_known_from_ms(const struct stream *stream)
{
    int64_t now_ms = clock_realtime_us() / 1000;
    return stream->mode == STREAM_MODE_GROUP ? now_ms - GROUP_REREADS_MS : now_ms;
}

bool stream_lost_end(const struct stream *stream, const rd_kafka_message_t *raw,
                     const struct stream_slot *slot)
{
    int64_t low, high;
    return slot->position > 0 &&
           rd_kafka_get_watermark_offsets(stream->consumer, rd_kafka_topic_name(raw->rkt), raw->partition,
                                          &low, &high) == RD_KAFKA_RESP_ERR_NO_ERROR &&
           high >= 0 && high < slot->position; /* of the newest fetch */
}

/* The first message not older than time_ms; negative: there is none. */
static int offset_of_time(struct stream *stream, const char *full_name, int32_t partition, int64_t time_ms,
                          int64_t *offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, full_name, partition)->offset = time_ms;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(stream->consumer, list, STREAM_REQUEST_TIMEOUT_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = list->elems[0].err;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        *offset = list->elems[0].offset;
    else
        stream_note_error(stream, rd_kafka_err2str(code));
    rd_kafka_topic_partition_list_destroy(list);
    return stream_errno(code);
}

/* 1: *place is found; 0: the end is not before the position, what was known of it was old. */
static int find_place(struct stream *stream, const char *full_name, int32_t partition,
                      const struct stream_slot *slot, int64_t *place)
{
    int64_t low, high, found = -1;
    int64_t known_ms = FS_MIN(slot->known_ms, clock_realtime_us() / 1000) - CLOCKS_DIFFER_MS;
    int result = stream_query_offsets(stream, stream->consumer, full_name, partition, AGAIN_MS, &low, &high);
    if (result < 0 || high >= slot->position)
        return result;
    result = offset_of_time(stream, full_name, partition, FS_MAX(known_ms, 0), &found);
    if (result < 0)
        return result;
    *place = found < 0 ? high : FS_MAX(found, low); /* what came after high was asked for is after it */
    return 1;
}

/* The one thing that this layer tells by itself: whoever uses it, people must hear of lost messages. */
static void tell(struct stream *stream, const char *full_name, int32_t partition, int64_t position,
                 int64_t place)
{
    stream->counters.ends_lost++;
    if (stream->ends_lost)
        metric_add(stream->ends_lost, 1);
    log_error("kafka_lost_messages",
              "topic=%s partition=%" PRId32 " position=%" PRId64 " reading_from=%" PRId64
              " reason=\"the log ends before what was read already\"",
              full_name, partition, position, place);
}

/* The group's offset goes back too: librdkafka commits by itself only what is higher. */
static void commit_place(struct stream *stream, const char *full_name, int32_t partition, int64_t place)
{
    if (stream->mode != STREAM_MODE_GROUP || stream->transactional)
        return;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, full_name, partition)->offset = place;
    rd_kafka_resp_err_t code = rd_kafka_commit(stream->consumer, list, 1);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        stream_note_error(stream, rd_kafka_err2str(code)); /* after a restart the place is looked for again */
    rd_kafka_topic_partition_list_destroy(list);
}

/* False: again later. */
static bool go_on(struct stream *stream, const struct stream_topic_entry *topic, int32_t partition)
{
    struct stream_slot *slot = &topic->slots[partition];
    int64_t position = slot->position, place = position;
    int lost = find_place(stream, topic->full_name, partition, slot, &place);
    if (lost < 0)
        return false;
    slot->position = place;
    if (!slot->stopped && stream_seek_slot(stream, topic, partition, place) < 0) {
        slot->position = position;
        return false;
    }
    slot->lost = slot->reseek = false;
    if (lost == 0)
        return true;
    slot->went_back = true;
    slot->rewind = place;
    slot->stored = slot->handed = slot->wanted = slot->floor = slot->end_target = -1;
    tell(stream, topic->full_name, partition, position, place);
    commit_place(stream, topic->full_name, partition, place);
    return true;
}

void stream_find_lost(struct stream *stream)
{
    int64_t now_ms = clock_monotonic_ms();
    if (!stream->any_lost || now_ms < stream->lost_at_ms)
        return;
    stream->any_lost = false;
    stream->lost_at_ms = now_ms + AGAIN_MS;
    for (size_t t = 0; t < stream->topic_count; t++) {
        const struct stream_topic_entry *topic = &stream->topics[t];
        for (int32_t p = 0; p < topic->slot_count; p++) {
            if (topic->slots[p].lost && !go_on(stream, topic, p))
                stream->any_lost = true;
        }
    }
}

void stream_measure(struct stream *const *streams, size_t count, struct metrics *metrics)
{
    struct metric *ends_lost = metrics_counter(
        metrics, "kafka_ends_lost_total", "Times Kafka had lost messages that were read already", NULL, NULL);
    for (size_t i = 0; i < count; i++)
        streams[i]->ends_lost = ends_lost;
}
