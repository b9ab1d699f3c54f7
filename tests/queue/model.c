/* See model.h. What is checked is at the bottom: rules that hold at every commit, and one that holds in the
 * end. */
#include "tests/queue/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/room.h"

#define SECOND ((int64_t)1000000)
#define MIB ((int64_t)1 << 20)
#define START_US ((int64_t)1700000000 * SECOND)
#define LEASE_US (20 * SECOND)
#define MARGIN_US (5 * SECOND)
#define CAPACITY (1000 * MIB)
#define AGENTS (2 * MODEL_NODES) /* each may have a clone */
#define LOG_MAX 20000
#define FLIGHT_MAX 4000
#define SPOOL_MAX 512
#define FAULTS_US (240 * SECOND) /* after that nothing goes wrong any more */
#define END_US (4000 * SECOND)

enum kind { KIND_REQUEST, KIND_CANCEL, KIND_EVENT, KIND_STATUS, KIND_VERDICT };

struct order { /* an admission, as far as it matters */
    enum msg_action action;
    int node; /* its name */
    uint8_t incarnation[16];
    int execution;
    int32_t attempt;
    int64_t placement, expires_us;
    struct msg_limits limits;
};

struct record { /* in one of the input logs */
    enum kind kind;
    int execution, node;
    int64_t published_us;
    struct msg_execution_event event;
    struct msg_verdict verdict;
    struct msg_node_status status;
    struct msg_running_attempt running[MODEL_EXECUTIONS];
    char boot_id[16];
};

struct log {
    struct record *records;
    size_t count, position, committed;
};

struct answer {
    int64_t placement;
    bool given, ran;
};

struct agent {
    bool there, connected;
    int node;
    uint8_t incarnation[16];
    int boot;
    int64_t epoch, contact_us, status_us;
    struct answer answers[MODEL_EXECUTIONS][MODEL_ATTEMPTS];
    struct order running[MODEL_EXECUTIONS];
    int64_t ends_us[MODEL_EXECUTIONS];
    size_t running_count;
    struct record spool[SPOOL_MAX];
    size_t spooled;
    int64_t reconnect_us;
};

struct truth { /* of one execution, from what was committed */
    bool done, cancel_asked;
    int done_count;
    enum msg_execution_phase phase;
    enum msg_outcome outcome;
    int32_t attempt, attempt_at_cancel;
    int64_t placement;
    int node;
    uint8_t incarnation[16];
    struct msg_limits limits;
    int starts[MODEL_ATTEMPTS];
    enum msg_outcome ended[MODEL_ATTEMPTS];
    struct buffer state;
    bool has_state;
};

struct flight {
    int64_t due_us;
    struct order order;
};

struct model {
    uint64_t seed, random;
    const struct model_faults *faults;
    struct model_results *results;
    struct ledger_config config;
    struct counts counts;
    struct ledger *ledger; /* NULL: down */
    struct moment at;
    int64_t up_again_us, blind_until_us;
    struct log logs[4]; /* requests, events, nodes, verdicts */
    struct agent agents[AGENTS];
    struct truth truths[MODEL_EXECUTIONS];
    struct flight flights[FLIGHT_MAX];
    size_t flight_count;
    /* not committed yet */
    struct order orders[FLIGHT_MAX];
    size_t order_count;
    struct buffer states[MODEL_EXECUTIONS];
    bool changed[MODEL_EXECUTIONS];
    struct arena *arena;
    uint64_t incarnations;
    bool cloned;
};

static const char *const node_names[] = {"node-a", "node-b", "node-c"};

/* --- chance --- */

static uint64_t draw(struct model *m)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return m->random;
}

static int64_t between(struct model *m, int64_t low, int64_t high)
{
    return low + (int64_t)(draw(m) % (uint64_t)(high - low + 1));
}

static bool chance(struct model *m, int permille)
{
    return (int)(draw(m) % 1000) < permille;
}

