/* See uuid.h. */
#include "common/uuid.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void uuid_v7(uint8_t out[UUID_SIZE], int64_t now_ms)
{
    /* getrandom on up to 256 bytes is neither cut short nor interrupted once the pool is up; before that it
     * blocks. */
    while (getrandom(out, UUID_SIZE, 0) != UUID_SIZE)
        if (errno != EINTR)
            abort(); /* no entropy source: nothing this program does could be unique */
    for (int i = 0; i < 6; i++)
        out[i] = (uint8_t)((uint64_t)now_ms >> (40 - 8 * i));
    out[6] = (uint8_t)(0x70 | (out[6] & 0x0f));
    out[8] = (uint8_t)(0x80 | (out[8] & 0x3f));
}

static bool dash_before(size_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void uuid_format(const uint8_t id[UUID_SIZE], char out[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < UUID_SIZE; i++) {
        if (dash_before(i))
            *out++ = '-';
        *out++ = digits[id[i] >> 4];
        *out++ = digits[id[i] & 15];
    }
    *out = '\0';
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int uuid_parse(struct str text, uint8_t out[UUID_SIZE])
{
    uint8_t id[UUID_SIZE];
    if (text.size != UUID_TEXT_SIZE - 1)
        return -EINVAL;
    const char *at = text.data;
    for (size_t i = 0; i < UUID_SIZE; i++) {
        if (dash_before(i) && *at++ != '-')
            return -EINVAL;
        int high = digit(at[0]), low = digit(at[1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        id[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    memcpy(out, id, sizeof id);
    return 0;
}
