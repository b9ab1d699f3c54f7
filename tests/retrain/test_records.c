/* Files of records: also of another form than ours, as an older or newer version wrote them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <jansson.h>
#include <unistd.h>

#include "retrain/records.h"
#include "schemas/canonical.h"
#include "schemas/published.h"
#include "tests/retrain/made.h"

struct form { /* another one of a message: one more number behind its fields */
    char *json;
    uint64_t fingerprint;
};

static struct form longer(const struct msg_type *type)
{
    json_t *schema = json_loads(type->json, 0, NULL);
    json_t *fields = json_object_get(schema, "fields");
    assert_int_equal(json_array_append_new(fields, json_pack("{s:s, s:s}", "name", "more", "type", "int")),
                     0);
    char *canonical = canonical_form(schema);
    struct form form = {json_dumps(schema, 0), canonical_fingerprint(canonical, strlen(canonical))};
    assert_true(form.json && form.fingerprint != type->fingerprint);
    free(canonical);
    json_decref(schema);
    return form;
}

/* The framed message as that form has it, with its length before it. */
static void append_longer(const struct msg_type *type, const void *message, const struct form *form,
                          struct buffer *out)
{
    struct buffer body;
    buffer_init(&body, 0);
    type->encode(message, &body);
    buffer_append_u32be(out, (uint32_t)(10 + body.size + 1));
    buffer_append_str(out, (struct str){"\xc3\x01", 2});
    for (int i = 0; i < 8; i++)
        buffer_append_str(out, (struct str){(const char[]){(char)(form->fingerprint >> (8 * i))}, 1});
    buffer_append_str(out, buffer_str(&body));
    buffer_append_str(out, (struct str){"\x02", 1}); /* the number 1 */
    buffer_fini(&body);
}

static void write_file(const char *path, const struct buffer *bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fwrite(bytes->data, 1, bytes->size, file) == bytes->size);
    assert_int_equal(fclose(file), 0);
}

static void add__other_forms__are_read_once_known(void **state)
{
    (void)state;
    struct form record = longer(&msg_execution_record_type), letter = longer(&msg_dead_execution_type);
    struct made made;
    make(&made, 1, "code", 100);
    struct msg_dead_execution dead = {.record = made.record, .dead_us = made.record.ended_us};
    struct buffer bytes;
    buffer_init(&bytes, 0);
    append_longer(&msg_execution_record_type, &made.record, &record, &bytes);
    append_longer(&msg_dead_execution_type, &dead, &letter, &bytes);
    assert_int_equal(records_encode(&made.record, &bytes), 0);
    assert_int_equal(records_encode_dead(&made.record, &bytes), 0);
    char path[] = "/tmp/forestall-records-XXXXXX", error[256];
    int made_file = mkstemp(path);
    assert_true(made_file >= 0 && close(made_file) == 0);
    write_file(path, &bytes);
    for (int known = 0; known < 2; known++) {
        struct record_set set;
        assert_int_equal(records_open(&set, (size_t)64 * MIB), 0);
        if (known) {
            assert_int_equal(records_learn(&set, record.fingerprint, str_of(record.json)), 0);
            assert_int_equal(records_learn(&set, letter.fingerprint, str_of(letter.json)), 0);
        }
        assert_int_equal(records_add(&set, path, error, sizeof error), 0);
        assert_int_equal(set.count, known ? 4 : 2);
        assert_int_equal(set.refused, known ? 0 : 2);
        for (size_t i = 0; i < set.count; i++) {
            assert_true(set.dead[i] == (i % 2 == 1));
            assert_true(str_equal(set.items[i].code, made.record.code) &&
                        set.items[i].series.count == POINTS);
        }
        records_close(&set);
    }
    assert_int_equal(unlink(path), 0);
    buffer_fini(&bytes);
    free(record.json);
    free(letter.json);
}

static void published__each__has_the_fingerprint_of_its_file_and_is_learned(void **state)
{
    (void)state;
    bool own[2] = {false, false};
    assert_true(published_schema_count >= 2);
    for (size_t i = 0; i < published_schema_count; i++) {
        json_t *schema = json_loads(published_schemas[i].json, 0, NULL);
        char *canonical = canonical_form(schema);
        assert_non_null(canonical);
        assert_true(canonical_fingerprint(canonical, strlen(canonical)) == published_schemas[i].fingerprint);
        own[0] |= published_schemas[i].fingerprint == msg_execution_record_type.fingerprint;
        own[1] |= published_schemas[i].fingerprint == msg_dead_execution_type.fingerprint;
        free(canonical);
        json_decref(schema);
    }
    print_message("%zu published forms; ours are %samong them\n", published_schema_count,
                  own[0] && own[1] ? "" : "not ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add__other_forms__are_read_once_known),
        cmocka_unit_test(published__each__has_the_fingerprint_of_its_file_and_is_learned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
