/* Answers as a service gives them that has learned from what each code did before. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "retrain/learned.h"

#define TOLD 5 /* ticks of each example */

struct told {
    struct msg_execution_record record;
    float label[TOLD * NETWORK_CAUSES], mask[TOLD * NETWORK_CAUSES];
    struct network_output answers[TOLD];
};

/* The model is sure that it fails of memory; it does not. */
static void tell(struct told *told, const char *code, int64_t started_us, struct example *example)
{
    told->record = (struct msg_execution_record){.code = str_of(code), .started_us = started_us};
    for (size_t t = 0; t < TOLD; t++) {
        told->mask[t * NETWORK_CAUSES] = 1;
        told->answers[t].logits[0] = 2;
    }
    *example = (struct example){
        .record = &told->record,
        .labels = {.ticks = TOLD, .label = told->label, .mask = told->mask},
    };
}

/* First of all comes what is newest, so that order is seen to be that of time. The last is hypothetical. */
static void learned__answers_before_it_learns_and_only_of_what_happened(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        int64_t started_us;
    } runs[] = {{"a", 3}, {"a", 1}, {"b", 9}, {"a", 2}, {"a", 4}, {"a", 5}};
    struct told told[FS_COUNT(runs)] = {0};
    struct example examples[FS_COUNT(runs)];
    struct network_output *answered[FS_COUNT(runs)];
    struct network_shape shape = {FEATURE_COUNT, 4, 1, 0};
    struct network *network = network_create(&shape, 1);
    for (size_t i = 0; i < FS_COUNT(runs); i++) {
        tell(&told[i], runs[i].code, runs[i].started_us, &examples[i]);
        answered[i] = told[i].answers;
    }
    examples[4].plan.memory_bytes = 1;
    (void)str_copy(network->version, sizeof network->version, str_of("v"));
    struct dataset dataset = {.items = examples, .count = FS_COUNT(runs), .ticks = FS_COUNT(runs) * TOLD};
    struct answers answers = {answered, FS_COUNT(runs)};
    assert_int_equal(learned_correct(network, &dataset, &answers), 0);
    float first = answered[1]->logits[0], second = answered[3]->logits[0], third = answered[0]->logits[0],
          hypothetical = answered[4]->logits[0], last = answered[5]->logits[0];
    assert_true(first == 2 && answered[2]->logits[0] == 2);
    assert_true(second < first && third < second && hypothetical < third);
    assert_true(last == hypothetical);
    assert_true(fabsf(answered[3]->probabilities[0] - 1 / (1 + expf(-second))) < 1e-6f);
    network_destroy(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learned__answers_before_it_learns_and_only_of_what_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
