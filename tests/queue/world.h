/* A ledger with everything around it in memory: what it sent, what it wrote, Redis as a table, a clock that
 * is set. */
#ifndef FORESTALL_TESTS_QUEUE_WORLD_H
#define FORESTALL_TESTS_QUEUE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/map.h"
#include "queue/ledger.h"

#define SECOND ((int64_t)1000000)
#define MIB ((int64_t)1 << 20)
#define WORLD_CODES_MAX 16

struct sent { /* an admission */
    enum msg_action action;
    char node[64], code[64];
    uint8_t incarnation[16], execution[16];
    int32_t attempt;
    int64_t placement, expires_us, revision;
    struct msg_limits limits;
    unsigned raised;
    enum msg_arm arm;
    float propensity;
    int64_t memory_most_bytes;
};

struct world {
    struct ledger_config config;
    struct counts counts;
    struct ledger *ledger;
    struct moment at;
    struct sent *sent;
    size_t sent_count, sent_capacity, sent_read;
    struct map *states; /* id -> struct buffer with the newest record */
    size_t forgotten;
    int64_t last_wait_us;
    struct arena *arena;
    bool redis_away;
    size_t redis_reads;
    struct {
        char code[64];
        struct allocation allocation;
    } redis[WORLD_CODES_MAX];
    size_t redis_count;
};

void world_open(struct world *world);
void world_close(struct world *world);

/* The world of the test that runs; cmocka's setup and teardown make and unmake it. */
extern struct world w;
int world_setup(void **state);
int world_teardown(void **state);
/* Crash and restart: only the state records survive. */
void world_restart(struct world *world);
/* Time passes, seen and all. */
void world_pass(struct world *world, int64_t us);
/* What the loop does after inputs: tick, admit, flush. */
void world_work(struct world *world);
/* world_pass in steps of 100 ms with world_work after each. */
void world_run(struct world *world, int64_t us);

/* --- inputs --- */
struct msg_execution_request world_request(uint64_t number);
void world_submit(struct world *world, const struct msg_execution_request *request);
void world_cancel(struct world *world, uint64_t number);
/* A node heard just now: capacity in MiB and millicores, nothing committed, nothing running. */
struct msg_node_status world_node(const struct world *world, const char *name);
void world_hear(struct world *world, const struct msg_node_status *status);
/* Node a and request 1 of 64 MiB, which was offered to it. */
struct sent world_offered(struct world *world);
struct msg_execution_event world_answer(const struct world *world, const struct sent *sent,
                                        enum msg_event_kind kind);
void world_tell(struct world *world, const struct msg_execution_event *event);
/* FINISHED with an outcome, for the last thing sent to that execution. */
void world_end(struct world *world, const struct sent *sent, enum msg_outcome outcome, enum msg_cause cause);
void world_accept(struct world *world, const struct sent *sent);
struct msg_verdict world_verdict(const struct sent *sent, enum msg_cause cause, bool retry,
                                 int64_t memory_bytes);
void world_judge(struct world *world, const struct msg_verdict *verdict);
/* As in Redis from now on. */
void world_allocate(struct world *world, const char *code, const struct allocation *allocation);

/* --- outputs --- */
void world_id(uint64_t number, uint8_t out[16]);
uint64_t world_number(const uint8_t id[16]);
/* The next admission not read yet; fails the test when there is none. */
const struct sent *world_next(struct world *world);
bool world_more(const struct world *world);
/* The newest state of an execution; false when there is none. Valid until the next call. */
bool world_state(struct world *world, uint64_t number, struct msg_execution_state *out);
/* The same; fails the test when there is none. */
struct msg_execution_state world_state_of(struct world *world, uint64_t number);
enum msg_execution_phase world_phase(struct world *world, uint64_t number);

#endif
