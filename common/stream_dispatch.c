/* The loop that most services want: one handler, one outcome per message, offsets after the effect. */
#include "common/stream_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"

#define RETRY_FIRST_MS 20
#define RETRY_LONGEST_MS 2000
#define QUARANTINE_WAIT_MS 500

void stream_set_reason(struct stream *stream, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(stream->quarantine_reason, sizeof stream->quarantine_reason, format, arguments);
    va_end(arguments);
}

const char *stream_reason(const struct stream *stream)
{
    return stream->quarantine_reason;
}

/* Stops the partition of this message: it comes again after the back-off. */
static int put_back(struct stream *stream, const struct stream_message *message)
{
    struct stream_slot *slot = stream_slot_find(stream, message->topic.data, message->partition);
    if (!slot)
        return 0; /* revoked meanwhile: its new owner gets it */
    slot->position = message->offset;
    slot->retry_backoff_ms =
        slot->retry_backoff_ms == 0 ? RETRY_FIRST_MS : FS_MIN(slot->retry_backoff_ms * 2, RETRY_LONGEST_MS);
    slot->retry_at_ms = clock_monotonic_ms() + slot->retry_backoff_ms;
    stream->waiting++;
    stream->counters.retried++;
    return stream_stop_or_go(stream, stream_topic_find(stream, message->topic.data), message->partition);
}

/* Lets partitions go on whose back-off is over; *next_ms is when the next one's is. */
static int resume_due(struct stream *stream, int64_t now_ms, int64_t *next_ms)
{
    *next_ms = INT64_MAX;
    for (size_t t = 0; stream->waiting > 0 && t < stream->topic_count; t++) {
        const struct stream_topic_entry *topic = &stream->topics[t];
        for (int32_t p = 0; p < topic->slot_count; p++) {
            struct stream_slot *slot = &topic->slots[p];
            if (slot->retry_at_ms == 0)
                continue;
            if (slot->retry_at_ms > now_ms) {
                *next_ms = FS_MIN(*next_ms, slot->retry_at_ms);
                continue;
            }
            slot->retry_at_ms = 0;
            stream->waiting--;
            int result = stream_stop_or_go(stream, topic, p);
            if (result < 0)
                return result;
        }
    }
    return 0;
}

static void on_quarantined(void *context, int error)
{
    struct stream *stream = context;
    (void)error; /* lost only when the stream fails for good or is closed, and counted */
    stream->quarantining--;
}

/* No offset of this partition moves until the message is in quarantine. */
static int quarantine(struct stream *stream, const struct stream_message *message, const char *reason)
{
    struct stream_slot *slot = stream_slot_find(stream, message->topic.data, message->partition);
    stream->quarantining++;
    int result =
        stream_quarantine_reported(stream, message, stream->client_id, reason, on_quarantined, stream);
    if (result < 0)
        stream->quarantining--;
    else if (slot)
        slot->held = stream->holding = true;
    return result;
}

/* Lets offsets go on once everything quarantined is delivered; waits a little for it, which is rare enough.
 */
static int release_held(struct stream *stream, int timeout_ms)
{
    if (!stream->holding)
        return 0;
    int result = stream->quarantining > 0 ? stream_flush(stream, timeout_ms) : 0;
    if (result < 0 && result != -ETIMEDOUT)
        return result;
    if (stream->quarantining > 0)
        return 0;
    stream->holding = false;
    for (size_t t = 0; t < stream->topic_count; t++) {
        for (int32_t p = 0; p < stream->topics[t].slot_count; p++) {
            struct stream_slot *slot = &stream->topics[t].slots[p];
            if (!slot->held)
                continue;
            slot->held = false;
            if (slot->wanted > slot->stored && slot->wanted > slot->floor) {
                slot->stored = slot->wanted;
                stream->offsets_dirty = true;
            }
            slot->wanted = -1;
        }
    }
    return 0;
}

/* The outcome after quarantining has been tried. */
static enum stream_outcome settle(struct stream *stream, const struct stream_message *message,
                                  enum stream_outcome outcome)
{
    if (outcome != STREAM_QUARANTINE)
        return outcome;
    const char *reason = stream->quarantine_reason[0] ? stream->quarantine_reason : "not valid";
    int result = quarantine(stream, message, reason);
    stream->quarantine_reason[0] = '\0';
    if (result == 0)
        return STREAM_DONE;
    return result == -EAGAIN ? STREAM_RETRY : STREAM_FATAL;
}

/* What is called for messages and, when it stores offsets itself, for their batch. */
struct dispatch {
    stream_handler_fn *handler;
    stream_batch_end_fn *end; /* NULL: offsets are stored here */
    void *context;
};

/* 1: done, 0: its partition waits, negative: end. */
static int handle(struct stream *stream, const struct stream_message *message,
                  const struct dispatch *dispatch)
{
    struct stream_slot *slot = stream_slot_find(stream, message->topic.data, message->partition);
    if (!slot)
        return 0;
    if (slot->retry_at_ms > 0) { /* an earlier message was put back: this one comes again after it */
        slot->position = FS_MIN(slot->position, message->offset);
        return 0;
    }
    switch (settle(stream, message, dispatch->handler(dispatch->context, message))) {
    case STREAM_DONE:
        slot = stream_slot_find(stream, message->topic.data, message->partition); /* handlers may rebalance */
        if (slot)
            slot->retry_backoff_ms = 0;
        if (dispatch->end)
            return 1;
        return stream_store_offset(stream, message) == -ESTALE ? 0
                                                               : 1; /* revoked: its new owner repeats it */
    case STREAM_RETRY:
        return put_back(stream, message);
    default:
        return stream->failure ? stream->failure : -EIO;
    }
}

static int dispatch_once(struct stream *stream, const struct dispatch *dispatch, int timeout_ms)
{
    int64_t now_ms = clock_monotonic_ms(), next_ms;
    int result = resume_due(stream, now_ms, &next_ms);
    if (result < 0)
        return result;
    if (next_ms - now_ms < timeout_ms)
        timeout_ms = (int)(next_ms - now_ms);
    struct stream_batch batch;
    int done = 0;
    result = stream_poll(stream, &batch, timeout_ms);
    for (size_t i = 0; result >= 0 && i < batch.count; i++) {
        result = handle(stream, &batch.messages[i], dispatch);
        done += result > 0;
    }
    if (result >= 0 && batch.count > 0 && dispatch->end)
        result = dispatch->end(dispatch->context);
    if (result >= 0)
        result = release_held(stream, batch.count > 0 ? QUARANTINE_WAIT_MS : 0);
    stream_batch_release(&batch);
    return result < 0 ? result : done;
}

int stream_dispatch(struct stream *stream, stream_handler_fn *handler, void *context, int timeout_ms)
{
    struct dispatch dispatch = {.handler = handler, .context = context};
    return dispatch_once(stream, &dispatch, timeout_ms);
}

int stream_dispatch_batch(struct stream *stream, stream_handler_fn *handler, stream_batch_end_fn *end,
                          void *context, int timeout_ms)
{
    struct dispatch dispatch = {.handler = handler, .end = end, .context = context};
    return dispatch_once(stream, &dispatch, timeout_ms);
}
