/* See message_random.h. */
#include "tests/schemas/message_random.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"

uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

size_t random_below(uint64_t *state, size_t count)
{
    assert(count > 0);
    return (size_t)(random_next(state) % count);
}

uint64_t random_seed(void)
{
    const char *text = getenv("FORESTALL_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)clock_realtime_us();
    (void)printf("FORESTALL_SEED=%" PRIu64 "\n", seed);
    return seed;
}

/* Every length of varint is as likely, and so are the extremes. */
static int64_t random_long(uint64_t *state)
{
    static const int64_t edges[] = {0,    -1,   1,         63,        64,        -64,      -65,
                                    8191, 8192, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    if (random_below(state, 4) == 0)
        return edges[random_below(state, FS_COUNT(edges))];
    return (int64_t)(random_next(state) >> random_below(state, 64));
}

static struct str random_str(uint64_t *state, struct arena *arena)
{
    static const size_t sizes[] = {0, 1, 7, 63, 64, 200};
    size_t size = random_below(state, 20) == 0 ? 9000 : sizes[random_below(state, FS_COUNT(sizes))];
    char *text = arena_alloc(arena, size + 1, 1);
    assert(text);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)(' ' + random_below(state, 95));
    return (struct str){text, size};
}

static void random_double(uint64_t *state, double *out)
{
    static const double edges[] = {0.0, -0.0, 1.0, __builtin_inf(), -__builtin_inf(), __builtin_nan("")};
    uint64_t bits = random_next(state);
    memcpy(out, &bits, sizeof bits);
    if (random_below(state, 4) == 0)
        *out = edges[random_below(state, FS_COUNT(edges))];
}

size_t message_stride(const struct msg_field *field)
{
    return field->item_size + (field->kind == MSG_KIND_MAP ? sizeof(struct str) : 0);
}

static void fill_record(uint64_t *state, const struct msg_field *fields, size_t count, size_t items_max,
                        struct arena *arena, uint8_t *record);

static void fill_value(uint64_t *state, const struct msg_field *field, size_t items_max, struct arena *arena,
                       uint8_t *at)
{
    double real;
    uint32_t bits;
    size_t symbols = 0;
    switch (field->item_kind) {
    case MSG_KIND_BOOL:
        *(bool *)at = random_below(state, 2) == 1;
        break;
    case MSG_KIND_INT:
        *(int32_t *)at = (int32_t)random_long(state);
        break;
    case MSG_KIND_LONG:
        *(int64_t *)at = random_long(state);
        break;
    case MSG_KIND_FLOAT:
        bits = (uint32_t)random_next(state);
        memcpy(at, &bits, sizeof bits);
        break;
    case MSG_KIND_DOUBLE:
        random_double(state, &real);
        memcpy(at, &real, sizeof real);
        break;
    case MSG_KIND_STRING:
    case MSG_KIND_BYTES:
        *(struct str *)at = random_str(state, arena);
        break;
    case MSG_KIND_FIXED:
        for (size_t i = 0; i < field->item_size; i++)
            at[i] = (uint8_t)random_next(state);
        break;
    case MSG_KIND_ENUM:
        while (field->names[symbols])
            symbols++;
        *(uint32_t *)at = (uint32_t)random_below(state, symbols);
        break;
    case MSG_KIND_RECORD:
        fill_record(state, field->fields, field->field_count, items_max, arena, at);
        break;
    case MSG_KIND_ARRAY:
    case MSG_KIND_MAP:
        abort(); /* no schema nests a container in a container */
    }
}

/* A map's keys differ: Avro's readers put them into hash maps. */
static struct str unique_key(size_t i, uint64_t *state, struct arena *arena)
{
    char text[32];
    (void)snprintf(text, sizeof text, "key%zu.%zu", i, random_below(state, 1000));
    char *copy = arena_strdup(arena, str_of(text));
    assert(copy);
    return str_of(copy);
}

static void fill_items(uint64_t *state, const struct msg_field *field, size_t items_max, struct arena *arena,
                       uint8_t *at)
{
    struct message_items *list = (struct message_items *)at;
    bool map = field->kind == MSG_KIND_MAP;
    size_t stride = message_stride(field);
    list->count = random_below(state, items_max + 1);
    list->items = arena_alloc(arena, list->count, stride);
    assert(list->items);
    for (size_t i = 0; i < list->count; i++) {
        uint8_t *item = list->items + i * stride;
        if (map)
            *(struct str *)item = unique_key(i, state, arena);
        fill_value(state, field, items_max, arena, item + (map ? sizeof(struct str) : 0));
    }
}

static void fill_record(uint64_t *state, const struct msg_field *fields, size_t count, size_t items_max,
                        struct arena *arena, uint8_t *record)
{
    for (const struct msg_field *field = fields; field < fields + count; field++) {
        if (field->has_offset != MSG_NOT_OPTIONAL) {
            bool has = random_below(state, 2) == 1;
            *(bool *)(record + field->has_offset) = has;
            if (!has)
                continue;
        }
        if (field->kind == MSG_KIND_ARRAY || field->kind == MSG_KIND_MAP)
            fill_items(state, field, items_max, arena, record + field->offset);
        else
            fill_value(state, field, items_max, arena, record + field->offset);
    }
}

void message_random(uint64_t *state, const struct msg_type *type, size_t items_max, struct arena *arena,
                    void *message)
{
    memset(message, 0, type->size);
    fill_record(state, type->fields, type->field_count, items_max, arena, message);
}
