/* CPU, I/O and network against deadlines in a closed loop, with a model that says nothing and with one that
 * warns: who could meet the deadline without a limit meets it although it starts with a twentieth of what it
 * can use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "allocate/amounts.h"
#include "allocate/policy.h"
#include "common/base.h"

#define TICK_MS 100
#define LOOP_MS 20
#define TELL_MS 1000 /* predict tells of a stall against a deadline once a second */

struct job {
    enum amount amount;
    double demand, work; /* what it could use per second; what it has to do */
    double limit;        /* at start */
    double timeout_s;
    float probability;
    int64_t room; /* the node's, beside the limit; 0 = not known */
};

struct outcome {
    double took_s, limit;
    int raises;
};

/* What predict reports of the second before. */
static void fill(const struct job *job, double limit, struct msg_risk *risk)
{
    double used = FS_MIN(limit, job->demand);
    switch (job->amount) {
    case AMOUNT_CPU:
        risk->limits.cpu_millicores = (int32_t)limit;
        risk->cpu_millicores = (int32_t)used;
        risk->throttled_permille =
            job->demand > limit ? 1000 : 0; /* every quota period ends throttled, or none */
        risk->probabilities.cpu = job->probability;
        risk->cause = MSG_CAUSE_CPU;
        break;
    case AMOUNT_IO_READ:
        risk->limits.io_read_bps = (int64_t)limit;
        risk->io_bps = (int64_t)used;
        risk->io_stall_permille = (int32_t)(1000 * (1 - used / job->demand));
        risk->probabilities.io = job->probability;
        risk->cause = MSG_CAUSE_IO;
        break;
    default:
        risk->limits.net_egress_bps = (int64_t)limit;
        risk->net_bps = (int64_t)used;
        risk->probabilities.net = job->probability;
        risk->cause = MSG_CAUSE_NET;
    }
    risk->probability = job->probability;
    risk->above = job->probability >= risk->threshold;
}

static struct outcome run(const struct job *job)
{
    struct policy_attempt attempt = {0};
    struct outcome outcome = {.limit = job->limit};
    double done = 0, due_limit = 0;
    int64_t due_ms = 0, now_ms = 0;
    for (; done < job->work && (double)now_ms < job->timeout_s * 3000; now_ms++) {
        done += FS_MIN(outcome.limit, job->demand) / 1000;
        bool changed = due_ms > 0 && now_ms >= due_ms;
        if (changed) {
            outcome.limit = due_limit;
            due_ms = 0;
        }
        if (!changed && now_ms % TELL_MS != 0)
            continue;
        struct msg_risk risk = {.threshold = 0.5f,
                                .horizon_ms = 10000,
                                .started_us = 1,
                                .tasks = 4,
                                .sampled_us = now_ms * 1000 + 1,
                                .timeout_ms = (int64_t)(job->timeout_s * 1000)};
        struct policy_node node = {.known = job->room > 0};
        struct policy_decision decision;
        fill(job, outcome.limit, &risk);
        amount_set(&node.capacity, job->amount, job->room);
        amount_set(&node.free, job->amount, job->room);
        struct policy_input input = {
            .risk = &risk, .node = &node, .now_us = risk.sampled_us + INT64_C(500) * LOOP_MS};
        policy_decide(&policy_defaults, &input, &attempt, &decision);
        if (decision.direction != MSG_DIRECTION_RAISE)
            continue;
        outcome.raises++;
        due_ms = now_ms + LOOP_MS;
        due_limit = (double)amount_get(&decision.limits, job->amount);
    }
    outcome.took_s = (double)now_ms / 1000;
    return outcome;
}

static void assert_meets(enum amount amount, float probability)
{
    static const double timeouts_s[] = {5, 10, 30, 120, 3600};
    for (size_t i = 0; i < FS_COUNT(timeouts_s); i++) {
        double demand = amount == AMOUNT_CPU ? 2000 : 80e6;
        struct job job = {.amount = amount,
                          .demand = demand,
                          .work = demand * timeouts_s[i] * 0.5,
                          .limit = demand / 20,
                          .timeout_s = timeouts_s[i],
                          .probability = probability};
        struct outcome outcome = run(&job);
        print_message("%s p=%.2f: deadline %.0f s, took %.1f s, %d raises to %.2f of what it can use\n",
                      msg_cause_name(amount_cause(amount)), (double)probability, timeouts_s[i],
                      outcome.took_s, outcome.raises, outcome.limit / demand);
        assert_true(outcome.took_s <= timeouts_s[i]);
        assert_true(outcome.limit <= 4.5 * demand);
    }
}

static void rates__model_silent__deadline_met(void **state)
{
    (void)state;
    assert_meets(AMOUNT_CPU, 0.02f);
    assert_meets(AMOUNT_IO_READ, 0.02f);
    assert_meets(AMOUNT_NET, 0.02f);
}

static void rates__model_warns__deadline_met(void **state)
{
    (void)state;
    assert_meets(AMOUNT_CPU, 0.9f);
    assert_meets(AMOUNT_IO_READ, 0.9f);
    assert_meets(AMOUNT_NET, 0.9f);
}

static void rates__no_deadline_and_silent_model__left_alone(void **state)
{
    (void)state;
    struct job job = {.amount = AMOUNT_CPU, .demand = 1000, .work = 2000, .limit = 200, .timeout_s = 0};
    struct msg_risk risk = {
        .threshold = 0.5f, .horizon_ms = 10000, .started_us = 1, .sampled_us = 60000000, .tasks = 4};
    struct policy_attempt attempt = {0};
    struct policy_decision decision;
    struct policy_input input = {.risk = &risk, .now_us = 60000000};
    fill(&job, 200, &risk);
    policy_decide(&policy_defaults, &input, &attempt, &decision);
    assert_int_equal(decision.direction, MSG_DIRECTION_KEEP);
}

static void rates__node_nearly_full__takes_what_is_there(void **state)
{
    (void)state;
    struct job job = {
        .amount = AMOUNT_CPU, .demand = 2000, .work = 8000, .limit = 100, .timeout_s = 10, .room = 300};
    struct outcome outcome = run(&job);
    assert_true(outcome.raises >= 1);
    assert_true(outcome.limit >= 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates__model_silent__deadline_met),
        cmocka_unit_test(rates__model_warns__deadline_met),
        cmocka_unit_test(rates__no_deadline_and_silent_model__left_alone),
        cmocka_unit_test(rates__node_nearly_full__takes_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
