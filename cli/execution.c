/* See execution.h. Texts and messages that are kept are copied into one arena that lives as long as the
 * execution. */
#include "cli/execution.h"

#include <errno.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES (256u << 10)
#define ARENA_BYTES (256u << 20)

/* A growing array with a bound. */
struct list {
    char *items;
    size_t count, capacity;
};

struct execution {
    uint8_t id[16];
    bool keep_samples;
    struct arena *arena, *state_arena;
    struct buffer scratch, state_bytes;
    bool has_state, has_dead;
    struct msg_execution_state state;
    struct msg_dead_execution dead;
    struct execution_attempt attempts[EXECUTION_ATTEMPTS_MAX];
    int32_t attempt_max, started;
    int64_t start_us;
    struct list risks, samples, adjustments, events;
    double max_probability;
    uint64_t dropped;
};

struct execution *execution_create(const uint8_t id[16], bool keep_samples)
{
    struct execution *execution = calloc(1, sizeof *execution);
    if (!execution)
        return NULL;
    memcpy(execution->id, id, sizeof execution->id);
    execution->keep_samples = keep_samples;
    buffer_init(&execution->scratch, 0);
    buffer_init(&execution->state_bytes, 0);
    execution->arena = arena_create(ARENA_BLOCK_BYTES, ARENA_BYTES);
    execution->state_arena = arena_create(ARENA_BLOCK_BYTES, ARENA_BYTES);
    if (execution->arena && execution->state_arena)
        return execution;
    execution_destroy(execution);
    return NULL;
}

void execution_destroy(struct execution *execution)
{
    if (!execution)
        return;
    arena_destroy(execution->arena);
    arena_destroy(execution->state_arena);
    buffer_fini(&execution->scratch);
    buffer_fini(&execution->state_bytes);
    free(execution->risks.items);
    free(execution->samples.items);
    free(execution->adjustments.items);
    free(execution->events.items);
    free(execution);
}

/* The place of a new item; NULL when the list is full (counted) or memory is short. */
static void *add(struct execution *execution, struct list *list, size_t item_size, size_t max)
{
    if (list->count == max) {
        execution->dropped++;
        return NULL;
    }
    if (list->count == list->capacity) {
        size_t capacity = FS_MIN(FS_MAX(list->capacity * 2, (size_t)64), max);
        char *items = realloc(list->items, capacity * item_size); /* both bounded: no overflow */
        if (!items) {
            execution->dropped++;
            return NULL;
        }
        list->items = items;
        list->capacity = capacity;
    }
    return list->items + list->count++ * item_size;
}

static struct str keep_text(struct execution *execution, struct str text)
{
    char *copy = arena_strdup(execution->arena, text);
    return copy ? (struct str){copy, text.size} : (struct str){0};
}

/* A copy that lives as long as the execution. */
static int keep_message(struct execution *execution, const struct msg_type *type, const void *message,
                        void *out)
{
    buffer_reset(&execution->scratch);
    type->encode(message, &execution->scratch);
    if (buffer_error(&execution->scratch))
        return -ENOMEM;
    char *bytes = arena_strdup(execution->arena, buffer_str(&execution->scratch));
    return bytes ? type->decode((struct str){bytes, execution->scratch.size}, execution->arena, out)
                 : -ENOMEM;
}

static bool is_ours(const struct execution *execution, const uint8_t id[16])
{
    return memcmp(execution->id, id, sizeof execution->id) == 0;
}

static void note_attempt(struct execution *execution, int32_t attempt)
{
    if (attempt <= EXECUTION_ATTEMPTS_MAX)
        execution->attempt_max = FS_MAX(execution->attempt_max, attempt);
}

static void note_start(struct execution *execution, int32_t attempt, int64_t start_us)
{
    note_attempt(execution, attempt);
    if (attempt <= EXECUTION_ATTEMPTS_MAX)
        execution->started = FS_MAX(execution->started, attempt);
    if (start_us > 0 && (execution->start_us == 0 || start_us < execution->start_us))
        execution->start_us = start_us;
}

