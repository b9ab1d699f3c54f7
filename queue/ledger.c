/* See ledger.h and ledger_internal.h. */
#include "queue/ledger.h"
#include "schemas/hints.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "queue/ledger_internal.h"

/* The maps' own bound; what they may hold is bounded by the configuration, which a restart may have lowered.
 */
#define MAP_MAX ((size_t)1 << 28)
/* A decoded request takes up to 16 times its bytes: an argument of one byte is two encoded and a str decoded.
 */
#define ARENA_BLOCK ((size_t)64 << 10)
#define ARENA_LIMIT ((size_t)32 << 20)

void ledger_config_fill(struct ledger_config *config, const struct queue_options *options)
{
    *config = (struct ledger_config){
        .ageing_us = options->ageing_ms * 1000,
        .patience_us = options->patience_ms * 1000,
        .unplaceable_us = options->unplaceable_ms * 1000,
        .offer_ttl_us = options->offer_ttl_ms * 1000,
        .resend_us = options->resend_ms * 1000,
        .lost_us = (options->lease_ms + options->lease_margin_ms) * 1000,
        .takeover_us = options->takeover_ms * 1000,
        .settle_us = options->settle_ms * 1000,
        .backoff_us = options->backoff_ms * 1000,
        .backoff_max_us = options->backoff_max_ms * 1000,
        .verdict_wait_us = options->verdict_wait_ms * 1000,
        .keep_done_us = options->keep_done_ms * 1000,
        .raise_reserve = options->raise_reserve,
        .failure_step = options->failure_step,
        .start = {options->default_memory_bytes, options->default_cpu_millicores},
        .max_request_bytes = (size_t)options->max_request_bytes,
        .max_nodes = (size_t)options->max_nodes,
        .max_codes = (size_t)options->max_codes,
        .max_done = (size_t)options->max_done,
    };
}

/* --- life --- */

struct ledger *ledger_create(const struct ledger_config *config, struct counts *counts,
                             const struct ledger_sink *sink)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (!ledger)
        return NULL;
    struct list *lists[] = {&ledger->placed, &ledger->running,  &ledger->judged, &ledger->dirty,
                            &ledger->unread, &ledger->rotation, &ledger->idle,   &ledger->done_order};
    *ledger = (struct ledger){.config = config, .counts = counts, .sink = *sink};
    for (size_t i = 0; i < FS_COUNT(lists); i++)
        list_init(lists[i]);
    tree_init(&ledger->backoff, line_compare_backoff);
    ledger->live = map_create(MAP_MAX);
    ledger->done = map_create(MAP_MAX);
    ledger->hosts = map_create(MAP_MAX);
    ledger->pools = map_create(MAP_MAX);
    ledger->codes = map_create(MAP_MAX);
    ledger->arena = arena_create(ARENA_BLOCK, ARENA_LIMIT);
    if (ledger->live && ledger->done && ledger->hosts && ledger->pools && ledger->codes && ledger->arena)
        return ledger;
    ledger_destroy(ledger);
    return NULL;
}

static void free_execution(struct execution *execution)
{
    free(execution->verdict);
    free(execution->request);
    free(execution);
}

void ledger_destroy(struct ledger *ledger)
{
    size_t cursor = 0;
    struct str key;
    void *value;
    if (!ledger)
        return;
    while (ledger->live && map_next(ledger->live, &cursor, &key, &value))
        free_execution(value);
    cursor = 0;
    while (ledger->done && map_next(ledger->done, &cursor, &key, &value))
        free(value);
    nodes_destroy(ledger);
    line_destroy(ledger);
    map_destroy(ledger->live);
    map_destroy(ledger->done);
    map_destroy(ledger->hosts);
    map_destroy(ledger->pools);
    map_destroy(ledger->codes);
    arena_destroy(ledger->arena);
    free(ledger);
}

int ledger_error(const struct ledger *ledger)
{
    return ledger->error;
}

void ledger_count_up(struct ledger *ledger, enum count what)
{
    ledger->counts->of[what]++;
}

/* --- look-up --- */

struct execution *ledger_find(const struct ledger *ledger, const uint8_t id[16])
{
    return map_get(ledger->live, id, 16);
}

struct done *ledger_find_done(const struct ledger *ledger, const uint8_t id[16])
{
    return map_get(ledger->done, id, 16);
}

bool ledger_on_node(const struct execution *execution)
{
    return execution->entered && (execution->phase == MSG_EXECUTION_PHASE_PLACED ||
                                  execution->phase == MSG_EXECUTION_PHASE_RUNNING);
}

/* --- coming and going --- */

