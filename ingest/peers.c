/* Beginning and ending of connections: accepting, HELLO, one connection per node, farewells, time-outs. See
 * ingest.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "common/clock.h"
#include "ingest/ingest.h"

#define ACCEPT_PER_TURN 64 /* those connected are not to wait for a flood of newcomers */

static void list(struct ingest *ingest, enum connection_list which, struct connection *connection)
{
    connection_list(&ingest->lists[which], which, connection);
}

static void unlist(struct ingest *ingest, enum connection_list which, struct connection *connection)
{
    connection_unlist(&ingest->lists[which], which, connection);
}

bool peers_reading(const struct connection *connection)
{
    return !connection->listed[LIST_BLOCKED] && !connection->listed[LIST_CLOSED];
}

void peers_touch(struct ingest *ingest, struct connection *connection)
{
    if (!connection->listed[LIST_CLOSED])
        list(ingest, LIST_DIRTY, connection);
}

void peers_watch(struct ingest *ingest, struct connection *connection)
{
    uint32_t wanted = peers_reading(connection) ? EPOLLIN : 0;
    if (connection_pending(connection) > 0)
        wanted |= EPOLLOUT;
    if (wanted == connection->interest)
        return;
    struct epoll_event event = {.events = wanted, .data.ptr = connection};
    if (epoll_ctl(ingest->epoll_fd, EPOLL_CTL_MOD, transport_fd(connection->transport), &event) < 0)
        peers_close(ingest, connection, CLOSE_ERROR, strerror(errno));
    else
        connection->interest = wanted;
}

static void log_closed(struct ingest *ingest, const struct connection *connection, enum close_reason reason,
                       const char *sentence)
{
    char origin[700], text[700];
    if (log_limited(&ingest->limiter, ingest->now_ms))
        return;
    enum log_level level = reason == CLOSE_PEER || reason == CLOSE_REPLACED || reason == CLOSE_STOPPING
                               ? LOG_LEVEL_INFO
                               : LOG_LEVEL_WARN;
    log_event(level, "connection_closed", "peer=%s reason=%s detail=%s",
              log_quote(origin, sizeof origin, str_of(connection->origin)), close_reason_name(reason),
              log_quote(text, sizeof text, str_of(sentence)));
}

/* It does not speak for its node any more. */
static void release(struct ingest *ingest, struct connection *connection)
{
    const char *node = connection->identity.node;
    if (node[0] && map_get(ingest->nodes, node, strlen(node)) == connection)
        (void)map_remove(ingest->nodes, node, strlen(node));
    delivery_forget(ingest->deliveries, &connection->unacked);
    if (connection->held.size > 0)
        metric_add(ingest->counters.ticks_dropped, 1);
    /* Reset, not freed, as the parked ones are not yet: one of them may be what is being taken just now. */
    buffer_reset(&connection->held);
    buffer_reset(&connection->in);
    unlist(ingest, LIST_PARKED, connection);
    unlist(ingest, LIST_HELD, connection);
    unlist(ingest, LIST_BLOCKED, connection);
}

void peers_close(struct ingest *ingest, struct connection *connection, enum close_reason reason,
                 const char *sentence)
{
    if (connection->listed[LIST_CLOSED])
        return;
    if (connection->times.state != SESSION_LEAVING) { /* else it was counted and told already */
        metric_add(ingest->counters.closed[reason], 1);
        log_closed(ingest, connection, reason, sentence);
    }
    release(ingest, connection);
    unlist(ingest, LIST_DIRTY, connection);
    list(ingest, LIST_CLOSED, connection);
    /* The descriptor stays open until it is freed, so that its number is not taken anew within this turn. */
    (void)epoll_ctl(ingest->epoll_fd, EPOLL_CTL_DEL, transport_fd(connection->transport), NULL);
}

void peers_bury(struct ingest *ingest)
{
    struct connection *connection;
    while ((connection = ingest->lists[LIST_CLOSED].first)) {
        unlist(ingest, LIST_CLOSED, connection);
        unlist(ingest, LIST_ALL, connection);
        delivery_forget(ingest->deliveries, &connection->unacked); /* given while it was being dismissed */
        parked_drop(ingest, connection);
        connection_destroy(connection);
    }
}

void peers_dismiss(struct ingest *ingest, struct connection *connection, enum close_reason reason,
                   const char *sentence)
{
    if (connection->listed[LIST_CLOSED] || connection->times.state == SESSION_LEAVING)
        return;
    metric_add(ingest->counters.closed[reason], 1);
    log_closed(ingest, connection, reason, sentence);
    release(ingest, connection);
    connection_send(connection, FRAME_REJECT, str_of(sentence));
    connection->times.state = SESSION_LEAVING;
    connection->times.since_ms = ingest->now_ms;
    peers_touch(ingest, connection);
}

