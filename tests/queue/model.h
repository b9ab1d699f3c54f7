/* A whole small world that misbehaves at random: nodes with agents that keep the real agent's rules, an
 * admission path that delays, drops and repeats, logs with positions, allocate, people who cancel, and a
 * queue that crashes, loses transactions, stands still and is cut off. Everything follows from one seed. */
#ifndef FORESTALL_TESTS_QUEUE_MODEL_H
#define FORESTALL_TESTS_QUEUE_MODEL_H

#include "common/arena.h"
#include "common/buffer.h"
#include "queue/ledger.h"

#define MODEL_NODES 3
#define MODEL_EXECUTIONS 40
#define MODEL_ATTEMPTS 6 /* at most 4 allowed */
#define MODEL_STEP_US ((int64_t)100000)

struct model_faults {
    bool queue_crashes; /* kill -9 before a commit, and restarts of any length */
    bool lost_commits;  /* aborted transactions */
    bool cuts;          /* nodes cut off for up to twice the lease */
    bool reboots;       /* with and without their state directory */
    bool clones;        /* a second agent with the same node id */
    bool bad_delivery;  /* admissions dropped, repeated, late */
    bool odd_verdicts;  /* before the event, twice, never */
    bool cancels;
};

struct model_results {
    unsigned done[MSG_OUTCOME_COUNT], starts, retries, lost, crashes, aborted, strays;
};

/* Runs until all executions are done; fails the running test with the seed when a rule is broken. */
void model_run(uint64_t seed, const struct model_faults *faults, struct model_results *results);

#endif
