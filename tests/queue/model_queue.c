/* The queue of the model: a real ledger between logs with positions and a transaction that may be lost. */
#include "tests/queue/model_internal.h"

#include <string.h>

static int execution_of(const uint8_t id[16])
{
    return id[15];
}

static int node_of(struct str name)
{
    return name.data[name.size - 1] - 'a';
}

/* --- outputs wait for the commit --- */

static void put_state(void *context, const struct msg_execution_state *state)
{
    struct model *m = context;
    int execution = execution_of(state->execution);
    buffer_reset(&m->states[execution]);
    msg_execution_state_type.encode(state, &m->states[execution]);
    m->changed[execution] = true;
}

static void put_tombstone(void *context, const uint8_t execution[16])
{
    struct model *m = context;
    (void)execution;
    RULE(false && "nothing is a day old here");
}

static void put_admission(void *context, const struct msg_admission *admission)
{
    struct model *m = context;
    RULE(m->order_count < FLIGHT_MAX);
    struct order *order = &m->orders[m->order_count++];
    *order = (struct order){.action = admission->action,
                            .node = node_of(admission->node),
                            .execution = execution_of(admission->request.execution),
                            .attempt = admission->attempt,
                            .placement = admission->placement,
                            .expires_us = admission->expires_us,
                            .limits = admission->limits};
    memcpy(order->incarnation, admission->incarnation, 16);
}

static void put_wait(void *context, int64_t wait_us)
{
    struct model *m = context;
    RULE(wait_us >= 0);
}

void model_queue_start(struct model *m)
{
    const struct ledger_sink sink = {.state = put_state,
                                     .forget = put_tombstone,
                                     .admit = put_admission,
                                     .waited = put_wait,
                                     .context = m};
    m->ledger = ledger_create(&m->config, &m->counts, &sink);
    assert_non_null(m->ledger);
    for (int i = 0; i < MODEL_EXECUTIONS; i++) {
        struct msg_execution_state state;
        if (!m->truths[i].has_state)
            continue;
        arena_reset(m->arena);
        assert_int_equal(msg_execution_state_type.decode(buffer_str(&m->truths[i].state), m->arena, &state),
                         0);
        ledger_restore(m->ledger, state.execution, &state);
    }
    ledger_restored(m->ledger, m->at);
}

/* What was not committed never happened. */
static void drop(struct model *m)
{
    ledger_destroy(m->ledger);
    m->ledger = NULL;
    m->order_count = 0;
    memset(m->changed, 0, sizeof m->changed);
    for (size_t i = 0; i < FS_COUNT(m->logs); i++)
        m->logs[i].position = m->logs[i].committed;
}

static void give(struct model *m, const struct record *record)
{
    const char *fault = NULL;
    struct msg_execution_request request;
    int result = 0;
    switch (record->kind) {
    case KIND_REQUEST:
    case KIND_CANCEL:
        request = model_request(record->execution);
        request.action = record->kind == KIND_CANCEL ? MSG_ACTION_CANCEL : MSG_ACTION_RUN;
        result = ledger_request(m->ledger, &request, m->at, &fault);
        break;
    case KIND_EVENT:
        result = ledger_event(m->ledger, &record->event, m->at, &fault);
        break;
    case KIND_STATUS:
        result = ledger_status(m->ledger, &record->status, record->published_us, m->at, &fault);
        break;
    case KIND_VERDICT:
        result = ledger_verdict(m->ledger, &record->verdict, m->at, &fault);
        break;
    }
    RULE(result == 0);
}

/* In any order between the logs, in order within each. */
static void consume(struct model *m)
{
    for (;;) {
        size_t waiting = 0, log = 0;
        for (size_t i = 0; i < FS_COUNT(m->logs); i++)
            waiting += m->logs[i].position < m->logs[i].count;
        if (waiting == 0 || model_chance(m, 5))
            return;
        do
            log = (size_t)model_between(m, 0, FS_COUNT(m->logs) - 1);
        while (m->logs[log].position == m->logs[log].count);
        give(m, &m->logs[log].records[m->logs[log].position++]);
    }
}

static void admit(struct model *m)
{
    static const struct allocation none, raised = {.exists = true,
                                                   .revision = 1,
                                                   .limits = {.memory_bytes = 180 * MIB},
                                                   .raised = CAUSE_BIT(MSG_CAUSE_MEMORY)};
    struct code *codes[8];
    size_t count = 1;
    ledger_round(m->ledger);
    for (int i = 0; i < 20 && count > 0; i++) {
        count = ledger_wanted(m->ledger, m->at, codes, FS_COUNT(codes));
        for (size_t c = 0; c < count; c++) {
            bool other = str_equal(ledger_code_name(codes[c]), str_of("other"));
            ledger_learn(m->ledger, codes[c], model_chance(m, 50) ? NULL : other ? &raised : &none, m->at);
        }
        ledger_admit(m->ledger, m->at);
    }
}

static void commit(struct model *m)
{
    for (size_t i = 0; i < m->order_count; i++)
        model_check_order(m, &m->orders[i]);
    for (int i = 0; i < MODEL_EXECUTIONS; i++) {
        struct msg_execution_state state;
        if (!m->changed[i])
            continue;
        arena_reset(m->arena);
        assert_int_equal(msg_execution_state_type.decode(buffer_str(&m->states[i]), m->arena, &state), 0);
        model_check_state(m, i, &state);
        m->truths[i].attempt = state.attempt;
        m->truths[i].placement = state.placement;
        buffer_reset(&m->truths[i].state);
        buffer_append(&m->truths[i].state, m->states[i].data, m->states[i].size);
        m->truths[i].has_state = true;
        m->changed[i] = false;
    }
    model_check_room(m);
    for (size_t i = 0; i < m->order_count; i++)
        model_send(m, &m->orders[i]);
    m->order_count = 0;
    for (size_t i = 0; i < FS_COUNT(m->logs); i++)
        m->logs[i].committed = m->logs[i].position;
}

void model_queue_step(struct model *m)
{
    if (!m->ledger) {
        if (m->at.now_us < m->up_again_us)
            return;
        model_queue_start(m);
    }
    if (m->at.now_us < m->blind_until_us)
        return; /* stands still, or the broker is away: seen_us stands still as well */
    m->at.seen_us += MODEL_STEP_US;
    consume(m);
    ledger_tick(m->ledger, m->at);
    admit(m);
    ledger_flush(m->ledger, m->at);
    assert_int_equal(ledger_error(m->ledger), 0);
    if (model_troubled(m) && m->faults->queue_crashes && model_chance(m, 15)) {
        drop(m);
        m->results->crashes++;
        m->up_again_us = m->at.now_us + model_between(m, 0, model_chance(m, 200) ? 60 * SECOND : SECOND);
        return;
    }
    if (model_troubled(m) && m->faults->lost_commits && model_chance(m, 30)) {
        drop(m);
        m->results->aborted++;
        model_queue_start(m);
        return;
    }
    commit(m);
    if (model_troubled(m) && m->faults->queue_crashes && model_chance(m, 5))
        m->blind_until_us = m->at.now_us + model_between(m, 0, 60 * SECOND);
}
