/* The definitions. For each record: the most bytes it can take (bound), straight-line writing into that room
 * (put), and checked reading (get). Also a field table for each record, from which JSON is made. */
#include <ctype.h>
#include <string.h>

#include "schemas/generator/emit.h"

/* Fewest bytes of one value: what a block count is held against. */
static size_t least_bytes(const struct type *type)
{
    size_t sum = 0;
    switch (type->kind) {
    case KIND_FLOAT:
        return 4;
    case KIND_DOUBLE:
        return 8;
    case KIND_FIXED:
        return type->fixed_size;
    case KIND_RECORD:
        for (size_t i = 0; i < type->field_count; i++)
            sum += least_bytes(type->fields[i].type);
        return sum;
    default:
        return 1;
    }
}

/* Most bytes of a value whose size does not depend on it; 0 when it does. */
static size_t constant_bound(const struct type *type)
{
    switch (type->kind) {
    case KIND_BOOL:
        return 1;
    case KIND_INT:
    case KIND_ENUM:
        return 5;
    case KIND_LONG:
        return 10;
    case KIND_FLOAT:
    case KIND_DOUBLE:
    case KIND_FIXED:
        return least_bytes(type);
    default:
        return 0;
    }
}

static void emit_bound_value(FILE *out, const struct type *type, const char *value, const char *indent);

static void emit_bound_items(FILE *out, const struct type *type, const char *value, const char *indent)
{
    const struct type *item = type->item;
    bool map = type->kind == KIND_MAP;
    (void)fprintf(out, "%ssize += 11;\n", indent);
    if (!map && constant_bound(item)) {
        (void)fprintf(out, "%ssize += %s.count * %zu;\n", indent, value, constant_bound(item));
        return;
    }
    (void)fprintf(out, "%sfor (size_t i = 0; i < %s.count; i++) {\n", indent, value);
    char deeper[16], element[160];
    (void)snprintf(deeper, sizeof deeper, "%s    ", indent);
    if (map)
        (void)fprintf(out, "%ssize += 10 + %s.items[i].key.size;\n", deeper, value);
    (void)snprintf(element, sizeof element, "%s.items[i]%s", value, map ? ".value" : "");
    emit_bound_value(out, item, element, deeper);
    (void)fprintf(out, "%s}\n", indent);
}

static void emit_bound_value(FILE *out, const struct type *type, const char *value, const char *indent)
{
    if (constant_bound(type))
        (void)fprintf(out, "%ssize += %zu;\n", indent, constant_bound(type));
    else if (type->kind == KIND_STRING || type->kind == KIND_BYTES)
        (void)fprintf(out, "%ssize += 10 + %s.size;\n", indent, value);
    else if (type->kind == KIND_RECORD)
        (void)fprintf(out, "%ssize += bound_%s(&%s);\n", indent, type->word, value);
    else
        emit_bound_items(out, type, value, indent);
}

static void emit_bound(FILE *out, const struct type *type)
{
    size_t constant = 0;
    for (size_t i = 0; i < type->field_count; i++)
        constant += constant_bound(type->fields[i].type);
    (void)fprintf(out, "static size_t bound_%s(const %s *m)\n{\n    size_t size = %zu;\n    (void)m;\n",
                  type->word, type->c_name, constant);
    for (size_t i = 0; i < type->field_count; i++) {
        const struct field *field = &type->fields[i];
        char value[128];
        if (constant_bound(field->type))
            continue;
        (void)snprintf(value, sizeof value, "m->%s", field->c_name);
        if (field->type->kind == KIND_OPTIONAL) {
            (void)fprintf(out, "    size += 1;\n    if (m->has_%s) {\n", field->c_name);
            emit_bound_value(out, field->type->item, value, "        ");
            (void)fprintf(out, "    }\n");
        } else {
            emit_bound_value(out, field->type, value, "    ");
        }
    }
    (void)fprintf(out, "    return size;\n}\n\n");
}

