/* The Vertical Pod Autoscaler's recommender as replay has it: kubernetes/autoscaler 55c37cd5, against its own
 * tests and a re-implementation in Python. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replay/vpa.h"
#include "tests/support/close.h"

#define MIB 1048576.0
#define DAY_S 86400.0

static const struct vpa_options own = {VPA_DAY_S, VPA_DAY_S};

/* Of its own test: nine samples are 9 / 1440 of a day; 3.14 cores * (1 + 0.1 / 0.00625)^2. */
static void vpa__confidence_of_nine_samples__907(void **state)
{
    (void)state;
    struct vpa vpa;
    assert_int_equal(vpa_open(&vpa, &own), 0);
    for (int i = 0; i < 9; i++)
        vpa_add_cpu(&vpa, 3.14, i * 120.0);
    assert_within(vpa_confidence(&vpa), 0.00625, 1e-12);
    assert_within(3.14 * vpa_confidence_factor(0.1, 2, vpa_confidence(&vpa)), 907.46, 0.001);
    assert_true(isinf(vpa_confidence_factor(1, 1, 0)));
    vpa_close(&vpa);
}

static void vpa__buckets__as_the_original(void **state)
{
    (void)state;
    static const struct {
        double value;
        uint32_t bucket;
        double reads;
    } memory[] = {{256, 17, 268.29},
                  {512, 26, 521.37},
                  {1024, 37, 1027.20},
                  {2048, 50, 2105.86},
                  {4096, 63, 4139.84}},
      cpu[] = {{0.1, 8, 0.11027}, {0.5, 25, 0.51113}, {1, 36, 1.01628}, {2, 49, 2.09348}, {4, 62, 4.1247}};
    struct vpa vpa;
    assert_int_equal(vpa_open(&vpa, &own), 0);
    assert_int_equal(vpa.cpu.buckets, 176);
    assert_int_equal(vpa.memory.buckets, 176);
    for (size_t i = 0; i < FS_COUNT(memory); i++) {
        assert_int_equal(decay_bucket_of(&vpa.memory, memory[i].value * MIB), memory[i].bucket);
        decay_reset(&vpa.memory);
        decay_add(&vpa.memory, memory[i].value * MIB, 1, 0);
        assert_within(decay_percentile(&vpa.memory, 0.9) / MIB, memory[i].reads, 0.005);
        assert_int_equal(decay_bucket_of(&vpa.cpu, cpu[i].value), cpu[i].bucket);
        decay_reset(&vpa.cpu);
        decay_add(&vpa.cpu, cpu[i].value, 0.1, 0);
        assert_within(decay_percentile(&vpa.cpu, 0.9), cpu[i].reads, 0.00001);
    }
    vpa_close(&vpa);
}

static void vpa__60_flat_samples__targets_and_bounds(void **state)
{
    (void)state;
    struct vpa vpa;
    struct vpa_container container = {0};
    assert_int_equal(vpa_open(&vpa, &own), 0);
    for (int i = 0; i < 60; i++) {
        vpa_add_cpu(&vpa, 1, i * 60.0);
        vpa_add_memory(&vpa, &container, 512 * MIB, i * 60.0);
    }
    assert_within(vpa_confidence(&vpa), 0.04097, 0.00001);
    assert_within(vpa_cpu(&vpa).target, 1.16872, 0.00001);
    assert_within(vpa_memory(&vpa).target / MIB, 599.57, 0.005);
    assert_within(vpa_memory(&vpa).upper / MIB, 15233, 1);
    assert_within(vpa_memory(&vpa).lower / MIB, 571.3, 0.05);
    vpa_close(&vpa);
}

/* RecordOOM: 1000 -> 1200, 1 -> 101, 3000 -> 3600 MiB. */
static void vpa__oom__bumped_by_a_fifth_or_100_mib(void **state)
{
    (void)state;
    static const double pairs[][2] = {{1000, 1200}, {1, 101}, {3000, 3600}};
    for (size_t i = 0; i < FS_COUNT(pairs); i++) {
        struct vpa vpa;
        struct vpa_container container = {0};
        assert_int_equal(vpa_open(&vpa, &own), 0);
        vpa_add_memory(&vpa, &container, pairs[i][0] * MIB, 0);
        vpa_add_oom(&vpa, &container, pairs[i][0] * MIB, 1);
        assert_within(container.oom_peak / MIB, pairs[i][1], 1e-6);
        vpa_close(&vpa);
    }
}

static void vpa__ooms_in_a_row__targets(void **state)
{
    (void)state;
    static const double targets[] = {728.7, 1051.1, 1483.1, 2062.1, 2990.9};
    struct vpa vpa;
    double limit = 512 * MIB;
    assert_int_equal(vpa_open(&vpa, &own), 0);
    vpa_add_cpu(&vpa, 1, 0);
    for (int k = 0; k < 5; k++) {
        struct vpa_container container = {0};
        vpa_add_memory(&vpa, &container, limit, k * 60.0);
        vpa_add_oom(&vpa, &container, limit, k * 60.0 + 30);
        vpa_add_cpu(&vpa, 1, k * 60.0 + 30);
        limit = vpa_memory(&vpa).target;
        assert_within(limit / MIB, targets[k], 0.06);
    }
    vpa_close(&vpa);
}

/* A peak that is taken back when its window sees a higher one, and what is too old to count. */
static void vpa__higher_peak_in_the_window__replaces(void **state)
{
    (void)state;
    struct vpa vpa;
    struct vpa_container container = {0};
    assert_int_equal(vpa_open(&vpa, &own), 0);
    vpa_add_memory(&vpa, &container, 256 * MIB, 0);
    vpa_add_memory(&vpa, &container, 1024 * MIB, 60);
    vpa_add_memory(&vpa, &container, 128 * MIB, 30); /* older than the last: dropped */
    assert_within(decay_percentile(&vpa.memory, 0) / MIB, 1027.20, 0.005);
    vpa_add_memory(&vpa, &container, 256 * MIB, 3 * DAY_S);
    assert_within(decay_percentile(&vpa.memory, 0) / MIB, 268.29, 0.005);
    vpa_close(&vpa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vpa__confidence_of_nine_samples__907),
        cmocka_unit_test(vpa__buckets__as_the_original),
        cmocka_unit_test(vpa__60_flat_samples__targets_and_bounds),
        cmocka_unit_test(vpa__oom__bumped_by_a_fifth_or_100_mib),
        cmocka_unit_test(vpa__ooms_in_a_row__targets),
        cmocka_unit_test(vpa__higher_peak_in_the_window__replaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
