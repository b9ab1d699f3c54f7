/* See frame.h. */
#include "schemas/frame.h"

#include <errno.h>

static void append_header(struct buffer *out, enum frame_type type, size_t payload)
{
    uint8_t byte = (uint8_t)type;
    buffer_append_u32be(out, (uint32_t)(payload + 1));
    buffer_append(out, &byte, 1);
}

void frame_append(struct buffer *out, enum frame_type type, struct str payload)
{
    append_header(out, type, payload.size);
    buffer_append_str(out, payload);
}

void frame_append_numbered(struct buffer *out, enum frame_type type, uint64_t number, struct str payload)
{
    append_header(out, type, payload.size + 8);
    buffer_append_u64be(out, number);
    buffer_append_str(out, payload);
}

static uint64_t read_be(const uint8_t *data, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | data[i];
    return value;
}

int frame_next(const uint8_t *data, size_t size, size_t max, struct frame *out)
{
    if (size < 4)
        return 0;
    uint64_t length = read_be(data, 4);
    if (length == 0)
        return -EBADMSG;
    if (length > max)
        return -EMSGSIZE;
    if (size < FRAME_HEADER_SIZE)
        return 0;
    if (data[4] == 0 || data[4] >= FRAME_TYPE_END)
        return -EBADMSG;
    if (size < 4 + length)
        return 0;
    *out = (struct frame){(enum frame_type)data[4],
                          {(const char *)data + FRAME_HEADER_SIZE, (size_t)length - 1},
                          (size_t)length + 4};
    return 1;
}

int frame_number(struct str payload, uint64_t *number, struct str *rest)
{
    if (payload.size < 8)
        return -EBADMSG;
    *number = read_be((const uint8_t *)payload.data, 8);
    *rest = (struct str){payload.data + 8, payload.size - 8};
    return 0;
}
