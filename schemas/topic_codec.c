/* See topic_codec.h. */
#include "schemas/topic_codec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "common/topics.h"
#include "schemas/registry_framer.h"
#include "schemas/schema_record.h"
#include "schemas/topic_types.h"

#define LOOKUP_INTERVAL_MS 1000
#define LOOKUP_TIMEOUT_MS 5000
#define ANNOUNCE_TIMEOUT_MS 10000

/* How a frame names its writer's schema. */
struct writer {
    bool by_id;
    uint64_t number; /* fingerprint, or id of a registry */
};

struct unknown {
    struct writer writer;
    int64_t since_ms;
};

struct topic_codec {
    struct codec *codec;
    struct stream *stream;
    struct unknown unknown[TOPIC_CODEC_UNKNOWN_MAX];
    size_t unknown_count;
    bool looked_up;
    int64_t looked_up_ms;
    struct topic_codec_counters counters;
    struct metric *lookups, *given_up; /* NULL: not measured */
};

struct topic_codec *topic_codec_create(struct stream *stream)
{
    struct topic_codec *codec = calloc(1, sizeof *codec);
    if (!codec)
        return NULL;
    codec->stream = stream;
    codec->codec = codec_create();
    if (codec->codec)
        return codec;
    free(codec);
    return NULL;
}

void topic_codec_destroy(struct topic_codec *codec)
{
    if (!codec)
        return;
    codec_destroy(codec->codec);
    free(codec);
}

struct codec *topic_codec_codec(struct topic_codec *codec)
{
    return codec->codec;
}

const struct topic_codec_counters *topic_codec_counters(const struct topic_codec *codec)
{
    return &codec->counters;
}

static struct metric *unframed_counter(struct metrics *metrics)
{
    return metrics_counter(
        metrics, "values_unframed_total",
        "Values written without the schema registry's framing: it does not know their schema", NULL, NULL);
}

/* A URL that is none is told when schemas are announced. */
static void measure_framing(struct stream *stream, struct metric *unframed)
{
    struct registry_framer *framer;
    char error[512];
    if (registry_framer_of(stream, &framer, error, sizeof error) == 0 && framer)
        registry_framer_measure(framer, unframed);
}

void topic_codec_measure_framing(struct stream *const *streams, size_t count, struct metrics *metrics)
{
    struct metric *unframed = unframed_counter(metrics);
    for (size_t i = 0; i < count; i++)
        measure_framing(streams[i], unframed);
}

void topic_codec_measure(struct topic_codec *const *codecs, size_t count, struct metrics *metrics)
{
    struct metric *lookups =
        metrics_counter(metrics, "schema_lookups_total", "Times an unknown schema was looked up", NULL, NULL);
    struct metric *given_up =
        metrics_counter(metrics, "schemas_given_up_total",
                        "Times a message was given up because nobody knows its schema", NULL, NULL);
    struct metric *unframed = unframed_counter(metrics);
    for (size_t i = 0; i < count; i++) {
        codecs[i]->lookups = lookups;
        codecs[i]->given_up = given_up;
        measure_framing(codecs[i]->stream, unframed);
    }
}

static int take_in(void *context, const struct stream_message *message)
{
    struct topic_codec *codec = context;
    struct str key = {message->key, message->key_size}, value = {message->value, message->value_size};
    if (schema_record_learn(codec->codec, key, value))
        codec->counters.learned++;
    return 0;
}

/* True when the registry told the schema of this id just now. */
static bool ask_registry(struct topic_codec *codec, uint32_t id)
{
    struct registry_framer *framer;
    struct buffer json;
    char error[512]; /* not told: it is asked again, and what is given up in the end is told */
    if (registry_framer_of(codec->stream, &framer, error, sizeof error) < 0 || !framer)
        return false;
    buffer_init(&json, CODEC_SCHEMA_MAX_BYTES);
    bool learned = registry_fetch(registry_framer_registry(framer), id, &json, error, sizeof error) == 0 &&
                   codec_learn_id(codec->codec, id, buffer_str(&json)) == 0;
    codec->counters.learned += learned ? 1 : 0;
    buffer_fini(&json);
    return learned;
}

