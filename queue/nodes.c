/* Nodes as their last status shows them, and what of ours it does not show yet.
 *
 * A node id may come with more than one incarnation: the agent was installed anew, or two agents were given
 * one id. The one heard first stays the incumbent, which alone gets work, until it was silent for
 * queue.takeover. */
#include <errno.h>
#include <stdlib.h>

#include "queue/ledger_internal.h"

/* A status made this short after an end may still list it: the agent counts an attempt until its cgroup is
 * gone. */
#define ENDED_LISTED_US 2000000
#define STRAY_INTERVAL_US 5000000 /* between two cancellations of strays on one node */
#define CLOCK_STEP_US 60000000    /* no status comes again so much later, by the clock of its node */

/* --- table --- */

static struct host *host_get(struct ledger *ledger, struct str name)
{
    struct host *host = map_get(ledger->hosts, name.data, name.size);
    if (host)
        return host;
    host = calloc(1, sizeof *host);
    if (!host || map_put(ledger->hosts, name.data, name.size, host) < 0) {
        free(host);
        ledger->error = -ENOMEM;
        return NULL;
    }
    (void)str_copy(host->name, sizeof host->name, name); /* callers check the size */
    list_init(&host->nodes);
    return host;
}

static struct node *find_incarnation(const struct host *host, const uint8_t incarnation[16])
{
    struct list *link, *after;
    LIST_WALK(&host->nodes, link, after)
    {
        struct node *node = CONTAINER_OF(link, struct node, in_host);
        if (memcmp(node->incarnation, incarnation, sizeof node->incarnation) == 0)
            return node;
    }
    return NULL;
}

static void set_pool(struct ledger *ledger, struct node *node, struct pool *pool)
{
    if (node->pool == pool)
        return;
    if (node->reserved_for) /* of its former pool: it looks for another one */
        node->reserved_for->reserved = NULL;
    node->reserved_for = NULL;
    list_remove(&node->in_pool);
    pool->refs++;
    list_push(&pool->nodes, &node->in_pool);
    pool->measured = false;
    if (node->pool) {
        node->pool->measured = false;
        pool_release(ledger, node->pool);
    }
    node->pool = pool;
}

struct node *node_get(struct ledger *ledger, struct str name, const uint8_t incarnation[16],
                      struct pool *pool, struct moment at)
{
    if (name.size == 0 || name.size >= NODE_NAME_MAX || !pool)
        return NULL;
    struct host *host = host_get(ledger, name);
    struct node *node = host ? find_incarnation(host, incarnation) : NULL;
    if (!host || node)
        return node;
    node = calloc(1, sizeof *node);
    if (!node) {
        ledger->error = -ENOMEM;
        return NULL; /* an empty host goes with the next tick */
    }
    *node =
        (struct node){.host = host, .heard_seen = at.seen_us, .avoid_seen = LONG_AGO, .stray_seen = LONG_AGO};
    memcpy(node->incarnation, incarnation, sizeof node->incarnation);
    list_init(&node->attempts);
    list_init(&node->in_host);
    list_init(&node->in_pool);
    list_push(&host->nodes, &node->in_host);
    set_pool(ledger, node, pool);
    if (!host->incumbent)
        host->incumbent = node;
    ledger->node_count++;
    return node;
}

static void node_destroy(struct ledger *ledger, struct node *node)
{
    struct pool *pool = node->pool;
    if (node->host->incumbent == node)
        node->host->incumbent = NULL;
    if (node->reserved_for)
        node->reserved_for->reserved = NULL;
    list_remove(&node->in_host);
    list_remove(&node->in_pool);
    free(node);
    ledger->node_count--;
    pool->measured = false;
    pool_release(ledger, pool);
}

void nodes_destroy(struct ledger *ledger)
{
    size_t cursor = 0;
    struct str key;
    void *value;
    while (ledger->hosts && map_next(ledger->hosts, &cursor, &key, &value)) {
        struct host *host = value;
        struct list *link, *after;
        LIST_WALK(&host->nodes, link, after)
        free(CONTAINER_OF(link, struct node, in_host));
        free(host);
    }
}

