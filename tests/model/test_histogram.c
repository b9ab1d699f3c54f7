/* The decaying histogram against the VPA recommender's vectors (kubernetes/autoscaler) and its own promises.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "model/histogram.h"

#define MIB 1048576.0
#define DAY_S 86400.0
#define T0 1700000000000000

static void near(double actual, double expected, double tolerance)
{
    if (fabs(actual - expected) > tolerance)
        fail_msg("got %.9g, expected %.9g +- %.3g", actual, expected, tolerance);
}

static void init__vpa_scales__have_176_buckets(void **state)
{
    (void)state;
    struct histogram histogram;
    histogram_init(&histogram, 1e7, 1e12, 1.05, DAY_S);
    assert_int_equal(histogram.buckets, 176);
    histogram_init(&histogram, 0.01, 1000, 1.05, DAY_S);
    assert_int_equal(histogram.buckets, 176);
}

static void percentile__vpa_memory_vectors__match(void **state)
{
    (void)state;
    static const struct {
        double mib, expected;
        uint32_t bucket;
    } cases[] = {
        {256, 268.29, 17}, {512, 521.37, 26}, {1024, 1027.20, 37}, {2048, 2105.86, 50}, {4096, 4139.84, 63}};
    for (size_t i = 0; i < FS_COUNT(cases); i++) {
        struct histogram histogram;
        histogram_init(&histogram, 1e7, 1e12, 1.05, DAY_S);
        assert_true(histogram_add(&histogram, cases[i].mib * MIB, 1, T0));
        assert_int_equal(histogram_bucket_of(&histogram, cases[i].mib * MIB), cases[i].bucket);
        near(histogram_percentile(&histogram, 0.9) / MIB, cases[i].expected, 0.005);
    }
}

static void percentile__vpa_cpu_vectors__match(void **state)
{
    (void)state;
    static const double cases[][2] = {
        {0.1, 0.11027}, {0.5, 0.51113}, {1, 1.01628}, {2, 2.09348}, {4, 4.1247}};
    for (size_t i = 0; i < FS_COUNT(cases); i++) {
        struct histogram histogram;
        histogram_init(&histogram, 0.01, 1000, 1.05, DAY_S);
        assert_true(histogram_add(&histogram, cases[i][0], 0.1, T0));
        near(histogram_percentile(&histogram, 0.5), cases[i][1], 5e-5);
    }
}

static void add__one_half_life_later__weighs_twice(void **state)
{
    (void)state;
    struct histogram histogram;
    histogram_init(&histogram, 1, 1e6, 1.05, 3600);
    assert_true(histogram_add(&histogram, 10, 1, T0));
    assert_true(histogram_add(&histogram, 1000, 1, T0 + 3600000000));
    near(histogram.total, 3, 1e-6);
    assert_true(histogram_percentile(&histogram, 0.3) < 12);
    assert_true(histogram_percentile(&histogram, 0.4) > 900);
}

static void add__far_later__moves_the_reference_and_forgets(void **state)
{
    (void)state;
    struct histogram histogram;
    histogram_init(&histogram, 1, 1e6, 1.05, 1);
    assert_true(histogram_add(&histogram, 10, 1, T0));
    assert_true(histogram_add(&histogram, 1000, 1, T0 + 101000000));
    assert_int_equal(histogram.reference_us, T0 + 101000000);
    near(histogram.total, 1, 1e-6);
    assert_true(histogram_percentile(&histogram, 0.01) > 900); /* the old one is below epsilon */
}

static void add__absurd_values__are_not_counted(void **state)
{
    (void)state;
    struct histogram histogram;
    histogram_init(&histogram, 1, 1e6, 1.05, 1);
    static const double bad[] = {-1, (double)NAN, (double)INFINITY};
    for (size_t i = 0; i < FS_COUNT(bad); i++) {
        assert_false(histogram_add(&histogram, bad[i], 1, T0));
        assert_false(histogram_add(&histogram, 1, bad[i], T0));
    }
    assert_false(histogram_add(&histogram, 1, 1, 0));
    assert_true(histogram_empty(&histogram));
    near(histogram_percentile(&histogram, 0.9), 0, 0);
    near(histogram_max(&histogram), 0, 0);
    assert_true(histogram_add(&histogram, 1e30, 1, T0)); /* too large: last bucket */
    assert_true(histogram.weights[histogram.buckets - 1] > 0);
}

static void load__what_store_wrote__is_the_same(void **state)
{
    (void)state;
    struct histogram histogram, loaded;
    struct msg_histogram message;
    struct arena *arena = arena_create(4096, 1 << 20);
    histogram_init(&histogram, 1, 1e6, 1.05, 3600);
    histogram_init(&loaded, 1, 1e6, 1.05, 3600);
    for (int i = 0; i < 50; i++)
        assert_true(histogram_add(&histogram, i * 10, 1, T0 + i));
    assert_int_equal(histogram_store(&histogram, arena, &message), 0);
    assert_true(message.weights.count < histogram.buckets);
    assert_int_equal(histogram_load(&loaded, &message), 0);
    assert_memory_equal(histogram.weights, loaded.weights, sizeof loaded.weights);
    near(loaded.total, histogram.total, 1e-4);
    message.weights.items[3] = NAN;
    assert_int_equal(histogram_load(&loaded, &message), -74 /* EBADMSG */);
    message.weights.items[3] = 1;
    message.growth = 1.1;
    assert_int_equal(histogram_load(&loaded, &message), -74);
    message.growth = 1.05;
    message.weights.count = 1000;
    assert_int_equal(histogram_load(&loaded, &message), -74);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init__vpa_scales__have_176_buckets),
        cmocka_unit_test(percentile__vpa_memory_vectors__match),
        cmocka_unit_test(percentile__vpa_cpu_vectors__match),
        cmocka_unit_test(add__one_half_life_later__weighs_twice),
        cmocka_unit_test(add__far_later__moves_the_reference_and_forgets),
        cmocka_unit_test(add__absurd_values__are_not_counted),
        cmocka_unit_test(load__what_store_wrote__is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
