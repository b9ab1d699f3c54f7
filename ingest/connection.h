/* One agent's connection: its bytes in and out, who it is, what it waits for. Knows neither Kafka nor other
 * connections; the rules are in session.h, what frames mean in frames.c. */
#ifndef FORESTALL_INGEST_CONNECTION_H
#define FORESTALL_INGEST_CONNECTION_H

#include "common/buffer.h"
#include "common/transport.h"
#include "ingest/delivery.h"
#include "ingest/session.h"

struct parked;

/* Doubly linked lists of connections; a connection may be in each of them. */
enum connection_list {
    LIST_ALL,
    LIST_DIRTY,   /* has something to write */
    LIST_BLOCKED, /* is not read until the gate opens or its own confirmations come */
    LIST_HELD,    /* holds back a tick */
    LIST_PARKED,  /* has messages whose schema is not known */
    LIST_CLOSED,  /* is freed at the end of the turn */
    LIST_COUNT
};

struct connection {
    struct transport *transport;
    char peer[TRANSPORT_ADDRESS_MAX];
    char origin[TRANSPORT_ADDRESS_MAX + IDENTITY_NODE_MAX +
                8]; /* "node at address", for logs and quarantine */
    struct session_times times;
    struct identity identity; /* from SESSION_UP on */
    struct buffer in;         /* the beginning of a frame that is not whole, or frames it is blocked at */
    struct buffer out;
    size_t out_sent;
    bool finished;     /* our side of the stream is closed */
    uint32_t interest; /* what epoll watches it for */
    uint64_t ping_token;
    unsigned schemas; /* taken from it */
    struct delivery_owner unacked;
    struct buffer held; /* the newest tick, while Kafka is behind */
    struct parked *parked_first, *parked_last;
    size_t parked_bytes;
    struct connection *next[LIST_COUNT], *previous[LIST_COUNT];
    bool listed[LIST_COUNT];
};

struct connection_head {
    struct connection *first, *last;
    size_t count;
};

/* At the end; nothing when it is in the list already. */
void connection_list(struct connection_head *head, enum connection_list which, struct connection *connection);
void connection_unlist(struct connection_head *head, enum connection_list which,
                       struct connection *connection);

/* Takes over transport. NULL: out of memory (transport is closed). */
struct connection *connection_create(struct transport *transport, const char *peer, int64_t now_ms);
/* Closes it. Must be in no list, own no delivery and no parked message. */
void connection_destroy(struct connection *connection);

/* Puts a frame into the output; buffer_error(&out) is asked by connection_flush. */
void connection_send(struct connection *connection, enum frame_type type, struct str payload);
void connection_send_number(struct connection *connection, enum frame_type type, uint64_t number);
/* Writes what it can. 1 all is out, 0 the rest when it can be written, negative: the connection is dead. */
FS_MUST_CHECK int connection_flush(struct connection *connection, int64_t now_ms);
/* Bytes not written yet. */
size_t connection_pending(const struct connection *connection);
/* Keeps what of the bytes was not used (they are either in connection->in or elsewhere). 0 or -ENOMEM. */
FS_MUST_CHECK int connection_keep(struct connection *connection, const uint8_t *bytes, size_t size,
                                  size_t used);

#endif
