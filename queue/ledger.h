/* The life cycles of all executions of one partition, as a pure state machine.
 *
 * Inputs: requests, events, verdicts, node status, what Redis says of a code, and time. Outputs, into a sink:
 * admissions at once, and at ledger_flush() one state record for each execution that changed. It knows no
 * broker and no clock; the same inputs give the same outputs. The caller makes inputs, outputs and the
 * positions of the inputs one transaction.
 *
 * Guarantees
 * - Every execution taken in reaches exactly one terminal state; a state record is its whole truth, so
 *   ledger_restore() from the newest records and going on is the same as never having stopped.
 * - An attempt is offered under one placement at a time. A new placement follows only on a REFUSED answer of
 * the very incarnation it was offered to; otherwise the attempt counts as run, and the next one has another
 * number.
 * - Absence is measured on `seen_us`, which the caller advances only while it certainly sees what nodes say.
 *
 * life:  WAITING -> PLACED -> RUNNING -> JUDGED -> BACKOFF -> WAITING ...   each -> DONE
 * JUDGED: ended in a failure, its verdict is awaited. BACKOFF: the next attempt has its number, not its turn.
 */
#ifndef FORESTALL_QUEUE_LEDGER_H
#define FORESTALL_QUEUE_LEDGER_H

#include "queue/counts.h"
#include "queue/options.h"
#include "queue/start.h"
#include "schemas/messages.h"

struct ledger;
struct code; /* what is known of one code; see ledger_learn() */

struct ledger_config {
    int64_t ageing_us, patience_us, unplaceable_us;
    int64_t offer_ttl_us, resend_us;
    int64_t lost_us, takeover_us, settle_us;
    int64_t backoff_us, backoff_max_us, verdict_wait_us, keep_done_us;
    double raise_reserve, failure_step;
    struct start_config start;
    size_t max_request_bytes, max_nodes, max_codes, max_done;
};

void ledger_config_fill(struct ledger_config *config, const struct queue_options *options);

/* now_us: Unix time. seen_us: time during which node status would have been seen; begins anywhere, never runs
 * faster than real time. */
struct moment {
    int64_t now_us, seen_us;
};

/* Everything borrowed for the call only. */
struct ledger_sink {
    void (*state)(void *context, const struct msg_execution_state *state);
    void (*forget)(void *context, const uint8_t execution[16]);
    void (*admit)(void *context, const struct msg_admission *admission);
    void (*waited)(void *context, int64_t wait_us); /* an execution left the queue for a node */
    void *context;
};

/* config, counts and what the sink points to are borrowed. NULL: out of memory. */
struct ledger *ledger_create(const struct ledger_config *config, struct counts *counts,
                             const struct ledger_sink *sink);
void ledger_destroy(struct ledger *ledger);
/* 0, or -ENOMEM once memory was short: what it holds is not whole any more, restore it anew. */
FS_MUST_CHECK int ledger_error(const struct ledger *ledger);

/* --- restoring: all records in their order (state NULL = tombstone), then ledger_restored() --- */
void ledger_restore(struct ledger *ledger, const uint8_t execution[16],
                    const struct msg_execution_state *state);
void ledger_restored(struct ledger *ledger, struct moment at);

/* --- inputs. 0, or -EINVAL with *fault (a literal): the message is not valid and belongs into quarantine;
 * what has to be told about its execution is told. --- */
FS_MUST_CHECK int ledger_request(struct ledger *ledger, const struct msg_execution_request *request,
                                 struct moment at, const char **fault);
FS_MUST_CHECK int ledger_event(struct ledger *ledger, const struct msg_execution_event *event,
                               struct moment at, const char **fault);
FS_MUST_CHECK int ledger_verdict(struct ledger *ledger, const struct msg_verdict *verdict, struct moment at,
                                 const char **fault);
/* published_us: when it was written to Kafka; what is old says little about now. */
FS_MUST_CHECK int ledger_status(struct ledger *ledger, const struct msg_node_status *status,
                                int64_t published_us, struct moment at, const char **fault);
/* Everything that happens by time alone; to be called only when all earlier inputs were given. */
void ledger_tick(struct ledger *ledger, struct moment at);

/* --- admitting. Begin a round, then in turn: ask which codes must be read, tell what was read, admit; until
 * none is wanted. An execution is admitted only when its code was told in this round. --- */
void ledger_round(struct ledger *ledger);
size_t ledger_wanted(struct ledger *ledger, struct moment at, struct code **out, size_t max);
struct str ledger_code_name(const struct code *code);
/* allocation NULL: could not be read; the last one known stays. */
void ledger_learn(struct ledger *ledger, struct code *code, const struct allocation *allocation,
                  struct moment at);
void ledger_admit(struct ledger *ledger, struct moment at);

/* --- outputs --- */
/* Writes the state of everything that changed. */
void ledger_flush(struct ledger *ledger, struct moment at);

/* --- figures --- */
size_t ledger_count(const struct ledger *ledger, enum msg_execution_phase phase); /* DONE: those remembered */
size_t ledger_live(const struct ledger *ledger);
size_t ledger_request_bytes(const struct ledger *ledger);
size_t ledger_node_count(const struct ledger *ledger);
/* Nodes that something can be placed on, and nodes whose status has come for 5 s now but is more than 5 s old
 * each time: the clocks of ingest's host and this one differ, or records come late. Both as of the last tick.
 */
size_t ledger_usable_nodes(const struct ledger *ledger);
size_t ledger_late_nodes(const struct ledger *ledger);
/* Age of the oldest waiting execution. */
int64_t ledger_oldest_us(const struct ledger *ledger, struct moment at);

#endif
