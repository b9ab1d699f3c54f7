/* See arena.h. Blocks form a list; after a reset they are filled again from the first. A request larger than
 * a block gets a block of its own size, which is kept as well: a steady load stops calling malloc after its
 * first batches. */
#include "common/arena.h"

#include <stdlib.h>

#define ALIGNMENT ((size_t)16)

struct block {
    struct block *next;
    size_t size, used;
    _Alignas(16) uint8_t data[];
};

struct arena {
    size_t block_bytes, limit_bytes, used;
    struct block *first, *current;
};

struct arena *arena_create(size_t block_bytes, size_t limit_bytes)
{
    struct arena *arena = calloc(1, sizeof *arena);
    if (!arena)
        return NULL;
    arena->block_bytes = block_bytes;
    arena->limit_bytes = limit_bytes;
    return arena;
}

void arena_destroy(struct arena *arena)
{
    if (!arena)
        return;
    for (struct block *block = arena->first, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(arena);
}

void arena_reset(struct arena *arena)
{
    for (struct block *block = arena->first; block; block = block->next)
        block->used = 0;
    arena->current = arena->first;
    arena->used = 0;
}

/* A new block behind the current one, so that the blocks after it stay in the list. */
static struct block *add_block(struct arena *arena, size_t size)
{
    size_t total;
    if (__builtin_add_overflow(size, sizeof(struct block), &total))
        return NULL;
    struct block *block = malloc(total);
    if (!block)
        return NULL;
    block->size = size;
    block->used = 0;
    if (arena->current) {
        block->next = arena->current->next;
        arena->current->next = block;
    } else {
        block->next = arena->first;
        arena->first = block;
    }
    return block;
}

static struct block *block_with_room(struct arena *arena, size_t size)
{
    for (struct block *block = arena->current; block; block = block->next)
        if (block->size - block->used >= size)
            return block;
    return add_block(arena, FS_MAX(size, arena->block_bytes));
}

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
    size_t bytes, used;
    if (!size_multiply(count, size, &bytes) || bytes > SIZE_MAX - ALIGNMENT)
        return NULL;
    bytes = (FS_MAX(bytes, 1u) + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (__builtin_add_overflow(arena->used, bytes, &used) || used > arena->limit_bytes)
        return NULL;
    struct block *block = block_with_room(arena, bytes);
    if (!block)
        return NULL;
    void *memory = block->data + block->used;
    block->used += bytes;
    arena->current = block;
    arena->used = used;
    return memset(memory, 0, bytes);
}

char *arena_strdup(struct arena *arena, struct str text)
{
    char *copy = arena_alloc(arena, text.size + 1, 1);
    if (copy && text.size > 0)
        memcpy(copy, text.data, text.size);
    return copy;
}

size_t arena_used(const struct arena *arena)
{
    return arena->used;
}