/* --- states --- */

static int take_state(struct execution *execution, const struct msg_execution_state *state)
{
    if (execution->has_state && state->changed_us < execution->state.changed_us)
        return 1;
    arena_reset(execution->state_arena);
    buffer_reset(&execution->state_bytes);
    msg_execution_state_type.encode(state, &execution->state_bytes);
    execution->has_state = buffer_error(&execution->state_bytes) == 0 &&
                           msg_execution_state_type.decode(buffer_str(&execution->state_bytes),
                                                           execution->state_arena, &execution->state) == 0;
    if (!execution->has_state)
        return -ENOMEM;
    note_attempt(execution, state->attempt);
    return 1;
}

/* --- decisions --- */

static struct execution_adjustment *find_adjustment(struct execution *execution,
                                                    const struct msg_adjustment *wanted)
{
    struct execution_adjustment *adjustments = (void *)execution->adjustments.items;
    for (size_t i = 0; i < execution->adjustments.count; i++)
        if (adjustments[i].adjustment.attempt == wanted->attempt &&
            adjustments[i].adjustment.decision == wanted->decision)
            return &adjustments[i];
    return NULL;
}

/* Keeps the list in the order of attempt and decision. */
static struct execution_adjustment *insert_adjustment(struct execution *execution,
                                                      const struct msg_adjustment *wanted)
{
    struct msg_adjustment kept;
    if (keep_message(execution, &msg_adjustment_type, wanted, &kept) < 0 ||
        !add(execution, &execution->adjustments, sizeof(struct execution_adjustment),
             EXECUTION_ADJUSTMENTS_MAX))
        return NULL;
    struct execution_adjustment *adjustments = (void *)execution->adjustments.items;
    size_t at = execution->adjustments.count - 1;
    for (; at > 0; at--) {
        const struct msg_adjustment *before = &adjustments[at - 1].adjustment;
        if (before->attempt < kept.attempt ||
            (before->attempt == kept.attempt && before->decision < kept.decision))
            break;
        adjustments[at] = adjustments[at - 1];
    }
    adjustments[at] = (struct execution_adjustment){.adjustment = kept};
    return &adjustments[at];
}

static struct execution_adjustment *take_adjustment(struct execution *execution,
                                                    const struct msg_adjustment *adjustment)
{
    struct execution_adjustment *found = find_adjustment(execution, adjustment);
    execution->max_probability = FS_MAX(execution->max_probability, (double)adjustment->probability);
    note_attempt(execution, adjustment->attempt);
    return found ? found : insert_adjustment(execution, adjustment);
}

static void take_answer(struct execution *execution, const struct msg_applied_adjustment *answer)
{
    struct execution_adjustment *entry = take_adjustment(execution, &answer->adjustment);
    if (!entry)
        return;
    bool applied = entry->answered && entry->result <= MSG_ADJUSTMENT_RESULT_PARTLY;
    if (applied && answer->result > MSG_ADJUSTMENT_RESULT_PARTLY)
        return; /* a repetition, ignored as old: the first answer is the one that acted */
    entry->answered = true;
    entry->result = answer->result;
    entry->applied_us = answer->applied_us;
    entry->memory_bytes = answer->memory_bytes;
    entry->before = answer->before;
    entry->after = answer->after;
    entry->detail = keep_text(execution, answer->detail);
}

/* --- samples --- */

static void add_sample(struct execution *execution, int32_t attempt, int64_t time_us,
                       const struct msg_limits *limits, const struct msg_counters *counters)
{
    const struct execution_sample *samples = (const void *)execution->samples.items;
    size_t count = execution->samples.count;
    if (!execution->keep_samples ||
        (count > 0 && samples[count - 1].time_us == time_us && samples[count - 1].attempt == attempt))
        return;
    struct execution_sample *sample =
        add(execution, &execution->samples, sizeof *sample, EXECUTION_SAMPLES_MAX);
    if (sample)
        *sample = (struct execution_sample){.attempt = attempt,
                                            .time_us = time_us,
                                            .memory_bytes = counters->memory_bytes,
                                            .memory_limit_bytes = limits->memory_bytes,
                                            .cpu_usage_us = counters->cpu_usage_us,
                                            .brake_engaged = counters->brake_engaged};
}

