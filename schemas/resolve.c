/* See resolve.h. A record's fields are first skipped over to find where each begins, then rewritten in the
 * reader's order. Every count is held against the bytes that are left, so hostile input allocates nothing. */
#include "schemas/resolve.h"

#include <avro.h>
#include <errno.h>
#include <stdlib.h>

#include "schemas/canonical.h"
#include "schemas/resolve_internal.h"

#define FIELDS_MAX 256
#define RESOLVED_MAX (8u << 20)
/* Values looked at for one message: some per byte (each record looks at what it holds twice, and records
 * nest) and some for the defaults. Without a bound, values of no bytes (null, empty records) would let a
 * small schema keep us busy for ever. */
#define STEPS_PER_BYTE 16
#define STEPS_SPARE (64 << 10)

struct writer_schema {
    json_t *json;
    uint64_t fingerprint;
    struct schema_names names;
    const struct msg_type *reader; /* what it was last resolved to, parsed: mostly the only one */
    json_t *reader_json;
    struct schema_names reader_names;
};

int writer_schema_create(struct str json, struct writer_schema **out)
{
    avro_schema_t checked;
    if (json.size > INT32_MAX || avro_schema_from_json_length(json.data, json.size, &checked))
        return -EINVAL;
    (void)avro_schema_decref(checked);
    struct writer_schema *schema = calloc(1, sizeof *schema);
    if (!schema)
        return -ENOMEM;
    schema->json = json_loadb(json.data, json.size, JSON_DECODE_ANY, NULL);
    char *canonical = schema->json ? canonical_form(schema->json) : NULL;
    int error = !canonical ? -ENOMEM : schema_collect(&schema->names, schema->json);
    if (canonical)
        schema->fingerprint = canonical_fingerprint(canonical, strlen(canonical));
    free(canonical);
    if (error) {
        writer_schema_destroy(schema);
        return error;
    }
    *out = schema;
    return 0;
}

void writer_schema_destroy(struct writer_schema *schema)
{
    if (!schema)
        return;
    json_decref(schema->json);
    json_decref(schema->reader_json);
    free(schema);
}

uint64_t writer_schema_fingerprint(const struct writer_schema *schema)
{
    return schema->fingerprint;
}

void resolve_fail(struct resolve *resolve)
{
    wire_fail(&resolve->in, -EBADMSG);
}

bool resolve_enter(struct resolve *resolve)
{
    if (++resolve->depth <= SCHEMA_DEPTH_MAX && resolve->steps_left > 0 && !resolve->in.error) {
        resolve->steps_left--;
        return true;
    }
    resolve_fail(resolve);
    resolve->depth--;
    return false;
}

void resolve_put_long(struct buffer *out, int64_t value)
{
    uint8_t bytes[WIRE_LONG_MAX];
    buffer_append(out, bytes, (size_t)(wire_put_long(bytes, value) - bytes));
}

void resolve_put_double(struct buffer *out, double value)
{
    uint8_t bytes[8];
    buffer_append(out, bytes, (size_t)(wire_put_double(bytes, value) - bytes));
}

void resolve_put_float(struct buffer *out, float value)
{
    uint8_t bytes[4];
    buffer_append(out, bytes, (size_t)(wire_put_float(bytes, value) - bytes));
}

void resolve_put_text(struct buffer *out, const char *text, size_t size)
{
    resolve_put_long(out, (int64_t)size);
    buffer_append(out, text, size);
}

static void skip(struct resolve *resolve, const json_t *schema);

static void skip_blocks(struct resolve *resolve, const json_t *item, bool map)
{
    size_t count;
    while ((count = wire_get_block(&resolve->in, 1)) > 0)
        for (size_t i = 0; i < count && !resolve->in.error; i++) {
            if (map)
                (void)wire_get_str(&resolve->in);
            skip(resolve, item);
        }
}

static const json_t *branch_of(struct resolve *resolve, const json_t *schema)
{
    return json_array_get(schema, (size_t)wire_get_enum(&resolve->in, (int32_t)json_array_size(schema)));
}

static void skip_value(struct resolve *resolve, const json_t *schema)
{
    struct wire_reader *in = &resolve->in;
    size_t i;
    json_t *field;
    if (schema_is(schema, "int") || schema_is(schema, "long") || schema_is(schema, "enum"))
        (void)wire_get_long(in);
    else if (schema_is(schema, "string") || schema_is(schema, "bytes"))
        (void)wire_get_str(in);
    else if (schema_is(schema, "boolean"))
        (void)wire_get_bool(in);
    else if (schema_is(schema, "float"))
        (void)wire_get_bytes(in, 4);
    else if (schema_is(schema, "double"))
        (void)wire_get_bytes(in, 8);
    else if (schema_is(schema, "fixed"))
        (void)wire_get_bytes(in, (size_t)json_integer_value(json_object_get(schema, "size")));
    else if (schema_is(schema, "array"))
        skip_blocks(resolve, json_object_get(schema, "items"), false);
    else if (schema_is(schema, "map"))
        skip_blocks(resolve, json_object_get(schema, "values"), true);
    else if (schema_is(schema, "union"))
        skip(resolve, branch_of(resolve, schema));
    else if (schema_is(schema, "record"))
        json_array_foreach (json_object_get(schema, "fields"), i, field)
            skip(resolve, json_object_get(field, "type"));
    else if (!schema_is(schema, "null"))
        resolve_fail(resolve);
}

