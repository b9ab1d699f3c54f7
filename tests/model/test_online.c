/* The online head of a code: says nothing too early, mends what the backbone gets wrong about this code,
 * stays bounded under absurd input, and survives the CodeProfile's arrays. */
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
    float features[TICKS][FEATURE_COUNT];
    struct online_example examples[TICKS];
};

/* A code whose memory alarms are all false (label 0 at a high logit) unless a feature is high. */
static void fill(struct record *record, bool fails)
{
    memset(record, 0, sizeof *record);
    for (size_t t = 0; t < TICKS; t++) {
        record->features[t][FEATURE_MEMORY_TO_LIMIT] = fails ? 0.95f : 0.5f;
        record->examples[t].features = record->features[t];
        for (size_t c = 0; c < ONLINE_CAUSES; c++) {
            record->examples[t].logits[c] = c == 0 ? 2 : -3;
            record->examples[t].labels[c] = c == 0 ? fails : -1;
        }
    }
}

static float answer(const struct online_head *head, const char *version, const struct record *record)
{
    float out[ONLINE_CAUSES];
    online_apply(head, version, record->features[0], record->examples[0].logits, out);
    return out[0];
}

static void learn__only_false_alarms__the_code_gets_its_own_answer(void **state)
{
    (void)state;
    static struct record quiet;
    struct online_head head;
    fill(&quiet, false);
    online_reset(&head, "v1");
    online_learn(&head, "v1", quiet.examples, TICKS, 1);
    assert_false(online_ready(&head, "v1")); /* one record is no pattern */
    assert_true(answer(&head, "v1", &quiet) == 2);
    for (int i = 0; i < 4; i++)
        online_learn(&head, "v1", quiet.examples, TICKS, 1);
    assert_true(online_ready(&head, "v1"));
    print_message("after 5 records: logit 2 became %.2f\n", (double)answer(&head, "v1", &quiet));
    assert_true(answer(&head, "v1", &quiet) < -1);
}

static void learn__true_and_false_alarms__a_feature_tells_them_apart(void **state)
{
    (void)state;
    static struct record quiet, failing;
    struct online_head head;
    fill(&quiet, false);
    fill(&failing, true);
    online_reset(&head, "v1");
    for (int i = 0; i < 40; i++)
        online_learn(&head, "v1", i % 2 ? quiet.examples : failing.examples, TICKS, 1);
    float low = answer(&head, "v1", &quiet), high = answer(&head, "v1", &failing);
    print_message("logit 2 became %.2f (quiet), %.2f (failing)\n", (double)low, (double)high);
    assert_true(low < 0 && high > low + 0.1f); /* a mild learner: few records do not turn it round */
}

static void apply__another_model_version__copies(void **state)
{
    (void)state;
    static struct record quiet;
    struct online_head head;
    fill(&quiet, false);
    online_reset(&head, "v1");
    for (int i = 0; i < 5; i++)
        online_learn(&head, "v1", quiet.examples, TICKS, 1);
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
    for (size_t t = 0; t < TICKS; t++) {
        for (size_t i = 0; i < FEATURE_COUNT; i++)
            absurd.features[t][i] = odd[(t + i) % FS_COUNT(odd)];
        for (size_t c = 0; c < ONLINE_CAUSES; c++)
            absurd.examples[t].logits[c] = odd[(t * 3 + c) % FS_COUNT(odd)];
    }
    online_reset(&head, "v");
    for (int i = 0; i < 50; i++)
        online_learn(&head, "v", absurd.examples, TICKS, i % 2 ? 1e-9f : NAN);
    float out[ONLINE_CAUSES];
    online_apply(&head, "v", absurd.features[1], absurd.examples[1].logits, out);
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
        cmocka_unit_test(learn__true_and_false_alarms__a_feature_tells_them_apart),
        cmocka_unit_test(apply__another_model_version__copies),
        cmocka_unit_test(learn__all_masked__counts_nothing),
        cmocka_unit_test(learn__absurd_numbers__stay_finite),
        cmocka_unit_test(load__what_store_wrote__is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
