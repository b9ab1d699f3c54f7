/* See model.h. avro-c checks each schema for validity; jansson gives the docs, which avro-c drops. */
#include "schemas/canonical.h"
#include "schemas/generator/model.h"

#include <avro.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *path, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

static void die(const char *path, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "generate: %s: ", path);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static void snake_case(const char *name, char *out, size_t size)
{
    size_t used = 0;
    for (const char *c = name; *c && used + 2 < size; c++) {
        if (isupper((unsigned char)*c) && c != name && !isupper((unsigned char)c[-1]))
            out[used++] = '_';
        out[used++] = (char)tolower((unsigned char)*c);
    }
    out[used] = '\0';
}

static struct type *add_type(struct model *model, const char *path, enum kind kind, const char *name)
{
    struct type *type = calloc(1, sizeof *type);
    if (!type || model->type_count == TYPES_MAX)
        die(path, "too many types, or out of memory");
    type->kind = kind;
    type->name = name;
    return type;
}

static const struct type *primitive(const char *name)
{
    static struct type all[] = {
        {.kind = KIND_BOOL, .name = "boolean", .c_name = "bool", .word = "bool"},
        {.kind = KIND_INT, .name = "int", .c_name = "int32_t", .word = "int"},
        {.kind = KIND_LONG, .name = "long", .c_name = "int64_t", .word = "long"},
        {.kind = KIND_FLOAT, .name = "float", .c_name = "float", .word = "float"},
        {.kind = KIND_DOUBLE, .name = "double", .c_name = "double", .word = "double"},
        {.kind = KIND_STRING, .name = "string", .c_name = "struct str", .word = "str"},
        {.kind = KIND_BYTES, .name = "bytes", .c_name = "struct str", .word = "bytes"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(all[i].name, name) == 0)
            return &all[i];
    return NULL;
}

static const struct type *find_named(const struct model *model, const char *name)
{
    for (size_t i = 0; i < model->type_count; i++)
        if (model->types[i]->name && strcmp(model->types[i]->name, name) == 0)
            return model->types[i];
    return NULL;
}

static const struct type *find_container(const struct model *model, enum kind kind, const struct type *item)
{
    for (size_t i = 0; i < model->type_count; i++)
        if (model->types[i]->kind == kind && model->types[i]->item == item)
            return model->types[i];
    return NULL;
}

static bool is_keyword(const char *name)
{
    static const char *const words[] = {
        "short",    "long",   "int",    "char",     "float",   "double", "signed",   "unsigned", "auto",
        "register", "static", "const",  "volatile", "default", "case",   "switch",   "if",       "else",
        "for",      "while",  "do",     "goto",     "return",  "break",  "continue", "struct",   "union",
        "enum",     "void",   "sizeof", "typedef",  "extern",  "inline", "restrict"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i], name) == 0)
            return true;
    return false;
}

static const struct type *load_type(struct model *model, const char *path, json_t *json);

static const struct type *load_container(struct model *model, const char *path, enum kind kind,
                                         json_t *item_json)
{
    const struct type *item = load_type(model, path, item_json);
    const struct type *known = find_container(model, kind, item);
    if (known)
        return known;
    if (item->kind == KIND_ARRAY || item->kind == KIND_MAP || item->kind == KIND_OPTIONAL)
        die(path, "a container directly in an array, map or union is not supported: give it a record");
    if (kind == KIND_ARRAY && item->kind == KIND_FIXED)
        die(path, "arrays of %s are not supported: give it a record", item->name);
    if (kind == KIND_MAP && item->kind != KIND_STRING && item->kind != KIND_LONG && item->kind != KIND_DOUBLE)
        die(path, "maps of %s are not supported", item->name);
    struct type *type = add_type(model, path, kind, NULL);
    type->item = item;
    if (kind == KIND_OPTIONAL)
        (void)snprintf(type->c_name, sizeof type->c_name, "%s", item->c_name);
    else
        (void)snprintf(type->c_name, sizeof type->c_name, "struct msg_%.50s_%s", item->word,
                       kind == KIND_ARRAY ? "array" : "map");
    (void)snprintf(type->word, sizeof type->word, "%.50s_%s", item->word,
                   kind == KIND_ARRAY ? "array" : "map");
    model->types[model->type_count++] = type;
    return type;
}

