/* See attempts.h. A slab whose pages are touched only by attempts that exist, a map, and a list from silent
 * to new. */
#include "allocate/attempts.h"

#include <stdlib.h>

#include "common/map.h"

struct attempts {
    struct attempt *slots;
    uint8_t *bytes; /* [max][risks, decisions] */
    size_t max, used, open_count;
    struct map *map;
    struct attempt *oldest, *newest, *free, *first_open;
    uint64_t evicted;
};

struct attempts *attempts_create(size_t max)
{
    struct attempts *attempts = calloc(1, sizeof *attempts);
    if (!attempts)
        return NULL;
    attempts->max = max;
    attempts->slots = calloc(max, sizeof *attempts->slots);
    attempts->bytes =
        calloc(max, ATTEMPT_RISKS_BYTES + ATTEMPT_DECISIONS_BYTES); /* large: mapped, not touched */
    attempts->map = map_create(max);
    if (attempts->slots && attempts->bytes && attempts->map)
        return attempts;
    attempts_destroy(attempts);
    return NULL;
}

void attempts_destroy(struct attempts *attempts)
{
    if (!attempts)
        return;
    map_destroy(attempts->map);
    free(attempts->bytes);
    free(attempts->slots);
    free(attempts);
}

static void make_key(const uint8_t execution[16], int32_t attempt, uint8_t key[ATTEMPT_KEY_SIZE])
{
    memcpy(key, execution, 16);
    memcpy(key + 16, &attempt, sizeof attempt);
}

struct attempt *attempts_find(const struct attempts *attempts, const uint8_t execution[16], int32_t attempt)
{
    uint8_t key[ATTEMPT_KEY_SIZE];
    make_key(execution, attempt, key);
    return map_get(attempts->map, key, sizeof key);
}

static void unlink_age(struct attempts *attempts, struct attempt *attempt)
{
    if (attempt->older)
        attempt->older->newer = attempt->newer;
    else
        attempts->oldest = attempt->newer;
    if (attempt->newer)
        attempt->newer->older = attempt->older;
    else
        attempts->newest = attempt->older;
    attempt->older = attempt->newer = NULL;
}

static void link_newest(struct attempts *attempts, struct attempt *attempt)
{
    attempt->older = attempts->newest;
    attempt->newer = NULL;
    if (attempts->newest)
        attempts->newest->newer = attempt;
    else
        attempts->oldest = attempt;
    attempts->newest = attempt;
}

static void drop(struct attempts *attempts, struct attempt *attempt)
{
    attempts_close(attempts, attempt);
    unlink_age(attempts, attempt);
    (void)map_remove(attempts->map, attempt->key, sizeof attempt->key);
    attempt->newer = attempts->free;
    attempts->free = attempt;
}

static struct attempt *take_slot(struct attempts *attempts)
{
    if (!attempts->free && attempts->used == attempts->max) {
        attempts->evicted++;
        drop(attempts, attempts->oldest);
    }
    struct attempt *slot = attempts->free;
    if (slot)
        attempts->free = slot->newer;
    else
        slot = &attempts->slots[attempts->used++];
    return slot;
}

struct attempt *attempts_obtain(struct attempts *attempts, const uint8_t execution[16], int32_t number,
                                int32_t partition)
{
    struct attempt *attempt = attempts_find(attempts, execution, number);
    if (attempt) {
        unlink_age(attempts, attempt);
        link_newest(attempts, attempt);
        return attempt;
    }
    attempt = take_slot(attempts);
    size_t index = (size_t)(attempt - attempts->slots);
    uint8_t *bytes = attempts->bytes + index * (ATTEMPT_RISKS_BYTES + ATTEMPT_DECISIONS_BYTES);
    *attempt = (struct attempt){.partition = partition};
    make_key(execution, number, attempt->key);
    keep_init(&attempt->risks, bytes, ATTEMPT_RISKS_BYTES);
    keep_init(&attempt->decisions, bytes + ATTEMPT_RISKS_BYTES, ATTEMPT_DECISIONS_BYTES);
    if (map_put(attempts->map, attempt->key, sizeof attempt->key, attempt) < 0) {
        attempt->newer = attempts->free;
        attempts->free = attempt;
        return NULL;
    }
    link_newest(attempts, attempt);
    return attempt;
}

bool attempt_advance(struct attempt *attempt, int64_t epoch, int64_t sequence)
{
    bool newer =
        !attempt->seen || epoch > attempt->epoch || (epoch == attempt->epoch && sequence > attempt->sequence);
    if (!newer)
        return false;
    attempt->seen = true;
    attempt->epoch = epoch;
    attempt->sequence = sequence;
    return true;
}

void attempts_open(struct attempts *attempts, struct attempt *attempt, int64_t due_ms)
{
    attempt->due_ms = due_ms;
    if (attempt->open)
        return;
    attempt->open = true;
    attempt->previous_open = NULL;
    attempt->next_open = attempts->first_open;
    if (attempts->first_open)
        attempts->first_open->previous_open = attempt;
    attempts->first_open = attempt;
    attempts->open_count++;
}

void attempts_close(struct attempts *attempts, struct attempt *attempt)
{
    if (!attempt->open)
        return;
    if (attempt->previous_open)
        attempt->previous_open->next_open = attempt->next_open;
    else
        attempts->first_open = attempt->next_open;
    if (attempt->next_open)
        attempt->next_open->previous_open = attempt->previous_open;
    attempt->open = false;
    attempts->open_count--;
}

struct attempt *attempts_first_open(const struct attempts *attempts)
{
    return attempts->first_open;
}

size_t attempts_open_count(const struct attempts *attempts)
{
    return attempts->open_count;
}

void attempts_forget_partition(struct attempts *attempts, int32_t partition)
{
    for (struct attempt *attempt = attempts->oldest, *newer; attempt; attempt = newer) {
        newer = attempt->newer;
        if (attempt->partition == partition)
            drop(attempts, attempt);
    }
}

size_t attempts_count(const struct attempts *attempts)
{
    return map_count(attempts->map);
}

uint64_t attempts_evicted(const struct attempts *attempts)
{
    return attempts->evicted;
}
