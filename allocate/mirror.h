/* The copy of the allocations in Redis. The topic is the truth: when Redis is away writes are counted and
 * dropped, and when it is back, perhaps empty, everything is written anew from the book. Says so once per
 * outage. */
#ifndef FORESTALL_ALLOCATE_MIRROR_H
#define FORESTALL_ALLOCATE_MIRROR_H

#include "allocate/book.h"

struct mirror;

struct mirror_counters {
    uint64_t written, failed, rebuilds;
    bool up, rebuilding;
};

struct mirror_options {
    const char *address, *prefix, *password; /* as in store_options */
    const char *member;                      /* names the marker key of this instance */
    int timeout_ms;
};

/* NULL: error says why. Redis being away is none. */
FS_MUST_CHECK struct mirror *mirror_open(const struct mirror_options *options, char *error,
                                         size_t error_size);
void mirror_close(struct mirror *mirror);
/* Queue a write; nothing blocks until mirror_flush(). What does not fit any more is flushed before. */
void mirror_set(struct mirror *mirror, const struct msg_allocation *allocation);
void mirror_delete(struct mirror *mirror, const char *code);
/* Blocks at most the time-out. True when everything is in Redis; false: a rebuild will follow. */
bool mirror_flush(struct mirror *mirror);
/* Everything must be written again, e.g. after partitions were taken over. */
void mirror_invalidate(struct mirror *mirror);
/* Asks whether Redis still holds what was written: a marker key that goes when it is flushed. Call it every
 * second. */
void mirror_check(struct mirror *mirror);
/* One step of a rebuild that is due, some hundred entries; else nothing. */
void mirror_step(struct mirror *mirror, const struct book *book, struct codec *codec, struct arena *arena);
const struct mirror_counters *mirror_counters(const struct mirror *mirror);

#endif
