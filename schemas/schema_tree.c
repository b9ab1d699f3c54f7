/* See schema_tree.h. */
#include "schemas/schema_tree.h"

#include <errno.h>

const char *schema_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const char *short_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

int schema_collect(struct schema_names *names, const json_t *schema)
{
    size_t i;
    json_t *entry;
    int error = 0;
    if (json_is_array(schema)) {
        json_array_foreach (schema, i, entry)
            if ((error = schema_collect(names, entry)))
                return error;
        return 0;
    }
    if (!json_is_object(schema))
        return 0;
    if (json_object_get(schema, "name") && json_object_get(schema, "type")) {
        if (names->count == SCHEMA_NAMES_MAX)
            return -EINVAL;
        names->types[names->count++] = schema;
    }
    json_array_foreach (json_object_get(schema, "fields"), i, entry)
        if ((error = schema_collect(names, json_object_get(entry, "type"))))
            return error;
    static const char *const inner[] = {"items", "values", "type"};
    for (i = 0; i < FS_COUNT(inner) && !error; i++)
        error = schema_collect(names, json_object_get(schema, inner[i]));
    return error;
}

const json_t *schema_follow(const struct schema_names *names, const json_t *schema)
{
    for (int i = 0; i < SCHEMA_DEPTH_MAX; i++) {
        if (json_is_string(schema)) {
            const json_t *found = NULL;
            for (size_t n = 0; n < names->count && !found; n++)
                if (strcmp(short_name(schema_text(names->types[n], "name")),
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

const char *schema_kind(const json_t *schema)
{
    if (json_is_string(schema))
        return json_string_value(schema);
    return json_is_array(schema) ? "union" : schema_text(schema, "type");
}

bool schema_is(const json_t *schema, const char *kind)
{
    return strcmp(schema_kind(schema), kind) == 0;
}

bool schema_same_name(const json_t *writer, const json_t *reader)
{
    return strcmp(short_name(schema_text(writer, "name")), short_name(schema_text(reader, "name"))) == 0;
}

int schema_symbol(const json_t *schema, const char *symbol)
{
    size_t i;
    json_t *entry;
    json_array_foreach (json_object_get(schema, "symbols"), i, entry)
        if (symbol && strcmp(json_string_value(entry), symbol) == 0)
            return (int)i;
    return -1;
}
