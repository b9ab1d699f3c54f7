/* Growable bytes with a sticky error: appends need no check, buffer_error() is asked once at the end.
 * After an error the content is whole up to the append that failed. Not for sharing between threads. */
#ifndef FORESTALL_COMMON_BUFFER_H
#define FORESTALL_COMMON_BUFFER_H

#include "common/base.h"

struct buffer {
    uint8_t *data;
    size_t size, capacity;
    size_t limit; /* most bytes it may hold; 0 = no limit */
    int error;    /* 0, -ENOMEM, -EMSGSIZE (limit); stays until buffer_reset */
};

void buffer_init(struct buffer *buffer, size_t limit);
void buffer_fini(struct buffer *buffer);
/* Empties it and clears the error; keeps the memory. */
void buffer_reset(struct buffer *buffer);
/* Room for size more bytes: a pointer to the end, or NULL and the sticky error. size is not changed. */
uint8_t *buffer_reserve(struct buffer *buffer, size_t size);
void buffer_append(struct buffer *buffer, const void *data, size_t size);
void buffer_append_str(struct buffer *buffer, struct str text);
void buffer_append_u32be(struct buffer *buffer, uint32_t value);
void buffer_append_u64be(struct buffer *buffer, uint64_t value);
void buffer_printf(struct buffer *buffer, const char *format, ...) FS_PRINTF(2, 3);
FS_MUST_CHECK int buffer_error(const struct buffer *buffer);
/* Drops size bytes from the front; O(what remains). */
void buffer_consume(struct buffer *buffer, size_t size);

static inline struct str buffer_str(const struct buffer *buffer)
{
    return (struct str){(const char *)buffer->data, buffer->size};
}

#endif
