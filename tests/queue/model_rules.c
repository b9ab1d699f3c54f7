/* The rules of the model: at every start of an attempt and at every commit. That everything comes to its end
 * is model.c's. */
#include "tests/queue/model_internal.h"

#include <string.h>

/* No attempt of an execution may begin while an older one of it runs anywhere, unless its node was given
 * twice. */
void model_check_start(struct model *m, const struct order *order)
{
    RULE(++m->truths[order->execution].starts[order->attempt] == 1);
    for (size_t a = 0; a < AGENTS && !m->cloned; a++)
        for (size_t i = 0; i < m->agents[a].running_count; i++)
            RULE(m->agents[a].running[i].execution != order->execution);
}

void model_check_state(struct model *m, int execution, const struct msg_execution_state *state)
{
    struct truth *truth = &m->truths[execution];
    struct msg_execution_request request = model_request(execution);
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
void model_check_order(struct model *m, const struct order *order)
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

void model_check_room(struct model *m)
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
