/* CRC-32C (Castagnoli, RFC 3720 appendix B.4), a bit at a time through a nibble table: for what is read again
 * from disk. */
#ifndef FORESTALL_AGENT_CRC32_H
#define FORESTALL_AGENT_CRC32_H

#include "common/base.h"

/* Continues from crc (0 at first). */
static inline uint32_t crc32_of(uint32_t crc, const void *data, size_t size)
{
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                       0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    const uint8_t *bytes = data;
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

#endif
