/* The generated codecs against avro-c, and against bytes that are cut, changed or made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "schemas/messages.h"
#include "tests/schemas/message_avro.h"
#include "tests/schemas/message_random.h"

#define ARENA_LIMIT ((size_t)64 << 20)
#define ROUNDS 200
#define AVRO_MAX ((size_t)1 << 20)

static uint64_t seed;

struct rig {
    struct arena *given, *read;
    struct buffer ours, again;
    void *message, *decoded;
};

static struct rig rig_open(const struct msg_type *type)
{
    struct rig b = {.given = arena_create(1 << 16, ARENA_LIMIT), .read = arena_create(1 << 16, ARENA_LIMIT)};
    b.message = calloc(1, type->size);
    b.decoded = calloc(1, type->size);
    assert_true(b.given && b.read && b.message && b.decoded);
    buffer_init(&b.ours, 0);
    buffer_init(&b.again, 0);
    return b;
}

static void rig_close(struct rig *b)
{
    arena_destroy(b->given);
    arena_destroy(b->read);
    buffer_fini(&b->ours);
    buffer_fini(&b->again);
    free(b->message);
    free(b->decoded);
}

static void rig_next(struct rig *b, uint64_t *state, const struct msg_type *type, size_t items_max)
{
    arena_reset(b->given);
    arena_reset(b->read);
    buffer_reset(&b->ours);
    message_random(state, type, items_max, b->given, b->message);
    type->encode(b->message, &b->ours);
    assert_int_equal(buffer_error(&b->ours), 0);
}

/* Decodes the bytes and encodes the result into b->again. */
static int rig_read(struct rig *b, const struct msg_type *type, struct str bytes)
{
    arena_reset(b->read);
    buffer_reset(&b->again);
    int error = type->decode(bytes, b->read, b->decoded);
    if (!error) {
        type->encode(b->decoded, &b->again);
        assert_int_equal(buffer_error(&b->again), 0);
    }
    return error;
}

static size_t written_by_avro(avro_value_t *value, char *out)
{
    avro_writer_t writer = avro_writer_memory(out, (int64_t)AVRO_MAX);
    assert_int_equal(avro_value_write(writer, value), 0);
    size_t size = (size_t)avro_writer_tell(writer);
    avro_writer_free(writer);
    return size;
}

static void against_avro(const struct msg_type *type, uint64_t *state, char *room)
{
    struct rig b = rig_open(type);
    avro_schema_t schema;
    avro_value_t value;
    assert_int_equal(avro_schema_from_json_length(type->json, strlen(type->json), &schema), 0);
    avro_value_iface_t *class = avro_generic_class_from_schema(schema);
    assert_int_equal(avro_generic_value_new(class, &value), 0);
    for (int i = 0; i < ROUNDS; i++) {
        rig_next(&b, state, type, 1 + (size_t)i % 5);
        assert_int_equal(message_to_avro(type, b.message, &value), 0);
        size_t size = written_by_avro(&value, room);
        assert_int_equal(size, b.ours.size);
        assert_memory_equal(room, b.ours.data, size);
        assert_int_equal(rig_read(&b, type, (struct str){room, size}), 0);
        assert_int_equal(b.again.size, size);
        assert_memory_equal(b.again.data, room, size);
        avro_reader_t reader = avro_reader_memory((const char *)b.ours.data, (int64_t)b.ours.size);
        assert_int_equal(avro_value_read(reader, &value), 0);
        avro_reader_free(reader);
        assert_int_equal(written_by_avro(&value, room), b.ours.size);
        assert_memory_equal(room, b.ours.data, b.ours.size);
    }
    avro_value_decref(&value);
    avro_value_iface_decref(class);
    avro_schema_decref(schema);
    rig_close(&b);
}

static void codec__random_values_of_every_schema__equals_avro_c(void **unused)
{
    (void)unused;
    uint64_t state = seed;
    char *room = malloc(AVRO_MAX);
    assert_non_null(room);
    for (size_t i = 0; i < MSG_TYPE_COUNT; i++) {
        (void)printf("%s\n", msg_types[i]->name);
        against_avro(msg_types[i], &state, room);
    }
    free(room);
}

/* An exact copy on the heap, so that a read behind its end is one behind an allocation. */
static struct str exact_copy(const void *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    return (struct str){copy, size};
}

static void drop_copy(struct str copy)
{
    free((void *)(uintptr_t)copy.data);
}

