/* See connection.h. */
#include "ingest/connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define IDLE_BYTES                                                                                           \
    ((size_t)16 << 10) /* what an empty buffer may keep: thousands of connections have two each */

void connection_list(struct connection_head *head, enum connection_list which, struct connection *connection)
{
    if (connection->listed[which])
        return;
    connection->listed[which] = true;
    connection->next[which] = NULL;
    connection->previous[which] = head->last;
    if (head->last)
        head->last->next[which] = connection;
    else
        head->first = connection;
    head->last = connection;
    head->count++;
}

void connection_unlist(struct connection_head *head, enum connection_list which,
                       struct connection *connection)
{
    struct connection *next = connection->next[which], *previous = connection->previous[which];
    if (!connection->listed[which])
        return;
    connection->listed[which] = false;
    if (previous)
        previous->next[which] = next;
    else
        head->first = next;
    if (next)
        next->previous[which] = previous;
    else
        head->last = previous;
    head->count--;
}

struct connection *connection_create(struct transport *transport, const char *peer, int64_t now_ms)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        transport_close(transport);
        return NULL;
    }
    connection->transport = transport;
    connection->times = (struct session_times){.state = SESSION_GREETING,
                                               .reading = true,
                                               .since_ms = now_ms,
                                               .heard_ms = now_ms,
                                               .sent_ms = now_ms};
    (void)snprintf(connection->peer, sizeof connection->peer, "%s", peer);
    (void)snprintf(connection->origin, sizeof connection->origin, "%s", peer);
    return connection;
}

void connection_destroy(struct connection *connection)
{
    transport_close(connection->transport);
    buffer_fini(&connection->in);
    buffer_fini(&connection->out);
    buffer_fini(&connection->held);
    free(connection);
}

void connection_send(struct connection *connection, enum frame_type type, struct str payload)
{
    frame_append(&connection->out, type, payload);
}

void connection_send_number(struct connection *connection, enum frame_type type, uint64_t number)
{
    frame_append_numbered(&connection->out, type, number, (struct str){0});
}

static void empty(struct buffer *buffer)
{
    if (buffer->capacity > IDLE_BYTES)
        buffer_fini(buffer);
    else
        buffer_reset(buffer);
}

size_t connection_pending(const struct connection *connection)
{
    return connection->out.size - connection->out_sent;
}

int connection_flush(struct connection *connection, int64_t now_ms)
{
    struct buffer *out = &connection->out;
    if (buffer_error(out) < 0)
        return buffer_error(out);
    while (connection_pending(connection) > 0) {
        ssize_t written = transport_write(connection->transport, out->data + connection->out_sent,
                                          connection_pending(connection));
        if (written == -EAGAIN) {
            if (connection->out_sent < out->size / 2)
                return 0; /* moving the rest each time would be quadratic */
            buffer_consume(out, connection->out_sent);
            connection->out_sent = 0;
            return 0;
        }
        if (written < 0)
            return (int)written;
        connection->out_sent += (size_t)written;
        connection->times.sent_ms = now_ms;
    }
    empty(out);
    connection->out_sent = 0;
    return 1;
}

int connection_keep(struct connection *connection, const uint8_t *bytes, size_t size, size_t used)
{
    struct buffer *in = &connection->in;
    if (bytes == in->data)
        buffer_consume(in, used);
    else if (used < size)
        buffer_append(in, bytes + used, size - used);
    if (in->size == 0)
        empty(in);
    return buffer_error(in);
}
