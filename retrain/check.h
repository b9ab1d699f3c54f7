/* Which records may teach: each one by itself, and how many of one code or submitter. What a record says is
 * believed only where it agrees with itself: an agent with a bug, a damaged disk or somebody who wants the
 * model to look away must not be able to put numbers into a training that no run of a program can have. What
 * is plausible and yet wrong is left to the gates (compare.h, docs/design/retraining.md). Pure. */
#ifndef FORESTALL_RETRAIN_CHECK_H
#define FORESTALL_RETRAIN_CHECK_H

#include "schemas/messages.h"

enum check_fault {
    CHECK_FINE,
    CHECK_NUMBERS,  /* a share or a propensity that is none, or no number */
    CHECK_TIMES,    /* ends before it starts, in the future, samples out of order or outside of it */
    CHECK_COUNTERS, /* negative, or more than any machine has */
    CHECK_OUTCOME,  /* an outcome or cause that its own counters and times contradict */
    CHECK_FAULT_COUNT
};
const char *check_fault_name(enum check_fault fault);
enum check_fault check_record(const struct msg_execution_record *record, int64_t now_us);

/* Who submitted it: pool and user; codes are free to invent, these are not. */
uint64_t check_tenant(const struct msg_execution_record *record);

struct check_limits {
    int64_t now_us;
    double code_share;   /* of all records that one code may be; but see CHECK_LEAST */
    double tenant_share; /* the same of one tenant, where there is more than one */
};
#define CHECK_LEAST 20 /* so many of one code or tenant always may */

struct check_counts {
    size_t faulty[CHECK_FAULT_COUNT]; /* [CHECK_FINE] is how many are left */
    size_t crowded;                   /* more than one code or tenant may have: the oldest of it */
};

/* Indexes of the records that may teach, in their order, into chosen[count]; returns how many, -ENOMEM. */
FS_MUST_CHECK int64_t check_choose(const struct msg_execution_record *records, size_t count,
                                   const struct check_limits *limits, size_t *chosen,
                                   struct check_counts *counts);

#endif