static bool troubled(const struct model *m)
{
    return m->at.now_us < START_US + FAULTS_US;
}

#define RULE(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            fail_msg("seed %llu at %.1f s: %s", (unsigned long long)m->seed,                                 \
                     (double)(m->at.now_us - START_US) / 1e6, #condition);                                   \
    } while (0)

/* --- names --- */

static void id_of(int execution, uint8_t out[16])
{
    memset(out, 0, 16);
    out[0] = 1;
    out[15] = (uint8_t)execution;
}

static int execution_of(const uint8_t id[16])
{
    return id[15];
}

static int node_of(struct str name)
{
    return name.data[name.size - 1] - 'a';
}

/* --- logs --- */

static struct record *append(struct model *m, struct log *log, enum kind kind)
{
    RULE(log->count < LOG_MAX);
    struct record *record = &log->records[log->count++];
    *record = (struct record){.kind = kind, .published_us = m->at.now_us};
    return record;
}

static struct msg_execution_request request_of(int execution)
{
    static struct str argv[] = {{"true", 4}};
    struct msg_execution_request request = {.code = str_of(execution % 3 ? "plain" : "other"),
                                            .pool = str_of("pool"),
                                            .argv = {argv, 1},
                                            .limits = {.memory_bytes = (100 + 50 * (execution % 5)) * MIB},
                                            .priority = execution % 4,
                                            .max_attempts = 1 + execution % 4,
                                            .retry_other = execution % 7 == 0};
    id_of(execution, request.execution);
    return request;
}

/* --- agents --- */

static struct record *spool(struct model *m, struct agent *agent, const struct order *order,
                            enum msg_event_kind kind)
{
    RULE(agent->spooled < SPOOL_MAX);
    struct record *record = &agent->spool[agent->spooled++];
    *record = (struct record){.kind = KIND_EVENT, .node = agent->node};
    record->event = (struct msg_execution_event){.kind = kind,
                                                 .pool = str_of("pool"),
                                                 .node = str_of(node_names[agent->node]),
                                                 .epoch = agent->epoch,
                                                 .attempt = order->attempt,
                                                 .placement = order->placement,
                                                 .code = str_of("code"),
                                                 .time_us = m->at.now_us,
                                                 .limits = order->limits};
    memcpy(record->event.incarnation, agent->incarnation, 16);
    id_of(order->execution, record->event.execution);
    return record;
}

static struct msg_limits committed_of(const struct agent *agent)
{
    struct msg_limits sum = {0};
    for (size_t i = 0; i < agent->running_count; i++)
        room_add(&sum, &agent->running[i].limits, 1);
    return sum;
}

static void tell_verdict(struct model *m, const struct order *order, enum msg_cause cause)
{
    struct record *record = append(m, &m->logs[3], KIND_VERDICT);
    record->verdict =
        (struct msg_verdict){.attempt = order->attempt,
                             .code = str_of("code"),
                             .pool = str_of("pool"),
                             .cause = cause,
                             .retry = cause == MSG_CAUSE_MEMORY && order->limits.memory_bytes < 600 * MIB,
                             .limits = order->limits,
                             .revision = 1,
                             .reason = str_of("verdict")};
    record->verdict.limits.memory_bytes += record->verdict.limits.memory_bytes / 2;
    id_of(order->execution, record->verdict.execution);
}

static void end_run(struct model *m, struct agent *agent, size_t index, enum msg_outcome outcome,
                    enum msg_cause cause)
{
    struct order order = agent->running[index];
    struct record *record = spool(m, agent, &order, MSG_EVENT_KIND_FINISHED);
    record->event.outcome = outcome;
    record->event.cause = cause;
    m->truths[order.execution].ended[order.attempt] = outcome;
    agent->running[index] = agent->running[--agent->running_count];
    agent->ends_us[index] = agent->ends_us[agent->running_count];
    bool failed = outcome == MSG_OUTCOME_OOM_KILLED || outcome == MSG_OUTCOME_CRASHED;
    if (!failed || (m->faults->odd_verdicts && chance(m, 150)))
        return;
    tell_verdict(m, &order, cause); /* its event is still in the spool: the verdict is often first */
    if (m->faults->odd_verdicts && chance(m, 200))
        tell_verdict(m, &order, cause);
}

