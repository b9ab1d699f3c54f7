/* The same program with more work: a record whose time runs slower by a factor, at 10 Hz again. Memory passes
 * through the same levels, more slowly; CPU, pressure and throttled time, block and network bytes keep their
 * rates, so their totals grow. For training only: real corpora are made of short runs, and a leak that takes
 * an hour looks like one that takes a minute. */
#ifndef FORESTALL_RETRAIN_STRETCH_H
#define FORESTALL_RETRAIN_STRETCH_H

#include "schemas/messages.h"

#define STRETCH_POINTS_MAX 4000
#define STRETCH_GAUGES_MAX 16 /* of an attempt: agents send no more */

/* factor >= 1. *out borrows from the record but for its series, which the caller frees (out->series.items).
 * 0; -EINVAL: no series, a bad factor, more than STRETCH_POINTS_MAX points or gauges; -ENOMEM. */
FS_MUST_CHECK int stretch_record(const struct msg_execution_record *record, double factor,
                                 struct msg_execution_record *out);

#endif
