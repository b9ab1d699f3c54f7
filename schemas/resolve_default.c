/* Defaults: what the reader has and the writer had not. See resolve_internal.h. */
#include "schemas/resolve_internal.h"

/* In a default, the characters U+0000 to U+00FF of a string are the bytes; jansson hands them out as UTF-8.
 */
static void put_default_bytes(struct resolve *resolve, const json_t *schema, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t size = json_string_length(value), used = 0;
    char *bytes = arena_alloc(resolve->in.arena, size + 1, 1);
    for (size_t i = 0; bytes && i < size; i++) {
        unsigned lead = (uint8_t)text[i];
        if (lead >= 0xc4 || (lead >= 0x80 && i + 1 == size)) {
            resolve_fail(resolve);
            return;
        }
        bytes[used++] = (char)(lead < 0x80 ? lead : (lead & 3) << 6 | ((uint8_t)text[++i] & 0x3f));
    }
    bool fixed = schema_is(schema, "fixed");
    if (!bytes || (fixed && used != (size_t)json_integer_value(json_object_get(schema, "size"))))
        resolve_fail(resolve);
    else if (fixed)
        buffer_append(&resolve->out, bytes, used);
    else
        resolve_put_text(&resolve->out, bytes, used);
}

static void put_default_fields(struct resolve *resolve, const json_t *schema, const json_t *value)
{
    size_t i;
    json_t *field;
    json_array_foreach (json_object_get(schema, "fields"), i, field) {
        const json_t *own = json_object_get(value, schema_text(field, "name"));
        resolve_put_default(resolve, json_object_get(field, "type"),
                            own ? own : json_object_get(field, "default"));
    }
}

static void put_default_items(struct resolve *resolve, const json_t *schema, const json_t *value)
{
    size_t i;
    const char *key;
    json_t *entry;
    size_t count = json_is_array(value) ? json_array_size(value) : json_object_size(value);
    if (count > 0)
        resolve_put_long(&resolve->out, (int64_t)count);
    json_array_foreach (value, i, entry)
        resolve_put_default(resolve, json_object_get(schema, "items"), entry);
    json_object_foreach ((json_t *)(uintptr_t)value, key, entry) {
        resolve_put_text(&resolve->out, key, strlen(key));
        resolve_put_default(resolve, json_object_get(schema, "values"), entry);
    }
    resolve_put_long(&resolve->out, 0);
}

void resolve_put_default(struct resolve *resolve, const json_t *schema, const json_t *value)
{
    schema = schema_follow(resolve->reader_names, schema);
    struct buffer *out = &resolve->out;
    if (!value || !resolve_enter(resolve)) {
        resolve_fail(resolve);
        return;
    }
    if (schema_is(schema, "union")) {
        resolve_put_long(out, 0);
        resolve_put_default(resolve, json_array_get(schema, 0), value);
    } else if (schema_is(schema, "int") || schema_is(schema, "long"))
        resolve_put_long(out, json_integer_value(value));
    else if (schema_is(schema, "float"))
        resolve_put_float(out, (float)json_number_value(value));
    else if (schema_is(schema, "double"))
        resolve_put_double(out, json_number_value(value));
    else if (schema_is(schema, "boolean"))
        buffer_append(out, json_is_true(value) ? "\1" : "\0", 1);
    else if (schema_is(schema, "string"))
        resolve_put_text(out, json_string_value(value), json_string_length(value));
    else if (schema_is(schema, "bytes") || schema_is(schema, "fixed"))
        put_default_bytes(resolve, schema, value);
    else if (schema_is(schema, "enum"))
        resolve_put_long(out, FS_MAX(schema_symbol(schema, json_string_value(value)), 0));
    else if (schema_is(schema, "array") || schema_is(schema, "map"))
        put_default_items(resolve, schema, value);
    else if (schema_is(schema, "record"))
        put_default_fields(resolve, schema, value);
    else if (!schema_is(schema, "null"))
        resolve_fail(resolve);
    resolve->depth--;
}
