/* What became of an execution, as `forestall run --report` writes it and as an exit status; pure. */
#ifndef FORESTALL_CLI_REPORT_H
#define FORESTALL_CLI_REPORT_H

#include <jansson.h>

#include "cli/execution.h"

/* "finished", "oom_killed", "deadline_missed", "crashed", "dead_lettered", "cancelled", "lost"; "running"
 * before the end. */
const char *report_outcome(const struct msg_execution_state *state);
/* As the program's, 128 + signal when one ended it; 137 for an OOM kill and 124 for a missed deadline
 * whatever the driver process said; 130 cancelled; 125 lost. */
int report_exit_status(const struct msg_execution_state *state);

/* Keys: execution, code, outcome, cause, exit_status, attempts, peak_bytes, first_limit_bytes,
 * final_limit_bytes, adjustments[], max_probability, first_raise_ms, duration_ms; and signal, reason, node,
 * held_out, first_raise_lead_ms, brakes, records_missing. Numbers that nobody knows are null. first_raise_ms
 * counts from the start of the first attempt; first_raise_lead_ms is the time from the first raise in the
 * kernel to the moment usage crossed the first limit, null unless both are in the records. Of each
 * adjustment: attempt, decision, time_ms (since the first start), direction, cause, probability, reason,
 * result, detail, changes (limits that differ, [from, to]), memory_bytes, decided_after_ms and
 * applied_after_ms (both from the sample), model_version. NULL without a state or out of memory. */
json_t *report_json(const struct execution *execution);
/* True for a raise that the kernel took. */
bool report_is_raise(const struct execution_adjustment *adjustment);
/* Records that must still come: attempts that are spoken of without one. The last of a lost or never started
 * execution has none. */
int32_t report_records_missing(const struct execution *execution);

#endif
