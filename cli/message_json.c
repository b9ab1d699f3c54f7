/* See message_json.h. */
#include "cli/message_json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/uuid.h"

#define FIXED_HEX_MAX 64

static json_t *record_json(const struct msg_field *fields, size_t count, const void *record);

json_t *message_json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *message_json_text(struct str text)
{
    if (!text.data)
        text = str_of("");
    json_t *value = json_stringn(text.data, text.size);
    if (value)
        return value;
    char *clean = malloc(text.size + 1); /* not UTF-8, or out of memory */
    if (!clean)
        return NULL;
    for (size_t i = 0; i < text.size; i++)
        clean[i] = (unsigned char)text.data[i] < 0x80 && text.data[i] != '\0' ? text.data[i] : '?';
    value = json_stringn(clean, text.size);
    free(clean);
    return value;
}

json_t *message_json_uuid(const uint8_t id[16])
{
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    return json_string(text);
}

static json_t *fixed_json(const uint8_t *bytes, size_t size)
{
    char text[2 * FIXED_HEX_MAX + 1] = "";
    if (size == UUID_SIZE)
        return message_json_uuid(bytes);
    for (size_t i = 0; i < size && i < FIXED_HEX_MAX; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    return json_string(text);
}

static json_t *value_json(const struct msg_field *field, enum msg_kind kind, const void *value)
{
    switch (kind) {
    case MSG_KIND_BOOL:
        return json_boolean(*(const bool *)value);
    case MSG_KIND_INT:
        return json_integer(*(const int32_t *)value);
    case MSG_KIND_LONG:
        return json_integer(*(const int64_t *)value);
    case MSG_KIND_FLOAT:
        return message_json_number((double)*(const float *)value);
    case MSG_KIND_DOUBLE:
        return message_json_number(*(const double *)value);
    case MSG_KIND_STRING:
        return message_json_text(*(const struct str *)value);
    case MSG_KIND_BYTES:
        return json_integer((json_int_t)((const struct str *)value)->size);
    case MSG_KIND_FIXED:
        return fixed_json(value, field->item_size);
    case MSG_KIND_ENUM:
        return json_string(field->names[*(const int *)value]); /* decoded: within the table */
    case MSG_KIND_RECORD:
        return record_json(field->fields, field->field_count, value);
    case MSG_KIND_ARRAY:
    case MSG_KIND_MAP:
    default:
        return json_null(); /* an array of arrays is in no schema */
    }
}

struct items {
    const char *items;
    size_t count;
};

static json_t *array_json(const struct msg_field *field, const struct items *array)
{
    json_t *out = json_array();
    for (size_t i = 0; out && i < array->count; i++)
        if (json_array_append_new(
                out, value_json(field, field->item_kind, array->items + i * field->item_size)) < 0) {
            json_decref(out);
            return NULL;
        }
    return out;
}

/* Entries are { struct str key; T value; }: the value follows at the next place that T may begin at, and only
 * texts, longs and doubles are values of maps. */
static json_t *map_json(const struct msg_field *field, const struct items *map)
{
    size_t stride =
        sizeof(struct str) + (field->item_kind == MSG_KIND_STRING ? sizeof(struct str) : sizeof(int64_t));
    json_t *out = json_object();
    for (size_t i = 0; out && i < map->count; i++) {
        const struct str *key = (const void *)(map->items + i * stride);
        json_t *value = value_json(field, field->item_kind, key + 1);
        if (json_object_setn_new(out, key->data, key->size, value) < 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static json_t *field_json(const struct msg_field *field, const void *record)
{
    const char *base = record;
    if (field->has_offset != MSG_NOT_OPTIONAL && !*(const bool *)(base + field->has_offset))
        return json_null();
    if (field->kind == MSG_KIND_ARRAY)
        return array_json(field, (const void *)(base + field->offset));
    if (field->kind == MSG_KIND_MAP)
        return map_json(field, (const void *)(base + field->offset));
    return value_json(field, field->kind, base + field->offset);
}

static json_t *record_json(const struct msg_field *fields, size_t count, const void *record)
{
    json_t *out = json_object();
    for (size_t i = 0; out && i < count; i++) {
        if (json_object_set_new(out, fields[i].name, field_json(&fields[i], record)) < 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

json_t *message_json(const struct msg_type *type, const void *message)
{
    return record_json(type->fields, type->field_count, message);
}

int message_json_print(json_t *value)
{
    size_t flags = isatty(STDOUT_FILENO) ? JSON_INDENT(2) : 0;
    int result =
        !value ? -ENOMEM : json_dumpf(value, stdout, flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
    json_decref(value);
    if (result == 0 && (putchar('\n') == EOF || fflush(stdout) == EOF))
        result = -EIO;
    if (result < 0) {
        (void)fprintf(stderr, "forestall: the answer cannot be written: %s\n",
                      result == -ENOMEM ? "out of memory" : "standard output failed");
        return result == -ENOMEM ? result : -EIO;
    }
    return 0;
}
