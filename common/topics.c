/* The table of topics. Retention: long enough that a service which was away for a week-end of its topic's
 * importance goes on where it stopped; telemetry is read within seconds and is by far the largest (100,000
 * records/s at 10,000 nodes). */
#include "common/topics.h"

#include <inttypes.h>
#include <stdio.h>

#define HOURS(n) ((int64_t)(n)*3600 * 1000)
#define DAYS(n) HOURS((n)*24)
#define KEYED TOPIC_PARTITIONS_DEFAULT

const struct topic_definition topic_definitions[TOPIC_COUNT] = {
    {{TOPIC_EXECUTIONS_REQUESTED, KEYED, false, DAYS(7)}, TOPIC_BY_POOL, true},
    {{TOPIC_EXECUTIONS_ADMITTED, KEYED, false, DAYS(1)}, TOPIC_BY_NODE, false},
    {{TOPIC_NODES, KEYED, false, HOURS(1)}, TOPIC_BY_POOL, true},
    {{TOPIC_TELEMETRY, KEYED, false, HOURS(1)}, TOPIC_BY_NODE, false},
    {{TOPIC_EXECUTIONS_EVENTS, KEYED, false, DAYS(7)}, TOPIC_BY_POOL, true},
    {{TOPIC_EXECUTIONS_FINISHED, KEYED, false, DAYS(7)}, TOPIC_BY_CODE, true},
    {{TOPIC_RISKS, KEYED, false, DAYS(1)}, TOPIC_BY_CODE, true},
    {{TOPIC_ADJUSTMENTS, KEYED, false, HOURS(1)}, TOPIC_BY_NODE, false},
    {{TOPIC_ALLOCATIONS, KEYED, true, 0}, TOPIC_BY_CODE, true},
    {{TOPIC_EXECUTIONS_DLQ, KEYED, false, DAYS(90)}, TOPIC_BY_CODE, false},
    {{TOPIC_CODES, KEYED, true, 0}, TOPIC_BY_CODE, true},
    {{TOPIC_MODELS, 1, true, 0}, TOPIC_SINGLE, false},
    {{TOPIC_VERDICTS, KEYED, false, DAYS(7)}, TOPIC_BY_POOL, true},
    {{TOPIC_POLICIES, KEYED, true, 0}, TOPIC_BY_CODE, true},
    {{TOPIC_SCHEMAS, 1, true, 0}, TOPIC_SINGLE, false},
    {{TOPIC_EXECUTIONS_STATE, KEYED, true, 0}, TOPIC_BY_POOL, true},
    {{TOPIC_QUARANTINE, 1, false, DAYS(30)}, TOPIC_SINGLE, false},
};

void topics_fill(struct stream_topic out[TOPIC_COUNT], int32_t partitions)
{
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        out[i] = topic_definitions[i].topic;
        if (partitions > 0 && topic_definitions[i].family != TOPIC_SINGLE)
            out[i].partitions = partitions;
    }
}

/* The partition count of a family as it is: the largest of its joined topics, because partitions can be added
 * and not taken away; 0 when none is there. first: the topic that has it. */
static int32_t family_partitions(enum topic_family family,
                                 const struct stream_topic_state states[TOPIC_COUNT], const char **first)
{
    int32_t most = 0;
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        const struct topic_definition *definition = &topic_definitions[i];
        if (definition->family == family && definition->joined && states[i].partitions > most) {
            most = states[i].partitions;
            *first = definition->topic.name;
        }
    }
    return most;
}

void topics_fill_missing(struct stream_topic out[TOPIC_COUNT], int32_t partitions,
                         const struct stream_topic_state states[TOPIC_COUNT])
{
    topics_fill(out, partitions);
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        const char *first;
        int32_t there = family_partitions(topic_definitions[i].family, states, &first);
        if (there > 0 && topic_definitions[i].joined)
            out[i].partitions = there;
    }
}

static bool judge_partitions(const struct topic_definition *definition,
                             const struct stream_topic_state states[TOPIC_COUNT],
                             const struct stream_topic_state *state, const char *prefix,
                             struct topic_fault *out)
{
    const char *name = definition->topic.name, *first = "";
    if (state->partitions == 0) {
        (void)snprintf(out->text, sizeof out->text,
                       "topic %s%s does not exist: create it with `forestall topics create`", prefix, name);
        return false;
    }
    int32_t wanted = definition->family == TOPIC_SINGLE ? 1 : state->partitions;
    if (definition->joined)
        wanted = family_partitions(definition->family, states, &first);
    if (state->partitions == wanted || strcmp(name, TOPIC_QUARANTINE) == 0) /* people read it, in any order */
        return true;
    if (definition->joined)
        (void)snprintf(
            out->text, sizeof out->text,
            "topic %s%s has %" PRId32 " partitions and %s%s has %" PRId32
            ", but they are read together and need the same number: kafka-topics.sh --alter --topic "
            "%s%s --partitions %" PRId32,
            prefix, name, state->partitions, prefix, first, wanted, prefix, name, wanted);
    else
        (void)snprintf(out->text, sizeof out->text,
                       "topic %s%s has %" PRId32
                       " partitions and must have 1: delete it, then `forestall topics "
                       "create`",
                       prefix, name, state->partitions);
    return false;
}

static bool judge_cleanup(const struct topic_definition *definition, const struct stream_topic_state *state,
                          const char *prefix, struct topic_fault *out)
{
    bool compact = definition->topic.compact;
    if (state->compacts == compact && state->deletes == !compact)
        return true;
    const char *is = state->compacts ? state->deletes ? "compact,delete" : "compact" : "delete";
    (void)snprintf(out->text, sizeof out->text,
                   "topic %s%s has cleanup.policy=%s and must have %s, or %s: kafka-configs.sh --alter "
                   "--entity-type topics --entity-name %s%s --add-config cleanup.policy=%s",
                   prefix, definition->topic.name, is, compact ? "compact" : "delete",
                   compact ? "what it says of a key is lost with time" : "records of the same key are lost",
                   prefix, definition->topic.name, compact ? "compact" : "delete");
    return false;
}

static bool judge_retention(const struct topic_definition *definition, const struct stream_topic_state *state,
                            const char *prefix, struct topic_fault *out)
{
    int64_t least_ms = FS_MIN(definition->topic.retention_ms, TOPIC_RETENTION_LEAST_MS);
    if (definition->topic.compact || state->retention_ms < 0 || state->retention_ms >= least_ms)
        return true;
    (void)snprintf(
        out->text, sizeof out->text,
        "topic %s%s has retention.ms=%" PRId64 " and must keep records for %" PRId64
        " at least, or a service that was away misses some: kafka-configs.sh --alter --entity-type "
        "topics --entity-name %s%s --add-config retention.ms=%" PRId64,
        prefix, definition->topic.name, state->retention_ms, least_ms, prefix, definition->topic.name,
        definition->topic.retention_ms);
    return false;
}

size_t topics_judge(const struct stream_topic_state states[TOPIC_COUNT], const char *prefix,
                    struct topic_fault out[TOPIC_COUNT])
{
    size_t count = 0;
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        const struct topic_definition *definition = &topic_definitions[i];
        const struct stream_topic_state *state = &states[i];
        out[count].topic = definition->topic.name;
        bool right = judge_partitions(definition, states, state, prefix, &out[count]);
        if (right && state->known)
            right = judge_cleanup(definition, state, prefix, &out[count]) &&
                    judge_retention(definition, state, prefix, &out[count]);
        count += right ? 0 : 1;
    }
    return count;
}
