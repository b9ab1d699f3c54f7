/* The bounded store of records to train on: one file per record in a directory, its name its key, so that the
 * directory is the whole state: a kill at any instant loses nothing that was acknowledged, and a record that
 * comes twice is stored once.
 *
 * Which records stay: each has a key ended_us / half life + log2(weight) - log2(-ln u) with u from a hash of
 * the attempt (Efraimidis & Spirakis 2006 with exponential forgetting), so newer and rarer ones win, and the
 * choice does not depend on the order of arrival. When full, the lowest key of the code that has most goes,
 * so that one busy code cannot fill it. */
#ifndef FORESTALL_RETRAIN_RESERVOIR_H
#define FORESTALL_RETRAIN_RESERVOIR_H

#include "schemas/messages.h"

#define RESERVOIR_HALF_LIFE_S (7 * 86400.0)

struct reservoir;

/* Makes the directory if needed, takes in what is there, removes unfinished files. limit: most records. 0;
 * negative errno with error. */
FS_MUST_CHECK int reservoir_open(const char *directory, size_t limit, struct reservoir **out, char *error,
                                 size_t error_size);
void reservoir_close(struct reservoir *reservoir);
/* 1: stored and on disk; 0: already there, or not chosen; negative errno: not stored (disk). weight > 0: how
 * much this kind of record is wanted. dead: it came as a dead letter, and is stored as one
 * (retrain/records.h), in place of the same record when that came first. */
FS_MUST_CHECK int reservoir_put(struct reservoir *reservoir, const struct msg_execution_record *record,
                                double weight, bool dead);
size_t reservoir_count(const struct reservoir *reservoir);
/* Records that left to make room, since the start. */
uint64_t reservoir_evicted(const struct reservoir *reservoir);
/* Records stored after this time (Unix seconds, by the file's time). */
size_t reservoir_newer(const struct reservoir *reservoir, int64_t than_s);
const char *reservoir_directory(const struct reservoir *reservoir);

/* The key, exposed for its test. */
double reservoir_key(const struct msg_execution_record *record, double weight);

#endif
