/* What becomes of a message that an agent sent: decoded (also when another version wrote it), held against
 * who sent it and against what can be true. Pure, apart from what the codec has learned. The bytes go on
 * unchanged: nothing is encoded. */
#ifndef FORESTALL_INGEST_JUDGE_H
#define FORESTALL_INGEST_JUDGE_H

#include "ingest/session.h"
#include "schemas/codec.h"

enum judgement {
    JUDGED_FORWARD,
    JUDGED_INVALID,       /* to quarantine, with the reason */
    JUDGED_UNKNOWN_SCHEMA /* written with a schema that is not known (yet) */
};

struct judged {
    enum judgement judgement;
    const char *topic;    /* FORWARD: where to; a literal */
    struct str key;       /* FORWARD: borrows from the payload or the arena */
    int64_t time_us;      /* FORWARD: when the agent says it happened */
    uint64_t fingerprint; /* UNKNOWN_SCHEMA */
    char reason[192];     /* INVALID */
    int64_t wrong_us;     /* INVALID status that tells a time that cannot be: that time; else 0 */
};

/* type: TICK, STATUS, EVENT or RECORD; framed: the message without a spool number. latest_us: validate.h.
 * Events and records may be older than their agent's epoch and its pool (spooled before a restart); ticks and
 * statuses may not. */
struct judged judge_message(struct codec *codec, const struct identity *sender, enum frame_type type,
                            struct str framed, struct arena *arena, int64_t latest_us);

#endif
