/* See codec.h. */
#include "schemas/codec.h"

#include <errno.h>
#include <stdlib.h>

#include "common/map.h"
#include "schemas/canonical.h"
#include "schemas/resolve.h"

#define SINGLE_OBJECT_HEADER 10
#define CONFLUENT_HEADER 5

struct codec {
    struct map *by_fingerprint; /* uint64_t -> struct writer_schema, owned here */
    struct map *by_id;          /* uint32_t -> struct writer_schema, borrowed from the other map */
};

struct codec *codec_create(void)
{
    struct codec *codec = calloc(1, sizeof *codec);
    if (!codec)
        return NULL;
    codec->by_fingerprint = map_create(CODEC_SCHEMAS_MAX);
    codec->by_id = map_create(CODEC_SCHEMAS_MAX);
    if (codec->by_fingerprint && codec->by_id)
        return codec;
    codec_destroy(codec);
    return NULL;
}

void codec_destroy(struct codec *codec)
{
    size_t cursor = 0;
    struct str key;
    void *schema;
    if (!codec)
        return;
    while (codec->by_fingerprint && map_next(codec->by_fingerprint, &cursor, &key, &schema))
        writer_schema_destroy(schema);
    map_destroy(codec->by_fingerprint);
    map_destroy(codec->by_id);
    free(codec);
}

int codec_encode(const struct msg_type *type, const void *message, struct buffer *out)
{
    uint8_t header[SINGLE_OBJECT_HEADER] = {0xc3, 0x01};
    for (size_t i = 0; i < 8; i++)
        header[2 + i] = (uint8_t)(type->fingerprint >> (8 * i));
    buffer_append(out, header, sizeof header);
    type->encode(message, out);
    return buffer_error(out);
}

int codec_fingerprint(struct str framed, uint64_t *out)
{
    const uint8_t *bytes = (const uint8_t *)framed.data;
    uint64_t fingerprint = 0;
    if (framed.size < SINGLE_OBJECT_HEADER || bytes[0] != 0xc3 || bytes[1] != 0x01)
        return -EBADMSG;
    for (size_t i = 0; i < 8; i++)
        fingerprint |= (uint64_t)bytes[2 + i] << (8 * i);
    *out = fingerprint;
    return 0;
}

int codec_registry_id(struct str framed, uint32_t *out)
{
    const uint8_t *bytes = (const uint8_t *)framed.data;
    if (framed.size < CONFLUENT_HEADER || bytes[0] != 0)
        return -EBADMSG;
    *out = (uint32_t)bytes[1] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 8 | bytes[4];
    return 0;
}

static int decode_as(struct writer_schema *writer, const struct msg_type *type, struct str body,
                     struct arena *arena, void *out)
{
    if (!writer)
        return -ENOENT;
    if (writer_schema_fingerprint(writer) == type->fingerprint)
        return type->decode(body, arena, out);
    struct str resolved;
    int error = writer_schema_resolve(writer, type, body, arena, &resolved);
    return error ? error : type->decode(resolved, arena, out);
}

static bool is_built_in(uint64_t fingerprint)
{
    for (size_t i = 0; i < MSG_TYPE_COUNT; i++)
        if (msg_types[i]->fingerprint == fingerprint)
            return true;
    return false;
}

int codec_decode(struct codec *codec, const struct msg_type *type, struct str framed, struct arena *arena,
                 void *out)
{
    uint64_t fingerprint;
    if (codec_fingerprint(framed, &fingerprint) == 0) {
        struct str body = {framed.data + SINGLE_OBJECT_HEADER, framed.size - SINGLE_OBJECT_HEADER};
        if (fingerprint == type->fingerprint)
            return type->decode(body, arena, out);
        if (is_built_in(fingerprint)) /* another kind of message than the caller wants */
            return -EBADMSG;
        return decode_as(map_get(codec->by_fingerprint, &fingerprint, sizeof fingerprint), type, body, arena,
                         out);
    }
    uint32_t id;
    if (codec_registry_id(framed, &id) == 0) {
        struct str body = {framed.data + CONFLUENT_HEADER, framed.size - CONFLUENT_HEADER};
        return decode_as(map_get(codec->by_id, &id, sizeof id), type, body, arena, out);
    }
    return -EBADMSG;
}

static int learn(struct codec *codec, struct str json, const uint64_t *expected, struct writer_schema **out)
{
    struct writer_schema *schema;
    int error = json.size > CODEC_SCHEMA_MAX_BYTES ? -EINVAL : writer_schema_create(json, &schema);
    if (error)
        return error;
    uint64_t fingerprint = writer_schema_fingerprint(schema);
    struct writer_schema *known = map_get(codec->by_fingerprint, &fingerprint, sizeof fingerprint);
    if (expected && fingerprint != *expected)
        error = -EINVAL;
    else if (!known)
        error = map_put(codec->by_fingerprint, &fingerprint, sizeof fingerprint, schema);
    if (error || known)
        writer_schema_destroy(schema);
    if (!error)
        *out = known ? known : schema;
    return error;
}

int codec_learn(struct codec *codec, uint64_t fingerprint, struct str json)
{
    struct writer_schema *schema;
    if (map_get(codec->by_fingerprint, &fingerprint, sizeof fingerprint))
        return 0;
    return learn(codec, json, &fingerprint, &schema);
}

int codec_learn_id(struct codec *codec, uint32_t id, struct str json)
{
    struct writer_schema *schema;
    int error = learn(codec, json, NULL, &schema);
    return error ? error : map_put(codec->by_id, &id, sizeof id, schema);
}

int codec_clone(const struct msg_type *type, const void *message, struct buffer *storage, struct arena *arena,
                void *out)
{
    buffer_reset(storage);
    type->encode(message, storage);
    int error = buffer_error(storage);
    return error ? error : type->decode(buffer_str(storage), arena, out);
}
