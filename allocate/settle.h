/* What a finished record, a raise and a person's word mean for a code: its next allocation. Pure functions.
 * Formulas and bounds: docs/design/allocation.md. */
#ifndef FORESTALL_ALLOCATE_SETTLE_H
#define FORESTALL_ALLOCATE_SETTLE_H

#include "allocate/policy.h"
#include "allocate/recent.h"
#include "schemas/messages.h"

#define SETTLE_REASON_MAX 256

struct settle_config {
    double margin;       /* allocation over the history's peak, once many runs agree */
    double margin_first; /* further margin, divided by the square root of the runs counted */
    double failure_step; /* a failed resource is multiplied by this at least */
    double failure_most; /* and at most by this, when the stall tells of more */
    double slow_step;    /* what nothing but one record speaks for comes down by at most this at a time */
    int32_t mark_runs;   /* a raised mark ends after so many good executions */
    int32_t sized_runs;  /* so many newest runs are read by themselves (sizing.h) */
    int32_t sized_runs_saved; /* the same where most of what outgrows its start is saved while it runs */
    double more_step;         /* a retry with less than this ratio more of the failed resource is pointless */
};

extern const struct settle_config settle_defaults;

struct settle_input {
    const struct settle_config *config;
    const struct policy_config *policy;
    const struct policy_history *history; /* NULL = nothing known; may count the record already */
    const struct msg_code_policy *fixed;  /* NULL = nothing fixed */
    int64_t now_us;
    double saved; /* of all codes: recent.h */
};

/* What an allocation borrows its arrays and strings from. */
struct settle_storage {
    enum msg_cause raised[MSG_CAUSE_COUNT];
    char reason[SETTLE_REASON_MAX];
    struct recent_storage recent;
};

/* The allocation after a record. previous may be NULL (none yet). *next borrows from storage; code and
 * through are the caller's to fill. False: the record says nothing about what the code needs (a bug, a
 * cancel, a lost node, a code that is only observed), *next is not set. */
bool settle_record(const struct settle_input *input, const struct msg_allocation *previous,
                   const struct msg_execution_record *record, struct settle_storage *storage,
                   struct msg_allocation *next);

/* What an execution that tells its input size (NAN: it does not) starts with: the curve where there is one,
 * else the limits. Within the floor and ceiling that the curve was made under. */
int64_t settle_start_bytes(const struct msg_allocation *allocation, double input_bytes);

/* The allocation after a raise decided for a running attempt: the next execution starts with at least that.
 * False: it does already. */
bool settle_raise(const struct settle_input *input, const struct msg_allocation *previous,
                  const struct msg_limits *started_with, const struct policy_decision *decision,
                  struct settle_storage *storage, struct msg_allocation *next);

/* The allocation after a person fixed something else. previous may be NULL: then only a pin makes one, or a
 * bound on what may be given before anybody decides, which an allocation without limits carries. False:
 * nothing changes. */
bool settle_fixed(const struct settle_input *input, const struct msg_allocation *previous,
                  struct settle_storage *storage, struct msg_allocation *next);

/* True unless the code is only observed. */
bool settle_acts(const struct settle_input *input);
/* True for outcomes that need a verdict: failures, not ends on purpose and not lost attempts (queue's own
 * business). */
bool settle_failed(const struct msg_execution_record *record);

#endif
