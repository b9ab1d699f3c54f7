/* What is decided without a broker: parts of the data, challenger against champion, when a training is due,
 * chunks of a model, reports read back. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "model/random.h"
#include "retrain/compare.h"
#include "retrain/due.h"
#include "retrain/publish.h"
#include "retrain/split.h"
#include "schemas/codec.h"

/* --- split --- */

static void program__code_with_a_script__interpreter_only(void **state)
{
    (void)state;
    assert_true(str_equal(split_program(str_of("perl:tree.pl")), str_of("perl")));
    assert_true(str_equal(split_program(str_of("xz")), str_of("xz")));
    assert_true(str_equal(split_program(str_of(":odd")), str_of(":odd")));
    assert_int_equal(split_program(str_of("")).size, 0);
}

static void split__by_hash__shares_and_same_program_same_part(void **state)
{
    (void)state;
    size_t parts[SPLIT_COUNT] = {0};
    for (int i = 0; i < 10000; i++) {
        char name[32], script[48];
        (void)snprintf(name, sizeof name, "program-%d", i);
        (void)snprintf(script, sizeof script, "%s:%d.py", name, i);
        enum split part = split_of(NULL, str_of(name), 7);
        assert_int_equal(part, split_of(NULL, str_of(script), 7));
        parts[part]++;
    }
    assert_true(labs((long)parts[SPLIT_TRAIN] - 7000) < 300);
    assert_true(labs((long)parts[SPLIT_VALIDATION] - 1500) < 200);
}

static void split__by_execution__shares(void **state)
{
    (void)state;
    size_t parts[SPLIT_COUNT] = {0};
    uint64_t seed = 3;
    for (int i = 0; i < 10000; i++) {
        uint64_t id[2] = {random_next(&seed), random_next(&seed)};
        parts[split_by_execution((const uint8_t *)id, 0.2)]++;
    }
    assert_true(labs((long)parts[SPLIT_TEST] - 2000) < 200);
    assert_true(labs((long)parts[SPLIT_VALIDATION] - 1200) < 200);
}

static int load_table(const char *text, struct split_table **table, char *error, size_t size)
{
    char path[] = "/tmp/forestall-split-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
    int result = split_table_load(path, table, error, size);
    assert_int_equal(unlink(path), 0);
    return result;
}

static void table__programs_named__win_over_the_hash(void **state)
{
    (void)state;
    struct split_table *table;
    char error[256];
    static const char text[] = "{\"program\": \"xz\", \"split\": \"test\", \"more\": 1}\n\n"
                               "{\"program\": \"perl\", \"split\": \"validation\"}\n"
                               "{\"program\": \"xz\", \"split\": \"test\"}\n";
    assert_int_equal(load_table(text, &table, error, sizeof error), 0);
    assert_int_equal(split_of(table, str_of("xz"), 1), SPLIT_TEST);
    assert_int_equal(split_of(table, str_of("perl:x.pl"), 1), SPLIT_VALIDATION);
    assert_int_equal(split_of(table, str_of("other"), 1), split_of(NULL, str_of("other"), 1));
    split_table_destroy(table);
}

static void table__bad_lines__are_named(void **state)
{
    (void)state;
    static const char *const bad[] = {"{\"program\": \"xz\", \"split\": \"tset\"}\n", "nonsense\n",
                                      ("{\"program\": \"xz\", \"split\": \"test\"}\n"
                                       "{\"program\": \"xz\", \"split\": \"train\"}\n")};
    for (size_t i = 0; i < FS_COUNT(bad); i++) {
        struct split_table *table;
        char error[256] = "";
        assert_true(load_table(bad[i], &table, error, sizeof error) < 0);
        print_message("%s\n", error);
        assert_non_null(strstr(error, i == 2 ? ":2:" : ":1:"));
    }
}

/* --- compare --- */

/* Losses of `codes` codes with `each` executions: the challenger differs by `gain` on average. */
static struct comparison compared(size_t codes, size_t each, double gain, double noise)
{
    struct compare_execution *executions = calloc(codes * each + 1, sizeof *executions);
    struct comparison out;
    uint64_t seed = 11;
    for (size_t i = 0; i < codes * each; i++) {
        double champion = 1 + random_between(&seed, -0.2, 0.2);
        double challenger = champion - gain + random_between(&seed, -noise, noise);
        executions[i] =
            (struct compare_execution){.champion = champion, .challenger = challenger, .code = i / each};
    }
    assert_int_equal(compare_models(executions, codes * each, 1, &out), 0);
    print_message("%s: %s\n", compare_verdict_name(out.verdict), out.reason);
    free(executions);
    return out;
}

static void compare__clearly_better__wins(void **state)
{
    (void)state;
    struct comparison out = compared(20, 10, 0.1, 0.3);
    assert_int_equal(out.verdict, COMPARE_CHALLENGER_WINS);
    assert_true(out.high < 0 && out.low < out.high && out.codes == 20 && out.executions == 200);
}

static void compare__worse_or_equal_or_hardly_better__champion_stays(void **state)
{
    (void)state;
    assert_int_equal(compared(20, 10, -0.1, 0.3).verdict, COMPARE_CHAMPION_STAYS);
    assert_int_equal(compared(20, 10, 0, 0).verdict, COMPARE_CHAMPION_STAYS);
    assert_int_equal(compared(20, 10, 0.005, 0).verdict, COMPARE_CHAMPION_STAYS); /* sure, but below 1 % */
}