static void decode__truncated_at_every_length__bad_message(void **unused)
{
    (void)unused;
    uint64_t state = seed + 1;
    for (size_t i = 0; i < MSG_TYPE_COUNT; i++) {
        struct rig b = rig_open(msg_types[i]);
        rig_next(&b, &state, msg_types[i], 2);
        for (size_t size = 0; size < b.ours.size; size++) {
            struct str copy = exact_copy(b.ours.data, size);
            memset(b.decoded, 0x5a, msg_types[i]->size);
            assert_int_equal(rig_read(&b, msg_types[i], copy), -EBADMSG);
            assert_int_equal(((uint8_t *)b.decoded)[0], 0x5a); /* nothing written on failure */
            drop_copy(copy);
        }
        assert_int_equal(msg_types[i]->decode((struct str){0}, b.read, b.decoded), -EBADMSG);
        rig_close(&b);
    }
}

static void decode__one_byte_more__bad_message(void **unused)
{
    (void)unused;
    uint64_t state = seed + 2;
    for (size_t i = 0; i < MSG_TYPE_COUNT; i++) {
        struct rig b = rig_open(msg_types[i]);
        rig_next(&b, &state, msg_types[i], 2);
        buffer_append(&b.ours, "", 1);
        assert_int_equal(rig_read(&b, msg_types[i], buffer_str(&b.ours)), -EBADMSG);
        rig_close(&b);
    }
}

static void mutate(uint64_t *state, uint8_t *data, size_t size)
{
    static const uint8_t nasty[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe};
    size_t changes = 1 + random_below(state, 4);
    for (size_t i = 0; i < changes; i++) {
        size_t at = random_below(state, size);
        if (random_below(state, 2))
            data[at] ^= (uint8_t)(1u << random_below(state, 8));
        else
            for (size_t run = 1 + random_below(state, 11); run > 0 && at < size; run--, at++)
                data[at] = nasty[random_below(state, FS_COUNT(nasty))];
    }
}

static void decode__mutated_bytes__error_or_a_value_that_encodes(void **unused)
{
    (void)unused;
    uint64_t state = seed + 3;
    size_t accepted = 0, refused = 0;
    for (size_t i = 0; i < MSG_TYPE_COUNT; i++) {
        struct rig b = rig_open(msg_types[i]);
        for (int round = 0; round < 2000; round++) {
            if (round % 100 == 0)
                rig_next(&b, &state, msg_types[i], 3);
            struct str copy = exact_copy(b.ours.data, b.ours.size);
            mutate(&state, (uint8_t *)(uintptr_t)copy.data, copy.size);
            int error = rig_read(&b, msg_types[i], copy);
            assert_true(error == 0 || error == -EBADMSG);
            *(error ? &refused : &accepted) += 1;
            drop_copy(copy);
        }
        rig_close(&b);
    }
    (void)printf("accepted %zu, refused %zu\n", accepted, refused);
    assert_true(accepted > 0 && refused > 0);
}

/* ExecutionRequest up to argv: action, 16 bytes, code, pool. */
static const uint8_t request_head[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 0};

static int decode_request(const void *tail, size_t size, size_t arena_limit)
{
    struct arena *arena = arena_create(1 << 12, arena_limit);
    struct buffer bytes;
    struct msg_execution_request out;
    buffer_init(&bytes, 0);
    buffer_append(&bytes, request_head, sizeof request_head);
    buffer_append(&bytes, tail, size);
    int error = msg_execution_request_decode(buffer_str(&bytes), arena, &out);
    buffer_fini(&bytes);
    arena_destroy(arena);
    return error;
}

static void decode__absurd_counts__refused_without_allocating(void **unused)
{
    (void)unused;
    static const uint8_t huge[] = {0xfe, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0x01}; /* INT64_MAX */
    static const uint8_t lowest[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                     0xff, 0xff, 0xff, 0x01, 0}; /* INT64_MIN */
    static const uint8_t two_gib[] = {0x80, 0x80, 0x80, 0x80, 0x10};
    static const uint8_t negative_size[] = {0x01, 0x01};
    static const uint8_t size_behind_end[] = {0x01, 0x80, 0x08, 0x00, 0x00};
    assert_int_equal(decode_request(huge, sizeof huge, 64), -EBADMSG);
    assert_int_equal(decode_request(lowest, sizeof lowest, 64), -EBADMSG);
    assert_int_equal(decode_request(two_gib, sizeof two_gib, 64), -EBADMSG);
    assert_int_equal(decode_request(negative_size, sizeof negative_size, 64), -EBADMSG);
    assert_int_equal(decode_request(size_behind_end, sizeof size_behind_end, 64), -EBADMSG);
}

