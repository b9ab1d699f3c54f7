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
        cmocka_unit_test(merge__other_scaling_or_shape__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