static void finish_some(struct model *m, struct agent *agent)
{
    for (size_t i = agent->running_count; i-- > 0;) {
        if (m->at.now_us < agent->ends_us[i])
            continue;
        int lot = (int)between(m, 0, 99);
        if (lot < 65)
            end_run(m, agent, i, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
        else if (lot < 85)
            end_run(m, agent, i, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
        else
            end_run(m, agent, i, MSG_OUTCOME_CRASHED, MSG_CAUSE_OTHER);
    }
}

/* No attempt of an execution may begin while an older one of it runs anywhere, unless its node was given
 * twice. */
static void check_start(struct model *m, const struct order *order)
{
    RULE(++m->truths[order->execution].starts[order->attempt] == 1);
    for (size_t a = 0; a < AGENTS && !m->cloned; a++)
        for (size_t i = 0; i < m->agents[a].running_count; i++)
            RULE(m->agents[a].running[i].execution != order->execution);
}

static void accept(struct model *m, struct agent *agent, const struct order *order, struct answer *answer)
{
    *answer = (struct answer){order->placement, true, true};
    check_start(m, order);
    agent->running[agent->running_count] = *order;
    agent->ends_us[agent->running_count++] = m->at.now_us + between(m, 0, 8 * SECOND);
    (void)spool(m, agent, order, MSG_EVENT_KIND_ACCEPTED);
    (void)spool(m, agent, order, MSG_EVENT_KIND_STARTED);
    m->results->starts++;
}

static void refuse(struct model *m, struct agent *agent, const struct order *order, struct answer *answer,
                   enum msg_cause short_of)
{
    *answer = (struct answer){order->placement, true, answer->ran};
    struct record *record = spool(m, agent, order, MSG_EVENT_KIND_REFUSED);
    record->event.short_of = short_of;
}

static void take_cancel(struct model *m, struct agent *agent, const struct order *order,
                        struct answer *answer)
{
    if (memcmp(order->incarnation, agent->incarnation, 16) != 0)
        return;
    for (size_t i = 0; i < agent->running_count; i++) {
        if (agent->running[i].execution != order->execution || agent->running[i].attempt != order->attempt)
            continue;
        const struct truth *truth = &m->truths[order->execution];
        RULE(truth->cancel_asked || truth->done ||
             truth->attempt > order->attempt); /* only what was given up */
        end_run(m, agent, i, MSG_OUTCOME_KILLED, MSG_CAUSE_NONE);
        return;
    }
    if (!answer->given || (!answer->ran && answer->placement < order->placement))
        refuse(m, agent, order, answer, MSG_CAUSE_NONE);
}

/* As agent/admit.c and agent/admission.c judge. */
static void take_order(struct model *m, struct agent *agent, const struct order *order)
{
    struct answer *answer = &agent->answers[order->execution][order->attempt];
    struct msg_limits committed = committed_of(agent);
    if (order->action == MSG_ACTION_CANCEL) {
        take_cancel(m, agent, order, answer);
    } else if (answer->given && order->placement <= answer->placement) {
        if (!answer->ran && order->placement == answer->placement)
            refuse(m, agent, order, answer, MSG_CAUSE_NONE);
    } else if (answer->given && answer->ran) {
        RULE(false && "an attempt that ran is offered again under a new number");
    } else if (memcmp(order->incarnation, agent->incarnation, 16) != 0 || order->expires_us <= m->at.now_us) {
        refuse(m, agent, order, answer, MSG_CAUSE_NONE);
    } else if (committed.memory_bytes + order->limits.memory_bytes > CAPACITY * 9 / 10) {
        refuse(m, agent, order, answer, MSG_CAUSE_MEMORY);
    } else {
        accept(m, agent, order, answer);
    }
}

static void publish_status(struct model *m, struct agent *agent)
{
    struct record *record = append(m, &m->logs[2], KIND_STATUS);
    (void)snprintf(record->boot_id, sizeof record->boot_id, "boot-%d", agent->boot);
    record->status = (struct msg_node_status){.node = str_of(node_names[agent->node]),
                                              .pool = str_of("pool"),
                                              .epoch = agent->epoch,
                                              .boot_id = str_of(record->boot_id),
                                              .time_us = m->at.now_us,
                                              .capacity = {.memory_bytes = CAPACITY},
                                              .committed = committed_of(agent)};
    memcpy(record->status.incarnation, agent->incarnation, 16);
    for (size_t i = 0; i < agent->running_count; i++) {
        const struct order *order = &agent->running[i];
        record->running[i] = (struct msg_running_attempt){.attempt = order->attempt,
                                                          .placement = order->placement,
                                                          .code = str_of("code"),
                                                          .limits = order->limits};
        id_of(order->execution, record->running[i].execution);
    }
    record->status.running = (struct msg_running_attempt_array){record->running, agent->running_count};
    agent->status_us = m->at.now_us;
}

static void flush_spool(struct model *m, struct agent *agent)
{
    for (size_t i = 0; i < agent->spooled; i++) {
        struct record *record = append(m, &m->logs[1], KIND_EVENT);
        int64_t published_us = record->published_us;
        *record = agent->spool[i];
        record->published_us = published_us;
        if (chance(m, 50)) { /* acknowledged too late: sent again */
            struct record *again = append(m, &m->logs[1], KIND_EVENT);
            *again = *record;
        }
    }
    agent->spooled = 0;
}

static void step_agent(struct model *m, struct agent *agent)
{
    if (!agent->there)
        return;
    finish_some(m, agent);
    if (agent->connected) {
        agent->contact_us = m->at.now_us;
        if (chance(m, 500))
            flush_spool(m, agent);
        if (m->at.now_us - agent->status_us >= SECOND)
            publish_status(m, agent);
    } else if (m->at.now_us - agent->contact_us >= LEASE_US) {
        while (agent->running_count > 0)
            end_run(m, agent, 0, MSG_OUTCOME_KILLED, MSG_CAUSE_NONE);
    }
}

/* One connection per node: whoever is there first keeps it. In every other world with clones there are two
 * gateways that do not know of one another. */
static bool line_free(const struct model *m, const struct agent *agent)
{
    if (m->faults->clones && m->seed % 2 == 0)
        return true;
    for (size_t a = 0; a < AGENTS; a++)
        if (&m->agents[a] != agent && m->agents[a].there && m->agents[a].connected &&
            m->agents[a].node == agent->node)
            return false;
    return true;
}

static void new_incarnation(struct model *m, struct agent *agent)
{
    m->incarnations++;
    memset(agent->incarnation, 0, 16);
    memcpy(agent->incarnation, &m->incarnations, sizeof m->incarnations);
}

static void install(struct model *m, struct agent *agent, int node)
{
    *agent = (struct agent){
        .there = true, .connected = true, .node = node, .epoch = 1, .contact_us = m->at.now_us};
    agent->boot = (int)between(m, 1, 9999);
    agent->status_us = m->at.now_us - SECOND;
    new_incarnation(m, agent);
}

/* All that ran is gone. With its state directory, the agent tells so; without, it is another incarnation. */
static void reboot(struct model *m, struct agent *agent)
{
    if (chance(m, 500)) {
        for (size_t i = 0; i < agent->running_count; i++)
            m->truths[agent->running[i].execution].ended[agent->running[i].attempt] = MSG_OUTCOME_LOST;
        install(m, agent, agent->node);
        agent->connected = line_free(m, agent);
        return;
    }
    while (agent->running_count > 0) {
        end_run(m, agent, 0, MSG_OUTCOME_LOST, MSG_CAUSE_OTHER);
        agent->spool[agent->spooled - 1].event.kind = MSG_EVENT_KIND_LOST;
    }
    agent->boot++;
    agent->epoch++;
}

static void hurt_agent(struct model *m, size_t a)
{
    struct agent *agent = &m->agents[a];
    if (!agent->there) {
        if (a >= MODEL_NODES && m->faults->clones && troubled(m) && chance(m, 2)) {
            m->cloned = true;
            install(m, agent, (int)(a - MODEL_NODES));
            agent->connected = line_free(m, agent);
        }
        return;
    }
    if (agent->connected && troubled(m) && m->faults->cuts && chance(m, 6)) {
        agent->connected = false;
        agent->reconnect_us = m->at.now_us + between(m, 0, chance(m, 300) ? 2 * LEASE_US : 5 * SECOND);
    }
    if (!agent->connected && m->at.now_us >= agent->reconnect_us && line_free(m, agent))
        agent->connected = true;
    if (troubled(m) && m->faults->reboots && chance(m, 3))
        reboot(m, agent);
}

/* --- admissions on their way --- */

static void fly(struct model *m, const struct order *order, int64_t delay_us)
{
    RULE(m->flight_count < FLIGHT_MAX);
    m->flights[m->flight_count++] = (struct flight){m->at.now_us + delay_us, *order};
}

static void deliver(struct model *m)
{
    for (size_t i = 0; i < m->flight_count;) { /* in order for one due time */
        if (m->flights[i].due_us > m->at.now_us) {
            i++;
            continue;
        }
        struct order order = m->flights[i].order;
        memmove(&m->flights[i], &m->flights[i + 1], (--m->flight_count - i) * sizeof *m->flights);
        for (size_t a = 0; a < AGENTS; a++)
            if (m->agents[a].there && m->agents[a].connected && m->agents[a].node == order.node)
                take_order(m, &m->agents[a], &order);
    }
}

static void send_off(struct model *m, const struct order *order)
{
    if (m->faults->bad_delivery && troubled(m) && chance(m, 100))
        return; /* nobody kept it */
    fly(m, order, 0);
    if (m->faults->bad_delivery && troubled(m) && chance(m, 100))
        fly(m, order, between(m, 0, 40 * SECOND));
}

/* --- queue: outputs wait for the commit --- */

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

static void start_queue(struct model *m)
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
        request = request_of(record->execution);
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
        if (waiting == 0 || chance(m, 5))
            return;
        do
            log = (size_t)between(m, 0, FS_COUNT(m->logs) - 1);
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
            ledger_learn(m->ledger, codes[c], chance(m, 50) ? NULL : other ? &raised : &none, m->at);
        }
        ledger_admit(m->ledger, m->at);
    }
}

