/* What time alone brings about. Absence is measured on seen_us, appointments on now_us. */
#include <inttypes.h>
#include <stdlib.h>

#include "queue/ledger_internal.h"

#define SECOND_US 1000000
#define SWEEP_US 10000000
#define CLOCK_STEP_US 1000000 /* less is drift, and nobody waits longer for it than that */
#define RESEND_DOUBLINGS 4    /* 2, 4, ... 32 s */
#define FORGET_MAX 500        /* tombstones at a time, of those whose time has come */
#define EVICT_MAX 20000       /* and of those above queue.max_done: more cannot end in a second */

/* --- the clock --- */

/* Set back: what was to come at a time comes as long after now as it was to come then, and whoever waited has
 * waited as long. All move alike, so that every order stays as it is. */
static void follow_clock(struct ledger *ledger, struct moment at)
{
    size_t cursor = 0;
    struct str key;
    void *value;
    int64_t step_us = ledger->now_us - at.now_us;
    ledger->now_us = at.now_us;
    if (step_us < CLOCK_STEP_US)
        return;
    ledger_count_up(ledger, COUNT_CLOCK_SET_BACK);
    while (map_next(ledger->live, &cursor, &key, &value)) {
        struct execution *execution = value;
        execution->enqueued_us -= step_us;
        execution->ready_us -= step_us;
        if (execution->phase == MSG_EXECUTION_PHASE_BACKOFF)
            execution->not_before_us -= step_us;
    }
    cursor = 0;
    while (map_next(ledger->codes, &cursor, &key, &value))
        ((struct code *)value)->read_us -= step_us;
}

void tick_shorten_backoff(struct ledger *ledger, struct execution *execution, struct moment at)
{
    int64_t last_us = at.now_us + attempt_longest_pause_us(ledger);
    if (execution->not_before_us <= last_us)
        return;
    tree_remove(&ledger->backoff, &execution->in_backoff);
    execution->not_before_us = execution->ready_us = last_us;
    tree_insert(&ledger->backoff, &execution->in_backoff);
}

/* --- every time --- */

static void end_backoff(struct ledger *ledger, struct moment at)
{
    for (;;) {
        struct tree_link *first = tree_first(&ledger->backoff);
        struct execution *execution = first ? CONTAINER_OF(first, struct execution, in_backoff) : NULL;
        if (!execution || execution->not_before_us > at.now_us)
            return;
        ledger_move(ledger, execution, MSG_EXECUTION_PHASE_WAITING, at);
    }
}

/* Only to a node that is heard: nobody else would pass it on. */
static void send_again(struct ledger *ledger, struct execution *execution, struct moment at)
{
    int64_t wait_us = ledger->config->resend_us << FS_MIN(execution->resent, RESEND_DOUBLINGS);
    if (!node_fresh(execution->node, at) || at.seen_us - execution->sent_seen < wait_us)
        return;
    execution->resent++;
    ledger_count_up(ledger, COUNT_RESENT);
    ledger_send(ledger, execution, execution->cancel_asked ? MSG_ACTION_CANCEL : MSG_ACTION_RUN, at);
}

static void await_answers(struct ledger *ledger, struct moment at)
{
    struct list *link, *after;
    LIST_WALK(&ledger->placed, link, after)
    send_again(ledger, CONTAINER_OF(link, struct execution, in_phase), at);
    LIST_WALK(&ledger->judged, link, after)
    {
        struct execution *execution = CONTAINER_OF(link, struct execution, in_phase);
        if (at.seen_us - execution->phase_seen >= ledger->config->verdict_wait_us)
            attempt_judge(ledger, execution, at);
    }
}

/* --- once a second --- */

/* Why the attempt is gone, or NULL. The order does not matter: each is enough. */
static const char *absence(const struct ledger *ledger, const struct execution *execution, struct moment at)
{
    const struct node *node = execution->node;
    const struct node *incumbent = node->host->incumbent;
    if (at.seen_us - execution->alive_seen >= ledger->config->lost_us)
        return "no sign of life for the lease and its margin";
    if (execution->phase == MSG_EXECUTION_PHASE_RUNNING && node->heard && execution->boot_id[0] != '\0' &&
        strcmp(node->boot_id, execution->boot_id) != 0 &&
        at.seen_us - node->boot_seen >= ledger->config->settle_us)
        return "its node was restarted";
    if (incumbent != node && incumbent && node_fresh(incumbent, at) &&
        at.seen_us - node->heard_seen >= ledger->config->takeover_us)
        return "its node came back as another incarnation";
    return NULL;
}

