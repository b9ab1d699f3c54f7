/* Framing and versions: what stands before an Avro body in a topic, and reading what another version wrote.
 * Single-object encoding: C3 01, 8 bytes CRC-64-AVRO little-endian, body. Confluent: 00, 4 bytes schema id
 * big-endian, body. */
#ifndef FORESTALL_SCHEMAS_CODEC_H
#define FORESTALL_SCHEMAS_CODEC_H

#include "schemas/messages.h"

struct codec;

/* Writer schemas it may learn beside the built-in ones. */
#define CODEC_SCHEMAS_MAX 1024
/* The largest of ours is 20 KB. */
#define CODEC_SCHEMA_MAX_BYTES ((size_t)256 << 10)

struct codec *codec_create(void);
void codec_destroy(struct codec *codec);

/* Appends the single-object form; the error is the buffer's sticky one, returned as well. */
int codec_encode(const struct msg_type *type, const void *message, struct buffer *out);

/* Reads a framed value into *out (type->size bytes). Written with our own version: straight into the
 * generated decoder. Another known version: by the rules of schema resolution (resolve.h). Strings borrow
 * from framed or from the arena. 0; -EBADMSG (bad bytes, another message of ours, or not resolvable to type);
 * -ENOENT (fingerprint or id not known yet: learn it, then again); -ENOMEM (arena limit). */
FS_MUST_CHECK int codec_decode(struct codec *codec, const struct msg_type *type, struct str framed,
                               struct arena *arena, void *out);

/* Learns a writer schema: 0 (also when known), -EINVAL (not a schema, too long, or the fingerprint is
 * another's), -ENOSPC, -ENOMEM. */
FS_MUST_CHECK int codec_learn(struct codec *codec, uint64_t fingerprint, struct str json);
/* The same for an id of a schema registry. */
FS_MUST_CHECK int codec_learn_id(struct codec *codec, uint32_t id, struct str json);
/* The fingerprint in a single-object frame: 0, or -EBADMSG when it is none. */
FS_MUST_CHECK int codec_fingerprint(struct str framed, uint64_t *out);

/* The registry's id in a Confluent frame: 0, or -EBADMSG when it is none. */
FS_MUST_CHECK int codec_registry_id(struct str framed, uint32_t *out);

/* A copy of a message that lives on its own: encoded into storage (reset before), decoded from there. */
FS_MUST_CHECK int codec_clone(const struct msg_type *type, const void *message, struct buffer *storage,
                              struct arena *arena, void *out);

#endif
