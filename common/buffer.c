/* See buffer.h. Grows by doubling from 256 bytes. */
#include "common/buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_CAPACITY 256

void buffer_init(struct buffer *buffer, size_t limit)
{
    *buffer = (struct buffer){.limit = limit};
}

void buffer_fini(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_reset(struct buffer *buffer)
{
    buffer->size = 0;
    buffer->error = 0;
}

static int grow(struct buffer *buffer, size_t needed)
{
    size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;
    while (capacity < needed)
        if (!size_multiply(capacity, 2, &capacity))
            return -ENOMEM;
    uint8_t *data = realloc(buffer->data, capacity);
    if (!data)
        return -ENOMEM;
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t size)
{
    size_t needed;
    if (buffer->error)
        return NULL;
    if (__builtin_add_overflow(buffer->size, size, &needed) || (buffer->limit && needed > buffer->limit)) {
        buffer->error = -EMSGSIZE;
        return NULL;
    }
    if (needed > buffer->capacity || !buffer->data)
        buffer->error = grow(buffer, needed);
    return buffer->error ? NULL : buffer->data + buffer->size;
}

void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    uint8_t *room = buffer_reserve(buffer, size);
    if (!room)
        return;
    if (size > 0)
        memcpy(room, data, size);
    buffer->size += size;
}

void buffer_append_str(struct buffer *buffer, struct str text)
{
    buffer_append(buffer, text.data, text.size);
}

void buffer_append_u32be(struct buffer *buffer, uint32_t value)
{
    uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                        (uint8_t)value};
    buffer_append(buffer, bytes, sizeof bytes);
}

void buffer_append_u64be(struct buffer *buffer, uint64_t value)
{
    buffer_append_u32be(buffer, (uint32_t)(value >> 32));
    buffer_append_u32be(buffer, (uint32_t)value);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    uint8_t *room = size >= 0 ? buffer_reserve(buffer, (size_t)size + 1) : NULL;
    if (!room)
        return;
    va_start(arguments, format);
    (void)vsnprintf((char *)room, (size_t)size + 1, format, arguments); /* measured above */
    va_end(arguments);
    buffer->size += (size_t)size;
}

int buffer_error(const struct buffer *buffer)
{
    return buffer->error;
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    assert(size <= buffer->size);
    if (size > 0 && size < buffer->size)
        memmove(buffer->data, buffer->data + size, buffer->size - size);
    buffer->size -= size;
}