static void watch(struct ledger *ledger, struct list *phase, struct moment at)
{
    struct list *link, *after;
    LIST_WALK(phase, link, after)
    {
        struct execution *execution = CONTAINER_OF(link, struct execution, in_phase);
        const char *why = absence(ledger, execution, at);
        if (execution->verdict &&
            at.seen_us - execution->verdict->came_seen >= ledger->config->verdict_wait_us) {
            attempt_conclude(ledger, execution, at);
        } else if (why) {
            ledger_set_reason(execution, "lost on %.60s: %s", execution->node->host->name, why);
            attempt_lose(ledger, execution, at);
        } else if (execution->cancel_asked && execution->phase == MSG_EXECUTION_PHASE_RUNNING) {
            send_again(ledger, execution, at);
        }
    }
}

/* Those who have waited long may be content with less now; the aged may keep a node free. */
static void look_again(struct ledger *ledger)
{
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next(ledger->pools, &cursor, &key, &value)) {
        struct pool *pool = value;
        pool->dirty |= pool->order.count > 0;
    }
}

static void forget_one(struct ledger *ledger, struct done *done)
{
    ledger->sink.forget(ledger->sink.context, done->id);
    list_remove(&done->in_done);
    (void)map_remove(ledger->done, done->id, sizeof done->id);
    free(done);
}

static void forget(struct ledger *ledger, struct moment at)
{
    for (int i = 0; i < EVICT_MAX && !list_empty(&ledger->done_order); i++) {
        struct done *oldest = CONTAINER_OF(ledger->done_order.next, struct done, in_done);
        bool due = oldest->done_us + ledger->config->keep_done_us <= at.now_us;
        bool above = map_count(ledger->done) > ledger->config->max_done;
        if (!above && (!due || i >= FORGET_MAX))
            return;
        ledger_count_up(ledger, due ? COUNT_FORGOTTEN : COUNT_EVICTED);
        forget_one(ledger, oldest);
    }
}

/* --- now and then --- */

/* Could the largest node hold it? Where none is known: no. */
static bool placeable(struct ledger *ledger, const struct execution *execution)
{
    struct start_wish wish;
    struct start start;
    struct msg_limits given;
    const struct msg_limits *largest = pool_largest(ledger, execution->pool);
    admit_wish(execution, &wish);
    wish.largest = *largest;
    start_choose(&ledger->config->start, &wish, &execution->code->allocation, &start);
    return room_fit(&start.limits, &start.least, largest, true, &given) != ROOM_FIT_NO;
}

static void sweep_pool(struct ledger *ledger, struct pool *pool, struct moment at)
{
    struct tree_link *link = tree_first(&pool->age);
    while (link) {
        struct execution *execution = CONTAINER_OF(link, struct execution, in_age);
        link = tree_next(link);
        if (placeable(ledger, execution)) {
            execution->placeable_seen = at.seen_us;
        } else if (at.seen_us - execution->placeable_seen >= ledger->config->unplaceable_us) {
            execution->cause = MSG_CAUSE_OTHER;
            execution->exit_status = -1;
            ledger_count_up(ledger, COUNT_UNPLACEABLE);
            ledger_set_reason(execution,
                              "no node of pool %.60s could hold it: %" PRId64 " bytes of memory requested",
                              pool->name, execution->requested.memory_bytes);
            ledger_finish(ledger, execution, MSG_OUTCOME_NONE, at);
        }
    }
}

static void sweep(struct ledger *ledger, struct moment at)
{
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next(ledger->pools, &cursor, &key, &value))
        sweep_pool(ledger, value, at);
}

void ledger_tick(struct ledger *ledger, struct moment at)
{
    follow_clock(ledger, at);
    end_backoff(ledger, at);
    await_answers(ledger, at);
    if (at.seen_us - ledger->second_seen >= SECOND_US) {
        ledger->second_seen = at.seen_us;
        nodes_tick(ledger, at);
        watch(ledger, &ledger->placed, at);
        watch(ledger, &ledger->running, at);
        look_again(ledger);
        forget(ledger, at);
    }
    if (at.seen_us - ledger->sweep_seen >= SWEEP_US) {
        ledger->sweep_seen = at.seen_us;
        sweep(ledger, at);
    }
}