/* --- what is committed --- */

void node_name_execution(struct execution *execution, struct node *node)
{
    if (execution->node)
        execution->node->refs--;
    execution->node = node;
    if (node)
        node->refs++;
}

void node_attach(struct node *node, struct execution *execution)
{
    execution->listed = false;
    list_push(&node->attempts, &execution->in_node);
    node->attempt_count++;
    room_add(&node->unlisted, &execution->limits, 1);
}

void node_detach(struct node *node, struct execution *execution)
{
    if (execution->listed)
        room_add(&node->committed, &execution->listed_limits, -1);
    else
        room_add(&node->unlisted, &execution->limits, -1);
    execution->listed = false;
    list_remove(&execution->in_node);
    node->attempt_count--;
    node->pool->dirty = true;
}

struct msg_limits node_free(const struct ledger *ledger, const struct node *node)
{
    struct msg_limits committed = node->committed;
    room_add(&committed, &node->unlisted, 1);
    room_add(&committed, &node->planned, 1);
    return room_free(&node->capacity, &committed, ledger->config->raise_reserve);
}

bool node_fresh(const struct node *node, struct moment at)
{
    return node->heard && at.seen_us - node->heard_seen <= NODE_FRESH_US;
}

bool node_usable(const struct node *node, struct moment at)
{
    return node_fresh(node, at) && !node->draining && !node->stale && node->host->incumbent == node &&
           node->avoid_seen <= at.seen_us;
}

/* --- status --- */

/* It runs something that was given up: end it, unless the same execution is there with a newer attempt (an
 * agent finds what to end by the execution). */
static void cancel_stray(struct ledger *ledger, struct node *node, const struct msg_running_attempt *running,
                         struct moment at)
{
    struct msg_admission admission = {
        .action = MSG_ACTION_CANCEL,
        .node = str_of(node->host->name),
        .request = {.action = MSG_ACTION_CANCEL, .code = running->code, .pool = str_of(node->pool->name)},
        .attempt = running->attempt,
        .placement = running->placement,
        .expires_us = at.now_us + ledger->config->offer_ttl_us,
        .propensity = 1};
    if (at.seen_us - node->stray_seen < STRAY_INTERVAL_US)
        return;
    memcpy(admission.incarnation, node->incarnation, sizeof admission.incarnation);
    memcpy(admission.request.execution, running->execution, sizeof admission.request.execution);
    node->stray_seen = at.seen_us;
    ledger_count_up(ledger, COUNT_STRAYS);
    ledger->sink.admit(ledger->sink.context, &admission);
}

/* One entry of a status whose attempt is not (or no longer) where we think it is. */
static void take_other(struct ledger *ledger, struct node *node, const struct msg_running_attempt *running,
                       const struct execution *execution, int64_t status_us, struct moment at)
{
    const struct done *done = ledger_find_done(ledger, running->execution);
    if (!execution && !done)
        return; /* not ours: it takes room, nothing else */
    int64_t ended_us = execution ? execution->ended_us : done->ended_us;
    if (ended_us != 0 && status_us <= ended_us + ENDED_LISTED_US)
        room_add(&node->committed, &running->limits,
                 -1); /* an older status overtaken by the event of its end */
    else if (!execution || running->attempt <= execution->attempt)
        cancel_stray(ledger, node, running, at);
}