static void skip(struct resolve *resolve, const json_t *schema)
{
    if (!resolve_enter(resolve))
        return;
    skip_value(resolve, schema_follow(resolve->writer_names, schema));
    resolve->depth--;
}

static void rewrite(struct resolve *resolve, const json_t *writer, const json_t *reader);

static size_t find_field(const json_t *fields, const char *name)
{
    size_t i;
    json_t *field;
    json_array_foreach (fields, i, field)
        if (strcmp(schema_text(field, "name"), name) == 0)
            return i;
    return SIZE_MAX;
}

static void rewrite_record(struct resolve *resolve, const json_t *writer, const json_t *reader)
{
    const json_t *theirs = json_object_get(writer, "fields");
    const uint8_t *starts[FIELDS_MAX] = {NULL};
    size_t i;
    json_t *field;
    if (json_array_size(theirs) > FIELDS_MAX) {
        resolve_fail(resolve);
        return;
    }
    json_array_foreach (theirs, i, field) {
        starts[i] = resolve->in.at;
        skip(resolve, json_object_get(field, "type"));
    }
    const uint8_t *behind = resolve->in.at;
    json_array_foreach (json_object_get(reader, "fields"), i, field) {
        size_t at = find_field(theirs, schema_text(field, "name"));
        if (resolve->in.error)
            return;
        if (at == SIZE_MAX) {
            resolve_put_default(resolve, json_object_get(field, "type"), json_object_get(field, "default"));
        } else {
            resolve->in.at = starts[at];
            rewrite(resolve, json_object_get(json_array_get(theirs, at), "type"),
                    json_object_get(field, "type"));
        }
    }
    if (!resolve->in.error)
        resolve->in.at = behind;
}

static void rewrite_blocks(struct resolve *resolve, const json_t *writer, const json_t *reader, bool map)
{
    const char *inner = map ? "values" : "items";
    size_t count;
    while ((count = wire_get_block(&resolve->in, 1)) > 0) {
        resolve_put_long(&resolve->out, (int64_t)count);
        for (size_t i = 0; i < count && !resolve->in.error; i++) {
            if (map) {
                struct str key = wire_get_str(&resolve->in);
                resolve_put_text(&resolve->out, key.data, key.size);
            }
            rewrite(resolve, json_object_get(writer, inner), json_object_get(reader, inner));
        }
    }
    resolve_put_long(&resolve->out, 0);
}

static void rewrite_enum(struct resolve *resolve, const json_t *writer, const json_t *reader)
{
    const json_t *symbols = json_object_get(writer, "symbols");
    int32_t index = wire_get_enum(&resolve->in, (int32_t)json_array_size(symbols));
    int ours = schema_symbol(reader, json_string_value(json_array_get(symbols, (size_t)index)));
    if (ours < 0)
        ours = schema_symbol(reader, json_string_value(json_object_get(reader, "default")));
    if (ours < 0)
        resolve_fail(resolve);
    resolve_put_long(&resolve->out, ours);
}

/* int -> long -> float -> double; false when it is none of those pairs. */
static bool rewrite_number(struct resolve *resolve, const json_t *writer, const json_t *reader)
{
    bool whole = schema_is(writer, "int") || schema_is(writer, "long");
    if (schema_is(reader, "int") || schema_is(reader, "long")) {
        if (!whole || (schema_is(writer, "long") && schema_is(reader, "int")))
            return false;
        resolve_put_long(&resolve->out, wire_get_long(&resolve->in));
        return true;
    }
    if ((!schema_is(reader, "float") && !schema_is(reader, "double")) ||
        (schema_is(writer, "double") && schema_is(reader, "float")))
        return false;
    if (!whole && !schema_is(writer, "float") && !schema_is(writer, "double"))
        return false;
    double value = whole                        ? (double)wire_get_long(&resolve->in)
                   : schema_is(writer, "float") ? (double)wire_get_float(&resolve->in)
                                                : wire_get_double(&resolve->in);
    if (schema_is(reader, "float"))
        resolve_put_float(&resolve->out, (float)value);
    else
        resolve_put_double(&resolve->out, value);
    return true;
}

