/* What every file may use: result checking, array sizes, size arithmetic that cannot overflow, borrowed
 * strings. */
#ifndef FORESTALL_COMMON_BASE_H
#define FORESTALL_COMMON_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Marks a function whose result must be looked at; drop one on purpose with fs_drop(call) and a reason (gcc
 * warns at a bare (void)). */
#define FS_MUST_CHECK __attribute__((warn_unused_result))
static inline void fs_drop(int64_t result)
{
    (void)result;
}
#define FS_PRINTF(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))
#define FS_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FS_MIN(a, b) ((a) < (b) ? (a) : (b))
#define FS_MAX(a, b) ((a) > (b) ? (a) : (b))

/* A borrowed run of bytes, not NUL-terminated; whoever hands it out says how long it lives. */
struct str {
    const char *data;
    size_t size;
};

static inline struct str str_of(const char *text)
{
    return (struct str){text, text ? strlen(text) : 0};
}

static inline bool str_equal(struct str a, struct str b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Copies at most capacity - 1 bytes and terminates; returns false when it had to cut. */
static inline bool str_copy(char *out, size_t capacity, struct str text)
{
    size_t size = text.size < capacity ? text.size : capacity - 1;
    if (size > 0)
        memcpy(out, text.data, size);
    out[size] = '\0';
    return size == text.size;
}

/* count * size into *out; false on overflow. */
static inline FS_MUST_CHECK bool size_multiply(size_t count, size_t size, size_t *out)
{
    return !__builtin_mul_overflow(count, size, out);
}

#endif
