/* Framing, learned writer schemas and resolution between versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "schemas/canonical.h"
#include "schemas/codec.h"
#include "schemas/resolve.h"
#include "tests/schemas/message_avro.h"
#include "tests/schemas/message_random.h"

static uint64_t seed;

struct rig {
    struct codec *codec;
    struct arena *given, *read;
    struct buffer framed, again;
};

static struct rig rig_open(void)
{
    struct rig rig = {.codec = codec_create(),
                      .given = arena_create(1 << 16, (size_t)64 << 20),
                      .read = arena_create(1 << 16, (size_t)64 << 20)};
    assert_true(rig.codec && rig.given && rig.read);
    buffer_init(&rig.framed, 0);
    buffer_init(&rig.again, 0);
    return rig;
}

static void rig_close(struct rig *rig)
{
    codec_destroy(rig->codec);
    arena_destroy(rig->given);
    arena_destroy(rig->read);
    buffer_fini(&rig->framed);
    buffer_fini(&rig->again);
}

static uint64_t fingerprint_of(const char *text)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    char *form = canonical_form(json);
    assert_non_null(form);
    uint64_t fingerprint = canonical_fingerprint(form, strlen(form));
    free(form);
    json_decref(json);
    return fingerprint;
}

/* The type's schema with one more field at a place among the top record's fields; to be freed. */
static char *with_field(const struct msg_type *type, size_t at, const char *field)
{
    json_t *json = json_loads(type->json, 0, NULL), *added = json_loads(field, 0, NULL);
    assert_true(json && added);
    assert_int_equal(json_array_insert_new(json_object_get(json, "fields"), at, added), 0);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_non_null(text);
    json_decref(json);
    return text;
}

static void put_header(struct buffer *out, uint64_t fingerprint)
{
    uint8_t header[10] = {0xc3, 0x01};
    for (size_t i = 0; i < 8; i++)
        header[2 + i] = (uint8_t)(fingerprint >> (8 * i));
    buffer_append(out, header, sizeof header);
}

static void codec__own_version_of_every_type__reads_what_it_wrote(void **unused)
{
    (void)unused;
    uint64_t state = seed;
    struct rig rig = rig_open();
    for (size_t i = 0; i < MSG_TYPE_COUNT; i++) {
        const struct msg_type *type = msg_types[i];
        void *message = calloc(1, type->size), *out = calloc(1, type->size);
        uint64_t fingerprint;
        buffer_reset(&rig.framed);
        buffer_reset(&rig.again);
        message_random(&state, type, 3, rig.given, message);
        assert_int_equal(codec_encode(type, message, &rig.framed), 0);
        assert_int_equal(codec_fingerprint(buffer_str(&rig.framed), &fingerprint), 0);
        assert_int_equal(fingerprint, type->fingerprint);
        assert_int_equal(codec_decode(rig.codec, type, buffer_str(&rig.framed), rig.read, out), 0);
        assert_int_equal(codec_encode(type, out, &rig.again), 0);
        assert_true(str_equal(buffer_str(&rig.framed), buffer_str(&rig.again)));
        free(message);
        free(out);
    }
    rig_close(&rig);
}

static void codec__another_message_of_ours__bad_message_not_unknown(void **unused)
{
    (void)unused;
    struct rig rig = rig_open();
    struct msg_hello hello = {.node = str_of("n")};
    struct msg_tick tick;
    assert_int_equal(codec_encode(&msg_hello_type, &hello, &rig.framed), 0);
    assert_int_equal(codec_decode(rig.codec, &msg_tick_type, buffer_str(&rig.framed), rig.read, &tick),
                     -EBADMSG);
    rig_close(&rig);
}

static void codec__no_frame__bad_message(void **unused)
{
    (void)unused;
    struct rig rig = rig_open();
    struct msg_hello out;
    static const char *const bytes[] = {"",
                                        "\xc3",
                                        "\xc3\x01",
                                        "\xc3\x01"
                                        "1234567",
                                        "\xc3\x02"
                                        "12345678",
                                        "hello",
                                        "{}"};
    for (size_t i = 0; i < FS_COUNT(bytes); i++)
        assert_int_equal(codec_decode(rig.codec, &msg_hello_type, str_of(bytes[i]), rig.read, &out),
                         -EBADMSG);
    assert_int_equal(codec_decode(rig.codec, &msg_hello_type, (struct str){0}, rig.read, &out), -EBADMSG);
    assert_int_equal(codec_decode(rig.codec, &msg_hello_type, (struct str){"\0\0\0\0", 4}, rig.read, &out),
                     -EBADMSG);
    rig_close(&rig);
}

