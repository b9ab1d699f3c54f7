/* A schema registry with Confluent's HTTP interface (Confluent's own, Apicurio at /apis/ccompat/v7,
 * Karapace...).
 *
 * registry.c is the only file that calls libcurl. Calls block, 5 s at most; they are made at a service's
 * start, and later only for an id or a schema never met before. One thread. */
#ifndef FORESTALL_SCHEMAS_REGISTRY_H
#define FORESTALL_SCHEMAS_REGISTRY_H

#include "common/base.h"
#include "common/buffer.h"

struct registry;

/* url: http[s]://[user:password@]host:port[/path]. Nothing is sent yet. 0, -EINVAL, -ENOMEM with a sentence.
 */
FS_MUST_CHECK int registry_open(const char *url, struct registry **out, char *error, size_t error_size);
void registry_close(struct registry *registry);
/* Registers a schema (JSON text) for a subject; one that is there already keeps its id. 0 and the id, or with
 * a sentence: -EINVAL refused as incompatible or not valid, -EHOSTDOWN, -EACCES, -EPROTO (no such registry
 * there). */
FS_MUST_CHECK int registry_register(struct registry *registry, const char *subject, struct str json,
                                    uint32_t *id, char *error, size_t error_size);
/* Appends the schema with this id. 0, -ENOENT, and as above. */
FS_MUST_CHECK int registry_fetch(struct registry *registry, uint32_t id, struct buffer *json, char *error,
                                 size_t error_size);
/* Which changes the registry takes for a subject that is there, e.g. "FULL_TRANSITIVE". */
FS_MUST_CHECK int registry_set_compatibility(struct registry *registry, const char *subject,
                                             const char *level, char *error, size_t error_size);

#endif
