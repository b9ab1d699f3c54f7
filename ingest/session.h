/* The rules of one connection, without any input or output: which frame may come when, what is due at what
 * time, whose a node is. Times are monotonic milliseconds. */
#ifndef FORESTALL_INGEST_SESSION_H
#define FORESTALL_INGEST_SESSION_H

#include "common/uuid.h"
#include "schemas/frame.h"
#include "schemas/messages.h"

#define SESSION_PING_MS 1000    /* nothing was sent for so long: a ping */
#define SESSION_SILENCE_MS 5000 /* nothing came for so long: closed (frame.h) */
#define SESSION_FRAME_MS 30000  /* one frame may take so long to come: 1 MiB at 35 KB/s */
#define SESSION_FAREWELL_MS 1000
#define SESSION_HELLO_BYTES 4096 /* before it is known who speaks */
#define SESSION_SENTENCE_MAX 600
#define SESSION_CLOCK_MS 1000  /* clocks that differ by more are told */
#define SESSION_SCHEMAS_MAX 32 /* an agent writes four kinds of messages */

#define IDENTITY_NODE_MAX 255
#define IDENTITY_POOL_MAX 128

/* Why a connection ended; in the log and as a label of metrics. */
enum close_reason {
    CLOSE_NONE,
    CLOSE_PEER,  /* the agent closed it */
    CLOSE_ERROR, /* the network says so */
    CLOSE_SILENT,
    CLOSE_SLOW_FRAME,
    CLOSE_NO_HELLO,
    CLOSE_FRAME_SIZE,
    CLOSE_FRAME_TYPE,
    CLOSE_PROTOCOL, /* a frame that may not come now, or is too short for its type */
    CLOSE_HELLO_INVALID,
    CLOSE_SECOND_INCARNATION,
    CLOSE_OLD_EPOCH,
    CLOSE_CLOCK,       /* the node's is too far ahead, or was never set */
    CLOSE_REPLACED,    /* the same incarnation came again */
    CLOSE_OUTPUT_FULL, /* it does not read */
    CLOSE_FULL,        /* too many connections */
    CLOSE_KAFKA,       /* Kafka does not answer, or refused what has to be sent again */
    CLOSE_STOPPING,
    CLOSE_MEMORY,
    CLOSE_REASON_COUNT
};

const char *close_reason_name(enum close_reason reason);

enum session_state {
    SESSION_GREETING, /* HELLO has not come */
    SESSION_UP,
    SESSION_LEAVING /* REJECT is out: nothing is taken any more */
};

/* NULL when this frame may come now, else what is wrong with it. */
const char *session_fault(enum session_state state, enum frame_type type);

struct session_times {
    enum session_state state;
    bool reading;     /* false: ingest itself does not read, silence means nothing */
    int64_t since_ms; /* of the state */
    int64_t heard_ms; /* last bytes, or since when it is read again */
    int64_t sent_ms;  /* last bytes put out */
    int64_t frame_ms; /* when the first bytes of a frame not yet whole came; 0 = none */
};

enum session_due { SESSION_DUE_NOTHING, SESSION_DUE_PING, SESSION_DUE_CLOSE };

/* What is due now; *reason is set for CLOSE. */
enum session_due session_due(const struct session_times *times, int64_t now_ms, enum close_reason *reason);

/* Who speaks on a connection, from its HELLO. */
struct identity {
    char node[IDENTITY_NODE_MAX + 1], pool[IDENTITY_POOL_MAX + 1], boot_id[65];
    uint8_t incarnation[UUID_SIZE];
    int64_t epoch;
};

/* The identity in a HELLO: NULL, or what is wrong with it (then *out is not written). */
const char *identity_take(const struct msg_hello *hello, struct identity *out);
/* Whether a node's clock is so wrong that nothing it says could be believed: true with a sentence. skew_ms:
 * by how much it may be ahead. */
bool session_clock_fault(int64_t node_us, int64_t now_us, int64_t skew_ms, char *sentence, size_t size);
/* Whether a node's holder gives way to a newcomer with the same node id: CLOSE_NONE it does, else the reason
 * to refuse the newcomer, with a sentence. The same incarnation may come back (its old connection is dead
 * even if nobody noticed), another one may not while the holder lives; nor may the same one from the past or
 * from a copy of the state directory on another machine. */
enum close_reason identity_yield(const struct identity *holder, const struct identity *newcomer,
                                 char *sentence, size_t size);

#endif
