/* Records on their way to sequences: files, the reservoir on disk, stretching, data sets that are repeatable
 * and bounded. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "model/alarm_level.h"
#include "retrain/fit.h"
#include "retrain/reservoir.h"
#include "retrain/stretch.h"
#include "tests/retrain/made.h"

static void new_directory(char path[64])
{
    (void)snprintf(path, 64, "/tmp/forestall-retrain-XXXXXX");
    assert_non_null(mkdtemp(path));
}

static void remove_directory(const char *path)
{
    struct dirent *found;
    DIR *directory = opendir(path);
    assert_non_null(directory);
    while ((found = readdir(directory)))
        if (found->d_name[0] != '.')
            assert_int_equal(unlinkat(dirfd(directory), found->d_name, 0), 0);
    assert_int_equal(closedir(directory), 0);
    assert_int_equal(rmdir(path), 0);
}

/* The last `cut` bytes are missing. */
static void write_records(const char *path, const struct made *made, size_t count, size_t cut)
{
    struct buffer bytes;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    buffer_init(&bytes, 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(records_encode(&made[i].record, &bytes), 0);
    assert_int_equal(fwrite(bytes.data, 1, bytes.size - cut, file), bytes.size - cut);
    assert_int_equal(fclose(file), 0);
    buffer_fini(&bytes);
}

static void records__directory_with_a_cut_file__whole_records_only(void **state)
{
    (void)state;
    static struct made made[3];
    struct record_set set;
    char directory[64], path[128], error[256];
    for (int i = 0; i < 3; i++)
        make(&made[i], i, "xz", 10 * (i + 1));
    new_directory(directory);
    (void)snprintf(path, sizeof path, "%s/a.records", directory);
    write_records(path, made, 2, 0);
    (void)snprintf(path, sizeof path, "%s/b.record", directory);
    write_records(path, made, 3, 5);
    (void)snprintf(path, sizeof path, "%s/notes.txt", directory);
    write_records(path, made, 1, 0);
    assert_int_equal(records_open(&set, (size_t)1 << 30), 0);
    assert_int_equal(records_add(&set, directory, error, sizeof error), 0);
    assert_int_equal(set.count, 4);
    assert_int_equal(set.cut_files, 1);
    assert_true(str_equal(set.items[3].code, str_of("xz")));
    assert_int_equal(records_add(&set, "/nonexistent", error, sizeof error), -ENOENT);
    assert_non_null(strstr(error, "/nonexistent"));
    records_close(&set);
    remove_directory(directory);
}

static void records__over_the_limit__an_error(void **state)
{
    (void)state;
    static struct made made[1];
    struct record_set set;
    char directory[64], path[128], error[256];
    make(&made[0], 1, "xz", 10);
    new_directory(directory);
    (void)snprintf(path, sizeof path, "%s/a.records", directory);
    write_records(path, made, 1, 0);
    assert_int_equal(records_open(&set, 1000), 0);
    assert_int_equal(records_add(&set, path, error, sizeof error), -ENOMEM);
    records_close(&set);
    remove_directory(directory);
}

/* --- reservoir --- */

static struct reservoir *reopen(const char *directory, size_t limit)
{
    struct reservoir *reservoir;
    char error[256];
    assert_int_equal(reservoir_open(directory, limit, &reservoir, error, sizeof error), 0);
    return reservoir;
}

static void reservoir__twice_and_after_a_restart__kept_once(void **state)
{
    (void)state;
    static struct made made;
    char directory[64], half[128];
    make(&made, 1, "xz", 10);
    new_directory(directory);
    struct reservoir *reservoir = reopen(directory, 10);
    assert_int_equal(reservoir_put(reservoir, &made.record, 1, false), 1);
    assert_int_equal(reservoir_put(reservoir, &made.record, 4, false), 0);
    reservoir_close(reservoir);
    (void)snprintf(half, sizeof half, "%s/0123.record.new", directory); /* a kill in the middle of writing */
    FILE *file = fopen(half, "wb");
    assert_true(file && fclose(file) == 0);
    reservoir = reopen(directory, 10);
    assert_int_equal(access(half, F_OK), -1);
    assert_int_equal(reservoir_count(reservoir), 1);
    assert_int_equal(reservoir_put(reservoir, &made.record, 1, false), 0);
    assert_int_equal(reservoir_newer(reservoir, 0), 1);
    assert_int_equal(reservoir_newer(reservoir, INT64_MAX), 0);
    reservoir_close(reservoir);
    remove_directory(directory);
}

static void reservoir__one_busy_code__does_not_push_out_the_others(void **state)
{
    (void)state;
    static struct made made;
    char directory[64], error[256];
    struct record_set set;
    size_t rare = 0;
    new_directory(directory);
    struct reservoir *reservoir = reopen(directory, 20);
    for (int i = 0; i < 200; i++) {
        make(&made, i, i < 5 ? "rare" : "busy", 10);
        assert_true(reservoir_put(reservoir, &made.record, 1, false) >= 0);
        assert_true(reservoir_count(reservoir) <= 20);
    }
    reservoir_close(reservoir);
    assert_int_equal(records_open(&set, (size_t)1 << 30), 0);
    assert_int_equal(records_add(&set, directory, error, sizeof error), 0);
    assert_int_equal(set.count, 20);
    for (size_t i = 0; i < set.count; i++)
        rare += str_equal(set.items[i].code, str_of("rare"));
    assert_int_equal(rare, 5);
    records_close(&set);
    reservoir = reopen(directory, 7); /* a smaller limit at the next start */
    assert_int_equal(reservoir_count(reservoir), 7);
    reservoir_close(reservoir);
    remove_directory(directory);
}

static void reservoir__first_finished_then_dead__one_record_marked_dead(void **state)
{
    (void)state;
    static struct made made;
    char directory[64], error[256];
    struct record_set set;
    new_directory(directory);
    make(&made, 7, "dies", 100);
    struct reservoir *reservoir = reopen(directory, 10);
    assert_int_equal(reservoir_put(reservoir, &made.record, 2, false), 1);
    assert_int_equal(reservoir_put(reservoir, &made.record, 4, true), 1);
    assert_int_equal(reservoir_put(reservoir, &made.record, 4, true), 0);
    assert_int_equal(reservoir_put(reservoir, &made.record, 2, false), 0);
    assert_int_equal(reservoir_count(reservoir), 1);
    reservoir_close(reservoir);
    reservoir = reopen(directory, 10);
    assert_int_equal(reservoir_count(reservoir), 1);
    assert_int_equal(reservoir_put(reservoir, &made.record, 4, true), 0);
    reservoir_close(reservoir);
    assert_int_equal(records_open(&set, 64 << 20), 0);
    assert_int_equal(records_add(&set, directory, error, sizeof error), 0);
    assert_int_equal(set.count, 1);
    assert_true(set.dead[0]);
    assert_true(str_equal(set.items[0].code, str_of("dies")));
    records_close(&set);
    remove_directory(directory);
}

static void reservoir_key__newer_and_wanted__higher(void **state)
{
    (void)state;
    static struct made made;
    make(&made, 1, "xz", 10);
    double old = reservoir_key(&made.record, 1), dead = reservoir_key(&made.record, 4);
    made.record.ended_us += (int64_t)(RESERVOIR_HALF_LIFE_S * 1e6);
    assert_true(fabs(reservoir_key(&made.record, 1) - old - 1) < 1e-9); /* one half life is worth as much */
    assert_true(fabs(dead - old - 2) < 1e-9);                           /* as twice the weight */
}

/* --- stretch --- */

static void stretch__four_times__same_levels_same_rates(void **state)
{
    (void)state;
    static struct made made;
    struct msg_execution_record slow;
    make(&made, 1, "xz", 60);
    make_tell_data(&made);
    made.record.request.timeout_ms = 7000;
    assert_int_equal(stretch_record(&made.record, 4, &slow), 0);
    assert_int_equal(slow.series.count, POINTS * 4);
    assert_int_equal(slow.ended_us - slow.started_us, 24000000);
    assert_int_equal(slow.request.timeout_ms, 28000);
    const struct msg_counters *last = &slow.series.items[POINTS * 4 - 1].counters;
    const struct msg_counters *middle = &slow.series.items[POINTS * 2 - 1].counters;
    assert_true(llabs(last->memory_bytes - 60 * (int64_t)MIB) < MIB);
    assert_true(llabs(middle->memory_bytes - 30 * (int64_t)MIB) < MIB);
    assert_true(fabs((double)middle->cpu_usage_us - 0.9 * 12e6) < 4e5); /* 0.9 cores as before */
    assert_int_equal(slow.totals.cpu_usage_us, made.record.totals.cpu_usage_us * 4);
    for (size_t i = POINTS; i < slow.series.count; i++) { /* what was asked for rises with what is used */
        const struct msg_counters *now = &slow.series.items[i].counters;
        assert_int_equal(now->custom.count, 1);
        assert_true(fabs(now->custom.items[0].value - (double)now->memory_bytes * 4 / 3) < 4);
    }
    free(slow.series.items);
    assert_int_equal(stretch_record(&made.record, 0.5, &slow), -EINVAL);
    assert_int_equal(stretch_record(&made.record, 900, &slow), -EINVAL); /* too many points */
}

/* --- data sets --- */

static const struct dataset_options how = MADE_OPTIONS;

static void dataset__same_seed__same_data(void **state)
{
    (void)state;
    struct corpus *corpus = corpus_of(6);
    struct dataset a = {0}, b = {0};
    assert_int_equal(dataset_add(&a, &corpus->set, NULL, 0, &how), 0);
    assert_int_equal(dataset_add(&b, &corpus->set, NULL, 0, &how), 0);
    assert_true(a.count > 6 && a.count == b.count && a.ticks == b.ticks);
    for (size_t i = 0; i < a.count; i++)
        assert_memory_equal(a.items[i].labels.features, b.items[i].labels.features,
                            a.items[i].labels.ticks * FEATURE_COUNT * sizeof(float));
    dataset_fini(&a);
    dataset_fini(&b);
    free(corpus);
}

static void dataset__profiles__only_where_asked(void **state)
{
    (void)state;
    struct corpus *corpus = corpus_of(6);
    struct dataset none = {0}, known = {0};
    struct dataset_options options = how;
    options.augmented = options.stretched = false;
    options.profiles = DATASET_PROFILES_NONE;
    assert_int_equal(dataset_add(&none, &corpus->set, NULL, 0, &options), 0);
    options.profiles = DATASET_PROFILES_KNOWN;
    assert_int_equal(dataset_add(&known, &corpus->set, NULL, 0, &options), 0);
    for (size_t i = 0; i < none.count; i++)
        assert_true(none.items[i].labels.features[FEATURE_HAS_PROFILE] == 0);
    assert_true(known.count > 0);
    for (size_t i = 0; i < known.count; i++)
        assert_true(known.items[i].labels.features[FEATURE_HAS_PROFILE] == 1);
    dataset_fini(&none);
    dataset_fini(&known);
    free(corpus);
}

/* Two codes in turns, one run after the other: the first two are of codes that nobody knows, and the fifth is
 * another command than the third. */
static void dataset__past__only_what_had_ended(void **state)
{
    (void)state;
    struct corpus *corpus = corpus_of(6);
    struct str unlike = str_of("unlike");
    corpus->items[4].request.argv = (struct msg_str_array){&unlike, 1};
    struct dataset past = {0};
    struct dataset_options options = how;
    options.augmented = options.stretched = false;
    options.profiles = DATASET_PROFILES_PAST;
    for (size_t i = 0; i < 6; i++) {
        corpus->items[i].started_us += (int64_t)i * 3600000000;
        corpus->items[i].ended_us += (int64_t)i * 3600000000;
        for (size_t t = 0; t < corpus->items[i].series.count; t++)
            corpus->items[i].series.items[t].time_us += (int64_t)i * 3600000000;
    }
    assert_int_equal(dataset_add(&past, &corpus->set, NULL, 0, &options), 0);
    assert_true(past.count >= 6);
    for (size_t i = 0; i < past.count; i++) {
        bool known = past.items[i].record != &corpus->items[0] && past.items[i].record != &corpus->items[1];
        bool same = known && past.items[i].record != &corpus->items[4];
        assert_true(past.items[i].labels.features[FEATURE_HAS_PROFILE] == (known ? 1 : 0));
        assert_true(past.items[i].labels.features[FEATURE_PROFILE_LIKENESS] == (same ? 1 : 0));
        assert_true(past.items[i].labels.features[FEATURE_PROFILE_RISE] == (same ? 1 : 0));
    }
    dataset_fini(&past);
    free(corpus);
}

/* What is learned from: codes that nobody knows, codes that are known, and some of these without how their
 * memory rose. */
static void dataset__mixed__some_of_everything(void **state)
{
    (void)state;
    struct corpus *corpus = corpus_of(24);
    struct dataset mixed = {0};
    size_t unknown = 0, rise = 0, none = 0;
    assert_int_equal(dataset_add(&mixed, &corpus->set, NULL, 0, &how), 0);
    for (size_t i = 0; i < mixed.count; i++) {
        const float *last =
            mixed.items[i].labels.features + (mixed.items[i].labels.ticks - 1) * FEATURE_COUNT;
        unknown += last[FEATURE_HAS_PROFILE] == 0;
        rise += last[FEATURE_PROFILE_RISE] == 1;
        none += last[FEATURE_HAS_PROFILE] == 1 && last[FEATURE_PROFILE_RISE] == 0;
    }
    print_message("%zu sequences: %zu not known, %zu with how memory rose, %zu without\n", mixed.count,
                  unknown, rise, none);
    assert_true(unknown > mixed.count / 4 && rise > mixed.count / 10 && none > mixed.count / 30);
    dataset_fini(&mixed);
    free(corpus);
}

static void dataset__too_many_ticks__counted_and_left_out(void **state)
{
    (void)state;
    struct corpus *corpus = corpus_of(6);
    struct dataset dataset = {0};
    struct dataset_options options = how;
    options.max_ticks = 200;
    assert_int_equal(dataset_add(&dataset, &corpus->set, NULL, 0, &options), 0);
    assert_true(dataset.ticks <= 200 && dataset.left_out > 0);
    dataset_fini(&dataset);
    free(corpus);
}

static void dataset__dead_letters__weigh_more_where_asked(void **state)
{
    (void)state;
    struct corpus *corpus = corpus_of(2);
    struct dataset plain = {0}, weighted = {0};
    struct dataset_options options = how;
    bool dead[2] = {false, true};
    corpus->set.dead = dead;
    options.augmented = false;
    assert_int_equal(dataset_add(&plain, &corpus->set, NULL, 0, &options), 0);
    options.dead_weight = 4;
    assert_int_equal(dataset_add(&weighted, &corpus->set, NULL, 0, &options), 0);
    assert_true(plain.count == weighted.count && plain.count > 2);
    for (size_t i = 0; i < plain.count; i++) {
        float times = plain.items[i].record == &corpus->set.items[1] ? 4 : 1;
        assert_true(weighted.items[i].weight == times * plain.items[i].weight);
    }
    dataset_fini(&plain);
    dataset_fini(&weighted);
    free(corpus);
}

/* Forty missed deadlines that seem missed by half of their time with 0.20, 0.21 ... 0.59 (cpu) and surely in
 * the end; net has too few, io is never in doubt. */
static void thresholds__deadlines__told_in_time(void **state)
{
    (void)state;
    enum { MISSED = 40, TICKS = 2 };
    static float features[TICKS * FEATURE_COUNT], labels[TICKS * NETWORK_CAUSES],
        masks[MISSED][TICKS * NETWORK_CAUSES];
    static int64_t times[TICKS] = {4000, 6000};
    static struct network_output outputs[MISSED][TICKS];
    struct network_output *items[MISSED];
    struct example examples[MISSED] = {0};
    struct msg_execution_record record = {0};
    struct dataset dataset = {.items = examples, .count = MISSED, .ticks = (size_t)MISSED * TICKS};
    struct answers answers = {.items = items, .count = MISSED};
    struct alarms_goal goal = {240, 0.9};
    float thresholds[NETWORK_CAUSES];
    features[FEATURE_HAS_TIMEOUT] = features[FEATURE_COUNT + FEATURE_HAS_TIMEOUT] = 1;
    features[FEATURE_ELAPSED_TO_TIMEOUT] = 0.4f;
    features[FEATURE_COUNT + FEATURE_ELAPSED_TO_TIMEOUT] = 0.6f;
    for (size_t i = 0; i < (size_t)TICKS * NETWORK_CAUSES; i++)
        labels[i] = 1;
    for (size_t e = 0; e < MISSED; e++) {
        for (size_t i = 0; i < (size_t)TICKS * NETWORK_CAUSES; i++)
            masks[e][i] = i % NETWORK_CAUSES != MSG_CAUSE_NET - 1 || e < 5;
        outputs[e][0].probabilities[MSG_CAUSE_CPU - 1] = 0.2f + (float)((e * 7) % MISSED) / 100;
        outputs[e][0].probabilities[MSG_CAUSE_IO - 1] = 0.95f;
        outputs[e][1].probabilities[MSG_CAUSE_CPU - 1] = 1;
        examples[e].record = &record;
        examples[e].labels = (struct labels){
            .ticks = TICKS, .time_ms = times, .features = features, .label = labels, .mask = masks[e]};
        items[e] = outputs[e];
    }
    assert_int_equal(alarms_thresholds(&dataset, &answers, &goal, thresholds), 0);
    assert_true(thresholds[MSG_CAUSE_CPU - 1] > 0.23f && thresholds[MSG_CAUSE_CPU - 1] <= 0.25f);
    assert_true(thresholds[MSG_CAUSE_IO - 1] == 0.5f); /* likelier than not is an alarm in any case */
    assert_true(thresholds[MSG_CAUSE_NET - 1] == 0.5f && thresholds[MSG_CAUSE_OTHER - 1] == 0.5f);
    assert_true(thresholds[MSG_CAUSE_MEMORY - 1] == 0.5f); /* nothing has a limit */
    goal.foreseen = 0.5;
    assert_int_equal(alarms_thresholds(&dataset, &answers, &goal, thresholds), 0);
    assert_true(thresholds[MSG_CAUSE_CPU - 1] > 0.395f && thresholds[MSG_CAUSE_CPU - 1] < 0.405f);
}

/* Each tick that says yes would be an alarm of its own. */
static void levels__ticks_that_flicker__stay_below_as_in_predict(void **state)
{
    (void)state;
    enum { TICKS = 40, REFUTED = 31 };
    static float features[TICKS * FEATURE_COUNT];
    int64_t times[TICKS];
    struct network_output answers[TICKS] = {0};
    float levels[TICKS], level = 0;
    for (int t = 0; t < TICKS; t++) {
        times[t] = 100 * t + 7;
        answers[t].probabilities[MSG_CAUSE_CPU - 1] = t % 4 ? 0.3f : 0.7f;
        features[t * FEATURE_COUNT + FEATURE_HAS_PROFILE] = t < REFUTED;
    }
    struct labels labels = {.ticks = TICKS, .time_ms = times, .features = features};
    alarms_levels(&labels, answers, MSG_CAUSE_CPU - 1, levels);
    assert_true(fabsf(levels[0] - 0.7f) < 1e-6f);
    for (int t = 0; t < TICKS; t++) {
        float odds = alarm_log_odds(answers[t].probabilities[MSG_CAUSE_CPU - 1]);
        level = alarm_level_next(level, odds, t && t != REFUTED ? alarm_level_keeps(100) : 0); /* then anew */
        assert_true(fabsf(levels[t] - 1 / (1 + expf(-level))) < 1e-6f);
        assert_true(t < 2 || levels[t] < 0.6f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records__directory_with_a_cut_file__whole_records_only),
        cmocka_unit_test(records__over_the_limit__an_error),
        cmocka_unit_test(reservoir__twice_and_after_a_restart__kept_once),
        cmocka_unit_test(reservoir__one_busy_code__does_not_push_out_the_others),
        cmocka_unit_test(reservoir__first_finished_then_dead__one_record_marked_dead),
        cmocka_unit_test(reservoir_key__newer_and_wanted__higher),
        cmocka_unit_test(stretch__four_times__same_levels_same_rates),
        cmocka_unit_test(dataset__same_seed__same_data),
        cmocka_unit_test(dataset__profiles__only_where_asked),
        cmocka_unit_test(dataset__past__only_what_had_ended),
        cmocka_unit_test(dataset__mixed__some_of_everything),
        cmocka_unit_test(dataset__too_many_ticks__counted_and_left_out),
        cmocka_unit_test(dataset__dead_letters__weigh_more_where_asked),
        cmocka_unit_test(thresholds__deadlines__told_in_time),
        cmocka_unit_test(levels__ticks_that_flicker__stay_below_as_in_predict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