static int keep_request(struct execution *execution, const struct msg_execution_request *request)
{
    struct buffer bytes;
    buffer_init(&bytes, 0);
    msg_execution_request_type.encode(request, &bytes);
    int result = buffer_error(&bytes);
    if (result < 0) {
        buffer_fini(&bytes);
        return result;
    }
    execution->request = (char *)bytes.data; /* taken over: made by malloc, freed with the execution */
    execution->request_size = bytes.size;
    execution->requested = request->limits;
    execution->input_bytes = hints_input_bytes(&request->hints);
    execution->priority = request->priority;
    execution->max_attempts = request->max_attempts;
    execution->retry_other = request->retry_other;
    return 0;
}

static struct execution *make_execution(struct ledger *ledger, const struct msg_execution_request *request)
{
    struct execution *execution = calloc(1, sizeof *execution);
    if (!execution)
        return NULL;
    struct list *links[] = {&execution->in_dirty, &execution->in_phase, &execution->in_node,
                            &execution->in_code};
    for (size_t i = 0; i < FS_COUNT(links); i++)
        list_init(links[i]);
    memcpy(execution->id, request->execution, sizeof execution->id);
    if (keep_request(execution, request) == 0 && map_put(ledger->live, execution->id, 16, execution) == 0)
        return execution;
    free_execution(execution);
    return NULL;
}

struct execution *ledger_add(struct ledger *ledger, const struct msg_execution_request *request)
{
    struct execution *execution = make_execution(ledger, request);
    if (!execution) {
        ledger->error = -ENOMEM;
        return NULL;
    }
    ledger->request_bytes += execution->request_size;
    execution->pool = pool_get(ledger, request->pool);
    if (execution->pool) {
        execution->pool->refs++;
        execution->code = code_get(ledger, request->code);
    }
    if (execution->code)
        return execution;
    ledger_remove(ledger, execution);
    ledger->error = -ENOMEM;
    return NULL;
}

/* Out of whatever holds it because of its phase. staying: it goes on on its node. */
static void leave_phase(struct ledger *ledger, struct execution *execution, bool staying)
{
    if (!execution->entered)
        return;
    if (ledger_on_node(execution) && !staying)
        node_detach(execution->node, execution);
    if (execution->phase == MSG_EXECUTION_PHASE_WAITING)
        line_remove(ledger, execution);
    list_remove(&execution->in_phase);
    tree_remove(&ledger->backoff, &execution->in_backoff);
    ledger->phases[execution->phase]--;
    execution->entered = false;
}

void ledger_remove(struct ledger *ledger, struct execution *execution)
{
    leave_phase(ledger, execution, false);
    list_remove(&execution->in_dirty);
    node_name_execution(execution, NULL);
    if (execution->code)
        code_release(ledger, execution->code);
    if (execution->pool)
        pool_release(ledger, execution->pool);
    (void)map_remove(ledger->live, execution->id, 16);
    ledger->request_bytes -= execution->request_size;
    free_execution(execution);
}

void ledger_touch(struct ledger *ledger, struct execution *execution, struct moment at)
{
    execution->changed_us = at.now_us;
    if (execution->dirty)
        return;
    execution->dirty = true;
    list_push(&ledger->dirty, &execution->in_dirty);
}

void ledger_move(struct ledger *ledger, struct execution *execution, enum msg_execution_phase phase,
                 struct moment at)
{
    bool stays = ledger_on_node(execution) && phase == MSG_EXECUTION_PHASE_RUNNING;
    leave_phase(ledger, execution, stays);
    execution->phase = phase;
    execution->phase_seen = at.seen_us;
    execution->entered = true;
    ledger->phases[phase]++;
    if (ledger_on_node(execution) && !stays)
        node_attach(execution->node, execution);
    if (phase == MSG_EXECUTION_PHASE_WAITING)
        line_add(ledger, execution, at);
    else if (phase == MSG_EXECUTION_PHASE_PLACED)
        list_push(&ledger->placed, &execution->in_phase);
    else if (phase == MSG_EXECUTION_PHASE_RUNNING)
        list_push(&ledger->running, &execution->in_phase);
    else if (phase == MSG_EXECUTION_PHASE_JUDGED)
        list_push(&ledger->judged, &execution->in_phase);
    else if (phase == MSG_EXECUTION_PHASE_BACKOFF)
        tree_insert(&ledger->backoff, &execution->in_backoff);
    ledger_touch(ledger, execution, at);
}

/* --- the end --- */

