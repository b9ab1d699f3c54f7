/* Bounded table of fixed-size values under byte keys, in order of last use. All memory is taken at creation
 * (and touched only as entries are used, so a generous bound costs address space, not memory): adding,
 * finding and removing never call malloc. When it is full, adding drops the oldest entry and counts it. One
 * thread. */
#ifndef FORESTALL_PREDICT_TABLE_H
#define FORESTALL_PREDICT_TABLE_H

#include "common/base.h"

struct table;

/* Keys of 1..key_max bytes. NULL when out of memory, or for sizes of 0 or above 2^32 - 2 entries. */
struct table *table_create(size_t capacity, size_t key_max, size_t value_size);
void table_destroy(struct table *table);
/* The value, 16-aligned, or NULL. Its place in the order stays. */
void *table_find(const struct table *table, const void *key, size_t key_size);
/* A zeroed value under a key that must not be there yet; the newest. NULL: key empty or too long. */
void *table_add(struct table *table, const void *key, size_t key_size);
/* Makes it the newest. */
void table_touch(struct table *table, void *value);
void table_remove(struct table *table, void *value);
/* NULL when empty. */
void *table_oldest(const struct table *table);
/* The next newer one, NULL at the end: walks from table_oldest(). Ask before removing. */
void *table_newer(const struct table *table, const void *value);
/* Stable as long as the entry lives: 0..capacity - 1. */
size_t table_index(const struct table *table, const void *value);
struct str table_key(const struct table *table, const void *value);
size_t table_count(const struct table *table);
size_t table_capacity(const struct table *table);
/* Entries dropped because the table was full. */
uint64_t table_evicted(const struct table *table);

#endif
