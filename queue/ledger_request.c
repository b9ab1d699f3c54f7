/* Requests to run and to cancel. */
#include <errno.h>

#include "queue/ledger_internal.h"
#include "schemas/request.h"

/* --- cancelling --- */

static void cancel(struct ledger *ledger, struct execution *execution, struct moment at)
{
    ledger_count_up(ledger, COUNT_CANCELS);
    if (execution->cancel_asked || execution->phase == MSG_EXECUTION_PHASE_DONE)
        return;
    execution->cancel_asked = true;
    if (ledger_on_node(execution)) { /* done when its node says so, or is lost */
        execution->resent = 0;
        ledger_touch(ledger, execution, at);
        ledger_send(ledger, execution, MSG_ACTION_CANCEL, at);
        return;
    }
    if (execution->attempt > 1 || execution->phase == MSG_EXECUTION_PHASE_JUDGED)
        ledger_set_reason(execution, "cancelled before attempt %d; the last one: %s",
                          execution->phase == MSG_EXECUTION_PHASE_JUDGED ? execution->attempt + 1
                                                                         : execution->attempt,
                          msg_outcome_name(execution->outcome));
    else
        ledger_set_reason(execution, "cancelled before it was started");
    ledger_finish(ledger, execution, MSG_OUTCOME_KILLED, at);
}

/* --- running --- */

/* Its one and only state: the end, with as much of the request as is sure to fit. */
static void end_invalid(struct ledger *ledger, const struct msg_execution_request *request, const char *fault,
                        struct moment at)
{
    struct msg_execution_state state = {.phase = MSG_EXECUTION_PHASE_DONE,
                                        .enqueued_us = at.now_us,
                                        .changed_us = at.now_us,
                                        .cause = MSG_CAUSE_OTHER,
                                        .exit_status = -1,
                                        .reason = str_of(fault),
                                        .propensity = 1};
    memcpy(state.execution, request->execution, sizeof state.execution);
    memcpy(state.request.execution, request->execution, sizeof state.request.execution);
    state.request.code = request->code;
    state.request.pool = request->pool;
    state.request.code.size = FS_MIN(state.request.code.size, NAME_SIZE_MAX);
    state.request.pool.size = FS_MIN(state.request.pool.size, NAME_SIZE_MAX);
    state.request.max_attempts = request->max_attempts;
    state.request.submitted_us = request->submitted_us;
    ledger->sink.state(ledger->sink.context, &state);
    ledger_remember(ledger, request->execution, at.now_us, 0);
    ledger_count_up(ledger, COUNT_STATES);
    ledger_count_up(ledger, COUNT_DONE_NOT_RUN);
}

static void begin(struct ledger *ledger, struct execution *execution, struct moment at)
{
    execution->attempt = 1;
    execution->propensity = 1;
    execution->enqueued_us = execution->ready_us = at.now_us;
    ledger_move(ledger, execution, MSG_EXECUTION_PHASE_WAITING, at);
}

static int refuse(struct ledger *ledger, const struct msg_execution_request *request, struct moment at,
                  const char *fault)
{
    static const uint8_t nobody[16];
    ledger_count_up(ledger, COUNT_INVALID);
    if (memcmp(request->execution, nobody, sizeof nobody) != 0)
        end_invalid(ledger, request, fault, at);
    return -EINVAL;
}

int ledger_request(struct ledger *ledger, const struct msg_execution_request *request, struct moment at,
                   const char **fault)
{
    struct execution *execution = ledger_find(ledger, request->execution);
    bool known = execution || ledger_find_done(ledger, request->execution);
    if (request->action == MSG_ACTION_CANCEL) {
        if (execution)
            cancel(ledger, execution, at);
        else
            ledger_count_up(ledger, COUNT_CANCELS_IDLE);
        return 0;
    }
    ledger_count_up(ledger, known ? COUNT_DUPLICATES : COUNT_REQUESTS);
    if (known)
        return 0;
    if ((*fault = request_fault(request)))
        return refuse(ledger, request, at, *fault);
    execution = ledger_add(ledger, request);
    if (!execution)
        return 0; /* the sticky error */
    if (execution->request_size > ledger->config->max_request_bytes) {
        ledger_remove(ledger, execution);
        *fault = "the request is larger than queue.max_request";
        return refuse(ledger, request, at, *fault);
    }
    begin(ledger, execution, at);
    return 0;
}
