/* See split.h. */
#include "retrain/split.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/hash.h"

struct split_table {
    json_t *programs; /* name -> part */
};

static const char *const split_names[SPLIT_COUNT] = {"train", "validation", "test"};

struct str split_program(struct str code)
{
    const char *colon = code.size ? memchr(code.data, ':', code.size) : NULL;
    return (struct str){code.data, colon && colon > code.data ? (size_t)(colon - code.data) : code.size};
}

enum split split_by_hash(struct str program, uint64_t seed)
{
    uint64_t hash = hash_bytes(program.data, program.size);
    uint8_t both[16];
    memcpy(both, &seed, 8);
    memcpy(both + 8, &hash, 8);
    double draw = hash_unit(both, sizeof both);
    return draw < 0.7 ? SPLIT_TRAIN : draw < 0.85 ? SPLIT_VALIDATION : SPLIT_TEST;
}

enum split split_by_execution(const uint8_t execution[16], double held_out)
{
    const double validation = 0.15;
    uint8_t salted[24] = "held-out";
    memcpy(salted + 8, execution, 16);
    double draw = hash_unit(salted, sizeof salted);
    if (draw < held_out)
        return SPLIT_TEST;
    return draw < held_out + validation * (1 - held_out) ? SPLIT_VALIDATION : SPLIT_TRAIN;
}

static int take_line(struct split_table *table, const char *line)
{
    json_t *value = json_loads(line, 0, NULL);
    const char *program = json_string_value(json_object_get(value, "program"));
    const char *split = json_string_value(json_object_get(value, "split"));
    int part = -1, result = -EBADMSG;
    for (int i = 0; i < SPLIT_COUNT; i++)
        part = split && strcmp(split, split_names[i]) == 0 ? i : part;
    if (program && part >= 0) {
        const json_t *known = json_object_get(table->programs, program);
        if (known)
            result = json_integer_value(known) == part ? 0 : -EEXIST;
        else
            result = json_object_set_new(table->programs, program, json_integer(part)) ? -ENOMEM : 0;
    }
    json_decref(value);
    return result;
}

int split_table_load(const char *path, struct split_table **out, char *error, size_t error_size)
{
    struct split_table *table = calloc(1, sizeof *table);
    if (!table)
        return -ENOMEM;
    FILE *file = fopen(path, "r");
    int result = file ? 0 : -errno, number = 0;
    char *line = NULL;
    size_t room = 0;
    table->programs = json_object();
    while (result == 0 && getline(&line, &room, file) > 0) {
        number++;
        result = line[0] == '\n' ? 0 : take_line(table, line);
    }
    free(line);
    if (file)
        (void)fclose(file); /* only read from */
    if (result == 0) {
        *out = table;
        return 0;
    }
    (void)snprintf(error, error_size, "%s:%d: %s", path, number,
                   result == -EBADMSG  ? "no JSON object with program and split (train, validation or test)"
                   : result == -EEXIST ? "this program was in another part before"
                                       : strerror(-result));
    split_table_destroy(table);
    return result;
}

void split_table_destroy(struct split_table *table)
{
    if (!table)
        return;
    json_decref(table->programs);
    free(table);
}

enum split split_of(const struct split_table *table, struct str code, uint64_t seed)
{
    struct str program = split_program(code);
    char name[129];
    const json_t *part = NULL;
    if (table && str_copy(name, sizeof name, program))
        part = json_object_get(table->programs, name);
    return part ? (enum split)json_integer_value(part) : split_by_hash(program, seed);
}

bool split_wanted(const char *parts, enum split part)
{
    static const char *const names[SPLIT_COUNT] = {"train", "validation", "test"};
    size_t size = strlen(names[part]);
    if (strcmp(parts, "all") == 0)
        return true;
    for (const char *at = strstr(parts, names[part]); at; at = strstr(at + 1, names[part]))
        if ((at == parts || at[-1] == ',') && (at[size] == '\0' || at[size] == ','))
            return true;
    return false;
}
