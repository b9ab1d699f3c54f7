/* See world.h. */
#include "tests/queue/world.h"

#include <stdio.h>
#include <stdlib.h>

#define START_US ((int64_t)1700000000 * SECOND)

/* --- the sink --- */

static void take_state(void *context, const struct msg_execution_state *state)
{
    struct world *world = context;
    struct buffer *kept = map_get(world->states, state->execution, 16);
    if (!kept) {
        kept = malloc(sizeof *kept);
        assert_non_null(kept);
        buffer_init(kept, 0);
        assert_int_equal(map_put(world->states, state->execution, 16, kept), 0);
    }
    buffer_reset(kept);
    msg_execution_state_type.encode(state, kept);
    assert_int_equal(buffer_error(kept), 0);
}

static void take_tombstone(void *context, const uint8_t execution[16])
{
    struct world *world = context;
    struct buffer *kept = map_remove(world->states, execution, 16);
    if (kept)
        buffer_fini(kept);
    free(kept);
    world->forgotten++;
}

static void take_admission(void *context, const struct msg_admission *admission)
{
    struct world *world = context;
    if (world->sent_count == world->sent_capacity) {
        world->sent_capacity = FS_MAX(2 * world->sent_capacity, 64);
        world->sent = realloc(world->sent, world->sent_capacity * sizeof *world->sent);
        assert_non_null(world->sent);
    }
    struct sent *sent = &world->sent[world->sent_count++];
    *sent = (struct sent){.action = admission->action,
                          .attempt = admission->attempt,
                          .placement = admission->placement,
                          .expires_us = admission->expires_us,
                          .revision = admission->allocation_revision,
                          .limits = admission->limits,
                          .arm = admission->arm,
                          .propensity = admission->propensity,
                          .memory_most_bytes = admission->memory_most_bytes};
    assert_true(str_copy(sent->node, sizeof sent->node, admission->node));
    assert_true(str_copy(sent->code, sizeof sent->code, admission->request.code));
    memcpy(sent->incarnation, admission->incarnation, 16);
    memcpy(sent->execution, admission->request.execution, 16);
    for (size_t i = 0; i < admission->raised.count; i++)
        sent->raised |= CAUSE_BIT(admission->raised.items[i]);
}

static void take_wait(void *context, int64_t wait_us)
{
    ((struct world *)context)->last_wait_us = wait_us;
}

static struct ledger *make_ledger(struct world *world)
{
    struct ledger_sink sink = {.state = take_state,
                               .forget = take_tombstone,
                               .admit = take_admission,
                               .waited = take_wait,
                               .context = world};
    struct ledger *ledger = ledger_create(&world->config, &world->counts, &sink);
    assert_non_null(ledger);
    return ledger;
}

/* --- life --- */

static void use_defaults(struct queue_options *options)
{
    struct config *config = config_create("test", "test");
    char *argv[] = {"test", NULL}, error[256];
    assert_non_null(config);
    assert_int_equal(config_add(config, queue_option_table, queue_option_count, options), 0);
    assert_int_equal(config_load(config, 1, argv, error, sizeof error), 0);
    config_destroy(config);
}

void world_open(struct world *world)
{
    struct queue_options options = {0};
    *world = (struct world){.at = {START_US, 0}};
    use_defaults(&options);
    ledger_config_fill(&world->config, &options);
    world->states = map_create((size_t)1 << 20);
    world->arena = arena_create(1 << 16, 1 << 26);
    assert_non_null(world->states);
    assert_non_null(world->arena);
    world->ledger = make_ledger(world);
}

void world_close(struct world *world)
{
    size_t cursor = 0;
    struct str key;
    void *value;
    ledger_destroy(world->ledger);
    while (map_next(world->states, &cursor, &key, &value)) {
        buffer_fini(value);
        free(value);
    }
    map_destroy(world->states);
    arena_destroy(world->arena);
    free(world->sent);
}