static void take_running(struct ledger *ledger, struct node *node, const struct msg_node_status *status,
                         int64_t age_us, struct moment at)
{
    for (size_t i = 0; i < status->running.count; i++) {
        const struct msg_running_attempt *running = &status->running.items[i];
        struct execution *execution = ledger_find(ledger, running->execution);
        bool ours = execution && ledger_on_node(execution) && execution->node == node &&
                    execution->attempt == running->attempt && execution->placement == running->placement;
        if (!ours) {
            take_other(ledger, node, running, execution, status->time_us, at);
            continue;
        }
        execution->listed = true;
        execution->listed_limits = running->limits;
        execution->alive_seen = FS_MAX(execution->alive_seen, at.seen_us - age_us);
        if (strcmp(execution->boot_id, node->boot_id) != 0) { /* restarted between the offer and its answer */
            memcpy(execution->boot_id, node->boot_id, sizeof execution->boot_id);
            ledger_touch(ledger, execution, at);
        }
        if (execution->phase == MSG_EXECUTION_PHASE_PLACED)
            attempt_accepted(ledger, execution, at);
    }
}

static void take_committed(struct ledger *ledger, struct node *node, const struct msg_node_status *status,
                           int64_t age_us, struct moment at)
{
    struct list *link, *after;
    node->committed = status->committed;
    node->unlisted = (struct msg_limits){0};
    LIST_WALK(&node->attempts, link, after)
    CONTAINER_OF(link, struct execution, in_node)->listed = false;
    take_running(ledger, node, status, age_us, at);
    LIST_WALK(&node->attempts, link, after)
    {
        const struct execution *execution = CONTAINER_OF(link, struct execution, in_node);
        if (!execution->listed)
            room_add(&node->unlisted, &execution->limits, 1);
    }
}

static const char *status_fault(const struct msg_node_status *status)
{
    if (status->node.size == 0 || status->node.size >= NODE_NAME_MAX ||
        memchr(status->node.data, '\0', status->node.size))
        return "node is empty, longer than 255 bytes or has a zero byte in it";
    if (!name_valid(status->pool, NAME_SIZE_MAX))
        return "pool is not 1..128 bytes of [A-Za-z0-9._:+@/-]";
    for (enum room_resource r = 0; r < ROOM_COUNT; r++)
        if (room_get(&status->capacity, r) < 0 || room_get(&status->committed, r) < 0)
            return "a capacity or what is committed is negative";
    for (size_t i = 0; i < status->running.count; i++)
        for (enum room_resource r = 0; r < ROOM_COUNT; r++)
            if (room_get(&status->running.items[i].limits, r) < 0)
                return "a limit of a running attempt is negative";
    return NULL;
}

/* One of before that comes again; much older, and the node's clock was set back: what it says now counts. */
static bool is_older(const struct node *node, const struct msg_node_status *status)
{
    if (status->epoch != node->epoch)
        return status->epoch < node->epoch;
    return status->time_us < node->status_us && status->time_us > node->status_us - CLOCK_STEP_US;
}

/* The node it is about, or NULL when it is not to be taken. */
static struct node *node_of_status(struct ledger *ledger, const struct msg_node_status *status,
                                   struct moment at)
{
    const struct host *host = map_get(ledger->hosts, status->node.data, status->node.size);
    struct node *node = host ? find_incarnation(host, status->incarnation) : NULL;
    if (!node && ledger->node_count >= ledger->config->max_nodes) {
        ledger_count_up(ledger, COUNT_NODES_REFUSED);
        return NULL;
    }
    if (node && node->heard && is_older(node, status))
        return NULL;
    struct pool *pool = pool_get(ledger, status->pool);
    if (pool && node)
        set_pool(ledger, node, pool);
    return pool ? node_get(ledger, status->node, status->incarnation, pool, at) : NULL;
}

static bool same_capacity(const struct msg_limits *a, const struct msg_limits *b)
{
    for (enum room_resource r = 0; r < ROOM_COUNT; r++)
        if (room_get(a, r) != room_get(b, r))
            return false;
    return true;
}

