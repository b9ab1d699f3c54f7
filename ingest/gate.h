/* How far Kafka is behind, and what that means for the agents: a pure decision. */
#ifndef FORESTALL_INGEST_GATE_H
#define FORESTALL_INGEST_GATE_H

#include "common/base.h"

enum gate {
    GATE_OPEN,
    GATE_NARROW, /* ticks are held back, the newest of each agent; events and records go on */
    GATE_CLOSED  /* nobody is read */
};

struct gate_view {
    size_t inflight_bytes, limit_bytes;
    int64_t stalled_ms, stall_ms; /* for how long nothing was confirmed, and how long is too long */
    bool refused;                 /* the producer's queue was full */
};

/* Narrow from half of the limit, closed from three quarters or when Kafka confirms nothing; back at three
 * eighths and five eighths, so that it does not flutter. Under half the limit of ticks, an event still finds
 * half of it free. */
enum gate gate_judge(enum gate before, const struct gate_view *view);

#endif
