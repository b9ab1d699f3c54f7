/* Files of turbofan series: what is read, what is refused, what a model is taught of them, and that it
 * learns. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/cmapss_model.h"
#include "bench/metrics.h"

struct files {
    char directory[32];
};

static FILE *open_in(const struct files *files, const char *name)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s/%s", files->directory, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    return file;
}

static void write_text(const struct files *files, const char *name, const char *text)
{
    FILE *file = open_in(files, name);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Cycles cycles of an engine that dies after life; sensor 2 rises towards the end, the others are noise or
 * constant. */
static void write_engine(FILE *file, int engine, int cycles, int life, unsigned *seed)
{
    for (int t = 1; t <= cycles; t++) {
        (void)fprintf(file, "%d %d 0.001 0.0002 100.0", engine, t);
        for (int i = 0; i < CMAPSS_SENSORS; i++) {
            *seed = *seed * 1664525u + 1013904223u;
            double noise = (double)(*seed >> 8) / 16777216.0 - 0.5;
            (void)fprintf(file, " %.4f",
                          i == 0 ? 518.67 : 640 + noise + (i == 1 ? 20 * exp((t - life) / 25.0) : 0));
        }
        (void)fputs("  \n", file);
    }
}

static int make_files(void **state)
{
    static struct files files;
    unsigned seed = 7;
    (void)snprintf(files.directory, sizeof files.directory, "/tmp/cmapss-XXXXXX");
    assert_non_null(mkdtemp(files.directory));
    FILE *train = open_in(&files, "PM_train.txt"), *test = open_in(&files, "PM_test.txt");
    FILE *truth = open_in(&files, "PM_truth.txt");
    for (int e = 1; e <= 12; e++)
        write_engine(train, e, 90 + 5 * e, 90 + 5 * e, &seed);
    for (int e = 1; e <= 6; e++) {
        write_engine(test, e, 60 + e, 60 + e + 10 * e, &seed);
        (void)fprintf(truth, "%d \n", 10 * e);
    }
    (void)fclose(train);
    (void)fclose(test);
    (void)fclose(truth);
    *state = &files;
    return 0;
}

static int remove_files(void **state)
{
    const struct files *files = *state;
    const char *names[] = {"PM_train.txt", "PM_test.txt", "PM_truth.txt"};
    char path[64];
    for (size_t i = 0; i < FS_COUNT(names); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", files->directory, names[i]);
        (void)unlink(path); /* one test takes a file away itself */
    }
    return rmdir(files->directory);
}

static void read__good_files__engines_cycles_and_what_remains(void **state)
{
    const struct files *files = *state;
    struct cmapss_set train, test;
    char error[256] = "";
    assert_int_equal(cmapss_read(files->directory, &train, &test, error, sizeof error), 0);
    assert_true(train.count == 12 && test.count == 6);
    assert_true(train.engines[0].cycles == 95 && train.engines[11].cycles == 150);
    assert_true(train.engines[3].remaining == 0 && test.engines[3].remaining == 40);
    assert_true(train.engines[1].rows[0] == 0.001 && train.engines[1].rows[2] == 100.0);
    assert_true(train.engines[1].rows[CMAPSS_COLUMNS + 3] == 518.67);
    assert_true(train.engines[1].rows == train.engines[0].rows + (size_t)95 * CMAPSS_COLUMNS);
    cmapss_fini(&train);
    cmapss_fini(&test);
}

static void assert_refused(const struct files *files, int result, const char *says)
{
    struct cmapss_set train, test;
    char error[256] = "";
    assert_int_equal(cmapss_read(files->directory, &train, &test, error, sizeof error), result);
    print_message("%s\n", error);
    assert_non_null(strstr(error, says));
    assert_true(!train.engines && !test.engines && !train.block && !test.block);
}

#define ROW " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24\n"

