/* A small training, and one that starts from a network of before. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "model/network_widen.h"
#include "retrain/evaluate.h"
#include "retrain/fit.h"
#include "tests/retrain/made.h"

static const struct dataset_options how = MADE_OPTIONS;

static void fit__growing_programs__learned_and_scored(void **state)
{
    (void)state;
    struct corpus *corpus = corpus_of(24);
    struct dataset train = {0}, validation = {0}, empty = {0};
    struct dataset_options options = how;
    struct network *network = NULL, *unused;
    size_t first[18], last[6];
    for (size_t i = 0; i < 24; i++)
        *(i < 18 ? &first[i] : &last[i - 18]) = i;
    struct fit_options fit = {.seed = 1,
                              .hidden = 8,
                              .layers = 1,
                              .epochs = 12,
                              .patience = 12,
                              .learning_rate = 0.01,
                              .demand_weight = 1,
                              .horizon_weight = 0.3,
                              .lanes = 16,
                              .window = 32,
                              .goal = {500, 0.9}};
    assert_int_equal(dataset_add(&train, &corpus->set, first, 18, &options), 0);
    options.augmented = options.stretched = false;
    assert_int_equal(dataset_add(&validation, &corpus->set, last, 6, &options), 0);
    assert_int_equal(fit_network(NULL, &train, &validation, &fit, NULL, NULL, &network), 0);
    for (size_t cause = 0; cause < NETWORK_CAUSES; cause++)
        assert_true(network->thresholds[cause] > 0 && network->thresholds[cause] < 1);
    assert_int_equal(network->features_version, FEATURES_VERSION);
    json_t *scores = evaluate_network(network, &validation, 500, false);
    const json_t *model = json_object_get(json_object_get(scores, "memory"), "model");
    double precision = json_number_value(json_object_get(model, "average_precision"));
    print_message("average precision %.3f\n", precision);
    assert_true(precision > 0.5);
    const json_t *horizons = json_object_get(scores, "horizons");
    const char *const names[] = {"2s", "30s"};
    for (size_t h = 0; h < NETWORK_HORIZONS; h++) {
        const json_t *within = json_object_get(json_object_get(horizons, names[h]), "memory");
        double rate = json_number_value(json_object_get(within, "positive")) /
                      json_number_value(json_object_get(within, "ticks"));
        print_message("within %s: average precision %.3f, base rate %.3f\n", names[h],
                      json_number_value(json_object_get(within, "average_precision")), rate);
        assert_true(json_number_value(json_object_get(within, "average_precision")) > rate + 0.2);
        assert_true(network->horizon_slope[h][0] > 0);
    }
    json_decref(scores);
    assert_int_equal(fit_network(NULL, &empty, &validation, &fit, NULL, NULL, &unused), -EINVAL);
    network_destroy(network);
    dataset_fini(&train);
    dataset_fini(&validation);
    free(corpus);
}

/* Largest difference of two networks' logits over the steps of a set, from zero state. */
static double logits_apart(const struct network *a, const struct network *b, const struct dataset *dataset)
{
    struct answers left = {0}, right = {0};
    double worst = 0;
    assert_int_equal(answers_make(a, dataset, &left), 0);
    assert_int_equal(answers_make(b, dataset, &right), 0);
    for (size_t e = 0; e < dataset->count; e++)
        for (size_t t = 0; t < dataset->items[e].labels.ticks; t++)
            for (size_t i = 0; i < NETWORK_CAUSES; i++)
                worst = fmax(worst,
                             fabs((double)left.items[e][t].logits[i] - (double)right.items[e][t].logits[i]));
    answers_fini(&left);
    answers_fini(&right);
    return worst;
}

static void fit__from_a_network_without_segments__gets_them_and_answers_alike(void **state)
{
    (void)state;
    struct corpus *corpus = corpus_of(6);
    struct dataset data = {0};
    struct network *start = network_create(&(struct network_shape){FEATURE_COUNT, 5, 2, 0}, 3), *begun,
                   *again;
    struct fit_options fit = {.segments = 2, .patience = 1, .lanes = 4, .window = 16, .goal = {500, 0.9}};
    start->features_version = FEATURES_VERSION;
    for (size_t i = 0; i < FEATURE_COUNT; i++)
        start->scale[i] = 0.25f; /* within the bound, whatever the feature */
    assert_int_equal(dataset_add(&data, &corpus->set, NULL, 0, &how), 0);
    assert_int_equal(fit_network(start, &data, &data, &fit, NULL, NULL, &begun), 0); /* no epoch */
    assert_true(begun->shape.segments > 0 && begun->shape.segments % 2 == 0);
    assert_true(begun->bound > 1 && begun->bound < 100);
    assert_true(logits_apart(start, begun, &data) < 1e-5);
    assert_int_equal(network_inputs_used(begun), FEATURE_COUNT);
    fit.segments = 3; /* those that it has stay */
    for (size_t i = 0; i < begun->weight_count; i++)
        begun->weights[i] += (real)(i % 7) * (real)0.01;
    assert_int_equal(fit_network(begun, &data, &data, &fit, NULL, NULL, &again), 0);
    assert_int_equal(again->shape.segments, begun->shape.segments);
    assert_memory_equal(again->segments, begun->segments, begun->shape.segments * sizeof begun->segments[0]);
    assert_true(logits_apart(begun, again, &data) < 1e-5);
    network_destroy(start);
    network_destroy(begun);
    network_destroy(again);
    dataset_fini(&data);
    free(corpus);
}