static int take_tick(struct execution *execution, const struct msg_tick *tick)
{
    for (size_t i = 0; i < tick->samples.count; i++) {
        const struct msg_sample *sample = &tick->samples.items[i];
        if (!is_ours(execution, sample->execution))
            continue;
        note_start(execution, sample->attempt, sample->started_us);
        add_sample(execution, sample->attempt, tick->time_us, &sample->limits, &sample->counters);
        return 1;
    }
    return 0;
}

static int take_risk(struct execution *execution, const struct msg_risk *risk)
{
    execution->max_probability = FS_MAX(execution->max_probability, (double)risk->probability);
    note_start(execution, risk->attempt, risk->started_us);
    struct execution_risk *kept = add(execution, &execution->risks, sizeof *kept, EXECUTION_RISKS_MAX);
    if (kept)
        *kept = (struct execution_risk){.attempt = risk->attempt,
                                        .epoch = risk->epoch,
                                        .sequence = risk->sequence,
                                        .sampled_us = risk->sampled_us,
                                        .probability = risk->probability,
                                        .cause = risk->cause,
                                        .kind = risk->kind,
                                        .above = risk->above,
                                        .brake_engaged = risk->brake_engaged,
                                        .memory_p50 = risk->memory.p50,
                                        .memory_p99 = risk->memory.p99,
                                        .memory_bytes = risk->memory_bytes,
                                        .memory_limit_bytes = risk->limits.memory_bytes};
    return 1;
}

/* --- events and records --- */

static int take_event(struct execution *execution, const struct msg_execution_event *event)
{
    note_attempt(execution, event->attempt);
    if (event->kind == MSG_EVENT_KIND_STARTED)
        note_start(execution, event->attempt, event->time_us);
    if (event->has_adjusted)
        take_answer(execution, &event->adjusted);
    struct execution_event *kept = add(execution, &execution->events, sizeof *kept, EXECUTION_EVENTS_MAX);
    if (kept)
        *kept = (struct execution_event){.kind = event->kind,
                                         .attempt = event->attempt,
                                         .placement = event->placement,
                                         .time_us = event->time_us,
                                         .node = keep_text(execution, event->node),
                                         .reason = keep_text(execution, event->reason)};
    return 1;
}

static int64_t first_crossing(const struct msg_execution_record *record)
{
    int64_t limit = record->first_limits.memory_bytes;
    for (size_t i = 0; limit > 0 && i < record->series.count; i++)
        if (record->series.items[i].counters.memory_bytes > limit)
            return record->series.items[i].time_us;
    return 0;
}

int execution_take_record(struct execution *execution, const struct msg_execution_record *record,
                          int32_t partition, int64_t offset)
{
    if (!is_ours(execution, record->execution))
        return 0;
    if (record->attempt < 1 || record->attempt > EXECUTION_ATTEMPTS_MAX)
        return 1;
    struct execution_attempt *attempt = &execution->attempts[record->attempt - 1];
    note_start(execution, record->attempt, record->started_us);
    if (attempt->has_record)
        return 1;
    for (size_t i = 0; i < record->adjustments.count; i++)
        take_answer(execution, &record->adjustments.items[i]);
    for (size_t i = 0; i < record->series.count; i++)
        add_sample(execution, record->attempt, record->series.items[i].time_us,
                   &record->series.items[i].limits, &record->series.items[i].counters);
    struct msg_execution_record small = *record;
    small.series.count = small.adjustments.count = 0;
    small.request = (struct msg_execution_request){0};
    if (keep_message(execution, &msg_execution_record_type, &small, &attempt->record) < 0)
        return -ENOMEM;
    attempt->has_record = true;
    attempt->partition = partition;
    attempt->offset = offset;
    attempt->crossed_us = first_crossing(record);
    return 1;
}

