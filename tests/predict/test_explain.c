/* Explanations: the feature that moves the answer is named, also when the network reads it in segments only.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "model/features.h"
#include "predict/explain.h"

#define HIDDEN 2

/* Reads one feature: scaled as it is, or by one segment around zero. */
static struct network *network_that_reads(size_t feature, bool segment)
{
    struct network *network = network_create(&(struct network_shape){FEATURE_COUNT, HIDDEN, 1, 1}, 1);
    assert_non_null(network);
    memset(network->weights, 0, network->weight_count * sizeof *network->weights);
    network->segments[0] = (struct network_segment){feature, -0.01f, 50};
    network->bound = 3;
    size_t row = segment ? FEATURE_COUNT : feature;
    for (size_t gate = 0; gate < (size_t)4 * HIDDEN; gate++)
        network->layers[0].weight[row * 4 * HIDDEN + gate] = 2;
    for (size_t i = 0; i < HIDDEN; i++)
        network->head_weight[i * NETWORK_OUTPUTS] = 1; /* memory */
    return network;
}

static void check(size_t feature, bool segment)
{
    struct network *network = network_that_reads(feature, segment);
    struct network_scratch *scratch = network_scratch_create(&network->shape);
    struct explainer *explainer = explainer_create(network);
    float features[FEATURE_COUNT];
    real before[2 * HIDDEN] = {0}, after[2 * HIDDEN] = {0}, *state = after;
    struct network_output out;
    struct msg_contribution terms[EXPLAIN_TERMS];
    for (size_t i = 0; i < FEATURE_COUNT; i++)
        features[i] = 5; /* far from its mean, and of no weight */
    features[feature] = segment ? 0.01f : 1.5f;
    network_step(network, scratch, features, &state, &out, 1);
    const struct explain_input input = {.network = network,
                                        .scratch = scratch,
                                        .state = before,
                                        .features = features,
                                        .logit = out.logits[0]};
    assert_int_equal(explain(explainer, &input, terms), 1);
    assert_true(str_equal(terms[0].feature, str_of(feature_name((enum feature_index)feature))));
    assert_true(terms[0].value == features[feature] && terms[0].weight > 0);
    assert_true(fabs((double)(terms[0].weight - out.logits[0])) < 1e-6); /* at its mean the answer is 0 */
    explainer_destroy(explainer);
    network_scratch_destroy(scratch);
    network_destroy(network);
}

static void explain__one_feature_counts__named(void **state)
{
    (void)state;
    check(FEATURE_MEMORY_TO_LIMIT, false);
}

static void explain__read_in_a_segment_only__named(void **state)
{
    (void)state;
    check(FEATURE_PROFILE_MAX_TO_LIMIT, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(explain__one_feature_counts__named),
        cmocka_unit_test(explain__read_in_a_segment_only__named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
