/* What nodes and allocate say about an attempt, and what follows when it ends. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/hash.h"
#include "queue/ledger_internal.h"

#define REFUSAL_DELAY_US 200000 /* first wait after a refusal that had nothing to do with room; doubles */
#define REFUSAL_DELAY_MAX_US 10000000
#define REFUSALS_MAX 50       /* of that kind in a row: more than 7 minutes of tries on all nodes */
#define NODE_DELAY_US 1000000 /* the node that refused gets nothing for so long; doubles */
#define NODE_DELAY_MAX_US 30000000
#define NODE_FULL_MAX_US 5000000 /* the same when it is full: a place may be free at any moment */

static int64_t doubled(int64_t first, unsigned times, int64_t most)
{
    while (times-- > 0 && first < most)
        first *= 2;
    return FS_MIN(first, most);
}

/* --- the next attempt --- */

/* Between three quarters and all of the delay, by the execution: those that failed together do not come back
 * together. */
static int64_t backoff_us(const struct ledger *ledger, const struct execution *execution)
{
    int64_t full =
        doubled(ledger->config->backoff_us, (unsigned)execution->attempt - 2, ledger->config->backoff_max_us);
    return full - (int64_t)((double)full * 0.25 * hash_unit(execution->id, sizeof execution->id));
}

int64_t attempt_longest_pause_us(const struct ledger *ledger)
{
    return FS_MAX(ledger->config->backoff_max_us, REFUSAL_DELAY_MAX_US);
}

static void drop_verdict(struct execution *execution)
{
    free(execution->verdict);
    execution->verdict = NULL;
}

static void begin_next(struct ledger *ledger, struct execution *execution, struct moment at)
{
    drop_verdict(execution);
    execution->attempt++;
    execution->faults = 0;
    execution->short_of_rate = false;
    execution->not_before_us = execution->ready_us = at.now_us + backoff_us(ledger, execution);
    ledger_count_up(ledger, COUNT_RETRIES);
    ledger_move(ledger, execution, MSG_EXECUTION_PHASE_BACKOFF, at);
}

static bool may_retry(const struct execution *execution)
{
    return execution->attempt < execution->max_attempts && !execution->cancel_asked;
}

static bool is_resource(enum msg_cause cause)
{
    return CAUSE_BIT(cause) & CAUSE_RESOURCES;
}

/* --- the end of an attempt --- */

/* Without an own fault: again as it was, when the request allows another attempt. */
static void end_lost(struct ledger *ledger, struct execution *execution, enum msg_outcome outcome,
                     struct moment at)
{
    drop_verdict(execution);
    execution->outcome = outcome;
    if (may_retry(execution))
        begin_next(ledger, execution, at);
    else
        ledger_finish(ledger, execution, outcome, at);
}

static void follow(struct ledger *ledger, struct execution *execution, const struct early_verdict *verdict,
                   struct moment at)
{
    ledger_count_up(ledger, COUNT_VERDICTS);
    execution->cause = verdict->cause;
    execution->dead_lettered = verdict->dead_lettered;
    ledger_set_reason(execution, "%s", verdict->reason);
    if (!verdict->retry || !may_retry(execution) ||
        (!is_resource(verdict->cause) && !execution->retry_other)) {
        drop_verdict(execution);
        ledger_finish(ledger, execution, execution->outcome, at);
        return;
    }
    execution->retry = verdict->limits;
    execution->retry_revision = verdict->revision;
    if (is_resource(verdict->cause))
        execution->retry_raised |= CAUSE_BIT(verdict->cause);
    begin_next(ledger, execution, at); /* frees the verdict */
}

static void end_failed(struct ledger *ledger, struct execution *execution, struct moment at)
{
    if (execution->verdict) {
        follow(ledger, execution, execution->verdict, at);
    } else if (execution->cancel_asked || (!is_resource(execution->cause) && !execution->retry_other)) {
        ledger_finish(ledger, execution, execution->outcome, at);
    } else {
        execution->not_before_us = at.now_us + ledger->config->verdict_wait_us;
        ledger_move(ledger, execution, MSG_EXECUTION_PHASE_JUDGED, at);
    }
}

