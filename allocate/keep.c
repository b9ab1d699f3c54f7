/* See keep.h. Each message stands behind its size. */
#include "allocate/keep.h"

#define HEADER ((uint32_t)sizeof(uint32_t))

void keep_init(struct keep *keep, uint8_t *bytes, uint32_t capacity)
{
    *keep = (struct keep){.bytes = bytes, .capacity = capacity};
}

static uint32_t size_at(const struct keep *keep, uint32_t at)
{
    uint32_t size;
    memcpy(&size, keep->bytes + at, sizeof size);
    return size;
}

/* Drops as many of the oldest as it takes to make room. */
static void make_room(struct keep *keep, uint32_t needed)
{
    uint32_t gone = 0;
    while (keep->used - gone + needed > keep->capacity) {
        gone += HEADER + size_at(keep, gone);
        keep->count--;
        keep->dropped++;
    }
    if (gone == 0)
        return;
    keep->used -= gone;
    memmove(keep->bytes, keep->bytes + gone, keep->used);
}

void keep_push(struct keep *keep, struct str message)
{
    if (message.size > keep->capacity || message.size + HEADER > keep->capacity) {
        keep->dropped++;
        return;
    }
    uint32_t size = (uint32_t)message.size;
    make_room(keep, size + HEADER);
    keep->last = keep->used;
    memcpy(keep->bytes + keep->used, &size, sizeof size);
    if (size > 0)
        memcpy(keep->bytes + keep->used + HEADER, message.data, size);
    keep->used += HEADER + size;
    keep->count++;
}

bool keep_next(const struct keep *keep, uint32_t *cursor, struct str *message)
{
    if (*cursor >= keep->used)
        return false;
    uint32_t size = size_at(keep, *cursor);
    *message = (struct str){(const char *)keep->bytes + *cursor + HEADER, size};
    *cursor += HEADER + size;
    return true;
}

bool keep_last(const struct keep *keep, struct str *message)
{
    uint32_t cursor = keep->last;
    return keep->count > 0 && keep_next(keep, &cursor, message);
}
