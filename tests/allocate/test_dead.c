/* Dead letters: what was kept of an attempt, whole or thinned to what fits. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "allocate/attempts.h"
#include "allocate/dead.h"
#include "tests/allocate/tools.h"

static struct msg_risk valid_risk(void)
{
    return (struct msg_risk){
        .code = str_of("a/b.c:1"), .node = str_of("n"), .attempt = 1, .horizon_ms = 1000};
}

static struct msg_adjustment adjustment_of(int64_t decision)
{
    return (struct msg_adjustment){.node = str_of("n"),
                                   .attempt = 1,
                                   .code = str_of("c"),
                                   .decision = decision,
                                   .model_version = str_of("m-adjust"),
                                   .reason = str_of("why")};
}

static void keep_risk(struct attempt *attempt, int64_t sequence)
{
    struct buffer out;
    struct msg_risk risk = valid_risk();
    risk.sequence = sequence;
    risk.model_version = str_of("m-risk");
    buffer_init(&out, 0);
    assert_int_equal(codec_encode(&msg_risk_type, &risk, &out), 0);
    keep_push(&attempt->risks, buffer_str(&out));
    buffer_fini(&out);
}

static void decode(struct tools *tools, const struct buffer *framed, struct msg_dead_execution *out)
{
    assert_int_equal(
        codec_decode(tools->codec, &msg_dead_execution_type, buffer_str(framed), tools->arena, out), 0);
}

static void dead__kept__risks_and_decisions_in_order(void **state)
{
    struct tools *tools = *state;
    struct attempts *attempts = attempts_create(16);
    uint8_t execution[16] = {1};
    struct attempt *attempt = attempts_obtain(attempts, execution, 1, 0);
    struct buffer scratch, out;
    struct msg_applied_adjustment met[2] = {{.adjustment = adjustment_of(5)},
                                            {.adjustment = adjustment_of(10)}};
    struct msg_execution_record record = {.code = str_of("c"), .attempt = 1, .adjustments = {met, 2}};
    struct msg_dead_execution dead;
    bool reduced = true;
    buffer_init(&scratch, 0);
    buffer_init(&out, 0);
    for (int i = 1; i <= 3; i++) {
        struct msg_decision decision = {adjustment_of(INT64_C(10) * i), 1.5 * i, 2.5};
        keep_risk(attempt, i);
        assert_int_equal(dead_keep_decision(&decision, &scratch, &attempt->decisions), 0);
    }
    struct dead_input input = {&record, attempt, str_of("although raised"), 99};
    assert_int_equal(dead_encode(&input, tools->codec, tools->arena, DEAD_MAX_BYTES, &out, &reduced), 0);
    decode(tools, &out, &dead);
    assert_false(reduced);
    assert_int_equal(dead.dead_us, 99);
    assert_true(str_equal(dead.model_version, str_of("m-risk")));
    assert_int_equal(dead.risks.count, 3);
    assert_int_equal(dead.risks.items[2].sequence, 3);
    assert_int_equal(dead.decisions.count, 4); /* the one met before a restart comes first */
    assert_int_equal(dead.decisions.items[0].adjustment.decision, 5);
    assert_int_equal(dead.decisions.items[1].adjustment.decision, 10);
    assert_true(dead.decisions.items[3].expected_cost > 4.4 && dead.decisions.items[3].kept_cost > 2.4);
    buffer_fini(&scratch);
    buffer_fini(&out);
    attempts_destroy(attempts);
}

static void dead__nothing_kept__decisions_from_the_record(void **state)
{
    struct tools *tools = *state;
    struct buffer out;
    struct msg_applied_adjustment met = {.adjustment = adjustment_of(5)};
    struct msg_execution_record record = {.code = str_of("c"), .attempt = 1, .adjustments = {&met, 1}};
    struct dead_input input = {&record, NULL, str_of("x"), 1};
    struct msg_dead_execution dead;
    bool reduced;
    buffer_init(&out, 0);
    assert_int_equal(dead_encode(&input, tools->codec, tools->arena, DEAD_MAX_BYTES, &out, &reduced), 0);
    decode(tools, &out, &dead);
    assert_int_equal(dead.decisions.count, 1);
    assert_int_equal(dead.risks.count, 0);
    assert_true(str_equal(dead.model_version, str_of("m-adjust")));
    buffer_fini(&out);
}

static void dead__too_large__older_points_thinned_newest_minute_whole(void **state)
{
    struct tools *tools = *state;
    enum { POINTS = 20000 };
    struct buffer out;
    struct msg_execution_record record = {.code = str_of("c"), .attempt = 1, .series_stride = 1};
    record.series.items = calloc(POINTS, sizeof *record.series.items);
    record.series.count = POINTS;
    assert_non_null(record.series.items);
    for (int i = 0; i < POINTS; i++)
        record.series.items[i].time_us = INT64_C(1700000000000000) + i * INT64_C(100000);
    struct dead_input input = {&record, NULL, str_of("x"), 1};
    struct msg_dead_execution dead;
    bool reduced = false;
    buffer_init(&out, 0);
    assert_int_equal(dead_encode(&input, tools->codec, tools->arena, 200 << 10, &out, &reduced), 0);
    assert_true(reduced && out.size <= 200 << 10);
    decode(tools, &out, &dead);
    size_t count = dead.record.series.count;
    assert_true(count > 600 && count < POINTS && dead.record.series_stride > 1);
    assert_int_equal(record.series.count, POINTS); /* the caller's is as it was */
    for (size_t i = 0; i < 600; i++)
        assert_int_equal(dead.record.series.items[count - 1 - i].time_us,
                         record.series.items[POINTS - 1 - i].time_us);
    assert_int_equal(dead.record.series.items[0].time_us, record.series.items[0].time_us);
    out.size = 0;
    assert_int_equal(dead_encode(&input, tools->codec, tools->arena, 10 << 10, &out, &reduced), 0);
    decode(tools, &out, &dead);
    assert_int_equal(dead.record.series.count, 0);
    out.size = 0;
    assert_int_equal(dead_encode(&input, tools->codec, tools->arena, 100, &out, &reduced), -EMSGSIZE);
    buffer_fini(&out);
    free(record.series.items);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tools_set_up, tools_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(dead__kept__risks_and_decisions_in_order),
        TEST(dead__nothing_kept__decisions_from_the_record),
        TEST(dead__too_large__older_points_thinned_newest_minute_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