static void compare__better_within_chance__undecided(void **state)
{
    (void)state;
    struct compare_execution executions[30];
    struct comparison out;
    for (size_t i = 0; i < 30; i++) /* three codes of ten gain much, seven lose a little */
        executions[i] =
            (struct compare_execution){.champion = 1, .challenger = i / 3 < 3 ? 0.6 : 1.1, .code = i / 3};
    assert_int_equal(compare_models(executions, 30, 1, &out), 0);
    print_message("%s\n", out.reason);
    assert_true(out.high >= 0 && out.challenger < out.champion);
    assert_int_equal(out.verdict, COMPARE_UNDECIDED);
}

static void compare__few_executions__champion_stays(void **state)
{
    (void)state;
    assert_int_equal(compared(5, 3, 0.5, 0.1).verdict, COMPARE_CHAMPION_STAYS);
    assert_int_equal(compared(0, 1, 0.5, 0.1).verdict, COMPARE_CHAMPION_STAYS);
}

/* --- due --- */

static void due__enough_new_records_or_time__only_then(void **state)
{
    (void)state;
    static const struct due_rule rule = {.min_records = 100, .min_new = 50, .interval_ms = 1000};
    assert_false(due_training(&rule, 99, 99, 5000));
    assert_false(due_training(&rule, 500, 49, 999));
    assert_true(due_training(&rule, 500, 50, 0));
    assert_true(due_training(&rule, 500, 1, 1000));
    assert_false(due_training(&rule, 500, 0, 100000)); /* nothing new: the same model again */
}

/* --- publish --- */

static void publish__larger_than_a_record__chunks_make_the_whole(void **state)
{
    (void)state;
    enum { SIZE = 2500 };
    char model[SIZE], joined[SIZE], key[MODELS_KEY_SIZE];
    struct report report = {.records = 12, .reason = "why", .metric_count = 1, .metrics = {{"held_out", 3}}};
    struct codec *codec = codec_create();
    struct arena *arena = arena_create(4096, 1 << 20);
    struct str whole = {model, SIZE};
    size_t at = 0;
    for (size_t i = 0; i < SIZE; i++)
        model[i] = (char)(i * 7);
    assert_int_equal(models_chunks(SIZE, 1000), 3);
    assert_int_equal(models_chunks(1000, 1000), 1);
    for (size_t chunk = 0; chunk < 3; chunk++) {
        struct buffer bytes;
        struct msg_model message;
        buffer_init(&bytes, 0);
        assert_int_equal(publish_encode(MODELS_CHAMPION, whole, &report, 5, chunk, 1000, key, &bytes), 0);
        assert_string_equal(key, chunk == 0 ? "champion" : chunk == 1 ? "champion/1" : "champion/2");
        assert_int_equal(codec_decode(codec, &msg_model_type, buffer_str(&bytes), arena, &message), 0);
        assert_true(message.chunks == 3 && message.total_bytes == SIZE && message.records == 12);
        assert_true(message.metrics.count == 1 && message.metrics.items[0].value == 3);
        memcpy(joined + at, message.bytes.data, message.bytes.size);
        at += message.bytes.size;
        buffer_fini(&bytes);
    }
    assert_int_equal(at, SIZE);
    assert_memory_equal(joined, model, SIZE);
    arena_destroy(arena);
    codec_destroy(codec);
}

/* --- report --- */

static void report__what_challenge_writes__is_read(void **state)
{
    (void)state;
    struct report report;
    static const char good[] =
        "{\"verdict\": \"challenger_wins\", \"reason\": \"r\", \"version\": \"v\", \"parent\": \"p\","
        "\"champion_loss\": 1.5, \"low\": null, \"records\": 7, \"scores\": {\"memory\": {\"model\": "
        "{\"average_precision\": 0.5, \"at_own_threshold\": {\"recall_1s\": 0.25}}}}}";
    static const char bad[] =
        "{\"verdict\": \"won\", \"reason\": \"r\", \"version\": \"v\", \"parent\": \"p\"}";
    assert_int_equal(report_parse(good, &report), 0);
    assert_int_equal(report.verdict, COMPARE_CHALLENGER_WINS);
    assert_int_equal(report.records, 7);
    assert_int_equal(report.metric_count, 3);
    assert_string_equal(report.metrics[2].name, "recall_1s");
    assert_int_equal(report_parse("{}", &report), -EBADMSG);
    assert_int_equal(report_parse("", &report), -EBADMSG);
    assert_int_equal(report_parse(bad, &report), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(program__code_with_a_script__interpreter_only),
        cmocka_unit_test(split__by_hash__shares_and_same_program_same_part),
        cmocka_unit_test(split__by_execution__shares),
        cmocka_unit_test(table__programs_named__win_over_the_hash),
        cmocka_unit_test(table__bad_lines__are_named),
        cmocka_unit_test(compare__clearly_better__wins),
        cmocka_unit_test(compare__worse_or_equal_or_hardly_better__champion_stays),
        cmocka_unit_test(compare__better_within_chance__undecided),
        cmocka_unit_test(compare__few_executions__champion_stays),
        cmocka_unit_test(due__enough_new_records_or_time__only_then),
        cmocka_unit_test(publish__larger_than_a_record__chunks_make_the_whole),
        cmocka_unit_test(report__what_challenge_writes__is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
