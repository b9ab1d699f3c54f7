/* See resolve.h. A record's fields are first skipped over to find where each begins, then rewritten in the
 * reader's order. Every count is held against the bytes that are left, so hostile input allocates nothing. */
#include "schemas/resolve.h"

#include <avro.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "common/buffer.h"
#include "schemas/canonical.h"
#include "schemas/wire.h"

#define NAMES_MAX 256
#define FIELDS_MAX 256
#define DEPTH_MAX 32
#define RESOLVED_MAX (8u << 20)
/* Values looked at for one message: some per byte (each record looks at what it holds twice, and records
 * nest) and some for the defaults. Without a bound, values of no bytes (null, empty records) would let a
 * small schema keep us busy for ever. */
#define STEPS_PER_BYTE 16
#define STEPS_SPARE (64 << 10)

struct names {
    const json_t *types[NAMES_MAX];
    size_t count;
};

struct writer_schema {
    json_t *json;
    uint64_t fingerprint;
    struct names names;
    const struct msg_type *reader; /* what it was last resolved to, parsed: mostly the only one */
    json_t *reader_json;
    struct names reader_names;
};

struct context {
    const struct names *writer_names, *reader_names;
    struct wire_reader in;
    struct buffer out;
    int depth;
    size_t steps_left;
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const char *short_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

/* Every named type defined anywhere in a schema. */
static int collect(struct names *names, const json_t *schema)
{
    size_t i;
    json_t *entry;
    int error = 0;
    if (json_is_array(schema)) {
        json_array_foreach(schema, i, entry) if ((error = collect(names, entry))) return error;
        return 0;
    }
    if (!json_is_object(schema))
        return 0;
    if (json_object_get(schema, "name") && json_object_get(schema, "type")) {
        if (names->count == NAMES_MAX)
            return -EINVAL;
        names->types[names->count++] = schema;
    }
    json_array_foreach(json_object_get(schema, "fields"), i,
                       entry) if ((error = collect(names, json_object_get(entry, "type")))) return error;
    static const char *const inner[] = {"items", "values", "type"};
    for (i = 0; i < FS_COUNT(inner) && !error; i++)
        error = collect(names, json_object_get(schema, inner[i]));
    return error;
}

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
    int error = !canonical ? -ENOMEM : collect(&schema->names, schema->json);
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

/* A schema with references followed and {"type": "long"} unwrapped: a primitive's name, an array (union) or
 * an object. */
static const json_t *follow(const struct names *names, const json_t *schema)
{
    for (int i = 0; i < DEPTH_MAX; i++) {
        if (json_is_string(schema)) {
            const json_t *found = NULL;
            for (size_t n = 0; n < names->count && !found; n++)
                if (strcmp(short_name(text_of(names->types[n], "name")),
                           short_name(json_string_value(schema))) == 0)
                    found = names->types[n];
            return found ? found : schema;
        }
        const json_t *type = json_object_get(schema, "type");
        const char *name = json_string_value(type);
        bool complex = name && (!strcmp(name, "record") || !strcmp(name, "enum") || !strcmp(name, "fixed") ||
                                !strcmp(name, "array") || !strcmp(name, "map"));
        if (json_is_array(schema) || complex || !type)
            return schema;
        schema = type;
    }
    return schema;
}

static const char *kind_of(const json_t *schema)
{
    if (json_is_string(schema))
        return json_string_value(schema);
    return json_is_array(schema) ? "union" : text_of(schema, "type");
}

static bool is(const json_t *schema, const char *kind)
{
    return strcmp(kind_of(schema), kind) == 0;
}

/* Records, enums and fixed resolve by their unqualified name; other kinds have none. */
static bool same_name(const json_t *writer, const json_t *reader)
{
    return strcmp(short_name(text_of(writer, "name")), short_name(text_of(reader, "name"))) == 0;
}

static void fail(struct context *context)
{
    wire_fail(&context->in, -EBADMSG);
}

static bool enter(struct context *context)
{
    if (++context->depth <= DEPTH_MAX && context->steps_left > 0 && !context->in.error) {
        context->steps_left--;
        return true;
    }
    fail(context);
    context->depth--;
    return false;
}

static void skip(struct context *context, const json_t *schema);

static void skip_blocks(struct context *context, const json_t *item, bool map)
{
    size_t count;
    while ((count = wire_get_block(&context->in, 1)) > 0)
        for (size_t i = 0; i < count && !context->in.error; i++) {
            if (map)
                (void)wire_get_str(&context->in);
            skip(context, item);
        }
}

static const json_t *branch_of(struct context *context, const json_t *schema)
{
    return json_array_get(schema, (size_t)wire_get_enum(&context->in, (int32_t)json_array_size(schema)));
}

static void skip_value(struct context *context, const json_t *schema)
{
    struct wire_reader *in = &context->in;
    size_t i;
    json_t *field;
    if (is(schema, "int") || is(schema, "long") || is(schema, "enum"))
        (void)wire_get_long(in);
    else if (is(schema, "string") || is(schema, "bytes"))
        (void)wire_get_str(in);
    else if (is(schema, "boolean"))
        (void)wire_get_bool(in);
    else if (is(schema, "float"))
        (void)wire_get_bytes(in, 4);
    else if (is(schema, "double"))
        (void)wire_get_bytes(in, 8);
    else if (is(schema, "fixed"))
        (void)wire_get_bytes(in, (size_t)json_integer_value(json_object_get(schema, "size")));
    else if (is(schema, "array"))
        skip_blocks(context, json_object_get(schema, "items"), false);
    else if (is(schema, "map"))
        skip_blocks(context, json_object_get(schema, "values"), true);
    else if (is(schema, "union"))
        skip(context, branch_of(context, schema));
    else if (is(schema, "record"))
        json_array_foreach(json_object_get(schema, "fields"), i, field)
            skip(context, json_object_get(field, "type"));
    else if (!is(schema, "null"))
        fail(context);
}

static void skip(struct context *context, const json_t *schema)
{
    if (!enter(context))
        return;
    skip_value(context, follow(context->writer_names, schema));
    context->depth--;
}

static void put_long(struct buffer *out, int64_t value)
{
    uint8_t bytes[WIRE_LONG_MAX];
    buffer_append(out, bytes, (size_t)(wire_put_long(bytes, value) - bytes));
}

static void put_double(struct buffer *out, double value)
{
    uint8_t bytes[8];
    buffer_append(out, bytes, (size_t)(wire_put_double(bytes, value) - bytes));
}

static void put_float(struct buffer *out, float value)
{
    uint8_t bytes[4];
    buffer_append(out, bytes, (size_t)(wire_put_float(bytes, value) - bytes));
}

static void put_text(struct buffer *out, const char *text, size_t size)
{
    put_long(out, (int64_t)size);
    buffer_append(out, text, size);
}

/* In a default, the characters U+0000 to U+00FF of a string are the bytes; jansson hands them out as UTF-8.
 */
static void put_default_bytes(struct context *context, const json_t *schema, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t size = json_string_length(value), used = 0;
    char *bytes = arena_alloc(context->in.arena, size + 1, 1);
    for (size_t i = 0; bytes && i < size; i++) {
        unsigned lead = (uint8_t)text[i];
        if (lead >= 0xc4 || (lead >= 0x80 && i + 1 == size)) {
            fail(context);
            return;
        }
        bytes[used++] = (char)(lead < 0x80 ? lead : (lead & 3) << 6 | ((uint8_t)text[++i] & 0x3f));
    }
    bool fixed = is(schema, "fixed");
    if (!bytes || (fixed && used != (size_t)json_integer_value(json_object_get(schema, "size"))))
        fail(context);
    else if (fixed)
        buffer_append(&context->out, bytes, used);
    else
        put_text(&context->out, bytes, used);
}

static int symbol_index(const json_t *schema, const char *symbol)
{
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(schema, "symbols"), i,
                       entry) if (symbol && strcmp(json_string_value(entry), symbol) == 0) return (int)i;
    return -1;
}

