/* What the ledger's files share; nobody else includes this.
 *
 *   ledger.c          creation, look-up, moving between phases, admissions' bytes
 *   ledger_state.c    state records: writing and restoring them
 *   ledger_request.c  requests and cancellations
 *   ledger_attempt.c  events, verdicts, what follows on the end of an attempt
 *   ledger_tick.c     what time alone brings about
 *   nodes.c           nodes, their incarnations and what is committed there
 *   line.c            pools, codes, and the order of what waits
 *   admit.c           choosing whom and where */
#ifndef FORESTALL_QUEUE_LEDGER_INTERNAL_H
#define FORESTALL_QUEUE_LEDGER_INTERNAL_H

#include "common/arena.h"
#include "common/map.h"
#include "queue/ledger.h"
#include "queue/list.h"
#include "queue/room.h"
#include "queue/tree.h"
#include "schemas/name.h"

#define NODE_NAME_MAX 256
#define BOOT_ID_SIZE 40 /* a kernel's boot id is 36 characters */
#define REASON_SIZE 160
#define NODE_FRESH_US 5000000 /* five missed status: nothing new goes there */
#define LONG_AGO (INT64_MIN / 4)

struct host { /* a node id; more than one incarnation only when something is wrong or was just installed anew
               */
    char name[NODE_NAME_MAX];
    struct list nodes;
    struct node *incumbent;
};

struct node { /* one incarnation of a node id */
    struct host *host;
    struct pool *pool;
    struct list in_host, in_pool;
    uint8_t incarnation[16];
    char boot_id[BOOT_ID_SIZE];
    bool heard, draining;
    bool stale; /* it refused what should have fit: its next status is awaited */
    int64_t heard_seen, boot_seen, avoid_seen, stray_seen;
    int64_t came_seen; /* its last status, however old it was then */
    int64_t epoch, status_us;
    uint64_t round;                        /* of its status */
    unsigned faults;                       /* refusals in a row that had nothing to do with room */
    struct msg_limits capacity, committed; /* as it says */
    struct msg_limits unlisted;            /* of our attempts that its last status does not list */
    struct msg_limits planned;             /* while choosing */
    struct execution *reserved_for;        /* an aged execution of its pool that waits for room here */
    struct list attempts;                  /* placed or running */
    size_t attempt_count, refs;            /* executions that name it */
};

struct pool {
    char name[NAME_SIZE_MAX + 1];
    struct tree order, age;
    struct list nodes;
    struct msg_limits largest;   /* see pool_largest() */
    bool measured;               /* largest is up to date */
    bool dirty;                  /* choosing again may have a result */
    size_t aged_cut, ranked_cut; /* how many of age and order the last choice looked at; 0 = all */
    size_t refs;
};

struct code {
    char name[NAME_SIZE_MAX + 1];
    struct allocation allocation;
    struct list waiting; /* executions */
    struct list
        to_read; /* link: in ledger.unread or ledger.rotation while executions wait, else in ledger.idle */
    int64_t read_us;
    uint64_t round;
    size_t refs;
};

struct early_verdict {
    enum msg_cause cause;
    bool retry, dead_lettered;
    struct msg_limits limits;
    int64_t revision, decided_us, came_seen;
    char reason[REASON_SIZE];
};

struct execution {
    uint8_t id[16];
    enum msg_execution_phase phase;
    struct pool *pool;
    struct code *code;
    struct node *node; /* of the current or last placement; NULL = never placed */
    char boot_id[BOOT_ID_SIZE];

    /* the request: encoded, and what is often needed of it */
    char *request;
    size_t request_size;
    struct msg_limits requested;
    double input_bytes; /* NAN: not told */
    int32_t priority, max_attempts;
    bool retry_other;

    int32_t attempt;
    int64_t placement;
    struct msg_limits limits; /* of the current attempt */
    int64_t revision;
    unsigned raised;
    enum msg_arm arm;
    float propensity;
    struct msg_limits retry; /* at least these for a retry */
    int64_t retry_revision;
    unsigned retry_raised;

    int64_t enqueued_us, changed_us;
    int64_t not_before_us; /* PLACED: expiry of the offer; JUDGED: about when it is judged without; BACKOFF:
                              next turn */
    bool cancel_asked;
    enum msg_outcome outcome;
    enum msg_cause cause;
    int32_t exit_status, signal;
    bool dead_lettered;
    char reason[REASON_SIZE];
    int64_t memory_peak_bytes, first_started_us;
    struct early_verdict *verdict;

    /* not in the state record */
    int64_t phase_seen;     /* when this phase began */
    int64_t sent_seen;      /* the offer or cancellation was last published */
    int64_t alive_seen;     /* last sign of life of the attempt */
    int64_t placeable_seen; /* a node could have held it */
    int64_t ready_us;       /* waiting since */
    int64_t ended_us;       /* the last attempt ended, by its node's clock */
    unsigned resent;
    unsigned faults;               /* refusals in a row that had nothing to do with room */
    bool short_of_rate;            /* refused for lack of CPU, I/O or network */
    const struct node *refused_by; /* until its next status */
    uint64_t refused_round;
    bool listed; /* in its node's last status */
    struct msg_limits listed_limits;
    struct node *reserved; /* node kept free for it */
    bool ranked_raised;    /* part of its key in pool.order */

