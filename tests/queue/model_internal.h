/* What the files of the model share: its parts, and what each file gives the others. */
#ifndef FORESTALL_TESTS_QUEUE_MODEL_INTERNAL_H
#define FORESTALL_TESTS_QUEUE_MODEL_INTERNAL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/queue/model.h"

#define SECOND ((int64_t)1000000)
#define MIB ((int64_t)1 << 20)
#define START_US ((int64_t)1700000000 * SECOND)
#define LEASE_US (20 * SECOND)
#define MARGIN_US (5 * SECOND)
#define CAPACITY (1000 * MIB)
#define AGENTS ((size_t)2 * MODEL_NODES) /* each may have a clone */
#define LOG_MAX 20000
#define FLIGHT_MAX 4000
#define SPOOL_MAX 512
#define FAULTS_US (240 * SECOND) /* after that nothing goes wrong any more */
#define END_US (4000 * SECOND)

enum kind { KIND_REQUEST, KIND_CANCEL, KIND_EVENT, KIND_STATUS, KIND_VERDICT };

struct order { /* an admission, as far as it matters */
    enum msg_action action;
    int node; /* its name */
    uint8_t incarnation[16];
    int execution;
    int32_t attempt;
    int64_t placement, expires_us;
    struct msg_limits limits;
};

struct record { /* in one of the input logs */
    enum kind kind;
    int execution, node;
    int64_t published_us;
    struct msg_execution_event event;
    struct msg_verdict verdict;
    struct msg_node_status status;
    struct msg_running_attempt running[MODEL_EXECUTIONS];
    char boot_id[16];
};

struct log {
    struct record *records;
    size_t count, position, committed;
};

struct answer {
    int64_t placement;
    bool given, ran;
};

struct agent {
    bool there, connected;
    int node;
    uint8_t incarnation[16];
    int boot;
    int64_t epoch, contact_us, status_us;
    struct answer answers[MODEL_EXECUTIONS][MODEL_ATTEMPTS];
    struct order running[MODEL_EXECUTIONS];
    int64_t ends_us[MODEL_EXECUTIONS];
    size_t running_count;
    struct record spool[SPOOL_MAX];
    size_t spooled;
    int64_t reconnect_us;
};

struct truth { /* of one execution, from what was committed */
    bool done, cancel_asked;
    int done_count;
    enum msg_execution_phase phase;
    enum msg_outcome outcome;
    int32_t attempt, attempt_at_cancel;
    int64_t placement;
    int node;
    uint8_t incarnation[16];
    struct msg_limits limits;
    int starts[MODEL_ATTEMPTS];
    enum msg_outcome ended[MODEL_ATTEMPTS];
    struct buffer state;
    bool has_state;
};

struct flight {
    int64_t due_us;
    struct order order;
};

struct model {
    uint64_t seed, random;
    const struct model_faults *faults;
    struct model_results *results;
    struct ledger_config config;
    struct counts counts;
    struct ledger *ledger; /* NULL: down */
    struct moment at;
    int64_t up_again_us, blind_until_us;
    struct log logs[4]; /* requests, events, nodes, verdicts */
    struct agent agents[AGENTS];
    struct truth truths[MODEL_EXECUTIONS];
    struct flight flights[FLIGHT_MAX];
    size_t flight_count;
    /* not committed yet */
    struct order orders[FLIGHT_MAX];
    size_t order_count;
    struct buffer states[MODEL_EXECUTIONS];
    bool changed[MODEL_EXECUTIONS];
    struct arena *arena;
    uint64_t incarnations;
    bool cloned;
};

#define RULE(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            fail_msg("seed %llu at %.1f s: %s", (unsigned long long)m->seed,                                 \
                     (double)(m->at.now_us - START_US) / 1e6, #condition);                                   \
    } while (0)

/* --- model.c: chance, and what everybody writes to --- */
extern const char *const model_node_names[MODEL_NODES];
int64_t model_between(struct model *m, int64_t low, int64_t high);
bool model_chance(struct model *m, int permille);
/* Something may still go wrong. */
bool model_troubled(const struct model *m);
void model_id(int execution, uint8_t out[16]);
struct msg_execution_request model_request(int execution);
struct record *model_append(struct model *m, struct log *log, enum kind kind);
/* An admission that was committed is on its way. */
void model_send(struct model *m, const struct order *order);

/* --- model_agent.c: nodes, which keep the real agent's rules --- */
void model_agent_install(struct model *m, struct agent *agent, int node);
void model_agent_step(struct model *m, struct agent *agent);
/* Cuts, reboots, clones. */
void model_agent_hurt(struct model *m, size_t a);
void model_agent_take(struct model *m, struct agent *agent, const struct order *order);

/* --- model_queue.c: queue, which crashes and loses transactions --- */
void model_queue_start(struct model *m);
void model_queue_step(struct model *m);

/* --- model_rules.c: what must hold --- */
void model_check_start(struct model *m, const struct order *order);
void model_check_order(struct model *m, const struct order *order);
void model_check_state(struct model *m, int execution, const struct msg_execution_state *state);
/* What queue itself has on a node fits there. */
void model_check_room(struct model *m);

#endif