void world_restart(struct world *world)
{
    size_t cursor = 0;
    struct str key;
    void *value;
    ledger_destroy(world->ledger);
    world->ledger = make_ledger(world);
    while (map_next(world->states, &cursor, &key, &value)) {
        struct msg_execution_state state;
        arena_reset(world->arena);
        assert_int_equal(msg_execution_state_type.decode(buffer_str(value), world->arena, &state), 0);
        ledger_restore(world->ledger, (const uint8_t *)key.data, &state);
    }
    ledger_restored(world->ledger, world->at);
    assert_int_equal(ledger_error(world->ledger), 0);
}

void world_pass(struct world *world, int64_t us)
{
    world->at.now_us += us;
    world->at.seen_us += us;
}

static const struct allocation *look_up(const struct world *world, struct str code)
{
    static const struct allocation none = {.read = true, .memory_most_bytes = INT64_MAX};
    for (size_t i = 0; i < world->redis_count; i++)
        if (str_equal(code, str_of(world->redis[i].code)))
            return &world->redis[i].allocation;
    return &none;
}

void world_work(struct world *world)
{
    struct code *codes[64];
    size_t count = 1;
    ledger_tick(world->ledger, world->at);
    ledger_round(world->ledger);
    for (int i = 0; i < 100 && count > 0; i++) {
        count = ledger_wanted(world->ledger, world->at, codes, FS_COUNT(codes));
        for (size_t c = 0; c < count; c++) {
            const struct allocation *found = look_up(world, ledger_code_name(codes[c]));
            ledger_learn(world->ledger, codes[c], world->redis_away ? NULL : found, world->at);
            world->redis_reads++;
        }
        ledger_admit(world->ledger, world->at);
    }
    ledger_flush(world->ledger, world->at);
    assert_int_equal(ledger_error(world->ledger), 0);
}

void world_run(struct world *world, int64_t us)
{
    for (int64_t passed = 0; passed < us; passed += SECOND / 10) {
        world_pass(world, SECOND / 10);
        world_work(world);
    }
}

/* --- inputs --- */

void world_id(uint64_t number, uint8_t out[16])
{
    memset(out, 0, 16);
    out[0] = 1;
    for (int i = 0; i < 8; i++)
        out[8 + i] = (uint8_t)(number >> (56 - 8 * i));
}

uint64_t world_number(const uint8_t id[16])
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | id[8 + i];
    return number;
}

struct msg_execution_request world_request(uint64_t number)
{
    static struct str argv[] = {{"/bin/true", 9}};
    struct msg_execution_request request = {.action = MSG_ACTION_RUN,
                                            .code = str_of("code"),
                                            .pool = str_of("pool"),
                                            .argv = {argv, 1},
                                            .limits = {.memory_bytes = 64 * MIB},
                                            .max_attempts = 3};
    world_id(number, request.execution);
    return request;
}

void world_submit(struct world *world, const struct msg_execution_request *request)
{
    const char *fault = NULL;
    assert_int_equal(ledger_request(world->ledger, request, world->at, &fault), 0);
}

void world_cancel(struct world *world, uint64_t number)
{
    struct msg_execution_request request = world_request(number);
    const char *fault = NULL;
    request.action = MSG_ACTION_CANCEL;
    request.argv.count = 0;
    assert_int_equal(ledger_request(world->ledger, &request, world->at, &fault), 0);
}

struct msg_node_status world_node(const struct world *world, const char *name)
{
    struct msg_node_status status = {.node = str_of(name),
                                     .pool = str_of("pool"),
                                     .epoch = 1,
                                     .boot_id = str_of("boot-1"),
                                     .time_us = world->at.now_us,
                                     .capacity = {.memory_bytes = 1000 * MIB, .cpu_millicores = 4000}};
    (void)snprintf((char *)status.incarnation, sizeof status.incarnation, "%.14s", name);
    return status;
}

void world_hear(struct world *world, const struct msg_node_status *status)
{
    const char *fault = NULL;
    assert_int_equal(ledger_status(world->ledger, status, world->at.now_us, world->at, &fault), 0);
}

struct sent world_offered(struct world *world)
{
    struct msg_node_status node = world_node(world, "a");
    struct msg_execution_request request = world_request(1);
    world_hear(world, &node);
    world_submit(world, &request);
    world_work(world);
    return *world_next(world);
}

