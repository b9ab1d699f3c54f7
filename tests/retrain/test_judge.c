/* The judge on records: drift, shadow, watch and what it remembers, with networks that always say the same.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "model/features.h"
#include "retrain/check.h"
#include "retrain/commands.h"
#include "retrain/judge.h"
#include "tests/retrain/made.h"

/* A network that answers each cause with this logit, whatever it sees. */
static struct network *constant(const char *version, float logit)
{
    const struct network_shape shape = {FEATURE_COUNT, 2, 1, 0};
    struct network *network = network_create(&shape, 1);
    assert_non_null(network);
    memset(network->weights, 0, network->weight_count * sizeof *network->weights);
    for (size_t i = 0; i < NETWORK_CAUSES; i++)
        network->head_bias[i] = logit;
    network->features_version = FEATURES_VERSION;
    (void)str_copy(network->version, sizeof network->version, str_of(version));
    return network;
}

static struct judge *begin(void)
{
    const struct judge_options options = {.seed = 1,
                                          .shadow_least = 20,
                                          .shadow_most = 80,
                                          .watch = 80,
                                          .drift_delta = 0.002,
                                          .horizon_ms = 10000};
    struct judge *judge = judge_create(&options);
    assert_non_null(judge);
    return judge;
}

/* Calm programs that end well, of eight codes; crashing: they crash. The decision that ended it. */
static enum judge_decision feed(struct judge *judge, int from, int to, bool crashing, struct comparison *why)
{
    static struct made made;
    enum judge_decision decision = JUDGE_NOTHING;
    for (int i = from; i < to && decision == JUDGE_NOTHING; i++) {
        char code[32];
        (void)snprintf(code, sizeof code, "code-%d", i % 8);
        make(&made, i, code, 50 + i % 7);
        if (crashing) {
            made.record.outcome = MSG_OUTCOME_CRASHED;
            made.record.cause = MSG_CAUSE_OTHER;
            made.record.exit_status = 1;
        }
        assert_int_equal(check_record(&made.record, T0 + 86400000000), CHECK_FINE);
        assert_int_equal(judge_record(judge, &made.record), 1);
        assert_int_equal(judge_decide(judge, &decision, why), 0);
    }
    return decision;
}

static void shadow__better_challenger__promoted_worse_one_dropped(void **state)
{
    (void)state;
    struct judge *judge = begin();
    struct comparison why;
    judge_set(judge, MODELS_CHAMPION, constant("old", 0));
    assert_int_equal(feed(judge, 0, 30, false, &why), JUDGE_NOTHING); /* nobody in shadow */
    judge_set(judge, MODELS_CHALLENGER, constant("better", -2));
    assert_int_equal(feed(judge, 100, 119, false, &why), JUDGE_NOTHING); /* too few yet */
    assert_int_equal(feed(judge, 100, 119, false, &why), JUDGE_NOTHING); /* the same once more do not count */
    assert_int_equal(judge->shadow.count, 19);
    assert_int_equal(feed(judge, 119, 200, false, &why), JUDGE_PROMOTE);
    assert_int_equal(judge->shadow.count, 0);
    assert_true(why.challenger < why.champion && why.executions == 20);
    judge_set(judge, MODELS_CHALLENGER, constant("worse", 2));
    assert_int_equal(feed(judge, 200, 300, false, &why), JUDGE_DROP);
    judge_destroy(judge);
}

static void watch__worse_champion__rolled_back(void **state)
{
    (void)state;
    struct judge *judge = begin();
    struct comparison why;
    judge_set(judge, MODELS_CHAMPION, constant("promoted", 1));
    judge_set(judge, MODELS_PREVIOUS, constant("before", -1));
    assert_int_equal(feed(judge, 0, 100, false, &why), JUDGE_ROLL_BACK);
    assert_int_equal(why.executions, COMPARE_EXECUTIONS_MIN);
    judge_set(judge, MODELS_CHAMPION, constant("before", -1));
    judge_set(judge, MODELS_PREVIOUS, NULL);
    assert_int_equal(feed(judge, 100, 200, false, &why), JUDGE_NOTHING);
    judge_destroy(judge);
}

static void watch__better_champion__settled_once(void **state)
{
    (void)state;
    struct judge *judge = begin();
    struct comparison why;
    judge_set(judge, MODELS_PREVIOUS, constant("before", 1));
    judge_set(judge, MODELS_CHAMPION, constant("promoted", -1));
    assert_int_equal(feed(judge, 0, 100, false, &why), JUDGE_SETTLED);
    judge_set(judge, MODELS_PREVIOUS, constant("before", 1)); /* read again */
    assert_int_equal(feed(judge, 100, 250, false, &why), JUDGE_NOTHING);
    judge_undo(judge);
    assert_true(trial_running(&judge->watch));
    judge_destroy(judge);
}

