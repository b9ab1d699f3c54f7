/* The dead letter of an attempt: its record, the risks and decisions kept of it. Pure. */
#ifndef FORESTALL_ALLOCATE_DEAD_H
#define FORESTALL_ALLOCATE_DEAD_H

#include "allocate/attempts.h"
#include "schemas/codec.h"

#define DEAD_MAX_BYTES ((size_t)900 << 10) /* design: topics take 1 MiB */

struct dead_input {
    const struct msg_execution_record *record;
    const struct attempt *attempt; /* NULL: nothing was kept, e.g. after a restart */
    struct str reason;
    int64_t now_us;
};

/* Keeps a decision in the form that dead_encode reads. 0, -ENOMEM. */
FS_MUST_CHECK int dead_keep_decision(const struct msg_decision *decision, struct buffer *scratch,
                                     struct keep *keep);

/* Appends the framed DeadExecution. Decisions that were not kept are taken from the record's adjustments
 * (their costs are unknown: 0). When it is larger than max_bytes, points of the series are left out, every
 * second of the older ones first (series_stride doubles), then the series, then risks; *reduced says so. 0,
 * -ENOMEM, -EMSGSIZE (the bare record is too large). */
FS_MUST_CHECK int dead_encode(const struct dead_input *input, struct codec *codec, struct arena *arena,
                              size_t max_bytes, struct buffer *out, bool *reduced);

#endif
