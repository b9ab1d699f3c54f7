/* Frames between agent and ingest: u32 big-endian length of what follows, u8 type, payload.
 * The table of types with direction and payload is the contract; both sides ignore nothing: an unknown type
 * is a fault. */
#ifndef FORESTALL_SCHEMAS_FRAME_H
#define FORESTALL_SCHEMAS_FRAME_H

#include "common/base.h"
#include "common/buffer.h"

enum frame_type {
    FRAME_HELLO = 1,       /* to ingest: framed Hello; must be the first */
    FRAME_WELCOME = 2,     /* to agent: empty; the node is this connection's */
    FRAME_REJECT = 3,      /* to agent: reason in UTF-8; the connection is closed after it */
    FRAME_TICK = 4,        /* to ingest: framed Tick, forwarded unchanged; not acknowledged */
    FRAME_STATUS = 5,      /* to ingest: framed NodeStatus; not acknowledged */
    FRAME_EVENT = 6,       /* to ingest: u64be spool number + framed ExecutionEvent */
    FRAME_RECORD = 7,      /* to ingest: u64be spool number + framed ExecutionRecord */
    FRAME_ACK = 8,         /* to agent: u64be spool number that is in Kafka; each by itself, in any order */
    FRAME_ADMISSION = 9,   /* to agent: framed Admission */
    FRAME_ADJUSTMENT = 10, /* to agent: framed Adjustment */
    FRAME_PING = 11,       /* either: u64be token, every second; 5 s of silence close the connection */
    FRAME_PONG = 12, /* either: the token back. From ingest it also says that it took what came before; while
                      * Kafka does not answer it ingest reads nothing and only pings, which keeps the
                      * connection and does not extend the lease */
    FRAME_SCHEMA = 13, /* to ingest: u64be fingerprint + schema JSON that the agent writes with */
    FRAME_TYPE_END
};

#define FRAME_HEADER_SIZE 5
#define FRAME_MAX_DEFAULT (1u << 20) /* a record is at most 512 KiB */

struct frame {
    enum frame_type type;
    struct str payload; /* borrowed from the bytes given */
    size_t size;        /* of the whole frame */
};

/* Appends one frame; the buffer's error is sticky. */
void frame_append(struct buffer *out, enum frame_type type, struct str payload);
/* The same with a number before the payload (EVENT, RECORD, SCHEMA; ACK, PING, PONG with an empty one). */
void frame_append_numbered(struct buffer *out, enum frame_type type, uint64_t number, struct str payload);
/* Reads the first frame of the bytes: 1, 0 when more bytes are needed, -EMSGSIZE (longer than max, known from
 * the header alone) or -EBADMSG (unknown type, length 0). After an error the stream cannot be followed
 * further. */
FS_MUST_CHECK int frame_next(const uint8_t *data, size_t size, size_t max, struct frame *out);
/* Splits a numbered payload; -EBADMSG when it is shorter than a number. */
FS_MUST_CHECK int frame_number(struct str payload, uint64_t *number, struct str *rest);

#endif