static void emit_put_value(FILE *out, const struct type *type, const char *value, const char *indent)
{
    switch (type->kind) {
    case KIND_BOOL:
        (void)fprintf(out, "%sat = wire_put_bool(at, %s);\n", indent, value);
        break;
    case KIND_INT:
    case KIND_LONG:
        (void)fprintf(out, "%sat = wire_put_long(at, %s);\n", indent, value);
        break;
    case KIND_ENUM:
        (void)fprintf(out, "%sat = wire_put_long(at, (int64_t)%s);\n", indent, value);
        break;
    case KIND_FLOAT:
        (void)fprintf(out, "%sat = wire_put_float(at, %s);\n", indent, value);
        break;
    case KIND_DOUBLE:
        (void)fprintf(out, "%sat = wire_put_double(at, %s);\n", indent, value);
        break;
    case KIND_STRING:
    case KIND_BYTES:
        (void)fprintf(out, "%sat = wire_put_str(at, %s);\n", indent, value);
        break;
    case KIND_FIXED:
        (void)fprintf(out, "%sat = wire_put_bytes(at, %s, %zu);\n", indent, value, type->fixed_size);
        break;
    case KIND_RECORD:
        (void)fprintf(out, "%sat = put_%s(at, &%s);\n", indent, type->word, value);
        break;
    case KIND_ARRAY:
    case KIND_MAP:
    case KIND_OPTIONAL:
        break;
    }
}

static void emit_put_items(FILE *out, const struct type *type, const char *value)
{
    char element[160];
    bool map = type->kind == KIND_MAP;
    (void)fprintf(out, "    if (%s.count > 0)\n        at = wire_put_long(at, (int64_t)%s.count);\n", value,
                  value);
    (void)fprintf(out, "    for (size_t i = 0; i < %s.count; i++) {\n", value);
    if (map)
        (void)fprintf(out, "        at = wire_put_str(at, %s.items[i].key);\n", value);
    (void)snprintf(element, sizeof element, "%s.items[i]%s", value, map ? ".value" : "");
    emit_put_value(out, type->item, element, "        ");
    (void)fprintf(out, "    }\n    at = wire_put_long(at, 0);\n");
}

static void emit_put(FILE *out, const struct type *type)
{
    (void)fprintf(out, "static uint8_t *put_%s(uint8_t *at, const %s *m)\n{\n", type->word, type->c_name);
    for (size_t i = 0; i < type->field_count; i++) {
        const struct field *field = &type->fields[i];
        char value[128];
        (void)snprintf(value, sizeof value, "m->%s", field->c_name);
        if (field->type->kind == KIND_OPTIONAL) {
            (void)fprintf(out, "    at = wire_put_long(at, m->has_%s ? 1 : 0);\n    if (m->has_%s) {\n",
                          field->c_name, field->c_name);
            emit_put_value(out, field->type->item, value, "        ");
            (void)fprintf(out, "    }\n");
        } else if (field->type->kind == KIND_ARRAY || field->type->kind == KIND_MAP) {
            emit_put_items(out, field->type, value);
        } else {
            emit_put_value(out, field->type, value, "    ");
        }
    }
    (void)fprintf(out, "    return at;\n}\n\n");
}

static void emit_get_value(FILE *out, const struct type *type, const char *value, const char *indent)
{
    static const char *const getters[] = {
        [KIND_BOOL] = "bool",     [KIND_INT] = "int",    [KIND_LONG] = "long", [KIND_FLOAT] = "float",
        [KIND_DOUBLE] = "double", [KIND_STRING] = "str", [KIND_BYTES] = "str"};
    switch (type->kind) {
    case KIND_ENUM:
        (void)fprintf(out, "%s%s = (%s)wire_get_enum(r, %zu);\n", indent, value, type->c_name,
                      type->symbol_count);
        break;
    case KIND_FIXED:
        (void)fprintf(out, "%swire_get_fixed(r, %s, %zu);\n", indent, value, type->fixed_size);
        break;
    case KIND_RECORD:
    case KIND_ARRAY:
    case KIND_MAP:
        (void)fprintf(out, "%sget_%s(r, &%s);\n", indent, type->word, value);
        break;
    case KIND_OPTIONAL:
        break;
    default:
        (void)fprintf(out, "%s%s = wire_get_%s(r);\n", indent, value, getters[type->kind]);
        break;
    }
}

