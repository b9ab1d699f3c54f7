/* See canonical.h. Order of attributes: name, type, fields, symbols, items, values, size; names in full; no
 * white space. */
#include "schemas/canonical.h"

#include <stdlib.h>

#include "common/buffer.h"

#define EMPTY 0xc15d213aa4d7a795u

uint64_t canonical_fingerprint(const char *text, size_t size)
{
    uint64_t table[256], fingerprint = EMPTY;
    for (unsigned i = 0; i < 256; i++) {
        uint64_t entry = i;
        for (int bit = 0; bit < 8; bit++)
            entry = (entry >> 1) ^ (EMPTY & -(entry & 1));
        table[i] = entry;
    }
    for (size_t i = 0; i < size; i++)
        fingerprint = (fingerprint >> 8) ^ table[(fingerprint ^ (uint8_t)text[i]) & 0xff];
    return fingerprint;
}

static bool is_primitive(const char *name)
{
    static const char *const names[] = {"null",  "boolean", "int",   "long",
                                        "float", "double",  "bytes", "string"};
    for (size_t i = 0; i < FS_COUNT(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Names are ASCII without anything JSON would escape: the specification allows only [A-Za-z0-9_] and dots. */
static void put_name(struct buffer *out, const char *name, struct str space)
{
    if (is_primitive(name) || strchr(name, '.') || space.size == 0)
        buffer_printf(out, "\"%s\"", name);
    else
        buffer_printf(out, "\"%.*s.%s\"", (int)space.size, space.data, name);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void put_schema(struct buffer *out, const json_t *schema, struct str space);

static void put_fields(struct buffer *out, const json_t *fields, struct str space)
{
    size_t i;
    json_t *field;
    buffer_printf(out, ",\"fields\":[");
    json_array_foreach (fields, i, field) {
        buffer_printf(out, "%s{\"name\":\"%s\",\"type\":", i ? "," : "", text_of(field, "name"));
        put_schema(out, json_object_get(field, "type"), space);
        buffer_printf(out, "}");
    }
    buffer_printf(out, "]");
}

static void put_named(struct buffer *out, const json_t *schema, const char *type, struct str space)
{
    size_t i;
    json_t *symbol;
    const json_t *own = json_object_get(schema, "namespace");
    const char *name = text_of(schema, "name"), *dot = strrchr(name, '.');
    if (dot) /* a full name brings its own namespace, for what is inside as well */
        space = (struct str){name, (size_t)(dot - name)};
    else if (json_is_string(own))
        space = str_of(json_string_value(own));
    buffer_printf(out, "{\"name\":");
    put_name(out, name, space);
    buffer_printf(out, ",\"type\":\"%s\"", type);
    if (strcmp(type, "record") == 0)
        put_fields(out, json_object_get(schema, "fields"), space);
    if (strcmp(type, "enum") == 0) {
        buffer_printf(out, ",\"symbols\":[");
        json_array_foreach (json_object_get(schema, "symbols"), i, symbol)
            buffer_printf(out, "%s\"%s\"", i ? "," : "", json_string_value(symbol));
        buffer_printf(out, "]");
    }
    if (strcmp(type, "fixed") == 0)
        buffer_printf(out, ",\"size\":%lld", (long long)json_integer_value(json_object_get(schema, "size")));
    buffer_printf(out, "}");
}

static void put_schema(struct buffer *out, const json_t *schema, struct str space)
{
    size_t i;
    json_t *branch;
    if (json_is_string(schema)) {
        put_name(out, json_string_value(schema), space);
        return;
    }
    if (json_is_array(schema)) {
        buffer_printf(out, "[");
        json_array_foreach (schema, i, branch) {
            if (i)
                buffer_printf(out, ",");
            put_schema(out, branch, space);
        }
        buffer_printf(out, "]");
        return;
    }
    const char *type = text_of(schema, "type");
    bool array = strcmp(type, "array") == 0;
    if (array || strcmp(type, "map") == 0) {
        buffer_printf(out, "{\"type\":\"%s\",\"%s\":", type, array ? "items" : "values");
        put_schema(out, json_object_get(schema, array ? "items" : "values"), space);
        buffer_printf(out, "}");
    } else if (strcmp(type, "record") == 0 || strcmp(type, "enum") == 0 || strcmp(type, "fixed") == 0) {
        put_named(out, schema, type, space);
    } else if (json_object_get(schema, "type")) {
        put_schema(out, json_object_get(schema, "type"), space);
    } else {
        buffer_printf(out, "\"\""); /* not a schema: its fingerprint matches nothing */
    }
}

char *canonical_form(const json_t *schema)
{
    struct buffer out;
    buffer_init(&out, 1u << 20);
    put_schema(&out, schema, (struct str){0});
    buffer_append(&out, "", 1);
    if (buffer_error(&out)) {
        buffer_fini(&out);
        return NULL;
    }
    return (char *)out.data;
}
