/* What the frames of agents mean. See ingest.h and schemas/frame.h. */
#include <errno.h>
#include <stdio.h>

#include "ingest/ingest.h"

#define BAD_BYTES_KEPT ((size_t)4096) /* of bytes that are no frame: enough to see what was sent */

enum taken { TAKEN, TAKEN_BLOCKED, TAKEN_ENDED };

static enum taken fault(struct ingest *ingest, struct connection *connection, struct str bytes,
                        enum close_reason reason, const char *sentence)
{
    bytes.size = FS_MIN(bytes.size, BAD_BYTES_KEPT);
    uplink_put_aside(ingest, connection, bytes, sentence);
    peers_dismiss(ingest, connection, reason, sentence);
    return TAKEN_ENDED;
}

static enum taken take_numbered(struct ingest *ingest, struct connection *connection,
                                const struct frame *frame)
{
    uint64_t number;
    struct str rest;
    if (frame_number(frame->payload, &number, &rest) < 0)
        return fault(ingest, connection, frame->payload, CLOSE_PROTOCOL,
                     "a frame is too short for its number");
    if (frame->type == FRAME_PING) {
        connection_send_number(connection, FRAME_PONG, number);
        peers_touch(ingest, connection);
    } else if (frame->type == FRAME_SCHEMA) {
        if (++connection->schemas > SESSION_SCHEMAS_MAX)
            return fault(ingest, connection, rest, CLOSE_PROTOCOL, "more schemas than an agent writes with");
        uplink_schema(ingest, connection, number, rest);
    }
    return TAKEN;
}

static enum taken take(struct ingest *ingest, struct connection *connection, const struct frame *frame)
{
    const char *wrong = session_fault(connection->times.state, frame->type);
    if (wrong)
        return fault(ingest, connection, frame->payload, CLOSE_PROTOCOL, wrong);
    switch (frame->type) {
    case FRAME_HELLO:
        peers_greet(ingest, connection, frame->payload);
        return connection->times.state == SESSION_UP ? TAKEN : TAKEN_ENDED;
    case FRAME_PING:
    case FRAME_PONG:
    case FRAME_SCHEMA:
        return take_numbered(ingest, connection, frame);
    default:
        return uplink_take(ingest, connection, frame) == UPLINK_BLOCKED ? TAKEN_BLOCKED : TAKEN;
    }
}

static bool ended(const struct connection *connection)
{
    return connection->listed[LIST_CLOSED] || connection->times.state == SESSION_LEAVING;
}

static size_t frame_limit(const struct ingest *ingest, const struct connection *connection)
{
    return connection->times.state == SESSION_GREETING ? SESSION_HELLO_BYTES
                                                       : (size_t)ingest->options->frame_bytes;
}

static void bad_bytes(struct ingest *ingest, struct connection *connection, struct str bytes, int error)
{
    char sentence[120];
    const uint8_t *data = (const uint8_t *)bytes.data;
    uint32_t length = (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
    if (error == -EMSGSIZE)
        (void)snprintf(sentence, sizeof sentence, "a frame of %u bytes, at most %zu are taken", length,
                       frame_limit(ingest, connection));
    else if (length == 0)
        (void)snprintf(sentence, sizeof sentence, "a frame of no bytes");
    else
        (void)snprintf(sentence, sizeof sentence, "a frame of the unknown type %u", data[4]);
    (void)fault(ingest, connection, bytes, error == -EMSGSIZE ? CLOSE_FRAME_SIZE : CLOSE_FRAME_TYPE,
                sentence);
}

/* How many of the bytes were used: stops where the connection is blocked or ends. */
static size_t take_all(struct ingest *ingest, struct connection *connection, const uint8_t *bytes,
                       size_t size)
{
    struct frame frame;
    size_t used = 0;
    while (!ended(connection)) {
        int result = frame_next(bytes + used, size - used, frame_limit(ingest, connection), &frame);
        if (result == 0)
            break;
        if (result < 0) {
            bad_bytes(ingest, connection, (struct str){(const char *)bytes + used, size - used}, result);
            break;
        }
        enum taken taken = take(ingest, connection, &frame);
        if (taken == TAKEN_BLOCKED)
            break;
        used += frame.size;
        if (taken == TAKEN_ENDED)
            break;
        metric_add(ingest->counters.frames[frame.type], 1);
        metric_add(ingest->counters.frame_bytes, (double)frame.size);
    }
    return used;
}

static void keep_rest(struct ingest *ingest, struct connection *connection, const uint8_t *bytes, size_t size,
                      size_t used)
{
    if (ended(connection))
        return;
    if (used > 0 || connection->times.frame_ms == 0)
        connection->times.frame_ms = used < size ? ingest->now_ms : 0;
    if (connection_keep(connection, bytes, size, used) < 0)
        peers_close(ingest, connection, CLOSE_MEMORY, "out of memory");
}

void frames_take(struct ingest *ingest, struct connection *connection, const uint8_t *bytes, size_t size)
{
    struct buffer *in = &connection->in;
    connection->times.heard_ms = ingest->now_ms;
    if (in->size > 0) {
        buffer_append(in, bytes, size);
        if (buffer_error(in) < 0) {
            peers_close(ingest, connection, CLOSE_MEMORY, "out of memory");
            return;
        }
        bytes = in->data;
        size = in->size;
    }
    keep_rest(ingest, connection, bytes, size, take_all(ingest, connection, bytes, size));
}

void frames_resume(struct ingest *ingest, struct connection *connection)
{
    struct buffer *in = &connection->in;
    connection->times.heard_ms = ingest->now_ms; /* silence counts from now on */
    connection->times.frame_ms = 0;
    if (in->size > 0)
        keep_rest(ingest, connection, in->data, in->size, take_all(ingest, connection, in->data, in->size));
}