static void load_fields(struct model *model, const char *path, struct type *type, json_t *fields)
{
    size_t index;
    json_t *entry;
    json_array_foreach (fields, index, entry) {
        if (type->field_count == FIELDS_MAX)
            die(path, "%s has more than %d fields", type->name, FIELDS_MAX);
        struct field *field = &type->fields[type->field_count];
        field->name = json_string_value(json_object_get(entry, "name"));
        (void)snprintf(field->c_name, sizeof field->c_name, "%s%s", field->name,
                       is_keyword(field->name) ? "_" : "");
        field->doc = json_string_value(json_object_get(entry, "doc"));
        field->type = load_type(model, path, json_object_get(entry, "type"));
        type->field_count++;
    }
}

static const struct type *load_named(struct model *model, const char *path, enum kind kind, json_t *json)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    const struct type *known = find_named(model, name);
    struct type *type = add_type(model, path, kind, name);
    char snake[72];
    size_t index;
    json_t *symbol;
    snake_case(name, snake, sizeof snake);
    (void)snprintf(type->c_name, sizeof type->c_name, "%smsg_%.60s",
                   kind == KIND_ENUM     ? "enum "
                   : kind == KIND_RECORD ? "struct "
                                         : "",
                   snake);
    (void)snprintf(type->word, sizeof type->word, "%.60s", snake);
    type->doc = json_string_value(json_object_get(json, "doc"));
    type->json = json;
    type->fixed_size = (size_t)json_integer_value(json_object_get(json, "size"));
    json_array_foreach (json_object_get(json, "symbols"), index, symbol) {
        if (type->symbol_count == FIELDS_MAX)
            die(path, "%s has too many symbols", name);
        type->symbols[type->symbol_count++] = json_string_value(symbol);
    }
    if (kind == KIND_RECORD)
        load_fields(model, path, type, json_object_get(json, "fields"));
    if (!known) {
        model->types[model->type_count++] = type;
        return type;
    }
    /* Named types stand whole at their first use in each file; two files must mean the same by one name. */
    if (known->kind != kind || known->field_count != type->field_count ||
        known->symbol_count != type->symbol_count || known->fixed_size != type->fixed_size)
        die(path, "%s is defined differently in another file", name);
    for (size_t i = 0; i < type->field_count; i++)
        if (known->fields[i].type != type->fields[i].type ||
            strcmp(known->fields[i].name, type->fields[i].name) != 0)
            die(path, "field %s of %s is defined differently in another file", type->fields[i].name, name);
    for (size_t i = 0; i < type->symbol_count; i++)
        if (strcmp(known->symbols[i], type->symbols[i]) != 0)
            die(path, "symbol %s of %s is defined differently in another file", type->symbols[i], name);
    free(type);
    return known;
}

static const struct type *load_type(struct model *model, const char *path, json_t *json)
{
    if (json_is_string(json)) {
        const char *name = json_string_value(json);
        const struct type *type = primitive(name);
        if (!type)
            type = find_named(model, name);
        if (!type)
            die(path, "unknown type %s", name);
        return type;
    }
    if (json_is_array(json)) { /* a union: only ["null", T] has a C form here */
        const char *first = json_string_value(json_array_get(json, 0));
        if (json_array_size(json) != 2 || !first || strcmp(first, "null") != 0)
            die(path, "only unions of the form [\"null\", T] are supported");
        return load_container(model, path, KIND_OPTIONAL, json_array_get(json, 1));
    }
    const char *kind = json_string_value(json_object_get(json, "type"));
    if (!kind)
        die(path, "a type without \"type\"");
    if (strcmp(kind, "array") == 0)
        return load_container(model, path, KIND_ARRAY, json_object_get(json, "items"));
    if (strcmp(kind, "map") == 0)
        return load_container(model, path, KIND_MAP, json_object_get(json, "values"));
    if (strcmp(kind, "enum") == 0)
        return load_named(model, path, KIND_ENUM, json);
    if (strcmp(kind, "fixed") == 0)
        return load_named(model, path, KIND_FIXED, json);
    if (strcmp(kind, "record") == 0)
        return load_named(model, path, KIND_RECORD, json);
    return load_type(model, path, json_object_get(json, "type"));
}

void model_load(struct model *model, const char *path)
{
    json_error_t fault;
    json_t *json = json_load_file(path, 0, &fault);
    avro_schema_t checked;
    if (!json)
        die(path, "line %d: %s", fault.line, fault.text);
    struct message *message = &model->messages[model->message_count++];
    message->file = path;
    message->json = json_dumps(json, JSON_COMPACT);
    if (!message->json || avro_schema_from_json_length(message->json, strlen(message->json), &checked))
        die(path, "not a valid Avro schema: %s", avro_strerror());
    avro_schema_decref(checked);
    message->type = load_type(model, path, json);
    message->canonical = canonical_form(json);
    if (!message->canonical)
        die(path, "out of memory");
    message->fingerprint = canonical_fingerprint(message->canonical, strlen(message->canonical));
}
