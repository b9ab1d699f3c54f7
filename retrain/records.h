/* Execution records from files: u32 big-endian length and a framed ExecutionRecord, again and again, as
 * forestall-record and the reservoir write them. A directory means all files named *.record or *.records in
 * it. What cannot be read is counted and left out; a cut-off end (somebody is still writing) ends that file.
 * A framed DeadExecution may stand in place of a record: the record in it is taken. */
#ifndef FORESTALL_RETRAIN_RECORDS_H
#define FORESTALL_RETRAIN_RECORDS_H

#include "schemas/codec.h"

struct record_set {
    struct msg_execution_record *items; /* borrow from the set */
    bool *dead;                         /* [count]: it came as a dead letter */
    size_t count, capacity;
    size_t refused;   /* could not be decoded */
    size_t cut_files; /* files that ended within a record */
    struct arena *arena;
    struct codec *codec;
    uint8_t **files;
    size_t file_count;
};

/* limit_bytes: most memory for decoded records. 0, -ENOMEM. */
FS_MUST_CHECK int records_open(struct record_set *set, size_t limit_bytes);
void records_close(struct record_set *set);
/* Records of this other form of ExecutionRecord or DeadExecution are read from now on; every published one
 * already is. As codec_learn. */
FS_MUST_CHECK int records_learn(struct record_set *set, uint64_t fingerprint, struct str json);
/* Adds a file or a directory. 0, or negative errno with error (what and which path); -ENOMEM: the limit. */
FS_MUST_CHECK int records_add(struct record_set *set, const char *path, char *error, size_t error_size);
/* Appends one record in the same form. */
FS_MUST_CHECK int records_encode(const struct msg_execution_record *record, struct buffer *out);
/* The same as a dead letter: the record and nothing else of it. */
FS_MUST_CHECK int records_encode_dead(const struct msg_execution_record *record, struct buffer *out);

#endif