struct msg_execution_event world_answer(const struct world *world, const struct sent *sent,
                                        enum msg_event_kind kind)
{
    struct msg_execution_event event = {.kind = kind,
                                        .pool = str_of("pool"),
                                        .node = str_of(sent->node),
                                        .epoch = 1,
                                        .attempt = sent->attempt,
                                        .placement = sent->placement,
                                        .code = str_of(sent->code),
                                        .time_us = world->at.now_us,
                                        .limits = sent->limits};
    memcpy(event.incarnation, sent->incarnation, 16);
    memcpy(event.execution, sent->execution, 16);
    return event;
}

void world_tell(struct world *world, const struct msg_execution_event *event)
{
    const char *fault = NULL;
    assert_int_equal(ledger_event(world->ledger, event, world->at, &fault), 0);
}

void world_end(struct world *world, const struct sent *sent, enum msg_outcome outcome, enum msg_cause cause)
{
    struct msg_execution_event event = world_answer(world, sent, MSG_EVENT_KIND_FINISHED);
    event.outcome = outcome;
    event.cause = cause;
    event.exit_status = outcome == MSG_OUTCOME_FINISHED ? 0 : 1;
    event.memory_peak_bytes = 10 * MIB;
    event.reason = str_of("it ended");
    world_tell(world, &event);
}

void world_accept(struct world *world, const struct sent *sent)
{
    struct msg_execution_event event = world_answer(world, sent, MSG_EVENT_KIND_ACCEPTED);
    world_tell(world, &event);
    event.kind = MSG_EVENT_KIND_STARTED;
    world_tell(world, &event);
}

struct msg_verdict world_verdict(const struct sent *sent, enum msg_cause cause, bool retry,
                                 int64_t memory_bytes)
{
    struct msg_verdict verdict = {.attempt = sent->attempt,
                                  .code = str_of(sent->code),
                                  .pool = str_of("pool"),
                                  .cause = cause,
                                  .retry = retry,
                                  .limits = sent->limits,
                                  .revision = 7,
                                  .reason = str_of("the verdict")};
    memcpy(verdict.execution, sent->execution, 16);
    if (memory_bytes > 0)
        verdict.limits.memory_bytes = memory_bytes;
    return verdict;
}

void world_judge(struct world *world, const struct msg_verdict *verdict)
{
    const char *fault = NULL;
    assert_int_equal(ledger_verdict(world->ledger, verdict, world->at, &fault), 0);
}

void world_allocate(struct world *world, const char *code, const struct allocation *allocation)
{
    size_t i = 0;
    while (i < world->redis_count && strcmp(world->redis[i].code, code) != 0)
        i++;
    assert_true(i < WORLD_CODES_MAX);
    (void)snprintf(world->redis[i].code, sizeof world->redis[i].code, "%s", code);
    world->redis[i].allocation = *allocation;
    world->redis[i].allocation.read = true;
    world->redis_count = FS_MAX(world->redis_count, i + 1);
}

/* --- outputs --- */

bool world_more(const struct world *world)
{
    return world->sent_read < world->sent_count;
}

const struct sent *world_next(struct world *world)
{
    assert_true(world_more(world));
    return &world->sent[world->sent_read++];
}

bool world_state(struct world *world, uint64_t number, struct msg_execution_state *out)
{
    uint8_t id[16];
    world_id(number, id);
    struct buffer *kept = map_get(world->states, id, 16);
    if (!kept)
        return false;
    arena_reset(world->arena);
    assert_int_equal(msg_execution_state_type.decode(buffer_str(kept), world->arena, out), 0);
    return true;
}

struct msg_execution_state world_state_of(struct world *world, uint64_t number)
{
    struct msg_execution_state state;
    assert_true(world_state(world, number, &state));
    return state;
}

enum msg_execution_phase world_phase(struct world *world, uint64_t number)
{
    return world_state_of(world, number).phase;
}

struct world w;

int world_setup(void **state)
{
    (void)state;
    world_open(&w);
    return 0;
}

int world_teardown(void **state)
{
    (void)state;
    world_close(&w);
    return 0;
}