/* A writer with one more field, in every schema: unknown until learned, then read without the field. */
static void codec__newer_writer__field_is_dropped_once_its_schema_is_known(void **unused)
{
    (void)unused;
    uint64_t state = seed + 1;
    for (size_t i = 0; i < MSG_TYPE_COUNT; i++) {
        const struct msg_type *type = msg_types[i];
        struct rig rig = rig_open();
        void *message = calloc(1, type->size), *out = calloc(1, type->size);
        char *schema = with_field(type, type->field_count, "{\"name\":\"later\",\"type\":\"string\"}");
        uint64_t fingerprint = fingerprint_of(schema);
        message_random(&state, type, 3, rig.given, message);
        put_header(&rig.framed, fingerprint);
        type->encode(message, &rig.framed);
        buffer_append(&rig.framed,
                      "\x08"
                      "more",
                      5);
        type->encode(message, &rig.again);
        assert_int_equal(codec_decode(rig.codec, type, buffer_str(&rig.framed), rig.read, out), -ENOENT);
        assert_int_equal(codec_learn(rig.codec, fingerprint, str_of(schema)), 0);
        assert_int_equal(codec_learn(rig.codec, fingerprint, str_of(schema)), 0);
        assert_int_equal(codec_decode(rig.codec, type, buffer_str(&rig.framed), rig.read, out), 0);
        size_t size = rig.again.size;
        type->encode(out, &rig.again);
        assert_int_equal(rig.again.size, 2 * size);
        assert_memory_equal(rig.again.data, rig.again.data + size, size);
        for (size_t cut = 10; cut < rig.framed.size; cut += 1 + rig.framed.size / 97)
            assert_int_equal(
                codec_decode(rig.codec, type, (struct str){(char *)rig.framed.data, cut}, rig.read, out),
                -EBADMSG);
        free(schema);
        free(message);
        free(out);
        rig_close(&rig);
    }
}

/* The reverse: our own bytes are the old version, the reader has a new field with a default, in front of all
 * others. */
static void resolve__newer_reader__old_bytes_get_the_default(void **unused)
{
    (void)unused;
    uint64_t state = seed + 2;
    for (size_t i = 0; i < MSG_TYPE_COUNT; i++) {
        struct rig rig = rig_open();
        struct msg_type reader = *msg_types[i];
        struct writer_schema *writer;
        struct str resolved;
        void *message = calloc(1, reader.size);
        char *schema =
            with_field(msg_types[i], 0, "{\"name\":\"later\",\"type\":\"string\",\"default\":\"none\"}");
        reader.json = schema;
        message_random(&state, &reader, 3, rig.given, message);
        reader.encode(message, &rig.framed);
        buffer_append(&rig.again,
                      "\x08"
                      "none",
                      5);
        reader.encode(message, &rig.again);
        assert_int_equal(writer_schema_create(str_of(msg_types[i]->json), &writer), 0);
        assert_int_equal(writer_schema_resolve(writer, &reader, buffer_str(&rig.framed), rig.read, &resolved),
                         0);
        assert_true(str_equal(resolved, buffer_str(&rig.again)));
        writer_schema_destroy(writer);
        free(schema);
        free(message);
        rig_close(&rig);
    }
}

static void codec__confluent_frame__read_once_the_id_is_known(void **unused)
{
    (void)unused;
    struct rig rig = rig_open();
    struct msg_hello hello = {.node = str_of("node-7"), .epoch = 9}, out;
    char *newer = with_field(&msg_hello_type, 0, "{\"name\":\"extra\",\"type\":\"long\"}");
    buffer_append(&rig.framed, "\0\0\1\0\2", 5);
    msg_hello_encode(&hello, &rig.framed);
    assert_int_equal(codec_decode(rig.codec, &msg_hello_type, buffer_str(&rig.framed), rig.read, &out),
                     -ENOENT);
    assert_int_equal(codec_learn_id(rig.codec, 0x10002, str_of(msg_hello_type.json)), 0);
    assert_int_equal(codec_decode(rig.codec, &msg_hello_type, buffer_str(&rig.framed), rig.read, &out), 0);
    assert_true(str_equal(out.node, hello.node));
    assert_int_equal(out.epoch, 9);
    buffer_append(&rig.again, "\0\0\0\0\3\2", 6);
    msg_hello_encode(&hello, &rig.again);
    assert_int_equal(codec_learn_id(rig.codec, 3, str_of(newer)), 0);
    assert_int_equal(codec_decode(rig.codec, &msg_hello_type, buffer_str(&rig.again), rig.read, &out), 0);
    assert_true(str_equal(out.node, hello.node));
    free(newer);
    rig_close(&rig);
}

