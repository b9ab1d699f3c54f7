/* What ingest has not acknowledged yet, on disk: numbered entries in append-only segment files, each with a
 * CRC.
 *
 * An entry counts once spool_sync returned 0; only then is it handed out. Acknowledged entries go with their
 * segment; a torn tail (power cut while appending) is cut off at open, a damaged entry in the middle costs
 * the rest of its segment and is counted. After a restart everything not acknowledged is handed out again,
 * under the same numbers; a few that were acknowledged may be too. Bounded in bytes and entries: past that,
 * and on a full disk, appending says -ENOSPC and nothing is changed. Not for sharing between threads. */
#ifndef FORESTALL_AGENT_SPOOL_H
#define FORESTALL_AGENT_SPOOL_H

#include "common/base.h"

struct spool;

struct spool_options {
    int64_t limit_bytes;   /* of all segments together */
    int64_t segment_bytes; /* a segment is closed past this; 0 = 4 MiB */
};

struct spool_entry {
    uint64_t number;
    uint8_t kind;
    struct str payload; /* borrowed until the next call */
};

#define SPOOL_PAYLOAD_MAX (1u << 20)
#define SPOOL_ENTRIES_MAX (1u << 18) /* 8 MiB of index */

/* Opens or makes the spool in a directory (borrowed descriptor, must stay open). -ENOSPC, -EIO and others as
 * the disk said. */
FS_MUST_CHECK int spool_open(int directory_fd, const struct spool_options *options, struct spool **out);
/* Does not sync. */
void spool_close(struct spool *spool);
/* Takes one entry; its number is one above the last. 0; -ENOSPC; -EMSGSIZE; others. */
FS_MUST_CHECK int spool_append(struct spool *spool, uint8_t kind, struct str payload, uint64_t *number);
/* Makes everything appended durable; 0 at once when nothing is new. */
FS_MUST_CHECK int spool_sync(struct spool *spool);
/* The same in two halves, for who has somebody else wait for the disk: the file to sync, borrowed, and the
 * number up to which that makes entries durable; -1 when nothing is new. Then spool_synced with that number.
 */
int spool_sync_begin(const struct spool *spool, uint64_t *through);
void spool_synced(struct spool *spool, uint64_t through);
/* The first durable entry above *cursor that is not acknowledged: 1 and *cursor moves to it; 0 there is none;
 * -EBADMSG it cannot be read and is given up: counted as damaged, acknowledged, and *cursor is past it; other
 * negative errno: not now (descriptors, memory), *cursor stays. Begin with cursor 0. */
FS_MUST_CHECK int spool_next(struct spool *spool, uint64_t *cursor, struct spool_entry *out);
/* Acknowledges one; unknown numbers and repeats are fine. True when it was waiting. */
bool spool_ack(struct spool *spool, uint64_t number);

uint64_t spool_last(const struct spool *spool);    /* highest number ever given; 0 = none */
size_t spool_waiting(const struct spool *spool);   /* entries not acknowledged */
int64_t spool_bytes(const struct spool *spool);    /* on disk */
int64_t spool_room(const struct spool *spool);     /* bytes below the limit */
uint64_t spool_damaged(const struct spool *spool); /* entries or tails that could not be read */

#endif
