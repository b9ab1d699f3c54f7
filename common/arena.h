/* Bump allocator for what lives as long as a batch: no single frees, one reset. Not for sharing between
 * threads. */
#ifndef FORESTALL_COMMON_ARENA_H
#define FORESTALL_COMMON_ARENA_H

#include "common/base.h"

struct arena;

/* block_bytes: size of one block taken from the system; limit_bytes: most it may hand out between two resets.
 * NULL when out of memory. */
struct arena *arena_create(size_t block_bytes, size_t limit_bytes);
void arena_destroy(struct arena *arena);
/* Everything handed out is gone; the blocks are kept for the next batch. */
void arena_reset(struct arena *arena);
/* count * size zeroed bytes, 16-aligned; NULL at the limit, on overflow or out of memory. count or size 0
 * gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t count, size_t size);
/* A terminated copy, or NULL. */
char *arena_strdup(struct arena *arena, struct str text);
/* Bytes handed out since the last reset. */
size_t arena_used(const struct arena *arena);

#endif