/* A model of before the last features: what it reads stays as it is, what it never read is scaled and cut. */
static void fit__from_a_network_of_fewer_features__new_ones_are_scaled_and_cut(void **state)
{
    (void)state;
    enum { BEFORE = FEATURE_HAS_DATA };
    struct corpus *corpus = corpus_of(6);
    struct dataset data = {0};
    struct network *narrow = network_create(&(struct network_shape){BEFORE, 5, 2, 2}, 3), *begun;
    struct fit_options fit = {.segments = 2, .patience = 1, .lanes = 4, .window = 16, .goal = {500, 0.9}};
    narrow->features_version = FEATURES_VERSION;
    narrow->bound = 3;
    for (size_t i = 0; i < BEFORE; i++)
        narrow->scale[i] = 0.25f;
    for (size_t i = 0; i < 2; i++)
        narrow->segments[i] = (struct network_segment){FEATURE_MEMORY_TO_LIMIT, 0.5f * (float)i, 2};
    struct network *start = network_widen(narrow, FEATURE_COUNT, 2); /* as a file is read */
    assert_int_equal(network_inputs_used(start), BEFORE);
    assert_int_equal(dataset_add(&data, &corpus->set, NULL, 0, &how), 0);
    assert_int_equal(fit_network(start, &data, &data, &fit, NULL, NULL, &begun), 0); /* no epoch */
    assert_memory_equal(begun->scale, narrow->scale, BEFORE * sizeof begun->scale[0]);
    assert_memory_equal(begun->segments, narrow->segments, 2 * sizeof begun->segments[0]);
    for (size_t i = BEFORE; i < FEATURE_COUNT; i++)
        assert_true(begun->scale[i] == 10); /* nothing in these records tells it */
    size_t cut = 0;
    for (size_t i = 2; i < begun->shape.segments; i++) {
        assert_true(begun->segments[i].feature != FEATURE_MEMORY_TO_LIMIT);
        cut += begun->segments[i].feature == FEATURE_DATA_TO_LIMIT;
    }
    assert_int_equal(cut, 2);
    assert_true(logits_apart(start, begun, &data) < 1e-5);
    network_destroy(narrow);
    network_destroy(start);
    network_destroy(begun);
    dataset_fini(&data);
    free(corpus);
}

/* 0 where a feature has no part in what was learned: nothing that the start could do is lost. */
static void fit__additions__change_nothing_where_new_features_are_not_known(void **state)
{
    (void)state;
    enum { BEFORE = FEATURE_HAS_DATA };
    struct corpus *corpus = corpus_of(6);
    struct dataset data = {0}, told = {0};
    struct network *narrow = network_create(&(struct network_shape){BEFORE, 5, 2, 0}, 3), *learned;
    struct fit_options fit = {.epochs = 3,
                              .patience = 3,
                              .learning_rate = 0.02,
                              .lanes = 4,
                              .window = 16,
                              .additions = true,
                              .goal = {500, 0.9}};
    narrow->features_version = FEATURES_VERSION;
    assert_int_equal(dataset_add(&data, &corpus->set, NULL, 0, &how), 0);
    for (size_t i = 0; i < BEFORE; i++)
        narrow->scale[i] = 0.25f; /* within the bound, whatever the feature */
    assert_int_equal(fit_network(NULL, &data, &data, &fit, NULL, NULL, &learned), -ENOTSUP);
    struct network *start = network_widen(narrow, FEATURE_COUNT, 0);
    for (size_t i = 0; i < corpus->set.count; i++)
        make_tell_data(&corpus->made[i]);
    assert_int_equal(dataset_add(&told, &corpus->set, NULL, 0, &how), 0);
    assert_int_equal(fit_network(start, &told, &told, &fit, NULL, NULL, &learned), 0);
    assert_int_equal(network_inputs_used(learned), FEATURE_COUNT);
    assert_true(logits_apart(start, learned, &data) < 1e-5); /* nobody tells what was asked for */
    assert_true(logits_apart(start, learned, &told) > 1e-2);
    network_destroy(narrow);
    assert_int_equal(fit_network(learned, &told, &told, &fit, NULL, NULL, &narrow), -ENOTSUP);
    network_destroy(start);
    network_destroy(learned);
    dataset_fini(&data);
    dataset_fini(&told);
    free(corpus);
}

/* Its steps stay as fast: units of one do not hear those of the other. */
static void fit__from_merged_networks__stay_apart(void **state)
{
    (void)state;
    struct corpus *corpus = corpus_of(6);
    struct dataset data = {0};
    struct fit_options fit = {.hidden = 6,
                              .layers = 2,
                              .epochs = 1,
                              .patience = 1,
                              .learning_rate = 0.02,
                              .lanes = 4,
                              .window = 16,
                              .members = 2,
                              .goal = {500, 0.9}};
    struct network *merged, *learned;
    assert_int_equal(dataset_add(&data, &corpus->set, NULL, 0, &how), 0);
    assert_int_equal(fit_network(NULL, &data, &data, &fit, NULL, NULL, &merged), 0);
    fit.members = 1;
    fit.epochs = 3;
    assert_int_equal(fit_network(merged, &data, &data, &fit, NULL, NULL, &learned), 0);
    assert_true(logits_apart(merged, learned, &data) > 1e-2);
    network_find_blocks(learned);
    assert_int_equal(learned->block, 6);
    network_destroy(merged);
    network_destroy(learned);
    dataset_fini(&data);
    free(corpus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fit__growing_programs__learned_and_scored),
        cmocka_unit_test(fit__from_a_network_without_segments__gets_them_and_answers_alike),
        cmocka_unit_test(fit__from_a_network_of_fewer_features__new_ones_are_scaled_and_cut),
        cmocka_unit_test(fit__additions__change_nothing_where_new_features_are_not_known),
        cmocka_unit_test(fit__from_merged_networks__stay_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
