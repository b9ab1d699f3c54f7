/* A model to the topic `models`: whole when it fits a record, else in chunks that readers put together again
 * (model/models.h). */
#ifndef FORESTALL_RETRAIN_PUBLISH_H
#define FORESTALL_RETRAIN_PUBLISH_H

#include "common/stream.h"
#include "model/models.h"
#include "retrain/report.h"

/* Encodes one chunk: key ("champion", "champion/1") and value. 0, -ENOMEM. */
FS_MUST_CHECK int publish_encode(enum models_role role, struct str model, const struct report *report,
                                 int64_t now_us, size_t chunk, size_t chunk_bytes, char key[MODELS_KEY_SIZE],
                                 struct buffer *out);
/* Produces all chunks and waits for the reports. 0; negative errno: readers keep what they have, an
 * incomplete model is never used. */
FS_MUST_CHECK int publish_model(struct stream *stream, enum models_role role, struct str model,
                                const struct report *report, int64_t now_us);
/* Nobody has this role any more. The same results. */
FS_MUST_CHECK int publish_nobody(struct stream *stream, enum models_role role);

#endif
