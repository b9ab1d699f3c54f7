/* State records: what is written of an execution is all that must outlive a restart. */
#include <errno.h>
#include <stdlib.h>

#include "queue/ledger_internal.h"

/* --- writing --- */

static void fill_verdict(const struct execution *execution, struct msg_execution_state *state)
{
    const struct early_verdict *verdict = execution->verdict;
    if (!verdict)
        return;
    state->has_verdict = true;
    state->verdict = (struct msg_verdict){.attempt = execution->attempt,
                                          .code = str_of(execution->code->name),
                                          .pool = str_of(execution->pool->name),
                                          .cause = verdict->cause,
                                          .retry = verdict->retry,
                                          .dead_lettered = verdict->dead_lettered,
                                          .limits = verdict->limits,
                                          .revision = verdict->revision,
                                          .reason = str_of(verdict->reason),
                                          .decided_us = verdict->decided_us};
    memcpy(state->verdict.execution, execution->id, sizeof state->verdict.execution);
}

static void fill_place(const struct execution *execution, struct msg_execution_state *state)
{
    if (!execution->node)
        return;
    state->node = str_of(execution->node->host->name);
    state->boot_id = str_of(execution->boot_id);
    memcpy(state->incarnation, execution->node->incarnation, sizeof state->incarnation);
}

/* While it waits for its turn: what the attempt will have at least. Else: what it has. */
static void fill_limits(const struct execution *execution, struct msg_execution_state *state,
                        enum msg_cause raised[MSG_CAUSE_COUNT])
{
    bool coming =
        execution->phase == MSG_EXECUTION_PHASE_WAITING || execution->phase == MSG_EXECUTION_PHASE_BACKOFF;
    state->limits = coming ? execution->retry : execution->limits;
    state->allocation_revision = coming ? execution->retry_revision : execution->revision;
    ledger_fill_raised(coming ? execution->retry_raised : execution->raised, raised, &state->raised);
}

static void write_state(struct ledger *ledger, const struct execution *execution)
{
    enum msg_cause raised[MSG_CAUSE_COUNT];
    struct msg_execution_state state = {.phase = execution->phase,
                                        .attempt = execution->attempt,
                                        .placement = execution->placement,
                                        .arm = execution->arm,
                                        .propensity = execution->propensity,
                                        .enqueued_us = execution->enqueued_us,
                                        .changed_us = execution->changed_us,
                                        .not_before_us = execution->not_before_us,
                                        .cancel_asked = execution->cancel_asked,
                                        .outcome = execution->outcome,
                                        .cause = execution->cause,
                                        .exit_status = execution->exit_status,
                                        .signal = execution->signal,
                                        .dead_lettered = execution->dead_lettered,
                                        .reason = str_of(execution->reason),
                                        .memory_peak_bytes = execution->memory_peak_bytes,
                                        .first_started_us = execution->first_started_us};
    memcpy(state.execution, execution->id, sizeof state.execution);
    arena_reset(ledger->arena);
    struct str bytes = {execution->request, execution->request_size};
    if (msg_execution_request_type.decode(bytes, ledger->arena, &state.request) < 0) {
        ledger->error = -ENOMEM; /* our own bytes: only memory can be short */
        return;
    }
    fill_place(execution, &state);
    fill_limits(execution, &state, raised);
    fill_verdict(execution, &state);
    ledger->sink.state(ledger->sink.context, &state);
    ledger_count_up(ledger, COUNT_STATES);
}

void ledger_flush(struct ledger *ledger, struct moment at)
{
    struct list *link, *after;
    (void)at;
    LIST_WALK(&ledger->dirty, link, after)
    {
        struct execution *execution = CONTAINER_OF(link, struct execution, in_dirty);
        write_state(ledger, execution);
        execution->dirty = false;
        list_remove(link);
        if (execution->phase != MSG_EXECUTION_PHASE_DONE)
            continue;
        ledger_remember(ledger, execution->id, execution->changed_us, execution->ended_us);
        ledger_remove(ledger, execution);
    }
}

/* --- restoring --- */

static unsigned raised_set(const struct msg_cause_array *raised)
{
    unsigned set = 0;
    for (size_t i = 0; i < raised->count; i++)
        set |= CAUSE_BIT(raised->items[i]);
    return set & CAUSE_RESOURCES;
}

