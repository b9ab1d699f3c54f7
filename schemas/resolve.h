/* Reading what another version of a schema wrote: a body is rewritten from the writer's schema to ours.
 * Rules: Apache Avro 1.11 specification, "Schema Resolution", with defaults, reordered and dropped fields,
 * promotions, enums by symbol and unions; aliases are not followed, and a writer's named types must differ in
 * their unqualified names. Why this is not avro-c's resolver: docs/design/codecs.md. */
#ifndef FORESTALL_SCHEMAS_RESOLVE_H
#define FORESTALL_SCHEMAS_RESOLVE_H

#include "schemas/type.h"

struct writer_schema;

/* 0, -EINVAL (not a valid Avro schema), -ENOMEM. */
FS_MUST_CHECK int writer_schema_create(struct str json, struct writer_schema **out);
void writer_schema_destroy(struct writer_schema *schema);
uint64_t writer_schema_fingerprint(const struct writer_schema *schema);

/* Rewrites body into the form of reader; *out lives in the arena. 0; -EBADMSG when the bytes do not fit the
 * writer's schema or the two schemas do not resolve; -ENOMEM. The parsed reader is kept in writer: one thread
 * at a time. */
FS_MUST_CHECK int writer_schema_resolve(struct writer_schema *writer, const struct msg_type *reader,
                                        struct str body, struct arena *arena, struct str *out);

#endif
