/* The agents of the model: they answer each placement once for good, run attempts, spool what they have to
 * tell, and are cut off, rebooted and cloned. */
#include "tests/queue/model_internal.h"

#include <stdio.h>
#include <string.h>

#include "queue/room.h"

static struct record *spool(struct model *m, struct agent *agent, const struct order *order,
                            enum msg_event_kind kind)
{
    RULE(agent->spooled < SPOOL_MAX);
    struct record *record = &agent->spool[agent->spooled++];
    *record = (struct record){.kind = KIND_EVENT, .node = agent->node};
    record->event = (struct msg_execution_event){.kind = kind,
                                                 .pool = str_of("pool"),
                                                 .node = str_of(model_node_names[agent->node]),
                                                 .epoch = agent->epoch,
                                                 .attempt = order->attempt,
                                                 .placement = order->placement,
                                                 .code = str_of("code"),
                                                 .time_us = m->at.now_us,
                                                 .limits = order->limits};
    memcpy(record->event.incarnation, agent->incarnation, 16);
    model_id(order->execution, record->event.execution);
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
    struct record *record = model_append(m, &m->logs[3], KIND_VERDICT);
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
    model_id(order->execution, record->verdict.execution);
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
    if (!failed || (m->faults->odd_verdicts && model_chance(m, 150)))
        return;
    tell_verdict(m, &order, cause); /* its event is still in the spool: the verdict is often first */
    if (m->faults->odd_verdicts && model_chance(m, 200))
        tell_verdict(m, &order, cause);
}

static void finish_some(struct model *m, struct agent *agent)
{
    for (size_t i = agent->running_count; i-- > 0;) {
        if (m->at.now_us < agent->ends_us[i])
            continue;
        int lot = (int)model_between(m, 0, 99);
        if (lot < 65)
            end_run(m, agent, i, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
        else if (lot < 85)
            end_run(m, agent, i, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
        else
            end_run(m, agent, i, MSG_OUTCOME_CRASHED, MSG_CAUSE_OTHER);
    }
}

static void accept(struct model *m, struct agent *agent, const struct order *order, struct answer *answer)
{
    *answer = (struct answer){order->placement, true, true};
    model_check_start(m, order);
    agent->running[agent->running_count] = *order;
    agent->ends_us[agent->running_count++] = m->at.now_us + model_between(m, 0, 8 * SECOND);
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
void model_agent_take(struct model *m, struct agent *agent, const struct order *order)
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
    struct record *record = model_append(m, &m->logs[2], KIND_STATUS);
    (void)snprintf(record->boot_id, sizeof record->boot_id, "boot-%d", agent->boot);
    record->status = (struct msg_node_status){.node = str_of(model_node_names[agent->node]),
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
        model_id(order->execution, record->running[i].execution);
    }
    record->status.running = (struct msg_running_attempt_array){record->running, agent->running_count};
    agent->status_us = m->at.now_us;
}

static void flush_spool(struct model *m, struct agent *agent)
{
    for (size_t i = 0; i < agent->spooled; i++) {
        struct record *record = model_append(m, &m->logs[1], KIND_EVENT);
        int64_t published_us = record->published_us;
        *record = agent->spool[i];
        record->published_us = published_us;
        if (model_chance(m, 50)) { /* acknowledged too late: sent again */
            struct record *again = model_append(m, &m->logs[1], KIND_EVENT);
            *again = *record;
        }
    }
    agent->spooled = 0;
}

void model_agent_step(struct model *m, struct agent *agent)
{
    if (!agent->there)
        return;
    finish_some(m, agent);
    if (agent->connected) {
        agent->contact_us = m->at.now_us;
        if (model_chance(m, 500))
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

void model_agent_install(struct model *m, struct agent *agent, int node)
{
    *agent = (struct agent){
        .there = true, .connected = true, .node = node, .epoch = 1, .contact_us = m->at.now_us};
    agent->boot = (int)model_between(m, 1, 9999);
    agent->status_us = m->at.now_us - SECOND;
    new_incarnation(m, agent);
}

/* All that ran is gone. With its state directory, the agent tells so; without, it is another incarnation. */
static void reboot(struct model *m, struct agent *agent)
{
    if (model_chance(m, 500)) {
        for (size_t i = 0; i < agent->running_count; i++)
            m->truths[agent->running[i].execution].ended[agent->running[i].attempt] = MSG_OUTCOME_LOST;
        model_agent_install(m, agent, agent->node);
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

void model_agent_hurt(struct model *m, size_t a)
{
    struct agent *agent = &m->agents[a];
    if (!agent->there) {
        if (a >= MODEL_NODES && m->faults->clones && model_troubled(m) && model_chance(m, 2)) {
            m->cloned = true;
            model_agent_install(m, agent, (int)(a - MODEL_NODES));
            agent->connected = line_free(m, agent);
        }
        return;
    }
    if (agent->connected && model_troubled(m) && m->faults->cuts && model_chance(m, 6)) {
        agent->connected = false;
        agent->reconnect_us =
            m->at.now_us + model_between(m, 0, model_chance(m, 300) ? 2 * LEASE_US : 5 * SECOND);
    }
    if (!agent->connected && m->at.now_us >= agent->reconnect_us && line_free(m, agent))
        agent->connected = true;
    if (model_troubled(m) && m->faults->reboots && model_chance(m, 3))
        reboot(m, agent);
}
