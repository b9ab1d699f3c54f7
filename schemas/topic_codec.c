/* See topic_codec.h. */
#include "schemas/topic_codec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/map.h"
#include "common/topics.h"

#define FINGERPRINT_DIGITS 16
#define LOOKUP_INTERVAL_MS 1000
#define LOOKUP_TIMEOUT_MS 5000
#define ANNOUNCE_TIMEOUT_MS 10000

struct unknown {
    uint64_t fingerprint; /* of a single-object frame, or the id of a registry */
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

static bool parse_fingerprint(const void *key, size_t size, uint64_t *out)
{
    char text[FINGERPRINT_DIGITS + 1], *end;
    if (!key || size != FINGERPRINT_DIGITS)
        return false;
    memcpy(text, key, size);
    text[size] = '\0';
    *out = strtoull(text, &end, 16);
    return *end == '\0';
}

/* What cannot be learned is left alone: only somebody who needs that very schema suffers, and is told. */
static int take_in(void *context, const struct stream_message *message)
{
    struct topic_codec *codec = context;
    uint64_t fingerprint;
    if (!message->value || !parse_fingerprint(message->key, message->key_size, &fingerprint))
        return 0;
    if (codec_learn(codec->codec, fingerprint, (struct str){message->value, message->value_size}) == 0)
        codec->counters.learned++;
    return 0;
}

/* True when `schemas` was read just now. Another attempt follows when the broker does not answer. */
static bool look_up(struct topic_codec *codec, int64_t now_ms)
{
    if (codec->looked_up && now_ms - codec->looked_up_ms < LOOKUP_INTERVAL_MS)
        return false;
    codec->looked_up = true;
    codec->looked_up_ms = now_ms;
    codec->counters.lookups++;
    return stream_restore(codec->stream, TOPIC_SCHEMAS, 0, take_in, codec, LOOKUP_TIMEOUT_MS) == 0;
}

static void forget(struct topic_codec *codec, uint64_t fingerprint)
{
    for (size_t i = 0; i < codec->unknown_count; i++)
        if (codec->unknown[i].fingerprint == fingerprint)
            codec->unknown[i--] = codec->unknown[--codec->unknown_count];
}

/* How long this schema has been looked for, or -1 when too many are. */
static int64_t looked_for_ms(struct topic_codec *codec, uint64_t fingerprint, int64_t now_ms)
{
    for (size_t i = 0; i < codec->unknown_count; i++)
        if (codec->unknown[i].fingerprint == fingerprint)
            return now_ms - codec->unknown[i].since_ms;
    if (codec->unknown_count == TOPIC_CODEC_UNKNOWN_MAX)
        return -1;
    codec->unknown[codec->unknown_count++] = (struct unknown){fingerprint, now_ms};
    return 0;
}

static enum stream_outcome give_up(struct topic_codec *codec, const struct msg_type *type,
                                   uint64_t fingerprint)
{
    codec->counters.unknown_given_up++;
    forget(codec, fingerprint);
    stream_set_reason(codec->stream,
                      "%s written with schema %016" PRIx64 ", which nobody put into the topic schemas",
                      type->name, fingerprint);
    return STREAM_QUARANTINE;
}

static enum stream_outcome wait_for_schema(struct topic_codec *codec, const struct msg_type *type,
                                           struct str framed, int64_t now_ms)
{
    uint64_t fingerprint;
    if (codec_fingerprint(framed, &fingerprint)) {
        stream_set_reason(codec->stream, "%s framed for a schema registry, and none is configured",
                          type->name);
        return STREAM_QUARANTINE;
    }
    int64_t waited_ms = looked_for_ms(codec, fingerprint, now_ms);
    if (waited_ms < 0 || waited_ms >= TOPIC_CODEC_LOOKUP_MS)
        return give_up(codec, type, fingerprint);
    return STREAM_RETRY;
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
    int error = codec_decode(codec->codec, type, framed, arena, out);
    if (error == -ENOENT && look_up(codec, now_ms))
        error = codec_decode(codec->codec, type, framed, arena, out);
    if (error == 0) {
        uint64_t fingerprint;
        if (codec->unknown_count > 0 && codec_fingerprint(framed, &fingerprint) == 0)
            forget(codec, fingerprint);
        return STREAM_DONE;
    }
    if (error == -ENOENT)
        return wait_for_schema(codec, type, framed, now_ms);
    if (error == -ENOMEM)
        return STREAM_FATAL;
    stream_set_reason(codec->stream, "not a readable %s of %zu bytes", type->name, framed.size);
    return STREAM_QUARANTINE;
}

int topic_codec_announce(struct stream *stream, const struct msg_type *const *types, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char key[FINGERPRINT_DIGITS + 1];
        (void)snprintf(key, sizeof key, "%016" PRIx64, types[i]->fingerprint);
        int error = stream_produce(stream, TOPIC_SCHEMAS, key, FINGERPRINT_DIGITS, types[i]->json,
                                   strlen(types[i]->json), NULL, NULL);
        if (error)
            return error;
    }
    return stream_flush(stream, ANNOUNCE_TIMEOUT_MS);
}
