/* FNV-1a, 64 bits, with a final mix: the same on every machine and version, so it may decide things that last
 * (hold-out arms, sampling of series). Not for hostile keys: maps that take outside keys are bounded instead.
 * Source: draft-eastlake-fnv; finaliser of MurmurHash3 (Appleby), public domain. */
#ifndef FORESTALL_COMMON_HASH_H
#define FORESTALL_COMMON_HASH_H

#include "common/base.h"

static inline uint64_t hash_bytes(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t hash = 0xcbf29ce484222325u;
    /* NOLINTBEGIN(clang-analyzer-*): it loses track of the bytes of wider items */
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    /* NOLINTEND(clang-analyzer-*) */
    hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdu;
    hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53u;
    return hash ^ (hash >> 33);
}

/* Uniform in [0, 1). */
static inline double hash_unit(const void *data, size_t size)
{
    return (double)(hash_bytes(data, size) >> 11) * 0x1p-53;
}

#endif
