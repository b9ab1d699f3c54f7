/* The table of topics. Retention: long enough that a service which was away for a week-end of its topic's
 * importance goes on where it stopped; telemetry is read within seconds and is by far the largest (100,000
 * records/s at 10,000 nodes). */
#include "common/topics.h"

#define HOURS(n) ((int64_t)(n)*3600 * 1000)
#define DAYS(n) HOURS((n)*24)
#define KEYED TOPIC_PARTITIONS_DEFAULT

const struct topic_definition topic_definitions[TOPIC_COUNT] = {
    {{TOPIC_EXECUTIONS_REQUESTED, KEYED, false, DAYS(7)}, TOPIC_BY_POOL},
    {{TOPIC_EXECUTIONS_ADMITTED, KEYED, false, DAYS(1)}, TOPIC_BY_NODE},
    {{TOPIC_NODES, KEYED, false, HOURS(1)}, TOPIC_BY_POOL},
    {{TOPIC_TELEMETRY, KEYED, false, HOURS(1)}, TOPIC_BY_NODE},
    {{TOPIC_EXECUTIONS_EVENTS, KEYED, false, DAYS(7)}, TOPIC_BY_POOL},
    {{TOPIC_EXECUTIONS_FINISHED, KEYED, false, DAYS(7)}, TOPIC_BY_CODE},
    {{TOPIC_RISKS, KEYED, false, DAYS(1)}, TOPIC_BY_CODE},
    {{TOPIC_ADJUSTMENTS, KEYED, false, HOURS(1)}, TOPIC_BY_NODE},
    {{TOPIC_ALLOCATIONS, KEYED, true, 0}, TOPIC_BY_CODE},
    {{TOPIC_EXECUTIONS_DLQ, KEYED, false, DAYS(90)}, TOPIC_BY_CODE},
    {{TOPIC_CODES, KEYED, true, 0}, TOPIC_BY_CODE},
    {{TOPIC_MODELS, 1, true, 0}, TOPIC_SINGLE},
    {{TOPIC_VERDICTS, KEYED, false, DAYS(7)}, TOPIC_BY_POOL},
    {{TOPIC_POLICIES, KEYED, true, 0}, TOPIC_BY_CODE},
    {{TOPIC_SCHEMAS, 1, true, 0}, TOPIC_SINGLE},
    {{TOPIC_EXECUTIONS_STATE, KEYED, true, 0}, TOPIC_BY_POOL},
    {{TOPIC_QUARANTINE, 1, false, DAYS(30)}, TOPIC_SINGLE},
};

void topics_fill(struct stream_topic out[TOPIC_COUNT], int32_t partitions)
{
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        out[i] = topic_definitions[i].topic;
        if (partitions > 0 && topic_definitions[i].family != TOPIC_SINGLE)
            out[i].partitions = partitions;
    }
}

const struct topic_definition *topic_find(struct str name)
{
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        if (str_equal(name, str_of(topic_definitions[i].topic.name)))
            return &topic_definitions[i];
    }
    return NULL;
}
