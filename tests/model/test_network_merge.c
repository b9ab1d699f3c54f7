/* Several networks as one: the outputs are the mean of the members'. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/network_merge.h"
#include "model/random.h"

#define INPUTS 6
#define STEPS 20

static struct network *member(size_t hidden, size_t layers, uint64_t seed)
{
    struct network *network = network_create(&(struct network_shape){INPUTS, hidden, layers, 0}, seed);
    assert_non_null(network);
    for (size_t i = 0; i < INPUTS; i++) {
        network->mean[i] = 0.2f * (float)i;
        network->scale[i] = 1.5f;
    }
    for (size_t i = 0; i < NETWORK_OUTPUTS; i++)
        network->head_bias[i] = (real)(0.01 * (double)(seed + i));
    return network;
}

static void last_logits(const struct network *network, double out[NETWORK_CAUSES])
{
    real *state = calloc(network_state_size(&network->shape), sizeof *state);
    struct network_output output = {0};
    uint64_t seed = 9;
    for (size_t t = 0; t < STEPS; t++) {
        float features[INPUTS];
        for (size_t i = 0; i < INPUTS; i++)
            features[i] = (float)random_between(&seed, -2, 2);
        network_step_reference(network, features, state, &output);
    }
    for (size_t i = 0; i < NETWORK_CAUSES; i++)
        out[i] = (double)output.logits[i];
    free(state);
}

static void merge__layers_and_sizes__mean_of_the_members(void **unused)
{
    (void)unused;
    for (size_t layers = 1; layers <= 3; layers++) {
        struct network *members[] = {member(4, layers, 1), member(7, layers, 2), member(5, layers, 3)},
                       *whole;
        double mean[NETWORK_CAUSES] = {0}, got[NETWORK_CAUSES];
        assert_int_equal(network_merge(members, 3, &whole), 0);
        assert_int_equal(whole->shape.hidden, 16);
        for (size_t m = 0; m < 3; m++) {
            last_logits(members[m], got);
            for (size_t i = 0; i < NETWORK_CAUSES; i++)
                mean[i] += got[i] / 3;
            network_destroy(members[m]);
        }
        last_logits(whole, got);
        for (size_t i = 0; i < NETWORK_CAUSES; i++)
            assert_true(fabs(mean[i] - got[i]) < 1e-5);
        network_destroy(whole);
    }
}

/* What a service does with it, by matrix products, beside plain loops. */
static void step_both(const struct network *network, size_t rows)
{
    struct network_scratch *scratch = network_scratch_create(&network->shape);
    size_t size = network_state_size(&network->shape);
    real *fast = calloc(rows * size, sizeof *fast), *slow = calloc(rows * size, sizeof *slow);
    real **states = calloc(rows, sizeof *states);
    struct network_output *output = calloc(rows, sizeof *output), expected;
    float *features = calloc(rows * INPUTS, sizeof *features);
    uint64_t seed = 9;
    for (size_t row = 0; row < rows; row++)
        states[row] = fast + row * size;
    for (size_t t = 0; t < STEPS; t++) {
        for (size_t i = 0; i < rows * INPUTS; i++)
            features[i] = (float)random_between(&seed, -2, 2);
        network_step(network, scratch, features, states, output, rows);
        for (size_t row = 0; row < rows; row++) {
            network_step_reference(network, features + row * INPUTS, slow + row * size, &expected);
            for (size_t i = 0; i < NETWORK_CAUSES; i++)
                assert_true(fabsf(expected.logits[i] - output[row].logits[i]) < 1e-4f);
        }
    }
    free(features);
    free(output);
    free(states);
    free(slow);
    free(fast);
    network_scratch_destroy(scratch);
}

static void step__merged_of_one_size__in_blocks_and_as_by_plain_loops(void **unused)
{
    (void)unused;
    for (size_t layers = 1; layers <= 3; layers++)
        for (size_t count = 1; count <= 4; count++) {
            struct network *members[4], *whole;
            for (size_t m = 0; m < count; m++)
                members[m] = member(8, layers, m + 1);
            assert_int_equal(network_merge(members, count, &whole), 0);
            assert_int_equal(whole->block, 8);
            step_both(whole, 1);
            step_both(whole, 131);
            for (size_t m = 0; m < count; m++)
                network_destroy(members[m]);
            network_destroy(whole);
        }
}

static void find_blocks__one_weight_between_members__all_hear_each_other(void **unused)
{
    (void)unused;
    struct network *members[] = {member(8, 2, 1), member(8, 2, 2)}, *whole;
    assert_int_equal(network_merge(members, 2, &whole), 0);
    struct network_layer *second = &whole->layers[1];
    second->weight[3 * 4 * 16 + 12] = (real)0.5; /* unit 3 of the layer below is heard by unit 12 */
    network_find_blocks(whole);
    assert_int_equal(whole->block, 16);
    step_both(whole, 5);
    network_destroy(members[0]);
    network_destroy(members[1]);
    network_destroy(whole);
}

static void merge__other_scaling_or_shape__refused(void **unused)
{
    (void)unused;
    struct network *members[] = {member(4, 1, 1), member(4, 1, 2)}, *deeper = member(4, 2, 3), *whole;
    members[1]->scale[0] = 2;
    assert_int_equal(network_merge(members, 2, &whole), -EINVAL);
    members[1]->scale[0] = members[0]->scale[0];
    members[1]->bound = 3;
    assert_int_equal(network_merge(members, 2, &whole), -EINVAL);
    struct network *mixed[] = {members[0], deeper};
    assert_int_equal(network_merge(mixed, 2, &whole), -EINVAL);
    assert_int_equal(network_merge(members, 0, &whole), -EINVAL);
    network_destroy(members[0]);
    network_destroy(members[1]);
    network_destroy(deeper);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merge__layers_and_sizes__mean_of_the_members),
        cmocka_unit_test(step__merged_of_one_size__in_blocks_and_as_by_plain_loops),
        cmocka_unit_test(find_blocks__one_weight_between_members__all_hear_each_other),
        cmocka_unit_test(merge__other_scaling_or_shape__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