static void codec_learn__not_a_schema_or_another_fingerprint__invalid(void **unused)
{
    (void)unused;
    struct rig rig = rig_open();
    static const char *const texts[] = {
        "",
        "{",
        "[]]",
        "{\"type\":\"record\"}",
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"S\"}]}",
        "12"};
    for (size_t i = 0; i < FS_COUNT(texts); i++)
        assert_int_equal(codec_learn(rig.codec, 1, str_of(texts[i])), -EINVAL);
    assert_int_equal(codec_learn(rig.codec, 1, str_of("\"string\"")), -EINVAL);
    char *large = malloc(CODEC_SCHEMA_MAX_BYTES + 1);
    assert_non_null(large);
    memset(large, ' ', CODEC_SCHEMA_MAX_BYTES + 1);
    assert_int_equal(codec_learn_id(rig.codec, 1, (struct str){large, CODEC_SCHEMA_MAX_BYTES + 1}), -EINVAL);
    free(large);
    rig_close(&rig);
}

static void codec_learn__more_than_its_bound__no_space_and_the_known_stay(void **unused)
{
    (void)unused;
    struct rig rig = rig_open();
    char text[128];
    uint64_t first = 0;
    for (size_t i = 0; i <= CODEC_SCHEMAS_MAX; i++) {
        (void)snprintf(text, sizeof text, "{\"type\":\"fixed\",\"name\":\"F%zu\",\"size\":1}", i);
        uint64_t fingerprint = fingerprint_of(text);
        first = i == 0 ? fingerprint : first;
        assert_int_equal(codec_learn(rig.codec, fingerprint, str_of(text)),
                         i < CODEC_SCHEMAS_MAX ? 0 : -ENOSPC);
    }
    assert_int_equal(codec_learn(rig.codec, first, str_of("")), 0);
    rig_close(&rig);
}

/* Records of records of ... of nothing: 256^8 values in no bytes must end in an error, soon. */
static void resolve__values_without_bytes__bounded(void **unused)
{
    (void)unused;
    struct rig rig = rig_open();
    struct writer_schema *writer;
    struct str resolved;
    buffer_printf(&rig.framed,
                  "{\"type\":\"record\",\"name\":\"Hello\",\"fields\":[{\"name\":\"a\",\"type\":");
    for (int i = 0; i < 8; i++)
        buffer_printf(&rig.framed,
                      "{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"f\",\"type\":", i);
    buffer_printf(&rig.framed, "\"null\"");
    for (int i = 7; i >= 0; i--) {
        for (int j = 0; j < 100; j++)
            if (i < 7)
                buffer_printf(&rig.framed, "},{\"name\":\"f%d\",\"type\":\"R%d\"", j, i + 1);
        buffer_printf(&rig.framed, "}]}");
    }
    buffer_printf(&rig.framed, "}]}");
    assert_int_equal(writer_schema_create(buffer_str(&rig.framed), &writer), 0);
    assert_int_equal(writer_schema_resolve(writer, &msg_hello_type, (struct str){0}, rig.read, &resolved),
                     -EBADMSG);
    writer_schema_destroy(writer);
    rig_close(&rig);
}

static size_t from_hex(const char *hex, char *out)
{
    size_t size = strlen(hex) / 2;
    for (size_t i = 0; i < size; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        out[i] = (char)strtoul(digits, NULL, 16);
    }
    return size;
}

