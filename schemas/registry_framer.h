/* Framing for a schema registry: schemas are registered under TopicNameStrategy (`<topic>-value`), and what a
 * stream produces leaves with Confluent's header (00, id) in the place of the single-object one.
 *
 * Belongs to one stream, made at its first use when the stream has a schema registry. A value whose schema is
 * not registered keeps the single-object header, which readers take as well, and is counted
 * (registry_framer_measure). */
#ifndef FORESTALL_SCHEMAS_REGISTRY_FRAMER_H
#define FORESTALL_SCHEMAS_REGISTRY_FRAMER_H

#include "common/metrics.h"
#include "common/stream.h"
#include "schemas/registry.h"

struct registry_framer;

/* The stream's framer: made and set when it has none; *out NULL when the stream has no registry. 0, -EINVAL,
 * -ENOMEM with a sentence. */
FS_MUST_CHECK int registry_framer_of(struct stream *stream, struct registry_framer **out, char *error,
                                     size_t error_size);
/* Registers a schema for the topic (without prefix); from then on values of that fingerprint are framed with
 * *id. As registry_register(). */
FS_MUST_CHECK int registry_framer_add(struct registry_framer *framer, const char *topic, uint64_t fingerprint,
                                      struct str json, uint32_t *id, char *error, size_t error_size);
struct registry *registry_framer_registry(struct registry_framer *framer);
/* "<prefix><topic>-value" */
void registry_framer_subject(const struct registry_framer *framer, const char *topic, char *out, size_t size);
/* Values that keep the single-object header are counted there from now on; NULL: not measured. */
void registry_framer_measure(struct registry_framer *framer, struct metric *unframed);

#endif