static void emit_get_items(FILE *out, const struct type *type)
{
    bool map = type->kind == KIND_MAP;
    char element[64];
    (void)fprintf(
        out,
        "static void get_%s(struct wire_reader *r, %s *out)\n{\n    size_t capacity = 0, more;\n    "
        "out->items = NULL;\n"
        "    out->count = 0;\n    while ((more = wire_get_block(r, %zu)) > 0) {\n"
        "        out->items = wire_grow(r, out->items, out->count, more, &capacity, sizeof *out->items);\n"
        "        for (size_t i = 0; i < more && !r->error; i++) {\n",
        type->word, type->c_name, least_bytes(type->item) + (map ? 1 : 0));
    if (map)
        (void)fprintf(out, "            out->items[out->count].key = wire_get_str(r);\n");
    (void)snprintf(element, sizeof element, "out->items[out->count]%s", map ? ".value" : "");
    emit_get_value(out, type->item, element, "            ");
    (void)fprintf(out, "            out->count++;\n        }\n    }\n}\n\n");
}

static void emit_get(FILE *out, const struct type *type)
{
    (void)fprintf(out, "static void get_%s(struct wire_reader *r, %s *m)\n{\n", type->word, type->c_name);
    for (size_t i = 0; i < type->field_count; i++) {
        const struct field *field = &type->fields[i];
        char value[128];
        (void)snprintf(value, sizeof value, "m->%s", field->c_name);
        if (field->type->kind == KIND_OPTIONAL) {
            (void)fprintf(out, "    m->has_%s = wire_get_enum(r, 2) == 1;\n    if (m->has_%s) {\n",
                          field->c_name, field->c_name);
            emit_get_value(out, field->type->item, value, "        ");
            (void)fprintf(out, "    } else {\n        memset(&m->%s, 0, sizeof m->%s);\n    }\n",
                          field->c_name, field->c_name);
        } else {
            emit_get_value(out, field->type, value, "    ");
        }
    }
    (void)fprintf(out, "}\n\n");
}

static const char *const kind_names[] = {"MSG_KIND_BOOL",   "MSG_KIND_INT",    "MSG_KIND_LONG",
                                         "MSG_KIND_FLOAT",  "MSG_KIND_DOUBLE", "MSG_KIND_STRING",
                                         "MSG_KIND_BYTES",  "MSG_KIND_FIXED",  "MSG_KIND_ENUM",
                                         "MSG_KIND_RECORD", "MSG_KIND_ARRAY",  "MSG_KIND_MAP"};

static void emit_field_row(FILE *out, const struct type *record, const struct field *field)
{
    const struct type *type = field->type->kind == KIND_OPTIONAL ? field->type->item : field->type;
    bool container = type->kind == KIND_ARRAY || type->kind == KIND_MAP;
    const struct type *item = container ? type->item : type;
    (void)fprintf(out, "    {\"%s\", offsetof(%s, %s), ", field->name, record->c_name, field->c_name);
    if (field->type->kind == KIND_OPTIONAL)
        (void)fprintf(out, "offsetof(%s, has_%s), ", record->c_name, field->c_name);
    else
        (void)fprintf(out, "MSG_NOT_OPTIONAL, ");
    (void)fprintf(out, "%s, %s, ", kind_names[type->kind], kind_names[item->kind]);
    if (item->kind == KIND_RECORD)
        (void)fprintf(out, "sizeof(%s), fields_%s, %zu, NULL},\n", item->c_name, item->word,
                      item->field_count);
    else if (item->kind == KIND_ENUM)
        (void)fprintf(out, "sizeof(%s), NULL, 0, names_%s},\n", item->c_name, item->word);
    else if (item->kind == KIND_FIXED)
        (void)fprintf(out, "%zu, NULL, 0, NULL},\n", item->fixed_size);
    else
        (void)fprintf(out, "sizeof(%s), NULL, 0, NULL},\n", item->c_name);
}

static void emit_fields(FILE *out, const struct type *type)
{
    (void)fprintf(out, "static const struct msg_field fields_%s[] = {\n", type->word);
    for (size_t i = 0; i < type->field_count; i++)
        emit_field_row(out, type, &type->fields[i]);
    (void)fprintf(out, "};\n\n");
}