static void decode__overlong_varint__bad_message(void **unused)
{
    (void)unused;
    static const uint8_t eleven[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    static const uint8_t too_wide[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02};
    assert_int_equal(decode_request(eleven, sizeof eleven, 1 << 16), -EBADMSG);
    assert_int_equal(decode_request(too_wide, sizeof too_wide, 1 << 16), -EBADMSG);
}

/* The same argv in two blocks of which one says its size, as other writers do. */
static void decode__blocks_with_sizes__read_like_one_block(void **unused)
{
    (void)unused;
    struct str argv[] = {str_of("a"), str_of("bc")};
    struct msg_execution_request request = {.argv = {argv, 2}}, out;
    struct arena *arena = arena_create(1 << 12, 1 << 20);
    struct buffer plain, blocks, again;
    static const uint8_t in_blocks[] = {0x01, 0x04, 0x02, 'a', 0x02, 0x04, 'b', 'c', 0x00};
    static const uint8_t in_one[] = {0x04, 0x02, 'a', 0x04, 'b', 'c', 0x00};
    buffer_init(&plain, 0);
    buffer_init(&blocks, 0);
    buffer_init(&again, 0);
    msg_execution_request_encode(&request, &plain);
    size_t at = sizeof request_head;
    assert_memory_equal(plain.data + at, in_one, sizeof in_one);
    buffer_append(&blocks, plain.data, at);
    buffer_append(&blocks, in_blocks, sizeof in_blocks);
    buffer_append(&blocks, plain.data + at + sizeof in_one, plain.size - at - sizeof in_one);
    assert_int_equal(msg_execution_request_decode(buffer_str(&blocks), arena, &out), 0);
    assert_int_equal(out.argv.count, 2);
    msg_execution_request_encode(&out, &again);
    assert_true(str_equal(buffer_str(&again), buffer_str(&plain)));
    buffer_fini(&plain);
    buffer_fini(&blocks);
    buffer_fini(&again);
    arena_destroy(arena);
}

static void decode__arena_limit__no_memory(void **unused)
{
    (void)unused;
    struct str argv[64] = {{0}};
    struct msg_execution_request request = {.argv = {argv, 64}}, out;
    struct arena *arena = arena_create(64, 256);
    struct buffer bytes;
    buffer_init(&bytes, 0);
    msg_execution_request_encode(&request, &bytes);
    assert_int_equal(msg_execution_request_decode(buffer_str(&bytes), arena, &out), -ENOMEM);
    buffer_fini(&bytes);
    arena_destroy(arena);
}

static void decode__enum_or_bool_out_of_range__bad_message(void **unused)
{
    (void)unused;
    struct msg_risk risk = {.above = true}, out;
    struct msg_execution_request request = {.action = MSG_ACTION_RUN}, request_out;
    struct arena *arena = arena_create(1 << 12, 1 << 20);
    struct buffer bytes;
    buffer_init(&bytes, 0);
    msg_execution_request_encode(&request, &bytes);
    bytes.data[0] = 2 * MSG_ACTION_COUNT; /* zigzag */
    assert_int_equal(msg_execution_request_decode(buffer_str(&bytes), arena, &request_out), -EBADMSG);
    bytes.data[0] = 1; /* -1 */
    assert_int_equal(msg_execution_request_decode(buffer_str(&bytes), arena, &request_out), -EBADMSG);
    buffer_reset(&bytes);
    msg_risk_encode(&risk, &bytes);
    size_t changed = 0;
    for (size_t i = 0; i < bytes.size; i++)
        if (bytes.data[i] == 1 && changed++ == 0)
            bytes.data[i] = 2; /* the only byte that is 1 is `above` */
    assert_int_equal(changed, 1);
    assert_int_equal(msg_risk_decode(buffer_str(&bytes), arena, &out), -EBADMSG);
    buffer_fini(&bytes);
    arena_destroy(arena);
}

static void encode__buffer_limit__sticky_error_and_nothing_written(void **unused)
{
    (void)unused;
    struct msg_hello hello = {.node = str_of("node-1")};
    struct buffer bytes;
    buffer_init(&bytes, 8);
    msg_hello_encode(&hello, &bytes);
    assert_int_equal(buffer_error(&bytes), -EMSGSIZE);
    assert_int_equal(bytes.size, 0);
    buffer_fini(&bytes);
}

int main(void)
{
    seed = random_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codec__random_values_of_every_schema__equals_avro_c),
        cmocka_unit_test(decode__truncated_at_every_length__bad_message),
        cmocka_unit_test(decode__one_byte_more__bad_message),
        cmocka_unit_test(decode__mutated_bytes__error_or_a_value_that_encodes),
        cmocka_unit_test(decode__absurd_counts__refused_without_allocating),
        cmocka_unit_test(decode__overlong_varint__bad_message),
        cmocka_unit_test(decode__blocks_with_sizes__read_like_one_block),
        cmocka_unit_test(decode__arena_limit__no_memory),
        cmocka_unit_test(decode__enum_or_bool_out_of_range__bad_message),
        cmocka_unit_test(encode__buffer_limit__sticky_error_and_nothing_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
