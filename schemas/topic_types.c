/* See topic_types.h. */
#include "schemas/topic_types.h"

#include "common/topics.h"
#include "schemas/messages.h"

static const struct {
    const char *topic;
    const struct msg_type *type;
} pairs[] = {
    {TOPIC_EXECUTIONS_REQUESTED, &msg_execution_request_type},
    {TOPIC_EXECUTIONS_ADMITTED, &msg_admission_type},
    {TOPIC_NODES, &msg_node_status_type},
    {TOPIC_TELEMETRY, &msg_tick_type},
    {TOPIC_EXECUTIONS_EVENTS, &msg_execution_event_type},
    {TOPIC_EXECUTIONS_FINISHED, &msg_execution_record_type},
    {TOPIC_RISKS, &msg_risk_type},
    {TOPIC_ADJUSTMENTS, &msg_adjustment_type},
    {TOPIC_ALLOCATIONS, &msg_allocation_type},
    {TOPIC_EXECUTIONS_DLQ, &msg_dead_execution_type},
    {TOPIC_CODES, &msg_code_profile_type},
    {TOPIC_MODELS, &msg_model_type},
    {TOPIC_VERDICTS, &msg_verdict_type},
    {TOPIC_POLICIES, &msg_code_policy_type},
    {TOPIC_EXECUTIONS_STATE, &msg_execution_state_type},
};

bool topic_type_next(size_t *cursor, const char **topic, const struct msg_type **type)
{
    if (*cursor >= FS_COUNT(pairs))
        return false;
    *topic = pairs[*cursor].topic;
    *type = pairs[*cursor].type;
    (*cursor)++;
    return true;
}

const struct msg_type *topic_type(const char *topic)
{
    for (size_t i = 0; i < FS_COUNT(pairs); i++)
        if (strcmp(pairs[i].topic, topic) == 0)
            return pairs[i].type;
    return NULL;
}

const char *topic_of_message(struct str name)
{
    for (size_t i = 0; i < FS_COUNT(pairs); i++)
        if (str_equal(str_of(pairs[i].type->name), name))
            return pairs[i].topic;
    return NULL;
}
