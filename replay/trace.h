/* What is replayed: executions in order of start, from CSV files and from record files. */
#ifndef FORESTALL_REPLAY_TRACE_H
#define FORESTALL_REPLAY_TRACE_H

#include "retrain/records.h"

#define TRACE_CODE_MAX 128

struct trace_row {
    struct str code;
    double start_s, runtime_s;
    double peak_bytes;                         /* what it needs */
    double requested_bytes;                    /* 0: nothing was asked for */
    double input_bytes;                        /* NAN: not known */
    bool evaluate;                             /* false: it only teaches */
    const struct msg_execution_record *record; /* with its series; NULL: from a CSV file */
};

struct trace {
    struct trace_row *rows;
    size_t count, capacity;
    struct arena *arena; /* names */
    /* Of record files: */
    struct record_set records;
    const struct msg_execution_record **dead; /* dead letters, [dead_count]; they are not rows */
    size_t dead_count;
    size_t censored;   /* killed for memory: what they would have needed is not known */
    size_t seriesless; /* without a series */
};

FS_MUST_CHECK int trace_open(struct trace *trace);
void trace_close(struct trace *trace);
/* -ENOMEM. Copies the code's name. */
FS_MUST_CHECK int trace_add(struct trace *trace, const struct trace_row *row);
/* Adds a CSV file (its first line names the columns, in any order) or a file or directory of records. 0, or
 * negative errno with a sentence that names file and line. */
FS_MUST_CHECK int trace_add_csv(struct trace *trace, const char *path, char *error, size_t error_size);
FS_MUST_CHECK int trace_add_records(struct trace *trace, const char *path, char *error, size_t error_size);
/* By its first bytes: a record file begins with the length of a record. */
FS_MUST_CHECK int trace_add_file(struct trace *trace, const char *path, char *error, size_t error_size);
/* Rows of all records that were added; once, by trace_finish. */
FS_MUST_CHECK int trace_use_records(struct trace *trace);
/* Once all is added: order of start; what asked for nothing gets `share` of the first peak of its code,
 * rounded up to a power of two of MiB and at least 16 MiB, as an owner would who looked once. */
FS_MUST_CHECK int trace_finish(struct trace *trace, double share);
/* Highest peak or request. */
double trace_largest(const struct trace *trace);
/* Number of different codes, at most; O(rows). */
size_t trace_codes(const struct trace *trace);

#endif
