/* Choosing whom and where.
 *
 * A long line is looked at in pieces: its beginning each time, and as many more from where the last choice
 * was cut, so that whoever fits is found behind any number of others that do not.
 *
 * First those that have waited for queue.ageing, oldest first: for each that fits nowhere a node is kept free
 * until it does. Then by rank; who does not fit is passed over. The same choice is made twice: once without
 * effect, to learn which codes must be read from Redis, and once for good, which stops at the first code that
 * was not read. */
#include "queue/ledger_internal.h"

#define SCAN_HEAD 500       /* executions looked at in one choice and order: of its beginning, */
#define SCAN_MORE 500       /* and from where the last choice was cut */
#define ROTATION_US 1000000 /* a waiting code's mark is at most about this old */

struct choice {
    struct ledger *ledger;
    struct pool *pool;
    struct moment at;
    int64_t aged_us;            /* who came before it is aged */
    struct msg_limits roomiest; /* no usable node has more of anything free */
    bool for_good, stopped;
    struct code **wanted;
    size_t wanted_count, wanted_max;
};

void admit_wish(const struct execution *execution, struct start_wish *out)
{
    *out = (struct start_wish){.execution = execution->id,
                               .attempt = execution->attempt,
                               .requested = execution->requested,
                               .input_bytes = execution->input_bytes,
                               .retry = execution->retry,
                               .retry_revision = execution->retry_revision,
                               .retry_raised = execution->retry_raised};
}

/* --- where --- */

static bool open_to(const struct node *node, const struct execution *execution, struct moment at)
{
    bool refused = execution->refused_by == node && execution->refused_round == node->round;
    return node_usable(node, at) && !refused && (!node->reserved_for || node->reserved_for == execution);
}

/* Share of the memory that would stay free: more of it is more room for raises. */
static double headroom(const struct node *node, const struct msg_limits *free, const struct msg_limits *given)
{
    int64_t capacity = node->capacity.memory_bytes;
    return capacity > 0 ? (double)(free->memory_bytes - given->memory_bytes) / (double)capacity : 1;
}

static struct node *choose_node(const struct choice *choice, const struct execution *execution,
                                const struct start *start, bool less, struct msg_limits *given)
{
    struct node *best = NULL;
    enum room_fit best_fit = ROOM_FIT_NO;
    double best_headroom = 0;
    struct list *link, *after;
    if (room_fit(&start->limits, &start->least, &choice->roomiest, less, given) == ROOM_FIT_NO)
        return NULL;
    LIST_WALK(&choice->pool->nodes, link, after)
    {
        struct node *node = CONTAINER_OF(link, struct node, in_pool);
        struct msg_limits free, limits;
        if (!open_to(node, execution, choice->at))
            continue;
        free = node_free(choice->ledger, node);
        enum room_fit fit = room_fit(&start->limits, &start->least, &free, less, &limits);
        double room = headroom(node, &free, &limits);
        if (fit == ROOM_FIT_NO || fit < best_fit || (fit == best_fit && best && room <= best_headroom))
            continue;
        best = node;
        best_fit = fit;
        best_headroom = room;
        *given = limits;
    }
    return best;
}

/* --- keeping a node free --- */

static bool could_hold(const struct choice *choice, const struct node *node, const struct start *start)
{
    static const struct msg_limits nothing;
    struct msg_limits given,
        all = room_free(&node->capacity, &nothing, choice->ledger->config->raise_reserve);
    return room_fit(&start->limits, &start->least, &all, true, &given) != ROOM_FIT_NO;
}