static void restore_verdict(struct ledger *ledger, struct execution *execution,
                            const struct msg_verdict *from)
{
    struct early_verdict *verdict = calloc(1, sizeof *verdict);
    if (!verdict) {
        ledger->error = -ENOMEM;
        return;
    }
    *verdict = (struct early_verdict){.cause = from->cause,
                                      .retry = from->retry,
                                      .dead_lettered = from->dead_lettered,
                                      .limits = from->limits,
                                      .revision = from->revision,
                                      .decided_us = from->decided_us};
    (void)str_copy(verdict->reason, sizeof verdict->reason, from->reason);
    execution->verdict = verdict;
}

/* The retry's least limits are not in the record while an attempt is on a node: what it has is no less. */
static void restore_limits(struct execution *execution, const struct msg_execution_state *state)
{
    unsigned raised = raised_set(&state->raised);
    execution->limits = state->limits;
    execution->revision = state->allocation_revision;
    execution->raised = raised;
    if (state->attempt > 1 && raised != 0) {
        execution->retry = state->limits;
        execution->retry_revision = state->allocation_revision;
        execution->retry_raised = raised;
    }
}

static void restore_facts(struct execution *execution, const struct msg_execution_state *state)
{
    execution->attempt = state->attempt;
    execution->placement = state->placement;
    execution->arm = state->arm;
    execution->propensity = state->propensity;
    execution->enqueued_us = state->enqueued_us;
    execution->not_before_us = state->not_before_us;
    execution->cancel_asked = state->cancel_asked;
    execution->outcome = state->outcome;
    execution->cause = state->cause;
    execution->exit_status = state->exit_status;
    execution->signal = state->signal;
    execution->dead_lettered = state->dead_lettered;
    (void)str_copy(execution->reason, sizeof execution->reason, state->reason);
    (void)str_copy(execution->boot_id, sizeof execution->boot_id, state->boot_id);
    execution->memory_peak_bytes = state->memory_peak_bytes;
    execution->first_started_us = state->first_started_us;
    execution->ready_us =
        state->phase == MSG_EXECUTION_PHASE_BACKOFF ? state->not_before_us : state->changed_us;
    restore_limits(execution, state);
}

/* Nothing was seen yet, so every absence begins to count at 0. */
static const struct moment beginning = {0, 0};

static void restore_live(struct ledger *ledger, const struct msg_execution_state *state)
{
    struct execution *execution = ledger_add(ledger, &state->request);
    if (!execution)
        return;
    restore_facts(execution, state);
    if (state->node.size > 0)
        node_name_execution(execution,
                            node_get(ledger, state->node, state->incarnation, execution->pool, beginning));
    if (state->has_verdict)
        restore_verdict(ledger, execution, &state->verdict);
    enum msg_execution_phase phase = state->phase;
    bool on_node = phase == MSG_EXECUTION_PHASE_PLACED || phase == MSG_EXECUTION_PHASE_RUNNING;
    if (on_node && !execution->node) { /* only memory can be short: the sticky error is set */
        ledger_remove(ledger, execution);
        return;
    }
    execution->alive_seen = execution->placeable_seen = beginning.seen_us;
    execution->sent_seen = LONG_AGO; /* published again as soon as its node is heard */
    ledger_move(ledger, execution, phase, beginning);
    execution->changed_us = state->changed_us;
    execution->dirty = false;
    list_remove(&execution->in_dirty);
}

void ledger_restore(struct ledger *ledger, const uint8_t id[16], const struct msg_execution_state *state)
{
    struct execution *execution = ledger_find(ledger, id);
    struct done *done = ledger_find_done(ledger, id);
    if (execution)
        ledger_remove(ledger, execution);
    if (done && (!state || state->phase != MSG_EXECUTION_PHASE_DONE)) {
        list_remove(&done->in_done);
        (void)map_remove(ledger->done, id, 16);
        free(done);
    }
    if (!state)
        return;
    if (state->phase == MSG_EXECUTION_PHASE_DONE)
        ledger_remember(ledger, id, state->changed_us, 0);
    else
        restore_live(ledger, state);
}

void ledger_restored(struct ledger *ledger, struct moment at)
{
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next(ledger->live, &cursor, &key, &value)) {
        struct execution *execution = value;
        execution->phase_seen = execution->alive_seen = execution->placeable_seen = at.seen_us;
        if (execution->verdict)
            execution->verdict->came_seen = at.seen_us;
        if (execution->phase == MSG_EXECUTION_PHASE_BACKOFF)
            tick_shorten_backoff(ledger, execution, at);
    }
    cursor = 0;
    while (map_next(ledger->hosts, &cursor, &key, &value)) {
        struct host *host = value;
        struct list *link, *after;
        LIST_WALK(&host->nodes, link, after)
        {
            struct node *node = CONTAINER_OF(link, struct node, in_host);
            node->heard_seen = at.seen_us; /* silent from now on, not longer */
        }
    }
}
