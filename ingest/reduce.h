/* The form of a message that any broker takes, for the quarantine of what is too large. */
#ifndef FORESTALL_INGEST_REDUCE_H
#define FORESTALL_INGEST_REDUCE_H

#include "schemas/codec.h"

#define REDUCE_MOST_BYTES ((size_t)64 << 10)

/* Appends at most REDUCE_MOST_BYTES: a record without its series, environment and (if it must be)
 * adjustments, still readable; of anything else, or when that is not enough, the first bytes. arena is reset.
 * Errors are the buffer's sticky ones. */
void reduce_message(struct codec *codec, struct str framed, struct arena *arena, struct buffer *out);

#endif
