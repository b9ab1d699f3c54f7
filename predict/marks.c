/* See marks.h. */
#include "predict/marks.h"

#include <stdlib.h>

#include "common/hash.h"

#define BITS ((size_t)1 << 23)

struct marks {
    uint8_t bytes[BITS / 8];
};

static size_t bit_of(struct str name)
{
    return (size_t)(hash_bytes(name.data, name.size) % BITS);
}

struct marks *marks_create(void)
{
    return calloc(1, sizeof(struct marks));
}

void marks_destroy(struct marks *marks)
{
    free(marks);
}

void marks_add(struct marks *marks, struct str name)
{
    size_t bit = bit_of(name);
    marks->bytes[bit / 8] |= (uint8_t)(1u << (bit % 8));
}

bool marks_hold(const struct marks *marks, struct str name)
{
    size_t bit = bit_of(name);
    return marks->bytes[bit / 8] & (1u << (bit % 8));
}