/* The one that was chosen before stays chosen: to change would mean to wait from the beginning. */
static void reserve(struct choice *choice, struct execution *execution, const struct start *start)
{
    static const struct msg_limits nothing;
    struct node *best = execution->reserved;
    double best_headroom = -1;
    struct list *link, *after;
    if (best && node_fresh(best, choice->at) && !best->draining && could_hold(choice, best, start))
        return;
    if (best)
        best->reserved_for = NULL;
    best = execution->reserved = NULL;
    LIST_WALK(&choice->pool->nodes, link, after)
    {
        struct node *node = CONTAINER_OF(link, struct node, in_pool);
        struct msg_limits free = node_free(choice->ledger, node);
        double room = headroom(node, &free, &nothing);
        if (node->reserved_for || !node_usable(node, choice->at) || room <= best_headroom ||
            !could_hold(choice, node, start))
            continue;
        best = node;
        best_headroom = room;
    }
    if (!best)
        return;
    best->reserved_for = execution;
    execution->reserved = best;
}

/* --- for good --- */

static void place(struct choice *choice, struct execution *execution, struct node *node,
                  const struct start *start, const struct msg_limits *given)
{
    struct ledger *ledger = choice->ledger;
    struct moment at = choice->at;
    bool aged = at.now_us - execution->enqueued_us >= ledger->config->ageing_us;
    execution->placement++;
    execution->limits = *given;
    execution->revision = start->revision;
    execution->raised = start->raised;
    execution->arm = start->arm;
    execution->propensity = start->propensity;
    execution->not_before_us = at.now_us + ledger->config->offer_ttl_us;
    execution->alive_seen = at.seen_us;
    execution->resent = 0;
    node_name_execution(execution, node);
    memcpy(execution->boot_id, node->boot_id, sizeof execution->boot_id);
    ledger->sink.waited(ledger->sink.context, at.now_us - execution->ready_us);
    ledger_move(ledger, execution, MSG_EXECUTION_PHASE_PLACED, at);
    ledger_send(ledger, execution, MSG_ACTION_RUN, at);
    ledger_count_up(ledger, COUNT_ADMISSIONS);
    if (aged)
        ledger_count_up(ledger, COUNT_ADMITTED_AGED);
    if (start->arm == MSG_ARM_HELD_OUT)
        ledger_count_up(ledger, COUNT_HELD_OUT);
    for (enum room_resource r = 0; r < ROOM_COUNT; r++) {
        if (room_get(given, r) != room_get(&start->limits, r)) {
            ledger_count_up(ledger, COUNT_ADMITTED_LESS);
            break;
        }
    }
}

static void want(struct choice *choice, struct code *code)
{
    if (code->round == choice->ledger->round)
        return;
    for (size_t i = 0; i < choice->wanted_count; i++)
        if (choice->wanted[i] == code)
            return;
    if (choice->wanted_count < choice->wanted_max)
        choice->wanted[choice->wanted_count++] = code;
    else
        choice->stopped = true;
}

/* --- whom --- */

static void consider(struct choice *choice, struct execution *execution, bool aged)
{
    struct ledger *ledger = choice->ledger;
    struct start_wish wish;
    struct start start;
    struct msg_limits given;
    bool less =
        execution->short_of_rate || choice->at.now_us - execution->ready_us >= ledger->config->patience_us;
    admit_wish(execution, &wish);
    wish.largest = *pool_largest(ledger, choice->pool);
    start_choose(&ledger->config->start, &wish, &execution->code->allocation, &start);
    struct node *node = choose_node(choice, execution, &start, less, &given);
    if (!node) {
        if (aged)
            reserve(choice, execution, &start);
    } else if (!choice->for_good) {
        want(choice, execution->code);
        room_add(&node->planned, &given, 1);
    } else if (execution->code->round != ledger->round) {
        choice->stopped = true; /* its turn, but its allocation was not read */
    } else {
        place(choice, execution, node, &start, &given);
    }
}

static void measure_room(struct choice *choice)
{
    struct list *link, *after;
    LIST_WALK(&choice->pool->nodes, link, after)
    {
        struct node *node = CONTAINER_OF(link, struct node, in_pool);
        node->planned = (struct msg_limits){0};
        struct msg_limits free = node_free(choice->ledger, node);
        if (node_usable(node, choice->at))
            room_larger(&choice->roomiest, &free);
    }
}