/* --- beginning --- */

static int welcome_stranger(struct ingest *ingest, struct transport *transport, const char *peer)
{
    struct connection *connection = connection_create(transport, peer, ingest->now_ms);
    if (!connection)
        return -ENOMEM;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(ingest->epoll_fd, EPOLL_CTL_ADD, transport_fd(transport), &event) < 0) {
        int error = -errno;
        connection_destroy(connection);
        return error;
    }
    connection->interest = EPOLLIN;
    list(ingest, LIST_ALL, connection);
    metric_add(ingest->counters.accepted, 1);
    if (ingest->lists[LIST_ALL].count > (size_t)ingest->options->max_connections)
        peers_dismiss(ingest, connection, CLOSE_FULL,
                      "this ingest has as many connections as it takes (ingest.max_connections)");
    return 0;
}

/* Out of descriptors: the listener would stay readable for ever; the sweep takes it up again. */
static void pause_accepting(struct ingest *ingest, int error)
{
    struct epoll_event event = {.events = 0, .data.ptr = &ingest->listener};
    ingest->accepting = epoll_ctl(ingest->epoll_fd, EPOLL_CTL_MOD, listener_fd(ingest->listener), &event) < 0;
    metric_add(ingest->counters.accept_failed, 1);
    if (!log_limited(&ingest->limiter, ingest->now_ms))
        log_warn("accept_failed", "error=\"%s\" connections=%zu", strerror(-error),
                 ingest->lists[LIST_ALL].count);
}

void peers_accept(struct ingest *ingest)
{
    char peer[TRANSPORT_ADDRESS_MAX];
    for (int i = 0; i < ACCEPT_PER_TURN; i++) {
        struct transport *transport;
        int result = listener_accept(ingest->listener, peer, sizeof peer, &transport);
        if (result == 0)
            return;
        if (result == 1)
            result = welcome_stranger(ingest, transport, peer);
        if (result == -EMFILE || result == -ENFILE || result == -ENOMEM || result == -ENOBUFS) {
            pause_accepting(ingest, result);
            return;
        }
        if (result < 0)
            metric_add(ingest->counters.accept_failed, 1);
    }
}

/* The node is this connection's from now on. */
static void enthrone(struct ingest *ingest, struct connection *connection, const struct identity *identity)
{
    char id[UUID_TEXT_SIZE], origin[700];
    if (map_put(ingest->nodes, identity->node, strlen(identity->node), connection) < 0) {
        peers_close(ingest, connection, CLOSE_MEMORY, "out of memory");
        return;
    }
    connection->identity = *identity;
    (void)snprintf(connection->origin, sizeof connection->origin, "%s at %s", identity->node,
                   connection->peer);
    connection->times.state = SESSION_UP;
    connection->times.since_ms = ingest->now_ms;
    connection_send(connection, FRAME_WELCOME, (struct str){0});
    connection->times.sent_ms = ingest->now_ms;
    peers_touch(ingest, connection);
    uuid_format(identity->incarnation, id);
    if (!log_limited(&ingest->limiter, ingest->now_ms))
        log_info("node_connected", "peer=%s pool=%s incarnation=%s epoch=%" PRId64,
                 log_quote(origin, sizeof origin, str_of(connection->origin)), identity->pool, id,
                 identity->epoch);
}

/* Little enough to work with, so much that offers and adjustments expire early or late. */
static void tell_clock(struct ingest *ingest, const struct connection *connection, int64_t node_us)
{
    char origin[700];
    int64_t ahead_ms = (node_us - clock_realtime_us()) / 1000;
    if (node_us == 0 || (ahead_ms <= SESSION_CLOCK_MS && ahead_ms >= -SESSION_CLOCK_MS))
        return;
    metric_add(ingest->counters.clocks_differ, 1);
    if (!log_limited(&ingest->limiter, ingest->now_ms))
        log_warn("clock_differs",
                 "peer=%s ahead_ms=%" PRId64
                 " hint=\"set the node's clock: offers and adjustments expire by it\"",
                 log_quote(origin, sizeof origin, str_of(connection->origin)), ahead_ms);
}

/* NULL, or what is wrong with the HELLO. */
static const char *read_hello(struct ingest *ingest, struct str framed, struct identity *out,
                              int64_t *time_us)
{
    struct msg_hello hello = {.time_us = 0};
    arena_reset(ingest->arena);
    int error = codec_decode(ingest->codec, &msg_hello_type, framed, ingest->arena, &hello);
    if (error == -ENOENT)
        return "HELLO is written with a schema this ingest does not know: upgrade ingest before the agents";
    *time_us = hello.time_us;
    return error ? "HELLO is not readable" : identity_take(&hello, out);
}

