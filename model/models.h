/* Puts the chunks of the topic `models` together: per role the newest version whose chunks are all there,
 * checked against its SHA-256. Chunks come in any order; one of another version begins anew. Bounded. No
 * broker. */
#ifndef FORESTALL_MODEL_MODELS_H
#define FORESTALL_MODEL_MODELS_H

#include "schemas/messages.h"

enum models_role {
    MODELS_CHAMPION,
    MODELS_CHALLENGER, /* scores in shadow */
    MODELS_PREVIOUS,   /* the champion before: what a rollback goes back to */
    MODELS_ROLE_COUNT
};

struct models;

/* max_bytes: largest model accepted. NULL when out of memory. */
struct models *models_create(size_t max_bytes);
void models_destroy(struct models *models);
/* The role a record's key names ("champion", "challenger", "previous", "champion/3"); -EINVAL for others
 * (they are not for us). chunk is 0 when the key names none. */
FS_MUST_CHECK int models_role_of(struct str key, enum models_role *role, int32_t *chunk);
/* One chunk. 1: with it the model is complete, *bytes (borrowed until the next call) is whole and right; 0:
 * taken, more is needed; -EBADMSG: refused, error says why, what is not needed any more is dropped; -ENOMEM.
 */
FS_MUST_CHECK int models_take(struct models *models, enum models_role role, const struct msg_model *chunk,
                              struct str *bytes, char *error, size_t error_size);
/* Nothing of this role is wanted any more. */
void models_drop(struct models *models, enum models_role role);
const char *models_role_name(enum models_role role);

/* --- writing --- */

#define MODELS_CHUNK_BYTES ((size_t)700 << 10) /* below the broker's 1 MB with everything around it */
/* How many records a model of this size takes. */
size_t models_chunks(size_t bytes, size_t chunk_bytes);
/* One chunk of the model: its key ("champion", "champion/1") and message, which borrows. head: version,
 * metrics, parent, records, created_us and note; the rest is filled in here. */
#define MODELS_KEY_SIZE 32
void models_chunk(enum models_role role, struct str model, const struct msg_model *head, size_t chunk,
                  size_t chunk_bytes, char key[MODELS_KEY_SIZE], struct msg_model *out);
/* A model's version: the SHA-256 of its bytes in hex. 0, -ENOMEM. */
#define MODELS_VERSION_SIZE 65
FS_MUST_CHECK int models_version(struct str model, char out[MODELS_VERSION_SIZE]);

#endif