/* False: it was just now. Another attempt follows when the broker does not answer. */
static bool look_up(struct topic_codec *codec, int64_t now_ms)
{
    if (codec->looked_up && now_ms - codec->looked_up_ms < LOOKUP_INTERVAL_MS)
        return false;
    codec->looked_up = true;
    codec->looked_up_ms = now_ms;
    codec->counters.lookups++;
    if (codec->lookups)
        metric_add(codec->lookups, 1);
    fs_drop(stream_restore(codec->stream, TOPIC_SCHEMAS, 0, take_in, codec, LOOKUP_TIMEOUT_MS));
    return true;
}

static bool writer_of(struct str framed, struct writer *out)
{
    uint32_t id;
    *out = (struct writer){0};
    if (codec_fingerprint(framed, &out->number) == 0)
        return true;
    out->by_id = codec_registry_id(framed, &id) == 0;
    out->number = out->by_id ? id : 0;
    return out->by_id;
}

static bool same_writer(struct writer a, struct writer b)
{
    return a.by_id == b.by_id && a.number == b.number;
}

static void forget(struct topic_codec *codec, struct writer writer)
{
    for (size_t i = 0; i < codec->unknown_count; i++)
        if (same_writer(codec->unknown[i].writer, writer))
            codec->unknown[i--] = codec->unknown[--codec->unknown_count];
}

/* Room for one more: that of the one given up longest ago. */
static struct unknown *place_for_unknown(struct topic_codec *codec, int64_t now_ms)
{
    if (codec->unknown_count < TOPIC_CODEC_UNKNOWN_MAX)
        return &codec->unknown[codec->unknown_count++];
    struct unknown *oldest = &codec->unknown[0];
    for (size_t i = 1; i < codec->unknown_count; i++)
        if (codec->unknown[i].since_ms < oldest->since_ms)
            oldest = &codec->unknown[i];
    return now_ms - oldest->since_ms >= TOPIC_CODEC_LOOKUP_MS ? oldest : NULL;
}

/* How long this schema has been looked for, or -1 when too many are. */
static int64_t looked_for_ms(struct topic_codec *codec, struct writer writer, int64_t now_ms)
{
    struct unknown *unknown = NULL;
    for (size_t i = 0; i < codec->unknown_count && !unknown; i++)
        if (same_writer(codec->unknown[i].writer, writer))
            unknown = &codec->unknown[i];
    if (unknown && now_ms - unknown->since_ms < TOPIC_CODEC_LOOKUP_MS + TOPIC_CODEC_GIVEN_UP_MS)
        return now_ms - unknown->since_ms;
    if (!unknown)
        unknown = place_for_unknown(codec, now_ms);
    if (!unknown)
        return -1;
    *unknown = (struct unknown){writer, now_ms};
    return 0;
}

static enum stream_outcome give_up(struct topic_codec *codec, const struct msg_type *type,
                                   struct writer writer)
{
    codec->counters.unknown_given_up++;
    if (codec->given_up)
        metric_add(codec->given_up, 1);
    if (writer.by_id)
        stream_set_reason(codec->stream,
                          "%s written with id %" PRIu64
                          " of a schema registry, which is neither in the topic "
                          "schemas nor in service.schema_registry",
                          type->name, writer.number);
    else
        stream_set_reason(codec->stream,
                          "%s written with schema %016" PRIx64 ", which nobody put into the topic schemas",
                          type->name, writer.number);
    return STREAM_QUARANTINE;
}

static enum stream_outcome wait_for_schema(struct topic_codec *codec, const struct msg_type *type,
                                           struct writer writer, int64_t now_ms)
{
    int64_t waited_ms = looked_for_ms(codec, writer, now_ms);
    if (waited_ms < 0 || waited_ms >= TOPIC_CODEC_LOOKUP_MS)
        return give_up(codec, type, writer);
    return STREAM_RETRY;
}

/* Decoding what was written with a schema not known yet. */
static int decode_unknown(struct topic_codec *codec, const struct msg_type *type, struct str framed,
                          struct arena *arena, void *out, int64_t now_ms)
{
    struct writer writer;
    if (!look_up(codec, now_ms))
        return -ENOENT;
    int error = codec_decode(codec->codec, type, framed, arena, out);
    if (error == -ENOENT && writer_of(framed, &writer) && writer.by_id &&
        ask_registry(codec, (uint32_t)writer.number))
        error = codec_decode(codec->codec, type, framed, arena, out);
    return error;
}