static void read__bad_files__refused_with_file_and_line(void **state)
{
    const struct files *files = *state;
    static const struct {
        const char *text, *says;
    } cases[] = {{"", "no rows"},
                 {"1 1" ROW "1 2 3\n", "PM_train.txt:2: too few columns"},
                 {"1 1 0" ROW, ":1: too many columns"},
                 {"1 1" ROW "1 3" ROW, ":2: engines and the cycles"},
                 {"2 1" ROW, ":1: engines and the cycles"},
                 {"1 1" ROW "3 1" ROW, ":2: engines and the cycles"},
                 {"1 one" ROW, ":1: not a number"},
                 {"1 nan" ROW, ":1: not a number"}};
    for (size_t i = 0; i < FS_COUNT(cases); i++) {
        write_text(files, "PM_train.txt", cases[i].text);
        assert_refused(files, -EBADMSG, cases[i].says);
    }
    write_text(files, "PM_train.txt", "1 1" ROW);
    write_text(files, "PM_truth.txt", "10\n20\n");
    assert_refused(files, -EBADMSG, "PM_truth.txt:2: fewer lines");
    write_text(files, "PM_truth.txt", "1\n2\n3\n4\n5\n6\n7\n");
    assert_refused(files, -EBADMSG, "PM_truth.txt:7: not the remaining");
    write_text(files, "PM_truth.txt", "1\n-2\n");
    assert_refused(files, -EBADMSG, "PM_truth.txt:2: not the remaining");
}

static void read__no_file__says_which(void **state)
{
    struct files files = *(const struct files *)*state;
    char path[64];
    (void)snprintf(path, sizeof path, "%s/PM_test.txt", files.directory);
    assert_int_equal(unlink(path), 0);
    assert_refused(&files, -ENOENT, "PM_test.txt: No such file");
}

static void examples__labels__thirty_cycles_before_the_failure(void **state)
{
    const struct files *files = *state;
    struct cmapss_set train, test;
    struct cmapss_scaling scaling;
    struct cmapss_examples examples;
    const size_t chosen[] = {0, 2};
    char error[256];
    assert_int_equal(cmapss_read(files->directory, &train, &test, error, sizeof error), 0);
    cmapss_scaling_fit(&scaling, (struct cmapss_choice){&train, chosen, 2});
    assert_true(scaling.regimes == 1 && scaling.scale[0][3] == 0); /* a constant sensor counts nothing */
    struct cmapss_choice choice = {&test, chosen, 2}; /* 61 cycles, 10 remain; 63 cycles, 30 remain */
    assert_int_equal(cmapss_examples_make(choice, &scaling, NULL, &examples), 0);
    float labels[61 + 63];
    assert_true(examples.cycles == FS_COUNT(labels) && examples.count == 2);
    cmapss_labels(&examples, labels);
    assert_true(labels[39] == 0 && labels[40] == 1 && labels[60] == 1); /* 31, 30, 10 left */
    assert_true(labels[61 + 61] == 0 && labels[61 + 62] == 1);          /* 31, 30 left */
    const float *first = examples.sequences[0].features;
    assert_true(fabs((double)first[CMAPSS_COLUMNS] - 0.01) < 1e-6 && first[3] == 0);
    cmapss_examples_fini(&examples);
    cmapss_fini(&train);
    cmapss_fini(&test);
}

static void examples__flight_regimes__scaled_apart(void **state)
{
    (void)state;
    double rows[4][CMAPSS_COLUMNS] = {
        {0, 0, 100, 10}, {35, 0.84, 100, 500}, {0, 0, 100, 12}, {35, 0.84, 100, 700}};
    struct cmapss_engine engine = {rows[0], 4, 0};
    struct cmapss_set set = {&engine, 1, 4, rows[0]};
    struct cmapss_scaling scaling;
    struct cmapss_examples examples;
    const size_t chosen = 0;
    cmapss_scaling_fit(&scaling, (struct cmapss_choice){&set, &chosen, 1});
    assert_true(scaling.regimes == 2 && scaling.mean[0][3] == 11 && scaling.mean[1][3] == 600);
    assert_int_equal(
        cmapss_examples_make((struct cmapss_choice){&set, &chosen, 1}, &scaling, NULL, &examples), 0);
    for (size_t t = 0; t < 4; t++)
        assert_true(fabs((double)examples.sequences[0].features[t * CMAPSS_INPUTS + 3] - (t < 2 ? -1 : 1)) <
                    1e-6);
    cmapss_examples_fini(&examples);
}

