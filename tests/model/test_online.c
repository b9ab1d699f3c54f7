/* The online head of a code: moves little at first, mends what the backbone gets wrong about this code,
 * forgets, stays bounded under absurd input, and survives the CodeProfile's arrays. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "model/online.h"

#define TICKS 100

struct record {
    struct online_example examples[TICKS];
};

/* Of a code that the backbone is sure about: a logit of 2 for memory, which fails or not. */
static void fill(struct record *record, bool fails)
{
    memset(record, 0, sizeof *record);
    for (size_t t = 0; t < TICKS; t++)
        for (size_t c = 0; c < ONLINE_CAUSES; c++) {
            record->examples[t].logits[c] = c == 0 ? 2 : -3;
            record->examples[t].labels[c] = c == 0 ? fails : -1;
        }
}

static float answer_to(const struct online_head *head, float logit)
{
    float logits[ONLINE_CAUSES] = {logit};
    online_apply(head, "v1", logits, logits);
    return logits[0];
}

static float answer(const struct online_head *head, const char *version, const struct record *record)
{
    float out[ONLINE_CAUSES];
    online_apply(head, version, record->examples[0].logits, out);
    return out[0];
}

static void learn_many(struct online_head *head, const struct record *record, int count)
{
    for (int i = 0; i < count; i++)
        online_learn(head, "v1", record->examples, TICKS, 1);
}

static void learn__only_false_alarms__the_code_gets_its_own_answer(void **state)
{
    (void)state;
    static struct record quiet, failing;
    struct online_head head;
    fill(&quiet, false);
    fill(&failing, true);
    online_reset(&head, "v1");
    learn_many(&head, &quiet, 1);
    float first = answer(&head, "v1", &quiet);
    assert_true(first < 2 && first > 0.5f); /* one record is no pattern */
    learn_many(&head, &quiet, 39);
    float many = answer(&head, "v1", &quiet);
    print_message("logit 2 became %.2f after 1 record, %.2f after 40\n", (double)first, (double)many);
    assert_true(many < 0);
    assert_true(answer_to(&head, -3) < many && answer_to(&head, 4) > many); /* the order stays */
    learn_many(&head, &failing, 60);
    assert_true(answer(&head, "v1", &quiet) > 1.5f); /* another version of the code: forgotten */
}

/* What is right is left as it is, however often it is seen. */
static void learn__honest_answers__stay(void **state)
{
    (void)state;
    static struct record even;
    struct online_head head;
    fill(&even, false);
    for (size_t t = 0; t < TICKS; t++) {
        even.examples[t].logits[0] = t % 2 ? -1.0986f : 1.0986f; /* one in four, and three in four */
        even.examples[t].labels[0] = t % 2 ? t % 8 == 1 : t % 8 != 0;
    }
    online_reset(&head, "v1");
    learn_many(&head, &even, 100);
    assert_true(fabsf(answer_to(&head, -1.0986f) + 1.0986f) < 0.05f);
    assert_true(fabsf(answer_to(&head, 1.0986f) - 1.0986f) < 0.05f);
}

/* A record in a hundred ticks or in five: the same news. */
static void learn__long_records__weigh_no_more(void **state)
{
    (void)state;
    static struct record quiet;
    struct online_head brief, lengthy;
    fill(&quiet, false);
    online_reset(&brief, "v1");
    online_reset(&lengthy, "v1");
    online_learn(&brief, "v1", quiet.examples, 5, 1);
    online_learn(&lengthy, "v1", quiet.examples, TICKS, 1);
    assert_true(fabsf(answer(&brief, "v1", &quiet) - answer(&lengthy, "v1", &quiet)) < 1e-3f);
}

static void apply__another_model_version__copies(void **state)
{
    (void)state;
    static struct record quiet;
    struct online_head head;
    fill(&quiet, false);
    online_reset(&head, "v1");
    learn_many(&head, &quiet, 5);
    assert_true(answer(&head, "v1", &quiet) < 2);
    assert_true(answer(&head, "v2", &quiet) == 2);
    online_learn(&head, "v2", quiet.examples, TICKS, 1); /* fitted anew */
    assert_int_equal(head.records, 1);
    assert_string_equal(head.version, "v2");
}

static void learn__all_masked__counts_nothing(void **state)
{
    (void)state;
    static struct record masked;
    struct online_head head;
    fill(&masked, false);
    for (size_t t = 0; t < TICKS; t++)
        masked.examples[t].labels[0] = -1;
    online_reset(&head, "v");
    online_learn(&head, "v", masked.examples, TICKS, 1);
    assert_int_equal(head.examples, 0);
    assert_int_equal(head.records, 0);
}

static void learn__absurd_numbers__stay_finite(void **state)
{
    (void)state;
    static struct record absurd;
    struct online_head head;
    const float odd[] = {NAN, INFINITY, -INFINITY, 1e38f, -1e38f, 0};
    fill(&absurd, true);
    for (size_t t = 0; t < TICKS; t++)
        for (size_t c = 0; c < ONLINE_CAUSES; c++)
            absurd.examples[t].logits[c] = odd[(t * 3 + c) % FS_COUNT(odd)];
    online_reset(&head, "v");
    for (int i = 0; i < 50; i++)
        online_learn(&head, "v", absurd.examples, TICKS, i % 2 ? 1e-9f : NAN);
    float out[ONLINE_CAUSES];
    online_apply(&head, "v", absurd.examples[1].logits, out);
    for (size_t c = 0; c < ONLINE_CAUSES; c++)
        assert_true(isfinite(out[c]));
}

static void load__what_store_wrote__is_the_same(void **state)
{
    (void)state;
    static struct record quiet;
    struct online_head head, loaded;
    struct msg_float_array weights, calibration;
    struct arena *arena = arena_create(4096, 1 << 20);
    fill(&quiet, false);
    online_reset(&head, "v1");
    assert_int_equal(online_store(&(struct online_head){0}, arena, &weights, &calibration), 0);
    assert_int_equal(weights.count, 0);
    for (int i = 0; i < 5; i++)
        online_learn(&head, "v1", quiet.examples, TICKS, 1);
    assert_int_equal(online_store(&head, arena, &weights, &calibration), 0);
    assert_int_equal(online_load(&loaded, str_of("v1"), &weights, &calibration), 0);
    assert_memory_equal(&loaded, &head, sizeof head);
    weights.items[5] = NAN;
    assert_int_equal(online_load(&loaded, str_of("v1"), &weights, &calibration), -EBADMSG);
    assert_false(online_ready(&loaded, "v1"));
    weights.count--;
    assert_int_equal(online_load(&loaded, str_of("v1"), &weights, &calibration), -EBADMSG);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learn__only_false_alarms__the_code_gets_its_own_answer),
        cmocka_unit_test(learn__honest_answers__stay),
        cmocka_unit_test(learn__long_records__weigh_no_more),
        cmocka_unit_test(apply__another_model_version__copies),
        cmocka_unit_test(learn__all_masked__counts_nothing),
        cmocka_unit_test(learn__absurd_numbers__stay_finite),
        cmocka_unit_test(load__what_store_wrote__is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
