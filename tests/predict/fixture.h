/* What the tests of predict share: networks made by hand or at random, ticks of running attempts, engines
 * that keep what they told. Everything fails the running test when it does not work. */
#ifndef FORESTALL_TESTS_PREDICT_FIXTURE_H
#define FORESTALL_TESTS_PREDICT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/buffer.h"
#include "model/network.h"
#include "predict/engine.h"

#define MIB ((int64_t)1 << 20)
#define TICK_US 100000
#define START_US 1700000000000000

/* "ramp": the probability of memory rises with the time left to the limit, one half at about 14 s. "random":
 * any weights, so that the state matters. version 0: never saved. */
struct network *make_ramp_network(void);
struct network *make_random_network(uint64_t seed, size_t hidden, size_t layers);
/* Bytes of its file; fills the version. */
void save_network(struct network *network, struct buffer *out);

/* One attempt as an agent would sample it; change what matters, then sample. */
struct run {
    uint8_t execution[16];
    int32_t attempt;
    char code[32];
    int32_t command; /* 0: not known */
    int64_t started_us, timeout_ms;
    struct msg_limits limits;
    struct msg_counters counters;
};
struct run make_run(uint8_t number, const char *code, int64_t limit_bytes);
/* A tick of one node with these runs; samples lives in the caller. */
struct msg_tick make_tick(const char *node, int64_t sequence, const struct run *runs, size_t count,
                          struct msg_sample *samples);

/* What an engine told, without strings. */
#define TOLD_MAX 4096
struct told {
    struct msg_risk risks[TOLD_MAX];
    struct msg_contribution terms[TOLD_MAX][3];
    size_t count;
};
void keep_risk(void *context, struct msg_risk *risk);
struct engine *make_engine(struct codes *codes, struct told *told, int64_t training_ticks);
/* Adds one tick of the runs and flushes. */
void feed_tick(struct engine *engine, int64_t sequence, const struct run *runs, size_t count, bool muted);

#endif