static void examples__copies__faster_and_slower_lives(void **state)
{
    const struct files *files = *state;
    struct cmapss_set train, test;
    struct cmapss_scaling scaling;
    struct cmapss_examples examples;
    struct cmapss_augment augment = {.copies = 20, .warp = 1.25, .seed = 3};
    const size_t chosen = 5; /* 120 cycles */
    char error[256];
    assert_int_equal(cmapss_read(files->directory, &train, &test, error, sizeof error), 0);
    struct cmapss_choice choice = {&train, &chosen, 1};
    cmapss_scaling_fit(&scaling, choice);
    assert_int_equal(cmapss_examples_make(choice, &scaling, &augment, &examples), 0);
    size_t least = SIZE_MAX, most = 0;
    assert_true(examples.count == 20 && examples.sequences[0].steps == 120);
    const float *end = examples.sequences[0].features + (size_t)119 * CMAPSS_INPUTS;
    for (size_t i = 1; i < 20; i++) {
        const struct train_sequence *s = &examples.sequences[i];
        least = FS_MIN(least, s->steps);
        most = FS_MAX(most, s->steps);
        assert_true(s->steps >= 96 && s->steps <= 150);
        /* it dies in the state in which the engine died; the label keeps 30 of its own cycles */
        assert_true(fabsf(s->features[(s->steps - 1) * CMAPSS_INPUTS + 4] - end[4]) < 0.5f);
        assert_true(s->labels[(s->steps - 31) * NETWORK_CAUSES] == 1);
        assert_true(s->labels[(s->steps - 32) * NETWORK_CAUSES] == 0);
    }
    assert_true(least < 115 && most > 125);
    cmapss_examples_fini(&examples);
    cmapss_fini(&train);
    cmapss_fini(&test);
}

static void train__series_with_a_trend__foreseen_on_other_engines(void **state)
{
    const struct files *files = *state;
    struct cmapss_set train, test;
    struct cmapss_recipe recipe = cmapss_recipe;
    struct cmapss_model model, twin;
    struct cmapss_examples examples;
    size_t all[12];
    char error[256];
    float answers[6 * 66], labels[6 * 66];
    assert_int_equal(cmapss_read(files->directory, &train, &test, error, sizeof error), 0);
    for (size_t i = 0; i < FS_COUNT(all); i++)
        all[i] = i;
    recipe.hidden = 8;
    recipe.copies = 1;
    recipe.lanes = 4;
    recipe.epochs = 40;
    recipe.learning_rate = 0.01;
    struct cmapss_choice choice = {&train, all, FS_COUNT(all)};
    assert_int_equal(cmapss_train(choice, &recipe, 1, &model), 0);
    assert_int_equal(cmapss_train(choice, &recipe, 1, &twin), 0);
    assert_memory_equal(model.network->weights, twin.network->weights,
                        model.network->weight_count * sizeof(real)); /* repeatable from the seed */
    assert_int_equal(
        cmapss_examples_make((struct cmapss_choice){&test, all, 6}, &model.scaling, NULL, &examples), 0);
    assert_int_equal(cmapss_answer(model.network, &examples, answers), 0);
    cmapss_labels(&examples, labels);
    double auc = metrics_auc(answers, labels, examples.cycles);
    print_message("auc %.4f after %zu epochs\n", auc, model.epochs);
    assert_true(auc > 0.9);
    struct cmapss_choice few = {&train, all, recipe.members - 1};
    assert_int_equal(cmapss_train(few, &recipe, 1, &twin), -EINVAL); /* a member would be stopped by none */
    recipe.members = 1;
    assert_int_equal(cmapss_train(choice, &recipe, 1, &twin), -EINVAL); /* nothing would teach it */
    recipe.members = CMAPSS_MEMBERS_MAX + 1;
    assert_int_equal(cmapss_train(choice, &recipe, 1, &twin), -EINVAL);
    cmapss_examples_fini(&examples);
    cmapss_model_fini(&model);
    cmapss_model_fini(&twin);
    cmapss_fini(&train);
    cmapss_fini(&test);
}

#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, make_files, remove_files)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILES(read__good_files__engines_cycles_and_what_remains),
        WITH_FILES(read__bad_files__refused_with_file_and_line),
        WITH_FILES(read__no_file__says_which),
        WITH_FILES(examples__labels__thirty_cycles_before_the_failure),
        cmocka_unit_test(examples__flight_regimes__scaled_apart),
        WITH_FILES(examples__copies__faster_and_slower_lives),
        WITH_FILES(train__series_with_a_trend__foreseen_on_other_engines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