enum stream_outcome topic_codec_decode(struct topic_codec *codec, const struct msg_type *type,
                                       const struct stream_message *message, struct arena *arena, void *out,
                                       int64_t now_ms)
{
    struct str framed = {message->value, message->value_size};
    if (!framed.data) {
        stream_set_reason(codec->stream, "empty value where a %s belongs", type->name);
        return STREAM_QUARANTINE;
    }
    struct writer writer;
    int error = codec_decode(codec->codec, type, framed, arena, out);
    if (error == -ENOENT)
        error = decode_unknown(codec, type, framed, arena, out, now_ms);
    if (error == 0) {
        if (codec->unknown_count > 0 && writer_of(framed, &writer))
            forget(codec, writer);
        return STREAM_DONE;
    }
    if (error == -ENOENT && writer_of(framed, &writer))
        return wait_for_schema(codec, type, writer, now_ms);
    if (error == -ENOMEM)
        return STREAM_FATAL;
    stream_set_reason(codec->stream, "not a readable %s of %zu bytes", type->name, framed.size);
    return STREAM_QUARANTINE;
}

/* --- writing --- */

static int publish(struct stream *stream, const char *key, size_t key_size, struct str json)
{
    return stream_produce(stream, TOPIC_SCHEMAS, key, key_size, json.data, json.size, NULL, NULL);
}

static int not_published(int result, const struct stream *stream, char *error, size_t error_size)
{
    if (result < 0)
        (void)snprintf(error, error_size, "cannot write schemas to the topic %s" TOPIC_SCHEMAS ": %s",
                       stream_topic_prefix(stream), strerror(-result));
    return result;
}

/* One schema at the registry, and its id in `schemas`. */
static int register_one(struct stream *stream, struct registry_framer *framer, const char *topic,
                        uint64_t fingerprint, struct str json, bool published, char *error, size_t error_size)
{
    char key[SCHEMA_KEY_SIZE];
    uint32_t id;
    int result = registry_framer_add(framer, topic, fingerprint, json, &id, error, error_size);
    if (result < 0 || !published)
        return result;
    return not_published(publish(stream, key, schema_record_id_key(id, key), json), stream, error,
                         error_size);
}

static int register_types(struct stream *stream, const struct msg_type *const *types, size_t count,
                          bool published, char *error, size_t error_size)
{
    struct registry_framer *framer;
    int result = registry_framer_of(stream, &framer, error, error_size);
    for (size_t i = 0; result == 0 && framer && i < count; i++) {
        const char *topic = topic_of_message(str_of(types[i]->name));
        if (topic)
            result = register_one(stream, framer, topic, types[i]->fingerprint, str_of(types[i]->json),
                                  published, error, error_size);
    }
    return result;
}

int topic_codec_frame(struct stream *stream, const struct msg_type *const *types, size_t count, char *error,
                      size_t error_size)
{
    return register_types(stream, types, count, false, error, error_size);
}

int topic_codec_announce(struct stream *stream, const struct msg_type *const *types, size_t count,
                         char *error, size_t error_size)
{
    int result = register_types(stream, types, count, true, error, error_size);
    if (result < 0)
        return result;
    for (size_t i = 0; result == 0 && i < count; i++) {
        char key[SCHEMA_KEY_SIZE];
        result = publish(stream, key, schema_record_key(types[i]->fingerprint, key), str_of(types[i]->json));
    }
    if (result == 0)
        result = stream_flush(stream, ANNOUNCE_TIMEOUT_MS);
    return not_published(result, stream, error, error_size);
}

int topic_codec_announce_foreign(struct stream *stream, uint64_t fingerprint, struct str json, char *error,
                                 size_t error_size)
{
    struct registry_framer *framer;
    int result = registry_framer_of(stream, &framer, error, error_size);
    if (result < 0 || !framer)
        return result;
    json_t *schema = json_loadb(json.data, json.size, 0, NULL);
    const char *name = json_string_value(json_object_get(schema, "name"));
    const char *dot = name ? strrchr(name, '.') : NULL;
    const char *topic = name ? topic_of_message(str_of(dot ? dot + 1 : name)) : NULL;
    if (topic)
        result = register_one(stream, framer, topic, fingerprint, json, true, error, error_size);
    json_decref(schema);
    return result;
}
