/* See table.h. Chained hashing over indexes; free entries form a list through their chain links. */
#include "predict/table.h"

#include <assert.h>
#include <stdlib.h>

#include "common/hash.h"

#define NONE UINT32_MAX
#define ALIGN 16

struct entry {
    uint32_t chain;        /* next in the bucket or in the free list */
    uint32_t older, newer; /* order of use */
    uint32_t key_size;     /* 0 = free */
    uint64_t hash;
};

struct table {
    size_t capacity, count, key_max, value_size, bucket_mask;
    uint32_t *buckets;
    struct entry *entries;
    uint8_t *keys, *values;
    uint32_t oldest, newest, free;
    uint32_t untouched; /* entries from here on were never used: their memory is not ours yet */
    uint64_t evicted;
};

struct table *table_create(size_t capacity, size_t key_max, size_t value_size)
{
    size_t buckets = 16;
    if (capacity == 0 || capacity >= NONE || key_max == 0 || value_size == 0)
        return NULL;
    while (buckets < capacity)
        buckets *= 2;
    struct table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    *table = (struct table){.capacity = capacity,
                            .key_max = key_max,
                            .value_size = (value_size + ALIGN - 1) / ALIGN * ALIGN,
                            .bucket_mask = buckets - 1,
                            .oldest = NONE,
                            .newest = NONE,
                            .free = NONE};
    table->buckets = malloc(buckets * sizeof *table->buckets);
    table->entries = calloc(capacity, sizeof *table->entries);
    table->keys = calloc(capacity, key_max);
    table->values = calloc(capacity, table->value_size);
    if (!table->buckets || !table->entries || !table->keys || !table->values) {
        table_destroy(table);
        return NULL;
    }
    memset(table->buckets, 0xff, buckets * sizeof *table->buckets);
    return table;
}

void table_destroy(struct table *table)
{
    if (!table)
        return;
    free(table->buckets);
    free(table->entries);
    free(table->keys);
    free(table->values);
    free(table);
}

static void *value_of(const struct table *table, uint32_t index)
{
    return index == NONE ? NULL : table->values + index * table->value_size;
}

static const uint8_t *key_of(const struct table *table, uint32_t index)
{
    return table->keys + index * table->key_max;
}

size_t table_index(const struct table *table, const void *value)
{
    return (size_t)((const uint8_t *)value - table->values) / table->value_size;
}

static uint32_t find(const struct table *table, const void *key, size_t key_size, uint64_t hash)
{
    uint32_t index = table->buckets[hash & table->bucket_mask];
    while (index != NONE) {
        const struct entry *entry = &table->entries[index];
        if (entry->hash == hash && entry->key_size == key_size &&
            memcmp(key_of(table, index), key, key_size) == 0)
            return index;
        index = entry->chain;
    }
    return NONE;
}

void *table_find(const struct table *table, const void *key, size_t key_size)
{
    if (key_size == 0 || key_size > table->key_max)
        return NULL;
    return value_of(table, find(table, key, key_size, hash_bytes(key, key_size)));
}

static void link_newest(struct table *table, uint32_t index)
{
    struct entry *entry = &table->entries[index];
    entry->older = table->newest;
    entry->newer = NONE;
    if (table->newest != NONE)
        table->entries[table->newest].newer = index;
    else
        table->oldest = index;
    table->newest = index;
}

static void unlink_order(struct table *table, uint32_t index)
{
    const struct entry *entry = &table->entries[index];
    if (entry->older != NONE)
        table->entries[entry->older].newer = entry->newer;
    else
        table->oldest = entry->newer;
    if (entry->newer != NONE)
        table->entries[entry->newer].older = entry->older;
    else
        table->newest = entry->older;
}

void table_remove(struct table *table, void *value)
{
    uint32_t index = (uint32_t)table_index(table, value);
    struct entry *entry = &table->entries[index];
    assert(entry->key_size > 0);
    uint32_t *link = &table->buckets[entry->hash & table->bucket_mask];
    while (*link != index)
        link = &table->entries[*link].chain;
    *link = entry->chain;
    unlink_order(table, index);
    entry->key_size = 0;
    entry->chain = table->free;
    table->free = index;
    table->count--;
}

static uint32_t take_free(struct table *table)
{
    if (table->free == NONE && table->untouched < table->capacity)
        return table->untouched++;
    if (table->free == NONE) {
        table->evicted++;
        table_remove(table, value_of(table, table->oldest));
    }
    uint32_t index = table->free;
    table->free = table->entries[index].chain;
    return index;
}

void *table_add(struct table *table, const void *key, size_t key_size)
{
    if (key_size == 0 || key_size > table->key_max)
        return NULL;
    uint64_t hash = hash_bytes(key, key_size);
    assert(find(table, key, key_size, hash) == NONE);
    uint32_t index = take_free(table);
    uint32_t *bucket = &table->buckets[hash & table->bucket_mask];
    table->entries[index] = (struct entry){.chain = *bucket, .key_size = (uint32_t)key_size, .hash = hash};
    *bucket = index;
    memcpy(table->keys + index * table->key_max, key, key_size);
    link_newest(table, index);
    table->count++;
    return memset(value_of(table, index), 0, table->value_size);
}

void table_touch(struct table *table, void *value)
{
    uint32_t index = (uint32_t)table_index(table, value);
    if (index == table->newest)
        return;
    unlink_order(table, index);
    link_newest(table, index);
}

void *table_oldest(const struct table *table)
{
    return value_of(table, table->oldest);
}

void *table_newer(const struct table *table, const void *value)
{
    return value_of(table, table->entries[table_index(table, value)].newer);
}

struct str table_key(const struct table *table, const void *value)
{
    uint32_t index = (uint32_t)table_index(table, value);
    return (struct str){(const char *)key_of(table, index), table->entries[index].key_size};
}

size_t table_count(const struct table *table)
{
    return table->count;
}

size_t table_capacity(const struct table *table)
{
    return table->capacity;
}

uint64_t table_evicted(const struct table *table)
{
    return table->evicted;
}
