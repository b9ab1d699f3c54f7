/* Avro's binary encoding, one primitive at a time; the generated codecs are made of these.
 * Source: Apache Avro 1.11 specification, "Binary Encoding". Reading never passes the end: the first fault is
 * sticky. */
#ifndef FORESTALL_SCHEMAS_WIRE_H
#define FORESTALL_SCHEMAS_WIRE_H

#include <errno.h>

#include "common/arena.h"
#include "common/base.h"

#define WIRE_LONG_MAX 10 /* bytes of the longest varint */

struct wire_reader {
    const uint8_t *at, *end;
    struct arena *arena;
    int error; /* 0, -EBADMSG, -ENOMEM */
};

static inline uint8_t *wire_put_long(uint8_t *at, int64_t value)
{
    uint64_t zigzag = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    while (zigzag >= 0x80) {
        *at++ = (uint8_t)(zigzag | 0x80);
        zigzag >>= 7;
    }
    *at++ = (uint8_t)zigzag;
    return at;
}

static inline uint8_t *wire_put_bytes(uint8_t *at, const void *data, size_t size)
{
    if (size > 0)
        memcpy(at, data, size);
    return at + size;
}

static inline uint8_t *wire_put_str(uint8_t *at, struct str text)
{
    return wire_put_bytes(wire_put_long(at, (int64_t)text.size), text.data, text.size);
}

static inline uint8_t *wire_put_bool(uint8_t *at, bool value)
{
    *at = value ? 1 : 0;
    return at + 1;
}

/* IEEE 754, little-endian, whatever the machine's order. */
static inline uint8_t *wire_put_float(uint8_t *at, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 4; i++)
        *at++ = (uint8_t)(bits >> (8 * i));
    return at;
}

static inline uint8_t *wire_put_double(uint8_t *at, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 8; i++)
        *at++ = (uint8_t)(bits >> (8 * i));
    return at;
}

static inline void wire_fail(struct wire_reader *reader, int error)
{
    if (!reader->error)
        reader->error = error;
    reader->at = reader->end; /* everything after it fails as well, without further checks */
}

static inline size_t wire_left(const struct wire_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

static inline int64_t wire_get_long(struct wire_reader *reader)
{
    uint64_t zigzag = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (reader->at == reader->end)
            break;
        uint8_t byte = *reader->at++;
        if (shift == 63 && byte > 1)
            break;
        zigzag |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
    }
    wire_fail(reader, -EBADMSG);
    return 0;
}

static inline int32_t wire_get_int(struct wire_reader *reader)
{
    int64_t value = wire_get_long(reader);
    if (value >= INT32_MIN && value <= INT32_MAX)
        return (int32_t)value;
    wire_fail(reader, -EBADMSG);
    return 0;
}

/* An enum's index, below count. */
static inline int32_t wire_get_enum(struct wire_reader *reader, int32_t count)
{
    int64_t value = wire_get_long(reader);
    if (value >= 0 && value < count)
        return (int32_t)value;
    wire_fail(reader, -EBADMSG);
    return 0;
}

static inline const uint8_t *wire_get_bytes(struct wire_reader *reader, size_t size)
{
    if (wire_left(reader) < size) {
        wire_fail(reader, -EBADMSG);
        return NULL;
    }
    const uint8_t *data = reader->at;
    reader->at += size;
    return data;
}

static inline void wire_get_fixed(struct wire_reader *reader, void *out, size_t size)
{
    const uint8_t *data = wire_get_bytes(reader, size);
    if (data)
        memcpy(out, data, size);
}

static inline struct str wire_get_str(struct wire_reader *reader)
{
    int64_t size = wire_get_long(reader);
    if (size < 0 || (uint64_t)size > wire_left(reader)) {
        wire_fail(reader, -EBADMSG);
        return (struct str){0};
    }
    return (struct str){(const char *)wire_get_bytes(reader, (size_t)size), (size_t)size};
}

static inline bool wire_get_bool(struct wire_reader *reader)
{
    const uint8_t *byte = wire_get_bytes(reader, 1);
    if (byte && *byte > 1)
        wire_fail(reader, -EBADMSG);
    return byte && *byte == 1;
}

static inline float wire_get_float(struct wire_reader *reader)
{
    const uint8_t *bytes = wire_get_bytes(reader, 4);
    uint32_t bits = 0;
    float value;
    for (int i = 0; bytes && i < 4; i++)
        bits |= (uint32_t)bytes[i] << (8 * i);
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline double wire_get_double(struct wire_reader *reader)
{
    const uint8_t *bytes = wire_get_bytes(reader, 8);
    uint64_t bits = 0;
    double value;
    for (int i = 0; bytes && i < 8; i++)
        bits |= (uint64_t)bytes[i] << (8 * i);
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The count of an array's or map's next block; 0 at its end. A count that the remaining bytes cannot hold, at
 * least_bytes for each item, is a fault: nothing is allocated on the word of the sender. */
static inline size_t wire_get_block(struct wire_reader *reader, size_t least_bytes)
{
    int64_t count = wire_get_long(reader);
    if (count < 0) {
        int64_t size = wire_get_long(reader);
        if (count == INT64_MIN || size < 0 || (uint64_t)size > wire_left(reader)) {
            wire_fail(reader, -EBADMSG);
            return 0;
        }
        count = -count;
    }
    if ((uint64_t)count > wire_left(reader) / FS_MAX(least_bytes, (size_t)1)) {
        wire_fail(reader, -EBADMSG);
        return 0;
    }
    return (size_t)count;
}

/* Room for count more items behind the size already there; *capacity doubles, so many small blocks stay
 * linear. */
static inline void *wire_grow(struct wire_reader *reader, void *items, size_t have, size_t more,
                              size_t *capacity, size_t item_size)
{
    if (have + more <= *capacity)
        return items;
    size_t wanted = FS_MAX(have + more, *capacity * 2);
    void *grown = arena_alloc(reader->arena, wanted, item_size);
    if (!grown) {
        wire_fail(reader, -ENOMEM);
        return NULL;
    }
    if (have > 0)
        memcpy(grown, items, have * item_size);
    *capacity = wanted;
    return grown;
}

#endif
