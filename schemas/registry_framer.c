/* See registry_framer.h. */
#include "schemas/registry_framer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/map.h"
#include "schemas/codec.h"

#define SCHEMAS_MAX 1024 /* topics times versions that write to them at a time */
#define TOPIC_MAX 256    /* Kafka's names are 249 bytes at most */
#define SINGLE_OBJECT_HEADER 10

struct registry_framer {
    struct registry *registry;
    char *prefix;
    struct map *ids; /* topic and fingerprint -> id + 1 */
    struct buffer framed;
    struct metric *unframed; /* NULL: not measured */
};

struct key {
    char bytes[TOPIC_MAX + sizeof(uint64_t)];
    size_t size;
};

static struct key key_of(const char *topic, uint64_t fingerprint)
{
    struct key key;
    size_t size = FS_MIN(strlen(topic), (size_t)TOPIC_MAX);
    memcpy(key.bytes, topic, size);
    memcpy(key.bytes + size, &fingerprint, sizeof fingerprint);
    key.size = size + sizeof fingerprint;
    return key;
}

static struct str frame(void *context, const char *topic, struct str value)
{
    struct registry_framer *framer = context;
    uint64_t fingerprint;
    if (codec_fingerprint(value, &fingerprint))
        return value; /* no message: a schema */
    struct key key = key_of(topic, fingerprint);
    uintptr_t id = (uintptr_t)map_get(framer->ids, key.bytes, key.size);
    buffer_reset(&framer->framed);
    buffer_append(&framer->framed, "", 1);
    buffer_append_u32be(&framer->framed, (uint32_t)(id - 1));
    buffer_append(&framer->framed, value.data + SINGLE_OBJECT_HEADER, value.size - SINGLE_OBJECT_HEADER);
    if (id != 0 && !buffer_error(&framer->framed))
        return buffer_str(&framer->framed);
    if (framer->unframed)
        metric_add(framer->unframed, 1);
    return value;
}

static void destroy(void *context)
{
    struct registry_framer *framer = context;
    registry_close(framer->registry);
    map_destroy(framer->ids);
    buffer_fini(&framer->framed);
    free(framer->prefix);
    free(framer);
}

int registry_framer_of(struct stream *stream, struct registry_framer **out, char *error, size_t error_size)
{
    const char *url = stream_schema_registry(stream);
    *out = url[0] ? stream_framer_context(stream) : NULL;
    if (!url[0] || *out)
        return 0;
    struct registry_framer *framer = calloc(1, sizeof *framer);
    (void)snprintf(error, error_size, "out of memory");
    if (!framer)
        return -ENOMEM;
    buffer_init(&framer->framed, 0);
    framer->ids = map_create(SCHEMAS_MAX);
    framer->prefix = strdup(stream_topic_prefix(stream));
    int result =
        framer->ids && framer->prefix ? registry_open(url, &framer->registry, error, error_size) : -ENOMEM;
    if (result < 0) {
        destroy(framer);
        return result;
    }
    stream_set_framer(stream, &(struct stream_framer){.context = framer, .frame = frame, .destroy = destroy});
    *out = framer;
    return 0;
}

void registry_framer_subject(const struct registry_framer *framer, const char *topic, char *out, size_t size)
{
    (void)snprintf(out, size, "%s%s-value", framer->prefix, topic);
}

int registry_framer_add(struct registry_framer *framer, const char *topic, uint64_t fingerprint,
                        struct str json, uint32_t *id, char *error, size_t error_size)
{
    char subject[TOPIC_MAX + 16];
    struct key key = key_of(topic, fingerprint);
    registry_framer_subject(framer, topic, subject, sizeof subject);
    int result = registry_register(framer->registry, subject, json, id, error, error_size);
    if (result < 0)
        return result;
    result = map_put(framer->ids, key.bytes, key.size, (void *)((uintptr_t)*id + 1));
    if (result < 0)
        (void)snprintf(error, error_size, "more than %d schemas at a time", SCHEMAS_MAX);
    return result;
}

struct registry *registry_framer_registry(struct registry_framer *framer)
{
    return framer->registry;
}

void registry_framer_measure(struct registry_framer *framer, struct metric *unframed)
{
    framer->unframed = unframed;
}
