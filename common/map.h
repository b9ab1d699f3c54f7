/* Bounded hash map from byte keys to pointers: open addressing, linear probing, keys copied.
 * It owns the keys, never the values. Not for sharing between threads. */
#ifndef FORESTALL_COMMON_MAP_H
#define FORESTALL_COMMON_MAP_H

#include "common/base.h"

struct map;

/* At most max_entries; the table grows up to that. NULL when out of memory. */
struct map *map_create(size_t max_entries);
void map_destroy(struct map *map);
void *map_get(const struct map *map, const void *key, size_t size);
/* 0, or -ENOSPC at max_entries, -ENOMEM. An existing key gets the new value. value must not be NULL. */
FS_MUST_CHECK int map_put(struct map *map, const void *key, size_t size, void *value);
/* The value it had, or NULL. */
void *map_remove(struct map *map, const void *key, size_t size);
size_t map_count(const struct map *map);
/* Walks all entries from *cursor = 0; false at the end. Removing the entry just returned is allowed while
 * walking (an entry may then be met twice, none is missed); putting is not. */
bool map_next(const struct map *map, size_t *cursor, struct str *key, void **value);

#endif