static int take_dead(struct execution *execution, const struct msg_dead_execution *dead)
{
    struct msg_dead_execution small = *dead;
    small.record.series.count = 0;
    small.risks.count = 0;
    for (size_t i = 0; i < dead->decisions.count; i++)
        if (!take_adjustment(execution, &dead->decisions.items[i].adjustment))
            execution->dropped++;
    execution->has_dead = keep_message(execution, &msg_dead_execution_type, &small, &execution->dead) == 0;
    return execution->has_dead ? 1 : -ENOMEM;
}

int execution_take(struct execution *execution, const struct msg_type *type, const void *message)
{
    if (type == &msg_tick_type)
        return take_tick(execution, message);
    if (type == &msg_execution_record_type)
        return execution_take_record(execution, message, -1, -1);
    if (type == &msg_execution_state_type) {
        const struct msg_execution_state *state = message;
        return is_ours(execution, state->execution) ? take_state(execution, state) : 0;
    }
    if (type == &msg_risk_type) {
        const struct msg_risk *risk = message;
        return is_ours(execution, risk->execution) ? take_risk(execution, risk) : 0;
    }
    if (type == &msg_execution_event_type) {
        const struct msg_execution_event *event = message;
        return is_ours(execution, event->execution) ? take_event(execution, event) : 0;
    }
    if (type == &msg_adjustment_type) {
        const struct msg_adjustment *adjustment = message;
        if (!is_ours(execution, adjustment->execution))
            return 0;
        return take_adjustment(execution, adjustment) ? 1 : -ENOMEM;
    }
    if (type == &msg_dead_execution_type) {
        const struct msg_dead_execution *dead = message;
        return is_ours(execution, dead->record.execution) ? take_dead(execution, dead) : 0;
    }
    return 0;
}

/* --- what is known --- */

const struct msg_execution_state *execution_state(const struct execution *execution)
{
    return execution->has_state ? &execution->state : NULL;
}

bool execution_done(const struct execution *execution)
{
    return execution->has_state && execution->state.phase == MSG_EXECUTION_PHASE_DONE;
}

int32_t execution_attempts(const struct execution *execution)
{
    return execution->attempt_max;
}

const struct execution_attempt *execution_attempt(const struct execution *execution, int32_t attempt)
{
    if (attempt < 1 || attempt > EXECUTION_ATTEMPTS_MAX || !execution->attempts[attempt - 1].has_record)
        return NULL;
    return &execution->attempts[attempt - 1];
}

int32_t execution_started(const struct execution *execution)
{
    return execution->started;
}

int64_t execution_start_us(const struct execution *execution)
{
    if (execution->has_state && execution->state.first_started_us > 0 &&
        (execution->start_us == 0 || execution->state.first_started_us < execution->start_us))
        return execution->state.first_started_us;
    return execution->start_us;
}

const struct execution_risk *execution_risks(const struct execution *execution, size_t *count)
{
    *count = execution->risks.count;
    return (const void *)execution->risks.items;
}

const struct execution_sample *execution_samples(const struct execution *execution, size_t *count)
{
    *count = execution->samples.count;
    return (const void *)execution->samples.items;
}

const struct execution_adjustment *execution_adjustments(const struct execution *execution, size_t *count)
{
    *count = execution->adjustments.count;
    return (const void *)execution->adjustments.items;
}

const struct execution_event *execution_events(const struct execution *execution, size_t *count)
{
    *count = execution->events.count;
    return (const void *)execution->events.items;
}

const struct msg_dead_execution *execution_dead(const struct execution *execution)
{
    return execution->has_dead ? &execution->dead : NULL;
}

double execution_max_probability(const struct execution *execution)
{
    return execution->max_probability;
}

uint64_t execution_dropped(const struct execution *execution)
{
    return execution->dropped;
}