static void emit_enum_names(FILE *out, const struct type *type)
{
    (void)fprintf(out, "static const char *const names_%s[] = {", type->word);
    for (size_t i = 0; i < type->symbol_count; i++) {
        (void)fprintf(out, "\"");
        for (const char *c = type->symbols[i]; *c; c++)
            (void)fputc(tolower((unsigned char)*c), out);
        (void)fprintf(out, "\", ");
    }
    (void)fprintf(out,
                  "NULL};\n\nconst char *msg_%s_name(enum msg_%s value)\n{\n    return (unsigned)value < %zu "
                  "? names_%s[value] : "
                  "\"?\";\n}\n\n",
                  type->word, type->word, type->symbol_count, type->word);
}

static void emit_string(FILE *out, const char *text)
{
    size_t column = 0;
    (void)fprintf(out, "\n    \"");
    for (; *text; text++) {
        if (column++ == 110) {
            (void)fprintf(out, "\"\n    \"");
            column = 0;
        }
        if (*text == '"' || *text == '\\')
            (void)fputc('\\', out);
        (void)fputc(*text, out);
    }
    (void)fprintf(out, "\"");
}

static void emit_message(FILE *out, const struct message *message)
{
    const struct type *type = message->type;
    const char *w = type->word, *c = type->c_name;
    (void)fprintf(out,
                  "void msg_%s_encode(const %s *message, struct buffer *out)\n{\n"
                  "    uint8_t *room = buffer_reserve(out, bound_%s(message));\n    if (room)\n"
                  "        out->size += (size_t)(put_%s(room, message) - room);\n}\n\n",
                  w, c, w, w);
    (void)fprintf(
        out,
        "int msg_%s_decode(struct str bytes, struct arena *arena, %s *out)\n{\n    %s message;\n"
        "    const uint8_t *data = bytes.size ? (const uint8_t *)bytes.data : (const uint8_t *)\"\";\n"
        "    struct wire_reader reader = {data, data + bytes.size, arena, 0};\n    get_%s(&reader, "
        "&message);\n"
        "    if (!reader.error && reader.at != reader.end)\n        return -EBADMSG;\n"
        "    if (!reader.error)\n        *out = message;\n    return reader.error;\n}\n\n",
        w, c, c, w);
    (void)fprintf(out,
                  "static void encode_any_%s(const void *message, struct buffer *out)\n{\n    "
                  "msg_%s_encode(message, out);\n}\n\n"
                  "static int decode_any_%s(struct str bytes, struct arena *arena, void *out)\n{\n"
                  "    return msg_%s_decode(bytes, arena, out);\n}\n\n",
                  w, w, w, w);
    (void)fprintf(out,
                  "const struct msg_type msg_%s_type = {\"%s\", 0x%016llxu, sizeof(%s), encode_any_%s, "
                  "decode_any_%s, fields_%s, %zu,",
                  w, type->name, (unsigned long long)message->fingerprint, c, w, w, w, type->field_count);
    emit_string(out, message->json);
    (void)fprintf(out, "};\n\n");
}

void emit_source(FILE *out, const struct model *model)
{
    (void)fprintf(out, "/* Generated from the .avsc files in schemas/ by schemas/generator: change those, "
                       "not this file. */\n"
                       "#include \"schemas/messages.h\"\n\n#include \"schemas/wire.h\"\n\n");
    for (size_t i = 0; i < model->type_count; i++) {
        const struct type *type = model->types[i];
        if (type->kind == KIND_ENUM)
            emit_enum_names(out, type);
        if (type->kind == KIND_ARRAY || type->kind == KIND_MAP)
            emit_get_items(out, type);
        if (type->kind != KIND_RECORD)
            continue;
        emit_bound(out, type);
        emit_put(out, type);
        emit_get(out, type);
        emit_fields(out, type);
    }
    for (size_t i = 0; i < model->message_count; i++)
        emit_message(out, &model->messages[i]);
    (void)fprintf(out, "const struct msg_type *const msg_types[MSG_TYPE_COUNT] = {\n");
    for (size_t i = 0; i < model->message_count; i++)
        (void)fprintf(out, "    &msg_%s_type,\n", model->messages[i].type->word);
    (void)fprintf(out, "};\n");
}
