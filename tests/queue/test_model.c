/* Random worlds against the rules: one terminal state per execution, no attempt twice, no two offers of one
 * attempt alive, never more on a node than fits. FORESTALL_MODEL_RUNS sets how many, FORESTALL_MODEL_SEED the
 * first seed. */
#include "tests/queue/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

static uint64_t number_from(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : fallback;
}

static struct model_results run(const struct model_faults *faults, uint64_t runs)
{
    struct model_results results = {0};
    uint64_t first = number_from("FORESTALL_MODEL_SEED", 1);
    runs = number_from("FORESTALL_MODEL_RUNS", runs);
    for (uint64_t seed = first; seed < first + runs; seed++)
        model_run(seed, faults, &results);
    print_message(
        "%llu worlds: %u starts, %u retries, %u lost, %u strays ended, %u crashes, %u aborted; finished %u, "
        "oom %u, crashed %u, killed %u, lost %u\n",
        (unsigned long long)runs, results.starts, results.retries, results.lost, results.strays,
        results.crashes, results.aborted, results.done[MSG_OUTCOME_FINISHED],
        results.done[MSG_OUTCOME_OOM_KILLED], results.done[MSG_OUTCOME_CRASHED],
        results.done[MSG_OUTCOME_KILLED], results.done[MSG_OUTCOME_LOST]);
    return results;
}

static void model__nothing_goes_wrong__nothing_is_lost(void **unused)
{
    (void)unused;
    const struct model_faults none = {0};
    struct model_results results = run(&none, 20);
    assert_int_equal(results.lost, 0);
    assert_int_equal(results.done[MSG_OUTCOME_LOST], 0);
    assert_int_equal(results.strays, 0);
}

static void model__queue_crashes_only__nothing_is_lost(void **unused)
{
    (void)unused;
    const struct model_faults faults = {.queue_crashes = true,
                                        .lost_commits = true,
                                        .odd_verdicts = true,
                                        .bad_delivery = true,
                                        .cancels = true};
    struct model_results results = run(&faults, 60);
    assert_true(results.crashes > 100 && results.aborted > 100);
    assert_int_equal(results.lost, 0); /* not the nodes' fault, so no attempt is given up for it */
}

static void model__everything_but_clones__rules_hold(void **unused)
{
    (void)unused;
    const struct model_faults faults = {.queue_crashes = true,
                                        .lost_commits = true,
                                        .cuts = true,
                                        .reboots = true,
                                        .bad_delivery = true,
                                        .odd_verdicts = true,
                                        .cancels = true};
    struct model_results results = run(&faults, 100);
    assert_true(results.lost > 10 && results.done[MSG_OUTCOME_FINISHED] > 0);
}

static void model__everything__rules_hold(void **unused)
{
    (void)unused;
    const struct model_faults faults = {.queue_crashes = true,
                                        .lost_commits = true,
                                        .cuts = true,
                                        .reboots = true,
                                        .clones = true,
                                        .bad_delivery = true,
                                        .odd_verdicts = true,
                                        .cancels = true};
    (void)run(&faults, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model__nothing_goes_wrong__nothing_is_lost),
        cmocka_unit_test(model__queue_crashes_only__nothing_is_lost),
        cmocka_unit_test(model__everything_but_clones__rules_hold),
        cmocka_unit_test(model__everything__rules_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