static void put_default(struct context *context, const json_t *schema, const json_t *value);

static void put_default_fields(struct context *context, const json_t *schema, const json_t *value)
{
    size_t i;
    json_t *field;
    json_array_foreach(json_object_get(schema, "fields"), i, field)
    {
        const json_t *own = json_object_get(value, text_of(field, "name"));
        put_default(context, json_object_get(field, "type"), own ? own : json_object_get(field, "default"));
    }
}

static void put_default_items(struct context *context, const json_t *schema, const json_t *value)
{
    size_t i;
    const char *key;
    json_t *entry;
    size_t count = json_is_array(value) ? json_array_size(value) : json_object_size(value);
    if (count > 0)
        put_long(&context->out, (int64_t)count);
    json_array_foreach(value, i, entry) put_default(context, json_object_get(schema, "items"), entry);
    json_object_foreach((json_t *)(uintptr_t)value, key, entry)
    {
        put_text(&context->out, key, strlen(key));
        put_default(context, json_object_get(schema, "values"), entry);
    }
    put_long(&context->out, 0);
}

/* A default stands in the schema as JSON; of a union it is a value of the first branch. Without a default:
 * not resolvable. */
static void put_default(struct context *context, const json_t *schema, const json_t *value)
{
    schema = follow(context->reader_names, schema);
    struct buffer *out = &context->out;
    if (!value || !enter(context)) {
        fail(context);
        return;
    }
    if (is(schema, "union")) {
        put_long(out, 0);
        put_default(context, json_array_get(schema, 0), value);
    } else if (is(schema, "int") || is(schema, "long"))
        put_long(out, json_integer_value(value));
    else if (is(schema, "float"))
        put_float(out, (float)json_number_value(value));
    else if (is(schema, "double"))
        put_double(out, json_number_value(value));
    else if (is(schema, "boolean"))
        buffer_append(out, json_is_true(value) ? "\1" : "\0", 1);
    else if (is(schema, "string"))
        put_text(out, json_string_value(value), json_string_length(value));
    else if (is(schema, "bytes") || is(schema, "fixed"))
        put_default_bytes(context, schema, value);
    else if (is(schema, "enum"))
        put_long(out, FS_MAX(symbol_index(schema, json_string_value(value)), 0));
    else if (is(schema, "array") || is(schema, "map"))
        put_default_items(context, schema, value);
    else if (is(schema, "record"))
        put_default_fields(context, schema, value);
    else if (!is(schema, "null"))
        fail(context);
    context->depth--;
}

