/* The topics of the design (chapter 3): names, partition families, clean-up and retention. */
#ifndef FORESTALL_COMMON_TOPICS_H
#define FORESTALL_COMMON_TOPICS_H

#include "common/stream.h"

#define TOPIC_EXECUTIONS_REQUESTED "executions.requested"
#define TOPIC_EXECUTIONS_ADMITTED "executions.admitted"
#define TOPIC_NODES "nodes"
#define TOPIC_TELEMETRY "telemetry"
#define TOPIC_EXECUTIONS_EVENTS "executions.events"
#define TOPIC_EXECUTIONS_FINISHED "executions.finished"
#define TOPIC_RISKS "risks"
#define TOPIC_ADJUSTMENTS "adjustments"
#define TOPIC_ALLOCATIONS "allocations"
#define TOPIC_EXECUTIONS_DLQ "executions.dlq"
#define TOPIC_CODES "codes"
#define TOPIC_MODELS "models"
#define TOPIC_VERDICTS "verdicts"
#define TOPIC_POLICIES "policies"
#define TOPIC_SCHEMAS "schemas"
#define TOPIC_EXECUTIONS_STATE "executions.state"
#define TOPIC_QUARANTINE "quarantine"

#define TOPIC_COUNT 17
#define TOPIC_PARTITIONS_DEFAULT 8

/* What the key is; topics of one family are co-partitioned (same count, so the same key is on the same
 * partition). */
enum topic_family {
    TOPIC_BY_POOL, /* requested, events, nodes, verdicts, executions.state (placed by its pool) */
    TOPIC_BY_CODE, /* risks, finished, allocations, codes, policies, dlq */
    TOPIC_BY_NODE, /* telemetry, admitted, adjustments */
    TOPIC_SINGLE   /* models, schemas, quarantine: one partition, read as a whole */
};

struct topic_definition {
    struct stream_topic topic; /* with the default partition count */
    enum topic_family family;
};

extern const struct topic_definition topic_definitions[TOPIC_COUNT];

/* The table for stream_topics_ensure() with another number of partitions for the keyed families (0: the
 * default). */
void topics_fill(struct stream_topic out[TOPIC_COUNT], int32_t partitions);
/* NULL when the name is not ours. */
const struct topic_definition *topic_find(struct str name);

#endif