/* The attempt leaves its node with the highest limits it is known to have had. */
static void leave_node(struct ledger *ledger, struct execution *execution, const struct msg_limits *last,
                       struct moment at)
{
    node_detach(execution->node, execution);
    for (enum room_resource r = 0; last && r < ROOM_COUNT; r++)
        if (room_get(last, r) >= 0 && room_more(room_get(&execution->limits, r), room_get(last, r)))
            room_set(&execution->limits, r, room_get(last, r));
    node_attach(execution->node, execution); /* the move to its next phase takes it off for good */
    ledger_touch(ledger, execution, at);
}

static void take_finished(struct ledger *ledger, struct execution *execution,
                          const struct msg_execution_event *event, struct moment at)
{
    leave_node(ledger, execution, &event->limits, at);
    execution->ended_us = event->time_us;
    execution->outcome = event->kind == MSG_EVENT_KIND_LOST ? MSG_OUTCOME_LOST : event->outcome;
    execution->cause = event->cause;
    execution->exit_status = event->exit_status;
    execution->signal = event->signal;
    execution->memory_peak_bytes = FS_MAX(execution->memory_peak_bytes, event->memory_peak_bytes);
    ledger_set_reason(execution, "%.*s", (int)FS_MIN(event->reason.size, REASON_SIZE), event->reason.data);
    switch (execution->outcome) {
    case MSG_OUTCOME_FINISHED:
        ledger_finish(ledger, execution, MSG_OUTCOME_FINISHED, at);
        break;
    case MSG_OUTCOME_OOM_KILLED:
    case MSG_OUTCOME_TIMED_OUT:
    case MSG_OUTCOME_CRASHED:
        end_failed(ledger, execution, at);
        break;
    case MSG_OUTCOME_NONE:
    case MSG_OUTCOME_KILLED:
    case MSG_OUTCOME_LOST:
        end_lost(ledger, execution,
                 execution->outcome == MSG_OUTCOME_KILLED ? MSG_OUTCOME_KILLED : MSG_OUTCOME_LOST, at);
        break;
    }
}

void attempt_lose(struct ledger *ledger, struct execution *execution, struct moment at)
{
    ledger_count_up(ledger, COUNT_LOST);
    execution->cause = MSG_CAUSE_NONE;
    execution->exit_status = -1;
    execution->signal = 0;
    execution->ended_us = 0;
    end_lost(ledger, execution, MSG_OUTCOME_LOST, at);
}

void attempt_judge(struct ledger *ledger, struct execution *execution, struct moment at)
{
    struct msg_limits limits = execution->limits;
    enum msg_cause cause = execution->cause;
    const struct msg_limits *largest = pool_largest(ledger, execution->pool);
    ledger_count_up(ledger, COUNT_NO_VERDICT);
    bool more = is_resource(cause) && start_raise(&limits, cause, ledger->config->failure_step,
                                                  &execution->code->allocation, largest);
    if (!may_retry(execution) || (!more && (is_resource(cause) || !execution->retry_other))) {
        ledger_finish(ledger, execution, execution->outcome, at);
        return;
    }
    if (more) {
        execution->retry = limits;
        execution->retry_revision = execution->revision;
        execution->retry_raised |= CAUSE_BIT(cause);
    }
    ledger_set_reason(execution, "%s failure of attempt %d, no verdict: again%s", msg_cause_name(cause),
                      execution->attempt, more ? " with more of it" : "");
    begin_next(ledger, execution, at);
}

void attempt_conclude(struct ledger *ledger, struct execution *execution, struct moment at)
{
    static const enum msg_outcome outcomes[MSG_CAUSE_COUNT] = {
        [MSG_CAUSE_NONE] = MSG_OUTCOME_CRASHED,  [MSG_CAUSE_MEMORY] = MSG_OUTCOME_OOM_KILLED,
        [MSG_CAUSE_CPU] = MSG_OUTCOME_TIMED_OUT, [MSG_CAUSE_IO] = MSG_OUTCOME_TIMED_OUT,
        [MSG_CAUSE_NET] = MSG_OUTCOME_TIMED_OUT, [MSG_CAUSE_OTHER] = MSG_OUTCOME_CRASHED,
    };
    ledger_count_up(ledger, COUNT_NO_EVENT);
    execution->outcome = outcomes[execution->verdict->cause];
    execution->exit_status = -1;
    execution->signal = 0;
    follow(ledger, execution, execution->verdict, at);
}