static void rewrite(struct context *context, const json_t *writer, const json_t *reader);

static size_t find_field(const json_t *fields, const char *name)
{
    size_t i;
    json_t *field;
    json_array_foreach(fields, i, field) if (strcmp(text_of(field, "name"), name) == 0) return i;
    return SIZE_MAX;
}

static void rewrite_record(struct context *context, const json_t *writer, const json_t *reader)
{
    const json_t *theirs = json_object_get(writer, "fields");
    const uint8_t *starts[FIELDS_MAX];
    size_t i;
    json_t *field;
    if (json_array_size(theirs) > FIELDS_MAX) {
        fail(context);
        return;
    }
    json_array_foreach(theirs, i, field)
    {
        starts[i] = context->in.at;
        skip(context, json_object_get(field, "type"));
    }
    const uint8_t *behind = context->in.at;
    json_array_foreach(json_object_get(reader, "fields"), i, field)
    {
        size_t at = find_field(theirs, text_of(field, "name"));
        if (context->in.error)
            return;
        if (at == SIZE_MAX) {
            put_default(context, json_object_get(field, "type"), json_object_get(field, "default"));
        } else {
            context->in.at = starts[at];
            rewrite(context, json_object_get(json_array_get(theirs, at), "type"),
                    json_object_get(field, "type"));
        }
    }
    if (!context->in.error)
        context->in.at = behind;
}

static void rewrite_blocks(struct context *context, const json_t *writer, const json_t *reader, bool map)
{
    const char *inner = map ? "values" : "items";
    size_t count;
    while ((count = wire_get_block(&context->in, 1)) > 0) {
        put_long(&context->out, (int64_t)count);
        for (size_t i = 0; i < count && !context->in.error; i++) {
            if (map) {
                struct str key = wire_get_str(&context->in);
                put_text(&context->out, key.data, key.size);
            }
            rewrite(context, json_object_get(writer, inner), json_object_get(reader, inner));
        }
    }
    put_long(&context->out, 0);
}

static void rewrite_enum(struct context *context, const json_t *writer, const json_t *reader)
{
    const json_t *symbols = json_object_get(writer, "symbols");
    int32_t index = wire_get_enum(&context->in, (int32_t)json_array_size(symbols));
    int ours = symbol_index(reader, json_string_value(json_array_get(symbols, (size_t)index)));
    if (ours < 0)
        ours = symbol_index(reader, json_string_value(json_object_get(reader, "default")));
    if (ours < 0)
        fail(context);
    put_long(&context->out, ours);
}

