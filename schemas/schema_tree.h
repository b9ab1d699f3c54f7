/* A schema as parsed JSON: its named types and what a node of it is. Pure. */
#ifndef FORESTALL_SCHEMAS_SCHEMA_TREE_H
#define FORESTALL_SCHEMAS_SCHEMA_TREE_H

#include <jansson.h>

#include "common/base.h"

#define SCHEMA_NAMES_MAX 256
#define SCHEMA_DEPTH_MAX 32

struct schema_names {
    const json_t *types[SCHEMA_NAMES_MAX]; /* borrowed from the schema */
    size_t count;
};

/* Adds every named type defined anywhere in a schema. 0, or -EINVAL: more than SCHEMA_NAMES_MAX. */
FS_MUST_CHECK int schema_collect(struct schema_names *names, const json_t *schema);
/* A schema with references followed and {"type": "long"} unwrapped: a primitive's name, an array (union) or
 * an object. */
const json_t *schema_follow(const struct schema_names *names, const json_t *schema);
/* "record", "union", "long"... of what schema_follow() returned. */
const char *schema_kind(const json_t *schema);
bool schema_is(const json_t *schema, const char *kind);
/* Records, enums and fixed resolve by their unqualified name; other kinds have none. */
bool schema_same_name(const json_t *a, const json_t *b);
/* The text at a key, "" when there is none. */
const char *schema_text(const json_t *object, const char *key);
/* Of an enum; -1 when it has none of that name (or NULL). */
int schema_symbol(const json_t *schema, const char *symbol);

#endif
