/* What generic code may know of a generated message: its identity, its codec, its fields. */
#ifndef FORESTALL_SCHEMAS_TYPE_H
#define FORESTALL_SCHEMAS_TYPE_H

#include "common/arena.h"
#include "common/base.h"
#include "common/buffer.h"

enum msg_kind {
    MSG_KIND_BOOL,
    MSG_KIND_INT,
    MSG_KIND_LONG,
    MSG_KIND_FLOAT,
    MSG_KIND_DOUBLE,
    MSG_KIND_STRING,
    MSG_KIND_BYTES,
    MSG_KIND_FIXED,
    MSG_KIND_ENUM,
    MSG_KIND_RECORD,
    MSG_KIND_ARRAY, /* struct { T *items; size_t count; } */
    MSG_KIND_MAP    /* the same, of entries { struct str key; T value; } */
};

#define MSG_NOT_OPTIONAL SIZE_MAX

struct msg_field {
    const char *name;
    size_t offset;
    size_t has_offset;              /* of its bool has_<name>, or MSG_NOT_OPTIONAL */
    enum msg_kind kind, item_kind;  /* item: of arrays and maps; else the same as kind */
    size_t item_size;               /* of one value; of a fixed its bytes */
    const struct msg_field *fields; /* of a record item */
    size_t field_count;
    const char *const *names; /* of an enum item */
};

struct msg_type {
    const char *name;     /* Avro's */
    uint64_t fingerprint; /* CRC-64-AVRO of the parsing canonical form */
    size_t size;          /* of the C struct */
    void (*encode)(const void *message, struct buffer *out);
    int (*decode)(struct str bytes, struct arena *arena, void *out);
    const struct msg_field *fields;
    size_t field_count;
    const char *json; /* the schema */
};

#endif
