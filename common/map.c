/* See map.h. Load at most 3/4; removal marks a tombstone, and a rebuild sweeps the tombstones out when they
 * crowd. */
#include "common/map.h"

#include <errno.h>
#include <stdlib.h>

#include "common/hash.h"

#define FIRST_SLOTS 16

struct slot {
    char *key; /* NULL: never used, or a tombstone when dead */
    size_t size;
    uint64_t hash;
    void *value;
    bool dead;
};

struct map {
    struct slot *slots;
    size_t slot_count, entries, used; /* used counts tombstones too */
    size_t max_entries;
};

struct map *map_create(size_t max_entries)
{
    struct map *map = calloc(1, sizeof *map);
    if (!map)
        return NULL;
    map->slots = calloc(FIRST_SLOTS, sizeof *map->slots);
    if (!map->slots) {
        free(map);
        return NULL;
    }
    map->slot_count = FIRST_SLOTS;
    map->max_entries = max_entries;
    return map;
}

void map_destroy(struct map *map)
{
    if (!map)
        return;
    for (size_t i = 0; i < map->slot_count; i++)
        free(map->slots[i].key);
    free(map->slots);
    free(map);
}

static struct slot *find(const struct map *map, const void *key, size_t size, uint64_t hash)
{
    for (size_t i = hash & (map->slot_count - 1);; i = (i + 1) & (map->slot_count - 1)) {
        struct slot *slot = &map->slots[i];
        if (!slot->key && !slot->dead)
            return NULL;
        if (slot->key && slot->hash == hash && slot->size == size && memcmp(slot->key, key, size) == 0)
            return slot;
    }
}

void *map_get(const struct map *map, const void *key, size_t size)
{
    const struct slot *slot = find(map, key, size, hash_bytes(key, size));
    return slot ? slot->value : NULL;
}

static void place(struct slot *slots, size_t slot_count, const struct slot *entry)
{
    size_t i = entry->hash & (slot_count - 1);
    while (slots[i].key)
        i = (i + 1) & (slot_count - 1);
    slots[i] = *entry;
}

static int rebuild(struct map *map)
{
    size_t count = map->slot_count;
    while (map->entries * 2 >= count)
        count *= 2;
    struct slot *slots = calloc(count, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    for (size_t i = 0; i < map->slot_count; i++)
        if (map->slots[i].key)
            place(slots, count, &map->slots[i]);
    free(map->slots);
    map->slots = slots;
    map->slot_count = count;
    map->used = map->entries;
    return 0;
}

int map_put(struct map *map, const void *key, size_t size, void *value)
{
    struct slot entry = {.size = size, .hash = hash_bytes(key, size), .value = value};
    struct slot *slot = find(map, key, size, entry.hash);
    if (slot) {
        slot->value = value;
        return 0;
    }
    if (map->entries >= map->max_entries)
        return -ENOSPC;
    if ((map->used + 1) * 4 > map->slot_count * 3 && rebuild(map) < 0)
        return -ENOMEM;
    entry.key = malloc(size + 1);
    if (!entry.key)
        return -ENOMEM;
    memcpy(entry.key, key, size);
    entry.key[size] = '\0';
    place(map->slots, map->slot_count, &entry);
    map->entries++;
    map->used++;
    return 0;
}

void *map_remove(struct map *map, const void *key, size_t size)
{
    struct slot *slot = find(map, key, size, hash_bytes(key, size));
    if (!slot)
        return NULL;
    void *value = slot->value;
    free(slot->key);
    *slot = (struct slot){.dead = true};
    map->entries--;
    return value;
}

size_t map_count(const struct map *map)
{
    return map->entries;
}

bool map_next(const struct map *map, size_t *cursor, struct str *key, void **value)
{
    while (*cursor < map->slot_count) {
        const struct slot *slot = &map->slots[(*cursor)++];
        if (!slot->key)
            continue;
        *key = (struct str){slot->key, slot->size};
        *value = slot->value;
        return true;
    }
    return false;
}
