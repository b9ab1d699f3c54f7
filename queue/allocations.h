/* What Redis holds of each code: hash `<prefix>allocation:{CODE}`, written by allocate alone. Read in one
 * pipeline; Redis being away is no failure here: what was known stays, it is counted, and logged once when it
 * begins and once when it ends. */
#ifndef FORESTALL_QUEUE_ALLOCATIONS_H
#define FORESTALL_QUEUE_ALLOCATIONS_H

#include "common/store.h"
#include "queue/start.h"

struct allocations;

#define ALLOCATIONS_READ_MAX 256 /* codes in one call */

struct allocations_counters {
    uint64_t read, absent, unreadable, unanswered;
};

/* code: one of those asked for. allocation NULL: not known now. */
typedef void allocations_fn(void *context, size_t index, const struct allocation *allocation);

/* options->address is borrowed. NULL: error says why (a malformed address). Redis being away is no error. */
FS_MUST_CHECK struct allocations *allocations_open(const struct store_options *options, char *error,
                                                   size_t error_size);
void allocations_close(struct allocations *allocations);
/* Asks for up to ALLOCATIONS_READ_MAX codes and calls on_allocation once for each, in order. Blocks up to 500
 * ms when Redis hangs, not at all while it is known to be away. */
void allocations_read(struct allocations *allocations, const struct str *codes, size_t count,
                      allocations_fn *on_allocation, void *context);
const struct allocations_counters *allocations_counters(const struct allocations *allocations);
bool allocations_reachable(const struct allocations *allocations);

/* Reads the fields of such a hash. 0, or -EINVAL when one of them is not what it should be. Pure. */
FS_MUST_CHECK int allocation_parse(const struct store_field *fields, size_t count, struct allocation *out);

#endif