static bool matches(const struct resolve *resolve, const json_t *writer, const json_t *reader)
{
    static const char *const order[] = {"int", "long", "float", "double"};
    size_t from = FS_COUNT(order), to = FS_COUNT(order);
    writer = schema_follow(resolve->writer_names, writer);
    reader = schema_follow(resolve->reader_names, reader);
    for (size_t i = 0; i < FS_COUNT(order); i++) {
        from = schema_is(writer, order[i]) ? i : from;
        to = schema_is(reader, order[i]) ? i : to;
    }
    if (from < FS_COUNT(order))
        return to < FS_COUNT(order) && from <= to;
    return strcmp(schema_kind(writer), schema_kind(reader)) == 0 && schema_same_name(writer, reader);
}

static void rewrite_into_union(struct resolve *resolve, const json_t *writer, const json_t *reader)
{
    size_t i;
    json_t *branch;
    json_array_foreach (reader, i, branch) {
        if (matches(resolve, writer, branch)) {
            resolve_put_long(&resolve->out, (int64_t)i);
            rewrite(resolve, writer, branch);
            return;
        }
    }
    resolve_fail(resolve);
}

static void rewrite_value(struct resolve *resolve, const json_t *writer, const json_t *reader)
{
    struct wire_reader *in = &resolve->in;
    bool text = (schema_is(writer, "string") || schema_is(writer, "bytes")) &&
                (schema_is(reader, "string") || schema_is(reader, "bytes"));
    if (schema_is(writer, "union")) {
        rewrite(resolve, branch_of(resolve, writer), reader);
    } else if (schema_is(reader, "union")) {
        rewrite_into_union(resolve, writer, reader);
    } else if (text) {
        struct str value = wire_get_str(in);
        resolve_put_text(&resolve->out, value.data, value.size);
    } else if (strcmp(schema_kind(writer), schema_kind(reader)) != 0) {
        if (!rewrite_number(resolve, writer, reader))
            resolve_fail(resolve);
    } else if (!schema_same_name(writer, reader)) {
        resolve_fail(resolve);
    } else if (schema_is(reader, "record")) {
        rewrite_record(resolve, writer, reader);
    } else if (schema_is(reader, "array") || schema_is(reader, "map")) {
        rewrite_blocks(resolve, writer, reader, schema_is(reader, "map"));
    } else if (schema_is(reader, "enum")) {
        rewrite_enum(resolve, writer, reader);
    } else { /* the same primitive or fixed: the bytes go over as they are */
        const uint8_t *from = in->at;
        if (schema_is(reader, "fixed") && json_integer_value(json_object_get(writer, "size")) !=
                                              json_integer_value(json_object_get(reader, "size")))
            resolve_fail(resolve);
        skip_value(resolve, writer);
        if (!in->error)
            buffer_append(&resolve->out, from, (size_t)(in->at - from));
    }
}

static void rewrite(struct resolve *resolve, const json_t *writer, const json_t *reader)
{
    if (!resolve_enter(resolve))
        return;
    rewrite_value(resolve, schema_follow(resolve->writer_names, writer),
                  schema_follow(resolve->reader_names, reader));
    resolve->depth--;
}

static int finish(struct resolve *resolve, struct arena *arena, struct str *out)
{
    if (resolve->in.error || buffer_error(&resolve->out))
        return resolve->in.error ? resolve->in.error : -EBADMSG;
    if (resolve->in.at != resolve->in.end)
        return -EBADMSG;
    char *copy = arena_strdup(arena, buffer_str(&resolve->out));
    if (!copy)
        return -ENOMEM;
    *out = (struct str){copy, resolve->out.size};
    return 0;
}

static int use_reader(struct writer_schema *writer, const struct msg_type *reader)
{
    if (writer->reader == reader)
        return 0;
    json_t *json = json_loads(reader->json, 0, NULL);
    if (!json)
        return -ENOMEM;
    json_decref(writer->reader_json);
    writer->reader = NULL;
    writer->reader_json = json;
    writer->reader_names.count = 0;
    int error = schema_collect(&writer->reader_names, json);
    if (!error)
        writer->reader = reader;
    return error;
}

int writer_schema_resolve(struct writer_schema *writer, const struct msg_type *reader, struct str body,
                          struct arena *arena, struct str *out)
{
    const uint8_t *data = (const uint8_t *)(body.size ? body.data : "");
    struct resolve resolve = {.writer_names = &writer->names,
                              .reader_names = &writer->reader_names,
                              .in = {data, data + body.size, arena, 0},
                              .steps_left = STEPS_SPARE + STEPS_PER_BYTE * body.size};
    int error = use_reader(writer, reader);
    if (error)
        return error;
    buffer_init(&resolve.out, RESOLVED_MAX);
    rewrite(&resolve, writer->json, writer->reader_json);
    error = finish(&resolve, arena, out);
    buffer_fini(&resolve.out);
    return error;
}
