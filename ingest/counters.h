/* The metrics of ingest, registered once. */
#ifndef FORESTALL_INGEST_COUNTERS_H
#define FORESTALL_INGEST_COUNTERS_H

#include "common/metrics.h"
#include "ingest/session.h"

struct counters {
    struct metric *connections, *nodes; /* now */
    struct metric *accepted, *accept_failed;
    struct metric *closed[CLOSE_REASON_COUNT];           /* by reason; the refusals are among them */
    struct metric *frames[FRAME_TYPE_END], *frame_bytes; /* taken from agents */
    struct metric *forwarded, *acknowledged, *delivery_failed;
    struct metric *invalid, *unknown_schema, *quarantined, *quarantine_skipped;
    struct metric *ticks_dropped;
    struct metric *clocks_differ;
    struct metric *blocked, *blocked_now, *held_now, *parked_now;
    struct metric *inflight_bytes, *stalled;
    struct metric *schemas;
    struct metric *to_agent[2]; /* admissions, adjustments passed on */
    struct metric *not_here;    /* for nodes of other instances, or of none */
    struct metric *not_passed;  /* for a node of ours, but unreadable or too long */
    struct metric *broker_errors;
    struct metric *tick_age, *delivery_time, *downward_time; /* histograms, seconds */
};

enum { COUNTERS_ADMISSION, COUNTERS_ADJUSTMENT };

void counters_register(struct metrics *metrics, struct counters *out);

#endif
