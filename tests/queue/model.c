/* See model.h: chance, logs, admissions on their way, people, and the passing of time. Agents, queue and
 * rules have files of their own. */
#include "tests/queue/model_internal.h"

#include <stdlib.h>
#include <string.h>

const char *const model_node_names[MODEL_NODES] = {"node-a", "node-b", "node-c"};

/* --- chance --- */

static uint64_t model_draw(struct model *m)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return m->random;
}

int64_t model_between(struct model *m, int64_t low, int64_t high)
{
    return low + (int64_t)(model_draw(m) % (uint64_t)(high - low + 1));
}

bool model_chance(struct model *m, int permille)
{
    return (int)(model_draw(m) % 1000) < permille;
}

bool model_troubled(const struct model *m)
{
    return m->at.now_us < START_US + FAULTS_US;
}

void model_id(int execution, uint8_t out[16])
{
    memset(out, 0, 16);
    out[0] = 1;
    out[15] = (uint8_t)execution;
}

/* --- logs --- */

struct record *model_append(struct model *m, struct log *log, enum kind kind)
{
    RULE(log->count < LOG_MAX);
    struct record *record = &log->records[log->count++];
    *record = (struct record){.kind = kind, .published_us = m->at.now_us};
    return record;
}

struct msg_execution_request model_request(int execution)
{
    static struct str argv[] = {{"true", 4}};
    struct msg_execution_request request = {.code = str_of(execution % 3 ? "plain" : "other"),
                                            .pool = str_of("pool"),
                                            .argv = {argv, 1},
                                            .limits = {.memory_bytes = (100 + 50 * (execution % 5)) * MIB},
                                            .priority = execution % 4,
                                            .max_attempts = 1 + execution % 4,
                                            .retry_other = execution % 7 == 0};
    model_id(execution, request.execution);
    return request;
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
                model_agent_take(m, &m->agents[a], &order);
    }
}

void model_send(struct model *m, const struct order *order)
{
    if (m->faults->bad_delivery && model_troubled(m) && model_chance(m, 100))
        return; /* nobody kept it */
    fly(m, order, 0);
    if (m->faults->bad_delivery && model_troubled(m) && model_chance(m, 100))
        fly(m, order, model_between(m, 0, 40 * SECOND));
}

/* --- time --- */

static void step_people(struct model *m, int *next)
{
    if (*next < MODEL_EXECUTIONS && model_chance(m, 60)) {
        model_append(m, &m->logs[0], KIND_REQUEST)->execution = *next;
        if (model_chance(m, 100))
            model_append(m, &m->logs[0], KIND_REQUEST)->execution = *next;
        (*next)++;
    }
    if (m->faults->cancels && *next > 0 && model_troubled(m) && model_chance(m, 4))
        model_append(m, &m->logs[0], KIND_CANCEL)->execution = (int)model_between(m, 0, *next - 1);
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
        model_agent_install(m, &m->agents[node], node);
    model_queue_start(m);
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
            model_agent_hurt(m, a);
            model_agent_step(m, &m->agents[a]);
        }
        model_queue_step(m);
        deliver(m);
    }
    close_model(m);
    free(m);
}
