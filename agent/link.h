/* The agent's one connection to ingest: greeting, pings, reconnecting, and what goes out in which order.
 *
 * Out: answers to pings, then the spool (events, records; each under its number until acknowledged), then the
 * newest status, then ticks; while ticks wait, the spool takes no more than its share of each write. After a
 * reconnect everything unacknowledged is sent again. Ticks wait in a bounded queue; past it the oldest are
 * dropped and counted. In: handed to the handler one frame at a time. Silence of 5 s closes; back-off 100 ms
 * .. 2 s with jitter, over all addresses in turn. Never blocks, except for a name look-up. Not for sharing
 * between threads. */
#ifndef FORESTALL_AGENT_LINK_H
#define FORESTALL_AGENT_LINK_H

#include "agent/spool.h"
#include "schemas/frame.h"

#define LINK_PING_MS 1000
#define LINK_SILENCE_MS 5000
#define LINK_BACKOFF_LEAST_MS 100
#define LINK_BACKOFF_MOST_MS 2000

struct link;

struct link_handler {
    void *context;
    /* Appends the framed Hello. */
    void (*greet)(void *context, struct buffer *out);
    /* The node is ours on this connection; what must be sent before all else (schemas) may be appended. */
    void (*welcomed)(void *context, struct buffer *out);
    void (*admission)(void *context, struct str framed);
    void (*adjustment)(void *context, struct str framed);
    /* For the log: connected, rejected with a reason, lost with a reason. */
    void (*note)(void *context, const char *event, const char *reason);
};

struct link_options {
    const char *addresses; /* host:port, several separated by commas; borrowed */
    size_t queue_bytes;    /* of waiting ticks */
};

/* spool, options' strings and handler's context are borrowed. NULL: out of memory. */
struct link *link_create(const struct link_options *options, const struct link_handler *handler,
                         struct spool *spool);
void link_destroy(struct link *link);
/* Descriptor to poll, -1 while there is none, and the poll(2) events wanted. Asks anew after each link_step.
 */
int link_fd(const struct link *link, short *events);
/* Does what is due: connects, reads, hands over, writes. Call when the descriptor is ready, something was
 * added, or link_wait_ms passed. */
void link_step(struct link *link, int64_t now_ms);
int64_t link_wait_ms(const struct link *link, int64_t now_ms);
bool link_up(const struct link *link);
/* When ingest last showed on a welcomed connection that what is sent to it is taken (any frame but a ping of
 * its own, frame.h); 0 = never. */
int64_t link_contact_ms(const struct link *link);
/* Queues a tick; the oldest give way. */
void link_push_tick(struct link *link, struct str framed);
/* The newest status replaces one that still waits. */
void link_set_status(struct link *link, struct str framed);
uint64_t link_ticks_dropped(const struct link *link);

#endif