static void drift__programs_begin_to_crash__seen_once(void **state)
{
    (void)state;
    struct judge *judge = begin();
    struct comparison why;
    judge_set(judge, MODELS_CHAMPION, constant("champion", -3));
    assert_int_equal(feed(judge, 0, 200, false, &why), JUDGE_NOTHING);
    double calm = adwin_mean(&judge->drift);
    assert_false(judge_saw_drift(judge));
    assert_int_equal(feed(judge, 200, 300, true, &why), JUDGE_NOTHING);
    assert_true(judge_saw_drift(judge));
    assert_false(judge_saw_drift(judge));
    print_message("loss %.3f, then %.3f over %.0f executions\n", calm, adwin_mean(&judge->drift),
                  adwin_width(&judge->drift));
    assert_true(adwin_mean(&judge->drift) > calm + 0.1 && adwin_width(&judge->drift) < 200);
    judge_set(judge, MODELS_CHAMPION, constant("next", -1)); /* another model's loss is another stream */
    assert_true(adwin_width(&judge->drift) == 0);
    judge_destroy(judge);
}

static void drift__while_watched__rolled_back_without_waiting_for_certainty(void **state)
{
    (void)state;
    struct judge *judge = begin();
    struct comparison why;
    judge_set(judge, MODELS_CHAMPION, constant("promoted", -5));
    judge_set(judge, MODELS_PREVIOUS, constant("before", -2));
    for (int i = 0; i < 30; i++) /* not surely worse: half of the codes are, much */
        assert_true(trial_add(&judge->watch, (uint64_t)i + 1,
                              &(struct compare_execution){.champion = 0.1,
                                                          .challenger = i % 8 < 3 ? 0.3 : 0.05,
                                                          .code = (uint64_t)i % 8}));
    enum judge_decision decision;
    assert_int_equal(judge_decide(judge, &decision, &why), 0);
    assert_int_equal(decision, JUDGE_NOTHING);
    assert_true(why.low < 0 && why.challenger > why.champion);
    judge->drifted = true;
    assert_int_equal(judge_decide(judge, &decision, &why), 0);
    assert_int_equal(decision, JUDGE_ROLL_BACK);
    judge_destroy(judge);
}

static void memory__kept_over_a_restart__damaged_or_of_other_models_not(void **state)
{
    (void)state;
    char path[] = "/tmp/forestall-judge-XXXXXX";
    int fd = mkstemp(path);
    struct comparison why;
    assert_true(fd >= 0 && close(fd) == 0);
    struct judge *judge = begin();
    judge_set(judge, MODELS_CHAMPION, constant("old", 0));
    judge_set(judge, MODELS_CHALLENGER, constant("young", -2));
    assert_int_equal(feed(judge, 0, 15, false, &why), JUDGE_NOTHING);
    assert_int_equal(judge_save(judge, path), 0);
    assert_false(judge->changed);
    judge_destroy(judge);

    judge = begin();
    judge_set(judge, MODELS_CHAMPION, constant("old", 0));
    judge_set(judge, MODELS_CHALLENGER, constant("young", -2));
    assert_int_equal(judge_load(judge, path), 0);
    assert_int_equal(judge->shadow.count, 15);
    assert_true(adwin_width(&judge->drift) == 15);
    assert_int_equal(feed(judge, 10, 20, false, &why), JUDGE_PROMOTE); /* 10 to 14 are known */
    judge_destroy(judge);

    judge = begin();
    judge_set(judge, MODELS_CHAMPION, constant("old", 0));
    judge_set(judge, MODELS_CHALLENGER, constant("another", -2));
    assert_int_equal(judge_load(judge, path), 0);
    assert_int_equal(judge->shadow.count, 0);
    assert_int_equal(truncate(path, 500), 0);
    assert_int_equal(judge_load(judge, path), -EBADMSG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(judge_load(judge, path), -ENOENT);
    judge_destroy(judge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shadow__better_challenger__promoted_worse_one_dropped),
        cmocka_unit_test(watch__worse_champion__rolled_back),
        cmocka_unit_test(watch__better_champion__settled_once),
        cmocka_unit_test(drift__programs_begin_to_crash__seen_once),
        cmocka_unit_test(drift__while_watched__rolled_back_without_waiting_for_certainty),
        cmocka_unit_test(memory__kept_over_a_restart__damaged_or_of_other_models_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
