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
    bool joined; /* read together with the others of its family: their partition counts must be equal */
};

extern const struct topic_definition topic_definitions[TOPIC_COUNT];

/* The table for stream_topics_ensure() with another number of partitions for the keyed families (0: the
 * default). */
void topics_fill(struct stream_topic out[TOPIC_COUNT], int32_t partitions);
/* The same for a Kafka that has some of them already: what is missing gets the partition count of its family.
 * partitions: for a family of which nothing is there (0: the default). */
void topics_fill_missing(struct stream_topic out[TOPIC_COUNT], int32_t partitions,
                         const struct stream_topic_state states[TOPIC_COUNT]);

/* A delete topic that keeps records for less than a day, or than its default where that is shorter, loses
 * what a service missed while it was away. */
#define TOPIC_RETENTION_LEAST_MS (24LL * 3600 * 1000)

struct topic_fault {
    const char *topic;
    char text[400]; /* which topic, what is wrong, what to do; one line */
};
/* What Forestall cannot run on: topics that are missing, or have other partition counts, clean-up or
 * retention than the services rely on; at most one fault per topic. prefix: of the topics' names. */
size_t topics_judge(const struct stream_topic_state states[TOPIC_COUNT], const char *prefix,
                    struct topic_fault out[TOPIC_COUNT]);

/* What every service does first (topics_prepare.c): creates what is missing and judges what is there. 0, or
 * negative with a sentence: -EINVAL wrong settings, else as stream_topics_ensure(). partitions as in
 * topics_fill_missing(). Where settings may not be read (-EACCES of the broker) only partitions are judged.
 */
FS_MUST_CHECK int topics_prepare(struct stream *stream, const char *prefix, int32_t partitions, char *error,
                                 size_t error_size);
/* Only looks. Number of faults, or negative with a sentence. */
FS_MUST_CHECK int topics_check(struct stream *stream, const char *prefix, struct topic_fault out[TOPIC_COUNT],
                               char *error, size_t error_size);

#endif