/* --- rules at every commit --- */

static void check_state(struct model *m, int execution, const struct msg_execution_state *state)
{
    struct truth *truth = &m->truths[execution];
    struct msg_execution_request request = request_of(execution);
    RULE(!truth->done); /* nothing follows the terminal state */
    RULE(state->attempt == truth->attempt || state->attempt > truth->attempt || truth->attempt == 0);
    RULE(state->attempt <= request.max_attempts);
    RULE(state->placement >= truth->placement);
    RULE(!truth->cancel_asked || state->attempt == truth->attempt_at_cancel);
    if (state->cancel_asked && !truth->cancel_asked)
        truth->attempt_at_cancel = state->attempt;
    truth->cancel_asked = state->cancel_asked;
    truth->done = state->phase == MSG_EXECUTION_PHASE_DONE;
    truth->done_count += truth->done;
    truth->phase = state->phase;
    truth->outcome = state->outcome;
    truth->limits = state->limits;
    memcpy(truth->incarnation, state->incarnation, 16);
    if (truth->done && state->outcome == MSG_OUTCOME_FINISHED)
        RULE(truth->ended[state->attempt] == MSG_OUTCOME_FINISHED);
}

/* An offer follows another one of the same attempt only when that was refused by whom it was for. */
static void check_order(struct model *m, const struct order *order)
{
    struct truth *truth = &m->truths[order->execution];
    if (order->action != MSG_ACTION_RUN)
        return;
    RULE(order->placement >= truth->placement);
    if (order->placement > truth->placement && order->attempt == truth->attempt && truth->placement > 0) {
        const struct agent *before = NULL;
        for (size_t a = 0; a < AGENTS; a++)
            if (m->agents[a].there && m->agents[a].node == truth->node &&
                memcmp(m->agents[a].incarnation, truth->incarnation, 16) == 0)
                before = &m->agents[a];
        RULE(!before || !before->answers[order->execution][order->attempt].ran);
    }
    truth->placement = order->placement;
    truth->attempt = order->attempt;
    truth->node = order->node;
    memcpy(truth->incarnation, order->incarnation, 16);
}