static void resolve_case(struct rig *rig, const json_t *row)
{
    struct writer_schema *writer;
    struct str resolved;
    char bytes[1024], expected[1024];
    const char *wanted = json_string_value(json_object_get(row, "resolved"));
    struct msg_type reader = {.name = "R", .json = json_string_value(json_object_get(row, "reader"))};
    size_t size = from_hex(json_string_value(json_object_get(row, "bytes")), bytes);
    assert_int_equal(writer_schema_create(str_of(json_string_value(json_object_get(row, "writer"))), &writer),
                     0);
    int error = writer_schema_resolve(writer, &reader, (struct str){bytes, size}, rig->read, &resolved);
    if (error != (wanted ? 0 : -EBADMSG))
        fail_msg("%s: %d", json_string_value(json_object_get(row, "name")), error);
    if (wanted) {
        size_t length = from_hex(wanted, expected);
        if (!str_equal(resolved, (struct str){expected, length}))
            fail_msg("%s: other bytes", json_string_value(json_object_get(row, "name")));
        for (size_t cut = 0; cut < size; cut++) {
            error = writer_schema_resolve(writer, &reader, (struct str){bytes, cut}, rig->read, &resolved);
            assert_int_equal(error, -EBADMSG);
        }
    }
    writer_schema_destroy(writer);
}

static void resolve__golden_cases__as_fastavro(void **unused)
{
    (void)unused;
    struct rig rig = rig_open();
    const char *root = getenv("FORESTALL_SOURCE");
    char path[1024];
    size_t i;
    json_t *row;
    (void)snprintf(path, sizeof path, "%s/tests/schemas/golden/resolution.json", root ? root : ".");
    json_t *rows = json_load_file(path, 0, NULL);
    assert_non_null(rows);
    json_array_foreach (rows, i, row)
        resolve_case(&rig, row);
    json_decref(rows);
    rig_close(&rig);
}

/* Mutated bytes of another version: an error or a message, like with our own. */
static void codec__mutated_bytes_of_another_version__error_or_message(void **unused)
{
    (void)unused;
    uint64_t state = seed + 3;
    struct rig rig = rig_open();
    struct msg_tick tick, out;
    char *schema = with_field(
        &msg_tick_type, 3, "{\"name\":\"later\",\"type\":[\"null\",{\"type\":\"map\",\"values\":\"Uuid\"}]}");
    uint64_t fingerprint = fingerprint_of(schema);
    assert_int_equal(codec_learn(rig.codec, fingerprint, str_of(schema)), 0);
    message_random(&state, &msg_tick_type, 4, rig.given, &tick);
    put_header(&rig.framed, fingerprint);
    msg_tick_encode(&tick, &rig.framed);
    for (int i = 0; i < 3000; i++) {
        struct buffer copy;
        buffer_init(&copy, 0);
        buffer_append(&copy, rig.framed.data, rig.framed.size);
        for (size_t changes = 1 + random_below(&state, 5); changes > 0; changes--)
            copy.data[10 + random_below(&state, copy.size - 10)] = (uint8_t)random_next(&state);
        arena_reset(rig.read);
        int error = codec_decode(rig.codec, &msg_tick_type, buffer_str(&copy), rig.read, &out);
        assert_true(error == 0 || error == -EBADMSG);
        buffer_fini(&copy);
    }
    free(schema);
    rig_close(&rig);
}

static void codec_clone__message_whose_bytes_are_gone__lives_on(void **unused)
{
    (void)unused;
    struct rig rig = rig_open();
    char name[] = "node-1";
    struct msg_hello hello = {.node = str_of(name)}, copy;
    assert_int_equal(codec_clone(&msg_hello_type, &hello, &rig.framed, rig.read, &copy), 0);
    memset(name, 'x', sizeof name);
    assert_true(str_equal(copy.node, str_of("node-1")));
    rig_close(&rig);
}

int main(void)
{
    seed = random_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codec__own_version_of_every_type__reads_what_it_wrote),
        cmocka_unit_test(codec__another_message_of_ours__bad_message_not_unknown),
        cmocka_unit_test(codec__no_frame__bad_message),
        cmocka_unit_test(codec__newer_writer__field_is_dropped_once_its_schema_is_known),
        cmocka_unit_test(resolve__newer_reader__old_bytes_get_the_default),
        cmocka_unit_test(codec__confluent_frame__read_once_the_id_is_known),
        cmocka_unit_test(codec_learn__not_a_schema_or_another_fingerprint__invalid),
        cmocka_unit_test(codec_learn__more_than_its_bound__no_space_and_the_known_stay),
        cmocka_unit_test(resolve__values_without_bytes__bounded),
        cmocka_unit_test(resolve__golden_cases__as_fastavro),
        cmocka_unit_test(codec__mutated_bytes_of_another_version__error_or_message),
        cmocka_unit_test(codec_clone__message_whose_bytes_are_gone__lives_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