/* int -> long -> float -> double; false when it is none of those pairs. */
static bool rewrite_number(struct context *context, const json_t *writer, const json_t *reader)
{
    bool whole = is(writer, "int") || is(writer, "long");
    if (is(reader, "int") || is(reader, "long")) {
        if (!whole || (is(writer, "long") && is(reader, "int")))
            return false;
        put_long(&context->out, wire_get_long(&context->in));
        return true;
    }
    if ((!is(reader, "float") && !is(reader, "double")) || (is(writer, "double") && is(reader, "float")))
        return false;
    if (!whole && !is(writer, "float") && !is(writer, "double"))
        return false;
    double value = whole                 ? (double)wire_get_long(&context->in)
                   : is(writer, "float") ? (double)wire_get_float(&context->in)
                                         : wire_get_double(&context->in);
    if (is(reader, "float"))
        put_float(&context->out, (float)value);
    else
        put_double(&context->out, value);
    return true;
}

static bool matches(const struct context *context, const json_t *writer, const json_t *reader)
{
    static const char *const order[] = {"int", "long", "float", "double"};
    size_t from = FS_COUNT(order), to = FS_COUNT(order);
    writer = follow(context->writer_names, writer);
    reader = follow(context->reader_names, reader);
    for (size_t i = 0; i < FS_COUNT(order); i++) {
        from = is(writer, order[i]) ? i : from;
        to = is(reader, order[i]) ? i : to;
    }
    if (from < FS_COUNT(order))
        return to < FS_COUNT(order) && from <= to;
    return strcmp(kind_of(writer), kind_of(reader)) == 0 && same_name(writer, reader);
}

static void rewrite_into_union(struct context *context, const json_t *writer, const json_t *reader)
{
    size_t i;
    json_t *branch;
    json_array_foreach(reader, i, branch)
    {
        if (matches(context, writer, branch)) {
            put_long(&context->out, (int64_t)i);
            rewrite(context, writer, branch);
            return;
        }
    }
    fail(context);
}

static void rewrite_value(struct context *context, const json_t *writer, const json_t *reader)
{
    struct wire_reader *in = &context->in;
    bool text =
        (is(writer, "string") || is(writer, "bytes")) && (is(reader, "string") || is(reader, "bytes"));
    if (is(writer, "union")) {
        rewrite(context, branch_of(context, writer), reader);
    } else if (is(reader, "union")) {
        rewrite_into_union(context, writer, reader);
    } else if (text) {
        struct str value = wire_get_str(in);
        put_text(&context->out, value.data, value.size);
    } else if (strcmp(kind_of(writer), kind_of(reader)) != 0) {
        if (!rewrite_number(context, writer, reader))
            fail(context);
    } else if (!same_name(writer, reader)) {
        fail(context);
    } else if (is(reader, "record")) {
        rewrite_record(context, writer, reader);
    } else if (is(reader, "array") || is(reader, "map")) {
        rewrite_blocks(context, writer, reader, is(reader, "map"));
    } else if (is(reader, "enum")) {
        rewrite_enum(context, writer, reader);
    } else { /* the same primitive or fixed: the bytes go over as they are */
        const uint8_t *from = in->at;
        if (is(reader, "fixed") && json_integer_value(json_object_get(writer, "size")) !=
                                       json_integer_value(json_object_get(reader, "size")))
            fail(context);
        skip_value(context, writer);
        if (!in->error)
            buffer_append(&context->out, from, (size_t)(in->at - from));
    }
}

static void rewrite(struct context *context, const json_t *writer, const json_t *reader)
{
    if (!enter(context))
        return;
    rewrite_value(context, follow(context->writer_names, writer), follow(context->reader_names, reader));
    context->depth--;
}

static int finish(struct context *context, struct arena *arena, struct str *out)
{
    if (context->in.error || buffer_error(&context->out))
        return context->in.error ? context->in.error : -EBADMSG;
    if (context->in.at != context->in.end)
        return -EBADMSG;
    char *copy = arena_strdup(arena, buffer_str(&context->out));
    if (!copy)
        return -ENOMEM;
    *out = (struct str){copy, context->out.size};
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
    int error = collect(&writer->reader_names, json);
    if (!error)
        writer->reader = reader;
    return error;
}

int writer_schema_resolve(struct writer_schema *writer, const struct msg_type *reader, struct str body,
                          struct arena *arena, struct str *out)
{
    const uint8_t *data = (const uint8_t *)(body.size ? body.data : "");
    struct context context = {.writer_names = &writer->names,
                              .reader_names = &writer->reader_names,
                              .in = {data, data + body.size, arena, 0},
                              .steps_left = STEPS_SPARE + STEPS_PER_BYTE * body.size};
    int error = use_reader(writer, reader);
    if (error)
        return error;
    buffer_init(&context.out, RESOLVED_MAX);
    rewrite(&context, writer->json, writer->reader_json);
    error = finish(&context, arena, out);
    buffer_fini(&context.out);
    return error;
}