void peers_greet(struct ingest *ingest, struct connection *connection, struct str framed)
{
    struct identity identity;
    char sentence[SESSION_SENTENCE_MAX];
    int64_t time_us = 0;
    const char *wrong = read_hello(ingest, framed, &identity, &time_us);
    if (wrong) {
        uplink_put_aside(ingest, connection, framed, wrong);
        peers_dismiss(ingest, connection, CLOSE_HELLO_INVALID, wrong);
        return;
    }
    if (time_us != 0 && session_clock_fault(time_us, clock_realtime_us(), ingest->options->clock_skew_ms,
                                            sentence, sizeof sentence)) {
        (void)snprintf(connection->origin, sizeof connection->origin, "%s at %s", identity.node,
                       connection->peer);
        peers_dismiss(ingest, connection, CLOSE_CLOCK, sentence);
        return;
    }
    /* A welcome extends the leases of what runs on the node; only an ingest that reaches Kafka may do that.
     */
    if (delivery_stalled_ms(ingest->deliveries, ingest->now_ms) >= ingest->options->stall_ms) {
        peers_dismiss(ingest, connection, CLOSE_KAFKA,
                      "Kafka does not answer this ingest: try another one, or wait");
        return;
    }
    struct connection *holder = map_get(ingest->nodes, identity.node, strlen(identity.node));
    if (holder) {
        enum close_reason reason = identity_yield(&holder->identity, &identity, sentence, sizeof sentence);
        if (reason != CLOSE_NONE) {
            peers_dismiss(ingest, connection, reason, sentence);
            return;
        }
        (void)snprintf(sentence, sizeof sentence, "the same incarnation connected again from %s",
                       connection->peer);
        peers_dismiss(ingest, holder, CLOSE_REPLACED, sentence);
    }
    enthrone(ingest, connection, &identity);
    tell_clock(ingest, connection, time_us);
}

/* --- while it lasts --- */

void peers_flush(struct ingest *ingest)
{
    struct connection *connection;
    while ((connection = ingest->lists[LIST_DIRTY].first)) {
        unlist(ingest, LIST_DIRTY, connection);
        int result = connection_flush(connection, ingest->now_ms);
        if (result < 0) {
            peers_close(ingest, connection, CLOSE_ERROR, strerror(-result));
            continue;
        }
        if (connection_pending(connection) > (size_t)ingest->options->output_bytes) {
            peers_close(ingest, connection, CLOSE_OUTPUT_FULL, "it does not read what is put out to it");
            continue;
        }
        if (result == 1 && connection->times.state == SESSION_LEAVING && !connection->finished) {
            connection->finished = true;
            transport_finish(connection->transport);
        }
        peers_watch(ingest, connection);
    }
}

static void sweep_one(struct ingest *ingest, struct connection *connection)
{
    enum close_reason reason = CLOSE_NONE;
    connection->times.reading = peers_reading(connection);
    switch (session_due(&connection->times, ingest->now_ms, &reason)) {
    case SESSION_DUE_PING:
        connection_send_number(connection, FRAME_PING, ++connection->ping_token);
        connection->times.sent_ms = ingest->now_ms;
        peers_touch(ingest, connection);
        break;
    case SESSION_DUE_CLOSE:
        peers_close(ingest, connection, reason, close_reason_name(reason));
        break;
    default:
        break;
    }
}

void peers_sweep(struct ingest *ingest)
{
    bool hopeless = delivery_stalled_ms(ingest->deliveries, ingest->now_ms) >=
                    ingest->options->stall_ms + ingest->options->hold_ms;
    struct connection *connection = ingest->lists[LIST_ALL].first;
    while (connection) {
        struct connection *next = connection->next[LIST_ALL];
        if (hopeless && connection->times.state == SESSION_UP)
            peers_dismiss(ingest, connection, CLOSE_KAFKA,
                          "Kafka does not answer this ingest: try another one");
        else if (!connection->listed[LIST_CLOSED])
            sweep_one(ingest, connection);
        connection = next;
    }
    if (!ingest->accepting && ingest->listener) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &ingest->listener};
        ingest->accepting =
            epoll_ctl(ingest->epoll_fd, EPOLL_CTL_MOD, listener_fd(ingest->listener), &event) == 0;
    }
    metric_set(ingest->counters.connections, (double)ingest->lists[LIST_ALL].count);
    metric_set(ingest->counters.nodes, (double)map_count(ingest->nodes));
}
