/* What a finished record means for its code: the next allocation, and for a failed attempt the verdict.
 * Pure functions. Formulas and bounds: docs/design/allocation.md. */
#ifndef FORESTALL_ALLOCATE_SETTLE_H
#define FORESTALL_ALLOCATE_SETTLE_H

#include "allocate/policy.h"
#include "schemas/messages.h"

#define SETTLE_REASON_MAX 256

struct settle_config {
    double margin;                 /* allocation over the history's peak, once many runs agree */
    double margin_first;           /* further margin, divided by the square root of the runs counted */
    int64_t memory_overhead_bytes; /* as in policy_config */
    double failure_step;           /* a failed resource is multiplied by this */
    double slow_step;              /* rate resources come down by at most this per finished record */
    int32_t mark_runs;             /* a raised mark ends after so many good executions */
};

extern const struct settle_config settle_defaults;

/* The allocation after a record. previous may be NULL (none yet). *next borrows its arrays and strings from storage, which
 * must outlive it; code and through are the caller's to fill. Returns true when limits, marks or counts changed. */
struct settle_storage {
    enum msg_cause raised[MSG_CAUSE_COUNT];
    char reason[SETTLE_REASON_MAX];
};
bool settle_record(const struct settle_config *config, const struct msg_allocation *previous,
                   const struct msg_execution_record *record, const struct policy_history *history,
                   const struct msg_code_policy *fixed, int64_t now_us, struct settle_storage *storage,
                   struct msg_allocation *next);

/* The allocation after a raise decided for a running attempt: the next execution starts with at least that. */
bool settle_raise(const struct msg_allocation *previous, const struct msg_limits *started_with,
                  const struct policy_decision *decision, const struct msg_code_policy *fixed, int64_t now_us,
                  struct settle_storage *storage, struct msg_allocation *next);

/* True for outcomes that need a verdict: failures, not ends on purpose and not lost attempts (queue's own business). */
bool settle_failed(const struct msg_execution_record *record);

struct settle_verdict {
    bool retry, dead_lettered;
    struct msg_limits limits; /* of the next attempt */
    char reason[SETTLE_REASON_MAX];
};

/* Judges a failed attempt with the allocation that settle_record made of it. `capacity` bounds what a retry could get. */
void settle_judge(const struct msg_execution_record *record, const struct msg_allocation *allocation,
                  const struct msg_code_policy *fixed, const struct msg_limits *capacity, struct settle_verdict *verdict);

#endif
