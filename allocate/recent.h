/* The newest runs of a code as its Allocation carries them, and as sizing.h reads them. Pure. */
#ifndef FORESTALL_ALLOCATE_RECENT_H
#define FORESTALL_ALLOCATE_RECENT_H

#include "allocate/policy.h"
#include "allocate/sizing.h"

struct recent {
    struct sizing_run runs[SIZING_RUNS_MAX]; /* oldest first */
    struct sizing_older older[SIZING_OLDER_MAX];
    struct sizing_code code; /* borrows both */
    float costs[SIZING_METHOD_COUNT];
    double unsaved; /* as in struct sizing_config */
};

/* What an allocation borrows. */
struct recent_storage {
    struct msg_recent_run runs[SIZING_RUNS_MAX];
    float costs[SIZING_METHOD_COUNT];
    struct msg_input_knot knots[SIZING_KNOTS_MAX];
};

/* allocation NULL: none yet. history NULL: nothing known of before. saved: share of executions of all codes
 * that outgrew their start and were saved by a raise; 0 = none, or nobody knows. */
void recent_read(const struct msg_allocation *allocation, const struct policy_history *history, double saved,
                 struct recent *out);
/* Judges the methods by the run, then counts it; the oldest gives way. */
void recent_add(struct recent *recent, const struct sizing_config *config, const struct sizing_run *run);
/* False for numbers of outgrown executions that cannot be: they are as if nothing had been seen. */
bool recent_can_be(const struct msg_allocation *allocation);
/* What settle is told as `saved` from sums over all codes: one counts as failed before any was seen. 0 .. 1.
 */
double recent_saved(double outgrown, double outgrown_failed);
/* Counts in *next an execution that needed more memory than it started with. */
void recent_outgrown(const struct msg_execution_record *record, struct msg_allocation *next);
void recent_write(const struct recent *recent, struct recent_storage *storage, struct msg_allocation *next);

#endif
