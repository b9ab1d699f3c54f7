/* What the files of forestall-ingest share: the state of the process and what each of them does with it.
 *
 * loop.c waits and reads; frames.c takes what agents send; uplink.c gives it to Kafka and acknowledges;
 * downlink.c passes on what Kafka has for agents; peers.c begins and ends connections; parked.c keeps what
 * waits for a schema. */
#ifndef FORESTALL_INGEST_INGEST_H
#define FORESTALL_INGEST_INGEST_H

#include "common/log.h"
#include "common/map.h"
#include "common/service.h"
#include "ingest/connection.h"
#include "ingest/counters.h"
#include "ingest/delivery.h"
#include "ingest/gate.h"
#include "ingest/options.h"
#include "schemas/codec.h"

struct ingest {
    const struct ingest_options *options;
    struct service *service;
    struct stream *stream;
    struct deliveries *deliveries;
    struct codec *codec;
    struct arena *arena;  /* of one message */
    struct arena *reduce; /* of a message being reduced, which may happen while another one is sent */
    struct listener *listener;
    int epoll_fd, timer_fd;
    struct map *nodes;     /* node id -> the connection that is SESSION_UP for it */
    struct map *published; /* fingerprints of schemas given to Kafka by this process */
    /* With a schema registry: an agent's schema goes there too (schemas/topic_codec.h); NULL: without. */
    int (*register_schema)(struct stream *stream, uint64_t fingerprint, struct str json, char *error,
                           size_t error_size);
    struct connection_head lists[LIST_COUNT];
    enum gate gate;
    int64_t now_ms;
    int64_t quarantine_second;
    int64_t quarantine_used;
    bool accepting;
    bool learned; /* a schema came: what waits for one is tried again */
    bool refused; /* the producer's queue was full; until the next report */
    int failure;  /* -EPIPE: end the process */
    struct log_limiter limiter;
    struct counters counters;
};

/* --- peers.c --- */
void peers_accept(struct ingest *ingest);
/* The agent's HELLO. */
void peers_greet(struct ingest *ingest, struct connection *connection, struct str framed);
/* Says why (REJECT), takes nothing more, closes once that is out. */
void peers_dismiss(struct ingest *ingest, struct connection *connection, enum close_reason reason,
                   const char *sentence);
/* Ends it now; it is freed at the end of the turn. */
void peers_close(struct ingest *ingest, struct connection *connection, enum close_reason reason,
                 const char *sentence);
void peers_bury(struct ingest *ingest);
/* Time-outs and pings of all. */
void peers_sweep(struct ingest *ingest);
/* It has something to write: at the end of the turn. */
void peers_touch(struct ingest *ingest, struct connection *connection);
void peers_flush(struct ingest *ingest);
/* Tells epoll what this connection is watched for now. */
void peers_watch(struct ingest *ingest, struct connection *connection);
bool peers_reading(const struct connection *connection);

/* --- frames.c --- */
/* Bytes that came; what is not a whole frame yet, or is blocked, is kept. */
void frames_take(struct ingest *ingest, struct connection *connection, const uint8_t *bytes, size_t size);
/* The kept ones once more, after it was blocked. */
void frames_resume(struct ingest *ingest, struct connection *connection);

/* --- uplink.c --- */
enum uplink_result { UPLINK_TAKEN, UPLINK_BLOCKED };
/* A tick, status, event or record. BLOCKED: not now, the frame has to come again. */
enum uplink_result uplink_take(struct ingest *ingest, struct connection *connection,
                               const struct frame *frame);
/* The same for a message that is known to pass the gate: number 0 and owner false for what nobody
 * acknowledges. UNKNOWN_SCHEMA is returned to the caller untouched. */
enum uplink_result uplink_judge(struct ingest *ingest, struct connection *connection, enum frame_type type,
                                uint64_t number, struct str payload, bool *unknown);
void uplink_settled(void *context, struct delivery_owner *owner, uint64_t number, int error,
                    int64_t waited_ms);
void uplink_reduce(void *context, struct str payload, struct buffer *out);
/* Looks how far Kafka is behind. */
void uplink_look(struct ingest *ingest);
/* Lets held ticks and blocked connections go on, as far as they may. */
void uplink_go_on(struct ingest *ingest);
/* Bytes nobody waits for: to quarantine, as far as quarantine_rate goes. */
void uplink_put_aside(struct ingest *ingest, const struct connection *connection, struct str bytes,
                      const char *reason);
/* For what is acknowledged: 0 when it is on its way to quarantine. */
FS_MUST_CHECK int uplink_quarantine(struct ingest *ingest, struct connection *connection, uint64_t number,
                                    struct str payload, const char *reason);
/* An agent's schema: learned, and published once. */
void uplink_schema(struct ingest *ingest, struct connection *connection, uint64_t fingerprint,
                   struct str json);
/* Schemas that are published already. */
FS_MUST_CHECK int uplink_note_published(struct ingest *ingest, uint64_t fingerprint);

/* --- parked.c --- */
/* Keeps a message until its schema is known. False: no room, the frame has to come again. */
bool parked_add(struct ingest *ingest, struct connection *connection, enum frame_type type, uint64_t number,
                struct str payload);
/* Tries the messages of one connection, or of all, again; those that waited too long go to quarantine. */
void parked_retry(struct ingest *ingest, struct connection *connection);
void parked_retry_all(struct ingest *ingest);
void parked_drop(struct ingest *ingest, struct connection *connection);

/* --- downlink.c --- */
/* One message of executions.admitted, adjustments or schemas. */
void downlink_take(struct ingest *ingest, const struct stream_message *message);

/* --- loop.c --- */
/* Runs until SIGTERM and the drain after it; 0, or negative when the process has to be started anew. */
FS_MUST_CHECK int loop_run(struct ingest *ingest);

#endif
