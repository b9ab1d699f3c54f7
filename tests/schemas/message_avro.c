/* See message_avro.h. */
#include "tests/schemas/message_avro.h"

#include "tests/schemas/message_random.h"

static int set_record(const struct msg_field *fields, size_t count, const uint8_t *record,
                      avro_value_t *value);

static int set_number(const struct msg_field *field, const uint8_t *at, avro_value_t *value)
{
    float single;
    double twice;
    switch (field->item_kind) {
    case MSG_KIND_BOOL:
        return avro_value_set_boolean(value, *(const bool *)at);
    case MSG_KIND_INT:
        return avro_value_set_int(value, *(const int32_t *)at);
    case MSG_KIND_LONG:
        return avro_value_set_long(value, *(const int64_t *)at);
    case MSG_KIND_FLOAT:
        memcpy(&single, at, sizeof single);
        return avro_value_set_float(value, single);
    case MSG_KIND_DOUBLE:
        memcpy(&twice, at, sizeof twice);
        return avro_value_set_double(value, twice);
    default:
        return avro_value_set_enum(value, *(const int32_t *)at);
    }
}

/* avro-c takes void * where it only reads. */
static void *readable(const void *data)
{
    return (void *)(uintptr_t)data;
}

static int set_value(const struct msg_field *field, const uint8_t *at, avro_value_t *value)
{
    const struct str *text = (const struct str *)at;
    switch (field->item_kind) {
    case MSG_KIND_STRING:
        return avro_value_set_string_len(value, text->data, text->size + 1); /* it wants the NUL counted */
    case MSG_KIND_BYTES:
        return avro_value_set_bytes(value, readable(text->data), text->size);
    case MSG_KIND_FIXED:
        return avro_value_set_fixed(value, readable(at), field->item_size);
    case MSG_KIND_RECORD:
        return set_record(field->fields, field->field_count, at, value);
    default:
        return set_number(field, at, value);
    }
}

static int set_items(const struct msg_field *field, const uint8_t *at, avro_value_t *value)
{
    const struct message_items *list = (const struct message_items *)at;
    size_t stride = message_stride(field);
    int error = 0;
    for (size_t i = 0; i < list->count && !error; i++) {
        const uint8_t *item = list->items + i * stride;
        avro_value_t slot;
        if (field->kind == MSG_KIND_MAP) {
            error = avro_value_add(value, ((const struct str *)item)->data, &slot, NULL, NULL);
            item += sizeof(struct str);
        } else {
            error = avro_value_append(value, &slot, NULL);
        }
        error = error ? error : set_value(field, item, &slot);
    }
    return error;
}

static int set_record(const struct msg_field *fields, size_t count, const uint8_t *record,
                      avro_value_t *value)
{
    for (size_t i = 0; i < count; i++) {
        const struct msg_field *field = &fields[i];
        bool has = field->has_offset == MSG_NOT_OPTIONAL || *(const bool *)(record + field->has_offset);
        bool list = field->kind == MSG_KIND_ARRAY || field->kind == MSG_KIND_MAP;
        avro_value_t slot, branch = {0};
        int error = avro_value_get_by_index(value, i, &slot, NULL);
        if (!error && field->has_offset != MSG_NOT_OPTIONAL) {
            error = avro_value_set_branch(&slot, has ? 1 : 0, &branch);
            slot = branch;
        }
        if (!error && !has)
            error = avro_value_set_null(&slot);
        else if (!error)
            error = list ? set_items(field, record + field->offset, &slot)
                         : set_value(field, record + field->offset, &slot);
        if (error)
            return error;
    }
    return 0;
}

int message_to_avro(const struct msg_type *type, const void *message, avro_value_t *value)
{
    int error = avro_value_reset(value);
    return error ? error : set_record(type->fields, type->field_count, message, value);
}
