/* All that the topics say about one execution, gathered message by message in any order; no Kafka here.
 *
 * Messages of other executions are passed over. A message that comes twice (topics are at-least-once) counts
 * once. Bounded: see the maxima; what exceeds them is counted, and the exact extremes (highest probability,
 * peaks) are kept all the same. */
#ifndef FORESTALL_CLI_EXECUTION_H
#define FORESTALL_CLI_EXECUTION_H

#include "schemas/messages.h"

#define EXECUTION_ATTEMPTS_MAX 100 /* of a request */
#define EXECUTION_RISKS_MAX 20000
#define EXECUTION_SAMPLES_MAX 100000
#define EXECUTION_ADJUSTMENTS_MAX 4096
#define EXECUTION_EVENTS_MAX 4096

struct execution_risk {
    int32_t attempt;
    int64_t epoch, sequence, sampled_us;
    float probability;
    enum msg_cause cause;
    enum msg_risk_kind kind;
    bool above, brake_engaged;
    double memory_p50, memory_p99;
    int64_t memory_bytes, memory_limit_bytes;
};

struct execution_sample {
    int32_t attempt;
    int64_t time_us, memory_bytes, memory_limit_bytes, cpu_usage_us;
    bool brake_engaged;
};

/* A decision: as it was published, and what the agent did with it once that is known. */
struct execution_adjustment {
    struct msg_adjustment adjustment;
    bool answered;
    enum msg_adjustment_result result;
    int64_t applied_us, memory_bytes;
    struct msg_limits before, after;
    struct str detail;
};

struct execution_event {
    enum msg_event_kind kind;
    int32_t attempt;
    int64_t placement, time_us;
    struct str node, reason;
};

struct execution_attempt {
    bool has_record;
    struct msg_execution_record record; /* without request, series and adjustments */
    int32_t partition;                  /* of executions.finished */
    int64_t offset;
    int64_t crossed_us; /* when its series first exceeded the first memory limit; 0 = never or no series */
};

struct execution;

/* NULL when out of memory. keep_samples: also the samples and series. */
struct execution *execution_create(const uint8_t id[16], bool keep_samples);
void execution_destroy(struct execution *execution);
/* Takes in one message of any topic; type as the topic's. 1: it was about this execution, 0: not, -ENOMEM. */
FS_MUST_CHECK int execution_take(struct execution *execution, const struct msg_type *type,
                                 const void *message);
/* The same for executions.finished, whose place in the log matters. */
FS_MUST_CHECK int execution_take_record(struct execution *execution,
                                        const struct msg_execution_record *record, int32_t partition,
                                        int64_t offset);

/* NULL: none seen yet. Of states that come out of order the one with the last change counts. */
const struct msg_execution_state *execution_state(const struct execution *execution);
bool execution_done(const struct execution *execution);
/* Number of the highest attempt anybody spoke of; 0 = none. */
int32_t execution_attempts(const struct execution *execution);
/* attempt from 1; NULL without a record of it. */
const struct execution_attempt *execution_attempt(const struct execution *execution, int32_t attempt);
/* The attempt that started last, by its event or its sample; 0 = none. */
int32_t execution_started(const struct execution *execution);
/* Start of the first attempt, 0 = unknown. */
int64_t execution_start_us(const struct execution *execution);

const struct execution_risk *execution_risks(const struct execution *execution, size_t *count);
const struct execution_sample *execution_samples(const struct execution *execution, size_t *count);
/* In the order of decisions within an attempt. */
const struct execution_adjustment *execution_adjustments(const struct execution *execution, size_t *count);
const struct execution_event *execution_events(const struct execution *execution, size_t *count);
const struct msg_dead_execution *execution_dead(const struct execution *execution);
double execution_max_probability(const struct execution *execution);
/* What did not fit. */
uint64_t execution_dropped(const struct execution *execution);

#endif
