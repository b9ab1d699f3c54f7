/* Which part of the data a record belongs to. Programs are never mixed: all records of one program are in one
 * part, so that scores speak of programs the model has not seen. Pure but for reading the table. */
#ifndef FORESTALL_RETRAIN_SPLIT_H
#define FORESTALL_RETRAIN_SPLIT_H

#include "common/base.h"

enum split { SPLIT_TRAIN, SPLIT_VALIDATION, SPLIT_TEST, SPLIT_COUNT };

/* A code's program: what stands before the first ':' (an interpreter's scripts are one program). */
struct str split_program(struct str code);
/* By a hash of the program and the seed: 70 % train, 15 % validation, 15 % test. */
enum split split_by_hash(struct str program, uint64_t seed);
/* By a hash of the execution: this share is the test part, 15 % of the rest validation. For a data set of few
 * programs, where the question is how well those are known. */
enum split split_by_execution(const uint8_t execution[16], double held_out);

/* A table program -> part, from a file of JSON lines with "program" and "split" ("train", "validation",
 * "test"), as `make collect` writes its manifest. */
struct split_table;
/* 0; negative errno with error (line and reason). A program named with two parts is an error. */
FS_MUST_CHECK int split_table_load(const char *path, struct split_table **out, char *error,
                                   size_t error_size);
void split_table_destroy(struct split_table *table);
/* By the table, or by hash when it has no such program; table may be NULL. */
enum split split_of(const struct split_table *table, struct str code, uint64_t seed);

/* Whether a comma-separated list of part names has this one; "all" has every one. */
bool split_wanted(const char *parts, enum split part);

#endif