/* --- answers --- */

void attempt_accepted(struct ledger *ledger, struct execution *execution, struct moment at)
{
    execution->faults = 0;
    execution->node->faults = 0;
    if (execution->phase == MSG_EXECUTION_PHASE_PLACED)
        ledger_move(ledger, execution, MSG_EXECUTION_PHASE_RUNNING, at);
}

static void avoid(struct node *node, int64_t most_us, struct moment at)
{
    node->avoid_seen = at.seen_us + doubled(NODE_DELAY_US, node->faults++, most_us);
}

/* The node refused for another reason than room: neither it nor the execution is tried again at once. Clocks
 * that differ (early: expired by the node's alone) are no fault of the execution. */
static void delay(struct ledger *ledger, struct execution *execution, bool early, struct moment at)
{
    avoid(execution->node, NODE_DELAY_MAX_US, at);
    if (!early && ++execution->faults >= REFUSALS_MAX) {
        execution->cause = MSG_CAUSE_OTHER;
        execution->exit_status = -1;
        ledger_finish(ledger, execution, MSG_OUTCOME_NONE, at);
        return;
    }
    execution->not_before_us =
        at.now_us + doubled(REFUSAL_DELAY_US, FS_MAX(execution->faults, 1u) - 1, REFUSAL_DELAY_MAX_US);
    ledger_move(ledger, execution, MSG_EXECUTION_PHASE_BACKOFF, at);
}

static void take_refused(struct ledger *ledger, struct execution *execution,
                         const struct msg_execution_event *event, struct moment at)
{
    struct node *node = execution->node;
    bool expired = at.now_us >= execution->not_before_us;
    ledger_count_up(ledger, COUNT_REFUSED);
    ledger_set_reason(execution, "refused by %.60s: %.*s", node->host->name,
                      (int)FS_MIN(event->reason.size, REASON_SIZE), event->reason.data);
    if (execution->cancel_asked) {
        ledger_set_reason(execution, "cancelled before it was started");
        ledger_finish(ledger, execution, MSG_OUTCOME_KILLED, at);
        return;
    }
    if (event->short_of == MSG_CAUSE_NONE && !expired) {
        bool early = event->time_us >= execution->not_before_us;
        if (early)
            ledger_count_up(ledger, COUNT_REFUSED_EARLY);
        delay(ledger, execution, early, at);
        return;
    }
    if (event->short_of != MSG_CAUSE_NONE)
        node->stale = true;
    if (event->short_of == MSG_CAUSE_OTHER) /* its statuses do not tell that it is full */
        avoid(node, NODE_FULL_MAX_US, at);
    execution->short_of_rate |= event->short_of > MSG_CAUSE_MEMORY && event->short_of < MSG_CAUSE_OTHER;
    execution->not_before_us = 0;
    ledger_move(ledger, execution, MSG_EXECUTION_PHASE_WAITING, at);
    execution->refused_by = node;
    execution->refused_round = node->round;
}

static void take_started(struct ledger *ledger, struct execution *execution,
                         const struct msg_execution_event *event, struct moment at)
{
    if (execution->first_started_us == 0) {
        execution->first_started_us = event->time_us;
        ledger_touch(ledger, execution, at);
    }
    attempt_accepted(ledger, execution, at);
}

/* The boot it was accepted under: not the one at the offer when the node was restarted in between. Unknown
 * ("") until a status lists the attempt, when the event is of a start of the agent that no status has told
 * of. */