/* What queue itself has on a node fits there. */
static void check_room(struct model *m)
{
    for (size_t a = 0; a < AGENTS; a++) {
        int64_t sum = 0;
        for (int i = 0; i < MODEL_EXECUTIONS; i++) {
            const struct truth *truth = &m->truths[i];
            bool on_node =
                truth->phase == MSG_EXECUTION_PHASE_PLACED || truth->phase == MSG_EXECUTION_PHASE_RUNNING;
            if (truth->has_state && on_node && memcmp(truth->incarnation, m->agents[a].incarnation, 16) == 0)
                sum += truth->limits.memory_bytes;
        }
        RULE(sum <= CAPACITY * 9 / 10);
    }
}

static void commit(struct model *m)
{
    for (size_t i = 0; i < m->order_count; i++)
        check_order(m, &m->orders[i]);
    for (int i = 0; i < MODEL_EXECUTIONS; i++) {
        struct msg_execution_state state;
        if (!m->changed[i])
            continue;
        arena_reset(m->arena);
        assert_int_equal(msg_execution_state_type.decode(buffer_str(&m->states[i]), m->arena, &state), 0);
        check_state(m, i, &state);
        m->truths[i].attempt = state.attempt;
        m->truths[i].placement = state.placement;
        buffer_reset(&m->truths[i].state);
        buffer_append(&m->truths[i].state, m->states[i].data, m->states[i].size);
        m->truths[i].has_state = true;
        m->changed[i] = false;
    }
    check_room(m);
    for (size_t i = 0; i < m->order_count; i++)
        send_off(m, &m->orders[i]);
    m->order_count = 0;
    for (size_t i = 0; i < FS_COUNT(m->logs); i++)
        m->logs[i].committed = m->logs[i].position;
}