int ledger_status(struct ledger *ledger, const struct msg_node_status *status, int64_t published_us,
                  struct moment at, const char **fault)
{
    if ((*fault = status_fault(status)))
        return -EINVAL;
    struct node *node = node_of_status(ledger, status, at);
    int64_t age_us = FS_MAX(at.now_us - published_us, 0);
    char boot_id[BOOT_ID_SIZE];
    if (!node)
        return 0;
    (void)str_copy(boot_id, sizeof boot_id, status->boot_id); /* cut the same way everywhere */
    if (!node->heard || strcmp(boot_id, node->boot_id) != 0)
        node->boot_seen = at.seen_us;
    memcpy(node->boot_id, boot_id, sizeof boot_id);
    node->heard_seen = node->heard ? FS_MAX(node->heard_seen, at.seen_us - age_us) : at.seen_us - age_us;
    node->pool->measured &= node->heard && same_capacity(&node->capacity, &status->capacity);
    node->came_seen = at.seen_us;
    node->heard = true;
    node->epoch = status->epoch;
    node->status_us = status->time_us;
    node->draining = status->draining;
    node->stale = false;
    node->round++;
    node->capacity = status->capacity;
    take_committed(ledger, node, status, age_us, at);
    node->pool->dirty = true;
    return 0;
}

/* --- time --- */

/* The incarnation heard last among the others, when it has been heard lately. */
static struct node *challenger(const struct host *host, struct moment at)
{
    struct node *best = NULL;
    struct list *link, *after;
    LIST_WALK(&host->nodes, link, after)
    {
        struct node *node = CONTAINER_OF(link, struct node, in_host);
        if (node != host->incumbent && node_fresh(node, at) && (!best || node->heard_seen > best->heard_seen))
            best = node;
    }
    return best;
}

static void choose_incumbent(struct ledger *ledger, struct host *host, struct moment at)
{
    struct node *next = challenger(host, at);
    if (!next || (host->incumbent && at.seen_us - host->incumbent->heard_seen < ledger->config->takeover_us))
        return;
    if (host->incumbent)
        ledger_count_up(ledger, COUNT_TAKEOVERS);
    host->incumbent = next;
    next->pool->dirty = true;
}

/* Its status comes, but is too old each time to place anything by it. */
static bool is_late(const struct node *node, struct moment at)
{
    return node->heard && !node_fresh(node, at) && at.seen_us - node->came_seen <= NODE_FRESH_US;
}

/* Late for a moment are all of them after an outage of queue. */
static void count_usable(struct ledger *ledger, struct moment at)
{
    size_t cursor = 0, late = 0;
    struct str key;
    void *value;
    ledger->usable_nodes = 0;
    while (map_next(ledger->hosts, &cursor, &key, &value)) {
        struct list *link, *after;
        LIST_WALK(&((struct host *)value)->nodes, link, after)
        {
            const struct node *node = CONTAINER_OF(link, struct node, in_host);
            ledger->usable_nodes += node_usable(node, at);
            late += is_late(node, at);
        }
    }
    if (late == 0 || !ledger->late_nodes_met)
        ledger->late_seen = at.seen_us;
    ledger->late_nodes_met = late > 0;
    ledger->late_nodes = at.seen_us - ledger->late_seen >= NODE_FRESH_US ? late : 0;
}

/* Nodes not heard for so long that they are lost, and hosts without a node. */
static void drop_lost(struct ledger *ledger, struct moment at)
{
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next(ledger->hosts, &cursor, &key, &value)) {
        struct host *host = value;
        struct list *link, *after;
        LIST_WALK(&host->nodes, link, after)
        {
            struct node *node = CONTAINER_OF(link, struct node, in_host);
            if (node->refs == 0 && at.seen_us - node->heard_seen > ledger->config->lost_us)
                node_destroy(ledger, node);
        }
        if (list_empty(&host->nodes)) {
            (void)map_remove(ledger->hosts, key.data, key.size);
            free(host);
        }
    }
}

void nodes_tick(struct ledger *ledger, struct moment at)
{
    size_t cursor = 0;
    struct str key;
    void *value;
    drop_lost(ledger, at);
    while (map_next(ledger->hosts, &cursor, &key, &value))
        choose_incumbent(ledger, value, at);
    count_usable(ledger, at);
}
