/* One byte stream to ingest, non-blocking. The one place that knows it is TCP: TLS takes its place here. */
#ifndef FORESTALL_AGENT_TRANSPORT_H
#define FORESTALL_AGENT_TRANSPORT_H

#include <sys/types.h>

#include "common/base.h"

struct transport;

/* Begins to connect to "host:port" (a name is looked up, which may block). 0, or negative with a sentence in
 * error. */
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

#endif
