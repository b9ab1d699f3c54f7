/* Reading the values of topics: decoding, and learning the schemas that other versions of us write with.
 * What is written with an unknown schema, by fingerprint or by a registry's id, is looked up in the topic
 * `schemas`, then in the stream's schema registry if it has one (at most once a second) for 30 s; only then
 * is it given up. Every writer announces its schemas there before it writes. One thread; borrows the stream.
 */
#ifndef FORESTALL_SCHEMAS_TOPIC_CODEC_H
#define FORESTALL_SCHEMAS_TOPIC_CODEC_H

#include "common/metrics.h"
#include "common/stream.h"
#include "schemas/codec.h"

#define TOPIC_CODEC_LOOKUP_MS 30000 /* design: before quarantine */
/* So long more of a writer that was given up does not wait again; it is still looked up. */
#define TOPIC_CODEC_GIVEN_UP_MS 600000
#define TOPIC_CODEC_UNKNOWN_MAX 64 /* schemas looked for at a time; more are given up at once */

struct topic_codec;

struct topic_codec_counters {
    uint64_t lookups; /* times `schemas` was read */
    uint64_t learned; /* records of `schemas` taken in, repeats included */
    uint64_t unknown_given_up;
};

/* stream: asked for `schemas` and told the reasons for quarantine; must outlive the codec. NULL: out of
 * memory. */
struct topic_codec *topic_codec_create(struct stream *stream);
void topic_codec_destroy(struct topic_codec *codec);
/* DONE: *out filled, borrowing from the message and the arena. RETRY: the writer's schema is being looked up.
 * QUARANTINE: it cannot be read; the reason is set (stream_set_reason). FATAL: out of memory (arena limit). A
 * look-up blocks for as long as reading `schemas` takes (10-100 ms). */
FS_MUST_CHECK enum stream_outcome topic_codec_decode(struct topic_codec *codec, const struct msg_type *type,
                                                     const struct stream_message *message,
                                                     struct arena *arena, void *out, int64_t now_ms);
/* The codec behind it, e.g. for codec_learn(). */
struct codec *topic_codec_codec(struct topic_codec *codec);
const struct topic_codec_counters *topic_codec_counters(const struct topic_codec *codec);
/* Counts in the service's metrics from now on, together for all of its codecs and
 * (topic_codec_measure_framing) their streams. */
void topic_codec_measure(struct topic_codec *const *codecs, size_t count, struct metrics *metrics);
/* For services that produce without a topic_codec: counts in their metrics the values that these streams
 * write without the framing of the schema registry they have. Once per service. */
void topic_codec_measure_framing(struct stream *const *streams, size_t count, struct metrics *metrics);

/* Publishes schemas to `schemas` (schema_record.h) and waits for the reports; with a schema registry they are
 * registered first, and this stream frames for it from now on. Not for transactional streams. 0, or with a
 * sentence -ETIMEDOUT, -EPIPE, as stream_produce() and registry_register(). */
FS_MUST_CHECK int topic_codec_announce(struct stream *stream, const struct msg_type *const *types,
                                       size_t count, char *error, size_t error_size);
/* Only the framing, for one more stream that produces these types. */
FS_MUST_CHECK int topic_codec_frame(struct stream *stream, const struct msg_type *const *types, size_t count,
                                    char *error, size_t error_size);
/* With a schema registry, the same for a writer's schema that is not one of ours (the caller puts it into
 * `schemas` under its fingerprint); nothing without. */
FS_MUST_CHECK int topic_codec_announce_foreign(struct stream *stream, uint64_t fingerprint, struct str json,
                                               char *error, size_t error_size);

#endif