/* --- time --- */

static void step_queue(struct model *m)
{
    if (!m->ledger) {
        if (m->at.now_us < m->up_again_us)
            return;
        start_queue(m);
    }
    if (m->at.now_us < m->blind_until_us)
        return; /* stands still, or the broker is away: seen_us stands still as well */
    m->at.seen_us += MODEL_STEP_US;
    consume(m);
    ledger_tick(m->ledger, m->at);
    admit(m);
    ledger_flush(m->ledger, m->at);
    assert_int_equal(ledger_error(m->ledger), 0);
    if (troubled(m) && m->faults->queue_crashes && chance(m, 15)) {
        drop(m);
        m->results->crashes++;
        m->up_again_us = m->at.now_us + between(m, 0, chance(m, 200) ? 60 * SECOND : SECOND);
        return;
    }
    if (troubled(m) && m->faults->lost_commits && chance(m, 30)) {
        drop(m);
        m->results->aborted++;
        start_queue(m);
        return;
    }
    commit(m);
    if (troubled(m) && m->faults->queue_crashes && chance(m, 5))
        m->blind_until_us = m->at.now_us + between(m, 0, 60 * SECOND);
}

static void step_people(struct model *m, int *next)
{
    if (*next < MODEL_EXECUTIONS && chance(m, 60)) {
        append(m, &m->logs[0], KIND_REQUEST)->execution = *next;
        if (chance(m, 100))
            append(m, &m->logs[0], KIND_REQUEST)->execution = *next;
        (*next)++;
    }
    if (m->faults->cancels && *next > 0 && troubled(m) && chance(m, 4))
        append(m, &m->logs[0], KIND_CANCEL)->execution = (int)between(m, 0, *next - 1);
}

