/* The newest value of every key of the embedded broker's compacted topics, in memory and in one file. No
 * Kafka here.
 *
 * File: "FSBROKR1", then one entry after the other, then a CRC-32 (of everything before it) as u32. Entry:
 * u32 sizes of topic, key and value, i32 partition, then the three runs of bytes. Little-endian. Written to a
 * temporary name, synced, renamed: a reader finds the old or the new content, never a part. */
#ifndef FORESTALL_COMMON_BROKER_STATE_H
#define FORESTALL_COMMON_BROKER_STATE_H

#include "common/base.h"

struct broker_state;

struct broker_value {
    const char *topic;
    int32_t partition;
    struct str key, value; /* value.data NULL: tombstone */
};

/* limit_bytes bounds keys and values together. NULL: out of memory. */
FS_MUST_CHECK struct broker_state *broker_state_create(size_t limit_bytes);
void broker_state_destroy(struct broker_state *state);
/* Keeps the value, or forgets the key for a tombstone. 0, -ENOSPC (the limit: the older value of the key is
 * forgotten too, so that an old value never comes back as the newest), -ENOMEM. */
FS_MUST_CHECK int broker_state_put(struct broker_state *state, const struct broker_value *value);
/* Walks all values from *cursor = 0; borrowed until the next put. */
bool broker_state_next(const struct broker_state *state, size_t *cursor, struct broker_value *value);
size_t broker_state_count(const struct broker_state *state);
/* Changed since the last load or save. */
bool broker_state_dirty(const struct broker_state *state);
/* 0 (also when there is no file), negative errno with the reason: -EBADMSG for a damaged file. */
FS_MUST_CHECK int broker_state_load(struct broker_state *state, const char *path, char *error,
                                    size_t error_size);
FS_MUST_CHECK int broker_state_save(struct broker_state *state, const char *path);
/* The parts, one after the other, become the whole content of path: atomically and synced. 0, negative errno.
 */
FS_MUST_CHECK int broker_state_write_file(const char *path, const struct str *parts, size_t count);

#endif
