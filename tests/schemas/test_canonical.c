/* Canonical forms and fingerprints against golden/fingerprints.json, written by fastavro
 * (golden/generate.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "schemas/canonical.h"
#include "schemas/messages.h"

static json_t *load(const char *path)
{
    json_error_t fault;
    const char *root = getenv("FORESTALL_SOURCE");
    char name[1024];
    (void)snprintf(name, sizeof name, "%s/%s", root ? root : ".", path);
    json_t *json = json_load_file(name, 0, &fault);
    if (!json)
        fail_msg("%s: line %d: %s", name, fault.line, fault.text);
    return json;
}

/* fastavro writes the eight bytes in the order in which they stand on the wire: the lowest first. */
static uint64_t fingerprint_of(const char *hex)
{
    return __builtin_bswap64(strtoull(hex, NULL, 16));
}

static const char *text_of(const json_t *row, const char *key)
{
    return json_string_value(json_object_get(row, key));
}

static json_t *schema_of(const json_t *row)
{
    char path[256];
    if (text_of(row, "schema")) {
        json_t *json = json_loads(text_of(row, "schema"), JSON_DECODE_ANY, NULL);
        assert_non_null(json);
        return json;
    }
    (void)snprintf(path, sizeof path, "schemas/%s", text_of(row, "file"));
    return load(path);
}

static void canonical__golden_schemas__form_and_fingerprint(void **unused)
{
    (void)unused;
    size_t i;
    json_t *row, *rows = load("tests/schemas/golden/fingerprints.json");
    json_array_foreach (rows, i, row) {
        json_t *schema = schema_of(row);
        char *form = canonical_form(schema);
        assert_non_null(form);
        assert_string_equal(form, text_of(row, "form"));
        assert_int_equal(canonical_fingerprint(form, strlen(form)),
                         fingerprint_of(text_of(row, "fingerprint")));
        free(form);
        json_decref(schema);
    }
    json_decref(rows);
}

/* The golden file names every schema, and the generated table says the same. */
static void messages__every_type__golden_fingerprint(void **unused)
{
    (void)unused;
    size_t i, found = 0;
    json_t *row, *rows = load("tests/schemas/golden/fingerprints.json");
    json_array_foreach (rows, i, row) {
        if (!text_of(row, "file"))
            continue;
        json_t *schema = schema_of(row);
        for (size_t t = 0; t < MSG_TYPE_COUNT; t++)
            if (strcmp(msg_types[t]->name, text_of(schema, "name")) == 0) {
                assert_int_equal(msg_types[t]->fingerprint, fingerprint_of(text_of(row, "fingerprint")));
                found++;
            }
        json_decref(schema);
    }
    assert_int_equal(found, MSG_TYPE_COUNT);
    json_decref(rows);
}

/* From the specification: the fingerprint of nothing is the polynomial, that of "null" is Java's
 * 7195948357588979594. */
static void fingerprint__values_of_the_specification__same(void **unused)
{
    (void)unused;
    assert_int_equal(canonical_fingerprint("", 0), 0xc15d213aa4d7a795u);
    assert_int_equal(canonical_fingerprint("\"null\"", 6), 7195948357588979594u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical__golden_schemas__form_and_fingerprint),
        cmocka_unit_test(messages__every_type__golden_fingerprint),
        cmocka_unit_test(fingerprint__values_of_the_specification__same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
