/* Networks of before read by a program with more features: the same answers, or a refusal that says why. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/buffer.h"
#include "model/features.h"
#include "model/network_widen.h"
#include "model/random.h"

#define STEPS 20

static struct network *make(size_t inputs, size_t segments)
{
    struct network *network = network_create(&(struct network_shape){inputs, 7, 2, segments}, 5);
    assert_non_null(network);
    for (size_t i = 0; i < inputs; i++) {
        network->mean[i] = 0.1f * (float)(i % 7);
        network->scale[i] = 0.5f;
    }
    for (size_t i = 0; i < segments; i++)
        network->segments[i] = (struct network_segment){i % inputs, -0.5f, 0.7f};
    network->bound = 3;
    network->slope[0] = 0.8f;
    network->intercept[1] = -0.4f;
    network->thresholds[2] = 0.25f;
    network->features_version = FEATURES_VERSION;
    return network;
}

/* The probabilities after some steps; features beyond those that it reads are there, too. */
static void answer(const struct network *network, float out[NETWORK_CAUSES])
{
    real *state = calloc(network_state_size(&network->shape), sizeof *state);
    struct network_output output = {0};
    uint64_t seed = 9;
    for (size_t t = 0; t < STEPS; t++) {
        float features[FEATURE_COUNT];
        for (size_t i = 0; i < FEATURE_COUNT; i++)
            features[i] = (float)random_between(&seed, -2, 2);
        network_step_reference(network, features, state, &output);
    }
    memcpy(out, output.probabilities, sizeof output.probabilities);
    free(state);
}

static void assert_alike(const struct network *a, const struct network *b)
{
    float left[NETWORK_CAUSES], right[NETWORK_CAUSES];
    answer(a, left);
    answer(b, right);
    for (size_t i = 0; i < NETWORK_CAUSES; i++)
        assert_true(fabsf(left[i] - right[i]) < 1e-6f);
    assert_memory_equal(a->thresholds, b->thresholds, sizeof a->thresholds);
}

static void widen__more_features_and_segments__answers_as_before(void **state)
{
    (void)state;
    struct network *narrow = make(FEATURE_COUNT - 3, 4), *wide = network_widen(narrow, FEATURE_COUNT, 9);
    assert_non_null(wide);
    assert_int_equal(wide->shape.inputs, FEATURE_COUNT);
    assert_int_equal(wide->shape.segments, 9);
    assert_alike(narrow, wide);
    assert_null(network_widen(wide, FEATURE_COUNT - 1, 9));
    assert_null(network_widen(wide, FEATURE_COUNT, 8));
    network_destroy(narrow);
    network_destroy(wide);
}

static void load_current__file_with_fewer_features__widened(void **state)
{
    (void)state;
    const char *names[FEATURE_COUNT];
    char error[256];
    struct buffer file;
    struct network *narrow = make(FEATURE_COUNT - 1, 2), *loaded;
    for (int i = 0; i < FEATURE_COUNT; i++)
        names[i] = feature_name((enum feature_index)i);
    buffer_init(&file, 1 << 20);
    assert_int_equal(network_save(narrow, names, &file), 0);
    assert_int_equal(network_load_current(buffer_str(&file), &loaded, error, sizeof error), 0);
    assert_int_equal(loaded->shape.inputs, FEATURE_COUNT);
    assert_string_equal(loaded->version, narrow->version);
    assert_alike(narrow, loaded);
    network_destroy(loaded);
    buffer_reset(&file);
    narrow->features_version = FEATURES_VERSION + 1;
    assert_int_equal(network_save(narrow, names, &file), 0);
    assert_int_equal(network_load_current(buffer_str(&file), &loaded, error, sizeof error), -EBADMSG);
    assert_non_null(strstr(error, "features version"));
    network_destroy(narrow);
    buffer_fini(&file);
}

static void load_current__file_with_more_features__refused(void **state)
{
    (void)state;
    const char *names[FEATURE_COUNT + 1];
    char error[256];
    struct buffer file;
    struct network *wide = make(FEATURE_COUNT + 1, 0), *loaded;
    for (int i = 0; i <= FEATURE_COUNT; i++)
        names[i] = "x";
    buffer_init(&file, 1 << 20);
    assert_int_equal(network_save(wide, names, &file), 0);
    assert_int_equal(network_load_current(buffer_str(&file), &loaded, error, sizeof error), -EBADMSG);
    assert_non_null(strstr(error, "inputs"));
    network_destroy(wide);
    buffer_fini(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(widen__more_features_and_segments__answers_as_before),
        cmocka_unit_test(load_current__file_with_fewer_features__widened),
        cmocka_unit_test(load_current__file_with_more_features__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
