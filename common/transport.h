/* Byte streams between agents and ingest, non-blocking: one end connects, the other listens and accepts. The
 * one place that knows they are TCP: TLS takes its place here. An address is "host:port", of IPv6
 * "[::1]:7400". Not for sharing between threads. */
#ifndef FORESTALL_COMMON_TRANSPORT_H
#define FORESTALL_COMMON_TRANSPORT_H

#include <sys/types.h>

#include "common/base.h"

#define TRANSPORT_ADDRESS_MAX 300

struct listener;
struct transport;

/* Has the form of an address; whether anybody is there is not asked. */
bool transport_address_valid(struct str address);
/* Begins to connect (a name is looked up, which may block). 0, or negative with a sentence in error. */
FS_MUST_CHECK int transport_connect(const char *address, char *error, size_t error_size,
                                    struct transport **out);
void transport_close(struct transport *transport); /* NULL is fine */
int transport_fd(const struct transport *transport);
/* 1 connected (and, one day, shaken hands), 0 not yet: call again when the descriptor is ready, negative it
 * failed. */
FS_MUST_CHECK int transport_establish(struct transport *transport);
/* Bytes read; 0 the other side closed; -EAGAIN nothing now; other negative errno. */
FS_MUST_CHECK ssize_t transport_read(struct transport *transport, void *out, size_t size);
/* Bytes taken, perhaps fewer; -EAGAIN; other negative errno. */
FS_MUST_CHECK ssize_t transport_write(struct transport *transport, const void *data, size_t size);
/* Nothing more is written: what was is delivered before the other side sees the end. */
void transport_finish(struct transport *transport);

/* Listens at an address (port 0: any). 0, or negative with a sentence in error. */
FS_MUST_CHECK int listener_open(const char *address, char *error, size_t error_size, struct listener **out);
void listener_close(struct listener *listener); /* NULL is fine */
/* Readable when somebody connects. */
int listener_fd(const struct listener *listener);
/* host:port with the port in use; lives as long as the listener. */
const char *listener_address(const struct listener *listener);
/* Takes one connection, its peer's address goes to peer. 1, 0 nobody waits, -EMFILE or -ENFILE no descriptor
 * is left, other negative errno (of that connection alone: go on). */
FS_MUST_CHECK int listener_accept(struct listener *listener, char *peer, size_t peer_size,
                                  struct transport **out);

#endif
