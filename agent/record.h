/* The ExecutionRecord of one attempt: filled from its track, encoded within a size (design §3, §4.6).
 * Totals, peaks and adjustments are always whole; the series gives way: first older points, then the
 * program's own gauges, then every second of the newest; last of all the environment and the arguments of the
 * request. */
#ifndef FORESTALL_AGENT_RECORD_H
#define FORESTALL_AGENT_RECORD_H

#include "agent/track.h"

#define RECORD_MAX_BYTES (512u << 10) /* design §3; framing included */
#define RECORD_FIRST_EXECUTIONS                                                                              \
    20 /* of a code, whose series are always kept: what predict needs for a profile */

/* Probability with which the series of such an attempt is included. seen: executions of this code finished
 * here before. */
float record_inclusion(enum msg_outcome outcome, bool raised, uint64_t seen, double share);
/* The draw, the same on every machine: by hash of execution and attempt. */
bool record_draw(const uint8_t execution[16], int32_t attempt, float inclusion);

/* Fills what the track knows: started, totals, limits, peaks, brakes. custom: room for SERIES_CUSTOM_MAX,
 * borrowed by record, as is the track. */
void record_fill(struct msg_execution_record *record, struct track *track, struct msg_custom_metric *custom);

/* Appends the codec-framed record with as much of the track's series as fits into max_bytes; without series
 * when track is NULL. record->series and series_stride are set for the time of the call. 0; -EMSGSIZE even
 * its smallest form is too large; -ENOMEM. */
FS_MUST_CHECK int record_encode(struct msg_execution_record *record, const struct track *track,
                                size_t max_bytes, struct buffer *out);

#endif