static void count_end(struct ledger *ledger, const struct execution *execution)
{
    static const enum count by_outcome[MSG_OUTCOME_COUNT] = {
        [MSG_OUTCOME_NONE] = COUNT_DONE_NOT_RUN,      [MSG_OUTCOME_FINISHED] = COUNT_DONE_FINISHED,
        [MSG_OUTCOME_OOM_KILLED] = COUNT_DONE_FAILED, [MSG_OUTCOME_TIMED_OUT] = COUNT_DONE_FAILED,
        [MSG_OUTCOME_CRASHED] = COUNT_DONE_FAILED,    [MSG_OUTCOME_KILLED] = COUNT_DONE_KILLED,
        [MSG_OUTCOME_LOST] = COUNT_DONE_LOST,
    };
    ledger_count_up(ledger, by_outcome[execution->outcome]);
    if (execution->dead_lettered)
        ledger_count_up(ledger, COUNT_DONE_DEAD_LETTERED);
}

void ledger_finish(struct ledger *ledger, struct execution *execution, enum msg_outcome outcome,
                   struct moment at)
{
    execution->outcome = outcome;
    execution->not_before_us = 0;
    ledger_move(ledger, execution, MSG_EXECUTION_PHASE_DONE, at);
    count_end(ledger, execution);
}

void ledger_remember(struct ledger *ledger, const uint8_t id[16], int64_t done_us, int64_t ended_us)
{
    struct done *done = ledger_find_done(ledger, id);
    if (!done) {
        done = calloc(1, sizeof *done);
        if (!done || map_put(ledger->done, id, 16, done) < 0) {
            free(done);
            ledger->error = -ENOMEM;
            return;
        }
        memcpy(done->id, id, sizeof done->id);
        list_init(&done->in_done);
    }
    done->done_us = done_us;
    done->ended_us = ended_us;
    list_remove(&done->in_done);
    list_push(&ledger->done_order, &done->in_done);
}

/* --- admissions --- */

void ledger_fill_raised(unsigned set, enum msg_cause items[MSG_CAUSE_COUNT], struct msg_cause_array *out)
{
    *out = (struct msg_cause_array){.items = items};
    for (enum msg_cause cause = MSG_CAUSE_MEMORY; cause < MSG_CAUSE_COUNT; cause++)
        if (set & CAUSE_BIT(cause))
            items[out->count++] = cause;
}

/* Held out means that nothing is done for it; before Redis has answered nobody knows what people fixed. */
static int64_t memory_most(const struct execution *execution)
{
    const struct allocation *allocation = &execution->code->allocation;
    return execution->arm == MSG_ARM_TREATED && allocation->read ? allocation->memory_most_bytes : 0;
}

void ledger_send(struct ledger *ledger, struct execution *execution, enum msg_action action, struct moment at)
{
    enum msg_cause raised[MSG_CAUSE_COUNT];
    struct msg_admission admission = {.action = action,
                                      .node = str_of(execution->node->host->name),
                                      .attempt = execution->attempt,
                                      .placement = execution->placement,
                                      .expires_us = action == MSG_ACTION_RUN
                                                        ? execution->not_before_us
                                                        : at.now_us + ledger->config->offer_ttl_us,
                                      .limits = execution->limits,
                                      .allocation_revision = execution->revision,
                                      .arm = execution->arm,
                                      .propensity = execution->propensity,
                                      .memory_most_bytes = memory_most(execution)};
    arena_reset(ledger->arena);
    struct str bytes = {execution->request, execution->request_size};
    if (msg_execution_request_type.decode(bytes, ledger->arena, &admission.request) < 0) {
        ledger->error = -ENOMEM; /* our own bytes: only memory can be short */
        return;
    }
    memcpy(admission.incarnation, execution->node->incarnation, sizeof admission.incarnation);
    ledger_fill_raised(execution->raised, raised, &admission.raised);
    execution->sent_seen = at.seen_us;
    ledger->sink.admit(ledger->sink.context, &admission);
}

void ledger_set_reason(struct execution *execution, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(execution->reason, sizeof execution->reason, format,
                    arguments); /* for people: cut is fine */
    va_end(arguments);
}

/* --- figures --- */

size_t ledger_count(const struct ledger *ledger, enum msg_execution_phase phase)
{
    return phase == MSG_EXECUTION_PHASE_DONE ? map_count(ledger->done) : ledger->phases[phase];
}

size_t ledger_live(const struct ledger *ledger)
{
    return map_count(ledger->live);
}

size_t ledger_request_bytes(const struct ledger *ledger)
{
    return ledger->request_bytes;
}

size_t ledger_usable_nodes(const struct ledger *ledger)
{
    return ledger->usable_nodes;
}

size_t ledger_late_nodes(const struct ledger *ledger)
{
    return ledger->late_nodes;
}

size_t ledger_node_count(const struct ledger *ledger)
{
    return ledger->node_count;
}