static bool all_done(const struct model *m)
{
    for (int i = 0; i < MODEL_EXECUTIONS; i++)
        if (!m->truths[i].done)
            return false;
    return true;
}

static void configure(struct ledger_config *config)
{
    *config = (struct ledger_config){.ageing_us = 30 * SECOND,
                                     .patience_us = 5 * SECOND,
                                     .unplaceable_us = 100000 * SECOND,
                                     .offer_ttl_us = 10 * SECOND,
                                     .resend_us = 2 * SECOND,
                                     .lost_us = LEASE_US + MARGIN_US,
                                     .takeover_us = 10 * SECOND,
                                     .settle_us = 3 * SECOND,
                                     .backoff_us = SECOND / 2,
                                     .backoff_max_us = 10 * SECOND,
                                     .verdict_wait_us = 10 * SECOND,
                                     .keep_done_us = 86400 * SECOND,
                                     .raise_reserve = 0.1,
                                     .failure_step = 1.5,
                                     .start = {256 * MIB, 0},
                                     .max_request_bytes = 1 << 18,
                                     .max_nodes = 100,
                                     .max_codes = 1,
                                     .max_done = 1000};
}

static void open_model(struct model *m)
{
    m->at = (struct moment){START_US, 0};
    m->random = m->seed * 0x9e3779b97f4a7c15u + 1;
    configure(&m->config);
    m->arena = arena_create(1 << 16, 1 << 24);
    assert_non_null(m->arena);
    for (size_t i = 0; i < FS_COUNT(m->logs); i++) {
        m->logs[i].records = calloc(LOG_MAX, sizeof *m->logs[i].records);
        assert_non_null(m->logs[i].records);
    }
    for (int i = 0; i < MODEL_EXECUTIONS; i++) {
        buffer_init(&m->states[i], 0);
        buffer_init(&m->truths[i].state, 0);
    }
    for (int node = 0; node < MODEL_NODES; node++)
        install(m, &m->agents[node], node);
    start_queue(m);
}

static void close_model(struct model *m)
{
    for (int i = 0; i < MODEL_EXECUTIONS; i++) {
        struct truth *truth = &m->truths[i];
        RULE(truth->done_count == 1);
        m->results->done[truth->outcome]++;
        buffer_fini(&m->states[i]);
        buffer_fini(&truth->state);
    }
    m->results->retries += (unsigned)m->counts.of[COUNT_RETRIES];
    m->results->lost += (unsigned)m->counts.of[COUNT_LOST];
    m->results->strays += (unsigned)m->counts.of[COUNT_STRAYS];
    ledger_destroy(m->ledger);
    arena_destroy(m->arena);
    for (size_t i = 0; i < FS_COUNT(m->logs); i++)
        free(m->logs[i].records);
}

void model_run(uint64_t seed, const struct model_faults *faults, struct model_results *results)
{
    struct model *m = calloc(1, sizeof *m);
    int next = 0;
    assert_non_null(m);
    m->seed = seed;
    m->faults = faults;
    m->results = results;
    open_model(m);
    while (!all_done(m)) {
        RULE(m->at.now_us < START_US + END_US); /* everything comes to its end */
        m->at.now_us += MODEL_STEP_US;
        step_people(m, &next);
        for (size_t a = 0; a < AGENTS; a++) {
            hurt_agent(m, a);
            step_agent(m, &m->agents[a]);
        }
        step_queue(m);
        deliver(m);
    }
    close_model(m);
    free(m);
}