static void forget_plans(const struct choice *choice)
{
    struct list *link, *after;
    LIST_WALK(&choice->pool->nodes, link, after)
    CONTAINER_OF(link, struct node, in_pool)->planned = (struct msg_limits){0};
}

/* False: nobody after it in this order is of interest. */
typedef bool visit_fn(struct choice *choice, struct tree_link *link);

static bool visit_aged(struct choice *choice, struct tree_link *link)
{
    struct execution *execution = CONTAINER_OF(link, struct execution, in_age);
    if (execution->enqueued_us > choice->aged_us)
        return false;
    consider(choice, execution, true);
    return true;
}

static bool visit_ranked(struct choice *choice, struct tree_link *link)
{
    struct execution *execution = CONTAINER_OF(link, struct execution, in_order);
    if (execution->enqueued_us > choice->aged_us)
        consider(choice, execution, false);
    return true;
}

/* How many to pass over after the head the next time; 0: the end was seen. */
static size_t scan(struct choice *choice, const struct tree *tree, size_t cut, visit_fn *visit)
{
    struct tree_link *link = tree_first(tree);
    size_t at = 0, pause = FS_MAX(cut, (size_t)SCAN_HEAD);
    while (link && !choice->stopped && at < pause + SCAN_MORE) {
        struct tree_link *next = tree_next(link); /* who is placed leaves the tree */
        if ((at < SCAN_HEAD || at >= pause) && !visit(choice, link))
            return 0;
        link = next;
        at++;
    }
    return link ? at : 0;
}

static void choose(struct choice *choice)
{
    struct pool *pool = choice->pool;
    choice->aged_us = choice->at.now_us - choice->ledger->config->ageing_us;
    measure_room(choice);
    size_t aged = scan(choice, &pool->age, pool->aged_cut, visit_aged);
    size_t ranked = scan(choice, &pool->order, pool->ranked_cut, visit_ranked);
    forget_plans(choice);
    if (!choice->for_good || choice->stopped)
        return;
    pool->aged_cut = aged;
    pool->ranked_cut = ranked;
    if (aged > 0 || ranked > 0) { /* goes on with the next step */
        pool->dirty = true;
        ledger_count_up(choice->ledger, COUNT_SCANS_CUT);
    }
}

/* --- the round --- */

void ledger_round(struct ledger *ledger)
{
    ledger->round++;
}

/* Codes never read since somebody waits for them, then those read longest ago. */
static size_t want_marks(struct ledger *ledger, struct moment at, struct code **out, size_t max)
{
    size_t count = 0;
    struct list *link, *after;
    LIST_WALK(&ledger->unread, link, after)
    if (count < max)
        out[count++] = CONTAINER_OF(link, struct code, to_read);
    LIST_WALK(&ledger->rotation, link, after)
    {
        struct code *code = CONTAINER_OF(link, struct code, to_read);
        if (count >= max || at.now_us - code->read_us < ROTATION_US)
            break;
        out[count++] = code;
    }
    return count;
}

size_t ledger_wanted(struct ledger *ledger, struct moment at, struct code **out, size_t max)
{
    size_t cursor = 0, count = want_marks(ledger, at, out, max);
    struct str key;
    void *value;
    if (count > 0)
        return count; /* the order depends on them */
    while (map_next(ledger->pools, &cursor, &key, &value)) {
        struct choice choice = {.ledger = ledger,
                                .pool = value,
                                .at = at,
                                .wanted = out,
                                .wanted_count = count,
                                .wanted_max = max};
        if (!choice.pool->dirty || choice.pool->order.count == 0)
            continue;
        choose(&choice);
        count = choice.wanted_count;
    }
    return count;
}

void ledger_admit(struct ledger *ledger, struct moment at)
{
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next(ledger->pools, &cursor, &key, &value)) {
        struct choice choice = {.ledger = ledger, .pool = value, .at = at, .for_good = true};
        if (!choice.pool->dirty)
            continue;
        choice.pool->dirty = false;
        if (choice.pool->order.count > 0)
            choose(&choice);
        choice.pool->dirty |= choice.stopped;
    }
}