    bool entered, dirty; /* counted in its phase; to be written */
    struct list in_dirty, in_phase, in_node, in_code;
    struct tree_link in_order, in_age, in_backoff;
};

struct done { /* a finished execution, remembered */
    uint8_t id[16];
    int64_t done_us, ended_us;
    struct list in_done;
};

struct ledger {
    const struct ledger_config *config;
    struct counts *counts;
    struct ledger_sink sink;
    struct map *live, *done, *hosts, *pools, *codes;
    struct list placed, running, judged, dirty;
    struct list unread, rotation, idle; /* codes */
    struct list done_order;             /* oldest first */
    struct tree backoff;
    struct arena *arena; /* for one output */
    size_t phases[MSG_EXECUTION_PHASE_COUNT];
    size_t request_bytes, node_count, idle_codes;
    size_t usable_nodes, late_nodes; /* once a second */
    bool late_nodes_met;             /* some were late a second ago */
    int64_t late_seen;               /* and since then */
    uint64_t round;
    int64_t second_seen, sweep_seen;
    int64_t now_us; /* of the last tick */
    int error;
};

/* --- ledger.c --- */
void ledger_count_up(struct ledger *ledger, enum count what);
struct execution *ledger_find(const struct ledger *ledger, const uint8_t id[16]);
struct done *ledger_find_done(const struct ledger *ledger, const uint8_t id[16]);
/* In no phase yet, in the map, with one reference to its pool and code; NULL and the sticky error when memory
 * is short. */
struct execution *ledger_add(struct ledger *ledger, const struct msg_execution_request *request);
/* Takes it out of everything. */
void ledger_remove(struct ledger *ledger, struct execution *execution);
void ledger_touch(struct ledger *ledger, struct execution *execution, struct moment at);
void ledger_move(struct ledger *ledger, struct execution *execution, enum msg_execution_phase phase,
                 struct moment at);
/* Writes the current placement (RUN) or the wish to end it (CANCEL). */
void ledger_send(struct ledger *ledger, struct execution *execution, enum msg_action action,
                 struct moment at);
void ledger_set_reason(struct execution *execution, const char *format, ...) FS_PRINTF(2, 3);
void ledger_remember(struct ledger *ledger, const uint8_t id[16], int64_t done_us, int64_t ended_us);
/* DONE with this outcome. */
void ledger_finish(struct ledger *ledger, struct execution *execution, enum msg_outcome outcome,
                   struct moment at);
void ledger_fill_raised(unsigned set, enum msg_cause items[MSG_CAUSE_COUNT], struct msg_cause_array *out);
bool ledger_on_node(const struct execution *execution); /* PLACED or RUNNING */

/* --- ledger_tick.c --- */
/* After a restore, which may find appointments made by a clock that was set back since. */
void tick_shorten_backoff(struct ledger *ledger, struct execution *execution, struct moment at);

/* --- ledger_attempt.c --- */
/* No back-off and no delay after a refusal is longer. */
int64_t attempt_longest_pause_us(const struct ledger *ledger);
/* The attempt is gone with its node. */
void attempt_lose(struct ledger *ledger, struct execution *execution, struct moment at);
/* No verdict came. */
void attempt_judge(struct ledger *ledger, struct execution *execution, struct moment at);
/* A verdict came, the event did not. */
void attempt_conclude(struct ledger *ledger, struct execution *execution, struct moment at);
/* Answered by its node, one way or another: PLACED becomes RUNNING. */
void attempt_accepted(struct ledger *ledger, struct execution *execution, struct moment at);

/* --- nodes.c --- */
/* Finds or makes the incarnation; NULL when there are too many or memory is short (sticky error). */
struct node *node_get(struct ledger *ledger, struct str name, const uint8_t incarnation[16],
                      struct pool *pool, struct moment at);
void node_attach(struct node *node, struct execution *execution);
void node_detach(struct node *node, struct execution *execution);
bool node_fresh(const struct node *node, struct moment at);
bool node_usable(const struct node *node, struct moment at);
struct msg_limits node_free(const struct ledger *ledger, const struct node *node);
void node_name_execution(struct execution *execution, struct node *node); /* execution->node, counted */
/* Once a second: incumbents, and forgetting those that nobody needs. */
void nodes_tick(struct ledger *ledger, struct moment at);
void nodes_destroy(struct ledger *ledger);

/* --- line.c --- */
/* Not counted: the caller raises refs. NULL and the sticky error when memory is short. */
struct pool *pool_get(struct ledger *ledger, struct str name);
/* What the largest node could give when empty; all 0 when none is known. */
const struct msg_limits *pool_largest(const struct ledger *ledger, struct pool *pool);
void pool_release(struct ledger *ledger, struct pool *pool);
struct code *code_get(struct ledger *ledger, struct str name);
void code_release(struct ledger *ledger, struct code *code);
void line_add(struct ledger *ledger, struct execution *execution, struct moment at);
void line_remove(struct ledger *ledger, struct execution *execution);
int line_compare_backoff(const struct tree_link *a, const struct tree_link *b);
void line_destroy(struct ledger *ledger);

/* --- admit.c --- */
void admit_wish(const struct execution *execution, struct start_wish *out);

#endif