static void note_boot(struct ledger *ledger, struct execution *execution,
                      const struct msg_execution_event *event, struct moment at)
{
    const struct node *node = execution->node;
    if (node->heard && event->epoch < node->epoch)
        return; /* from before the restart: the boot of the offer stands */
    const char *boot_id = node->heard && event->epoch == node->epoch ? node->boot_id : "";
    if (strcmp(boot_id, execution->boot_id) == 0)
        return;
    (void)str_copy(execution->boot_id, sizeof execution->boot_id, str_of(boot_id)); /* of the same size */
    ledger_touch(ledger, execution, at);
}

/* About the very placement that is current, from the very incarnation it was offered to. Another
 * incarnation's answer says nothing: it refuses what is not for it. */
static bool is_current(const struct execution *execution, const struct msg_execution_event *event)
{
    return execution && ledger_on_node(execution) && event->attempt == execution->attempt &&
           event->placement == execution->placement &&
           memcmp(event->incarnation, execution->node->incarnation, sizeof event->incarnation) == 0 &&
           str_equal(event->node, str_of(execution->node->host->name));
}

int ledger_event(struct ledger *ledger, const struct msg_execution_event *event, struct moment at,
                 const char **fault)
{
    struct execution *execution = ledger_find(ledger, event->execution);
    *fault = NULL;
    if (!is_current(execution, event)) {
        ledger_count_up(ledger, COUNT_EVENTS_STALE);
        return 0;
    }
    execution->alive_seen = at.seen_us;
    switch (event->kind) {
    case MSG_EVENT_KIND_ACCEPTED:
        note_boot(ledger, execution, event, at);
        attempt_accepted(ledger, execution, at);
        break;
    case MSG_EVENT_KIND_STARTED:
        note_boot(ledger, execution, event, at);
        take_started(ledger, execution, event, at);
        break;
    case MSG_EVENT_KIND_REFUSED:
        if (execution->phase == MSG_EXECUTION_PHASE_PLACED)
            take_refused(ledger, execution, event, at);
        break;
    case MSG_EVENT_KIND_FINISHED:
    case MSG_EVENT_KIND_LOST:
        take_finished(ledger, execution, event, at);
        break;
    case MSG_EVENT_KIND_ADJUSTED:
        break; /* allocate's business; what is committed comes with the status */
    }
    return 0;
}

/* --- verdicts --- */

static bool good_limits(const struct msg_limits *limits)
{
    for (enum room_resource r = 0; r < ROOM_COUNT; r++)
        if (room_get(limits, r) < 0)
            return false;
    return true;
}

static struct early_verdict keep(const struct msg_verdict *verdict, struct moment at)
{
    struct early_verdict kept = {.cause = verdict->cause,
                                 .retry = verdict->retry,
                                 .dead_lettered = verdict->dead_lettered,
                                 .limits = verdict->limits,
                                 .revision = verdict->revision,
                                 .decided_us = verdict->decided_us,
                                 .came_seen = at.seen_us};
    (void)str_copy(kept.reason, sizeof kept.reason, verdict->reason); /* for people: cut is fine */
    return kept;
}

static void keep_early(struct ledger *ledger, struct execution *execution,
                       const struct early_verdict *verdict, struct moment at)
{
    execution->verdict = malloc(sizeof *execution->verdict);
    if (!execution->verdict) {
        ledger->error = -ENOMEM;
        return;
    }
    *execution->verdict = *verdict;
    ledger_count_up(ledger, COUNT_VERDICTS_EARLY);
    ledger_touch(ledger, execution, at);
}

int ledger_verdict(struct ledger *ledger, const struct msg_verdict *verdict, struct moment at,
                   const char **fault)
{
    struct execution *execution = ledger_find(ledger, verdict->execution);
    bool current = execution && verdict->attempt == execution->attempt && !execution->verdict;
    if (!good_limits(&verdict->limits)) {
        *fault = "a limit is negative";
        return -EINVAL;
    }
    struct early_verdict kept = keep(verdict, at);
    if (current && execution->phase == MSG_EXECUTION_PHASE_JUDGED)
        follow(ledger, execution, &kept, at);
    else if (current && ledger_on_node(execution))
        keep_early(ledger, execution, &kept, at);
    else
        ledger_count_up(ledger, COUNT_VERDICTS_IDLE);
    return 0;
}
