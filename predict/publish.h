/* When a risk is told: what matters to who decides, and a refresh so that silence means something. Pure. */
#ifndef FORESTALL_PREDICT_PUBLISH_H
#define FORESTALL_PREDICT_PUBLISH_H

#include "model/network.h"
#include "schemas/messages.h"

struct publish_rules {
    int64_t refresh_us;
    double change; /* ratio */
};

/* What the decision looks at. */
struct publish_view {
    int64_t time_us;
    bool above, brake_engaged;
    bool stalled; /* a deadline runs and a limit holds it up for much of its time */
    enum msg_cause cause;
    int64_t oom_kills;
    struct msg_limits limits;
    double memory_bytes;
    double demand[NETWORK_RESOURCES]; /* p99: memory, cpu, io, net */
};

/* What was told last about an attempt; told = false: nothing yet. */
struct publish_memory {
    bool told;
    struct publish_view last;
};

/* True: tell it, as *kind. CROSSING: the threshold was passed, up or down, or the first risk is above it.
 * CHANGE: the brake engaged or released, other limits are in force, the kernel killed, or, above the
 * threshold, memory or the demand for memory or for the probable cause's resource moved by the rules' ratio;
 * also when it is stalled and nothing was told for a second.
 * REFRESH: the first risk, or it is time. */
bool publish_due(const struct publish_rules *rules, const struct publish_memory *memory,
                 const struct publish_view *now, enum msg_risk_kind *kind);
void publish_told(struct publish_memory *memory, const struct publish_view *now);

#endif
