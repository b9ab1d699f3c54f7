/* The generator's picture of the schemas: named types once, in an order in which each comes after what it
 * uses. */
#ifndef FORESTALL_SCHEMAS_GENERATOR_MODEL_H
#define FORESTALL_SCHEMAS_GENERATOR_MODEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kind {
    KIND_BOOL,
    KIND_INT,
    KIND_LONG,
    KIND_FLOAT,
    KIND_DOUBLE,
    KIND_STRING,
    KIND_BYTES,
    KIND_FIXED,
    KIND_ENUM,
    KIND_RECORD,
    KIND_ARRAY,
    KIND_MAP,
    KIND_OPTIONAL
};

#define FIELDS_MAX 64
#define TYPES_MAX 128

struct type;

struct field {
    const char *name, *doc;
    char c_name[80]; /* name, or name_ where C keeps the word for itself */
    const struct type *type;
};

struct type {
    enum kind kind;
    const char *name, *doc; /* of named types: Avro's name; of primitives: a C-friendly word */
    char c_name[80];        /* execution_request, long, str ... */
    char word[80];          /* how array and map types of it are called */
    json_t *json;           /* the definition, for comparison */
    size_t fixed_size;
    const struct type *item; /* array, map, optional */
    struct field fields[FIELDS_MAX];
    size_t field_count;
    const char *symbols[FIELDS_MAX];
    size_t symbol_count;
};

struct message {
    const char *file;
    const struct type *type;
    char *json;      /* the schema as compact JSON */
    char *canonical; /* parsing canonical form */
    uint64_t fingerprint;
};

struct model {
    struct type *types[TYPES_MAX];
    size_t type_count;
    struct message messages[TYPES_MAX];
    size_t message_count;
};

/* Reads one .avsc; exits with a message on any fault: a generator has no one to report to but the build. */
void model_load(struct model *model, const char *path);

#endif
