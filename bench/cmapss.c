/* Does the LSTM learn what published ones learn? Trains it on engines that ran to failure and asks of others,
 * at every cycle: fails within the next 30?
 *
 *     make bench-cmapss DATA=DIR
 *
 * One JSON object for each seed, then one of all: ap_every_cycle and auc over every cycle of the test series;
 * f1_last on the last cycle of each test series of at least 50 cycles. The network, the trainer and the loop
 * around it are model/'s. The test engines are only scored: weights, stopping and recipe come from the
 * others, the threshold is one half. epochs and seconds are of all members of a model. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/cmapss_model.h"
#include "bench/metrics.h"
#include "common/clock.h"
#include "model/score.h"

#define SEEDS 5
#define LAST_CYCLES_LEAST 50 /* of a test series, to be judged on its last cycle: the published window */

struct scores {
    double ap_every_cycle, auc, f1_every_cycle;
    struct metrics_decisions last;
    double seconds;
    size_t epochs;
};

/* Everything about the test engines that does not depend on the model. */
struct stand {
    struct cmapss_set train, test;
    size_t *train_engines, *test_engines;
    float *answers, *labels;           /* [test.cycles] */
    float *last_answers, *last_labels; /* [test.count] */
};

static size_t *all_engines(const struct cmapss_set *set)
{
    size_t *engines = calloc(set->count, sizeof *engines);
    for (size_t i = 0; engines && i < set->count; i++)
        engines[i] = i;
    return engines;
}

static int stand_init(struct stand *stand, const char *directory, char *error, size_t error_size)
{
    *stand = (struct stand){0};
    int result = cmapss_read(directory, &stand->train, &stand->test, error, error_size);
    if (result < 0)
        return result;
    stand->train_engines = all_engines(&stand->train);
    stand->test_engines = all_engines(&stand->test);
    stand->answers = calloc(stand->test.cycles, sizeof *stand->answers);
    stand->labels = calloc(stand->test.cycles, sizeof *stand->labels);
    stand->last_answers = calloc(stand->test.count, sizeof *stand->last_answers);
    stand->last_labels = calloc(stand->test.count, sizeof *stand->last_labels);
    if (stand->train_engines && stand->test_engines && stand->answers && stand->labels &&
        stand->last_answers && stand->last_labels)
        return 0;
    (void)snprintf(error, error_size, "out of memory");
    return -ENOMEM;
}

static void stand_fini(struct stand *stand)
{
    cmapss_fini(&stand->train);
    cmapss_fini(&stand->test);
    free(stand->train_engines);
    free(stand->test_engines);
    free(stand->answers);
    free(stand->labels);
    free(stand->last_answers);
    free(stand->last_labels);
}

static int judge(struct stand *stand, const struct cmapss_model *model, struct scores *out)
{
    struct cmapss_examples examples;
    struct cmapss_choice all = {&stand->test, stand->test_engines, stand->test.count};
    int result = cmapss_examples_make(all, &model->scaling, NULL, &examples);
    if (result < 0)
        return result;
    result = cmapss_answer(model->network, &examples, stand->answers);
    cmapss_labels(&examples, stand->labels);
    cmapss_examples_fini(&examples);
    if (result < 0)
        return result;
    size_t last_count = 0, cycles = stand->test.cycles;
    for (size_t e = 0, end = 0; e < stand->test.count; e++) {
        end += stand->test.engines[e].cycles;
        if (stand->test.engines[e].cycles < LAST_CYCLES_LEAST)
            continue;
        stand->last_answers[last_count] = stand->answers[end - 1];
        stand->last_labels[last_count++] = stand->labels[end - 1];
    }
    out->ap_every_cycle = score_average_precision(stand->answers, stand->labels, NULL, cycles);
    out->auc = metrics_auc(stand->answers, stand->labels, cycles);
    out->f1_every_cycle =
        metrics_decide(stand->answers, stand->labels, cycles, model->network->thresholds[0]).f1;
    out->last =
        metrics_decide(stand->last_answers, stand->last_labels, last_count, model->network->thresholds[0]);
    return 0;
}

static int run_seed(struct stand *stand, uint64_t seed, struct scores *out)
{
    struct cmapss_model model;
    struct cmapss_choice all = {&stand->train, stand->train_engines, stand->train.count};
    int64_t began_us = clock_monotonic_us();
    int result = cmapss_train(all, &cmapss_recipe, seed, &model);
    if (result < 0)
        return result;
    out->seconds = (double)(clock_monotonic_us() - began_us) * 1e-6;
    out->epochs = model.epochs;
    result = judge(stand, &model, out);
    cmapss_model_fini(&model);
    return result;
}

static double mean_of(const struct scores *scores, double (*field)(const struct scores *))
{
    double sum = 0;
    for (size_t i = 0; i < SEEDS; i++)
        sum += field(&scores[i]);
    return sum / SEEDS;
}

static double ap_of(const struct scores *s)
{
    return s->ap_every_cycle;
}

static double auc_of(const struct scores *s)
{
    return s->auc;
}

static double f1_every_of(const struct scores *s)
{
    return s->f1_every_cycle;
}

static double f1_last_of(const struct scores *s)
{
    return s->last.f1;
}

static double accuracy_of(const struct scores *s)
{
    return s->last.accuracy;
}

static double seconds_of(const struct scores *s)
{
    return s->seconds;
}

/* false: it could not be printed. */
static bool print_line(json_t *line)
{
    bool ok = line && json_dumpf(line, stdout, JSON_REAL_PRECISION(4)) == 0 && putchar('\n') != EOF &&
              fflush(stdout) == 0;
    json_decref(line);
    return ok;
}

static bool print_seed(int seed, const struct scores *s)
{
    return print_line(json_pack(
        "{s:s, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:i, s:f}", "bench", "cmapss-seed", "seed", seed,
        "ap_every_cycle", s->ap_every_cycle, "f1_last", s->last.f1, "auc", s->auc, "f1_every_cycle",
        s->f1_every_cycle, "accuracy_last", s->last.accuracy, "precision_last", s->last.precision,
        "recall_last", s->last.recall, "epochs", (int)s->epochs, "seconds", s->seconds));
}

static bool print_all(const struct stand *stand, const struct scores *scores)
{
    json_t *ap = json_array(), *f1 = json_array();
    for (size_t i = 0; i < SEEDS; i++)
        if (json_array_append_new(ap, json_real(scores[i].ap_every_cycle)) != 0 ||
            json_array_append_new(f1, json_real(scores[i].last.f1)) != 0)
            return false;
    return print_line(json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:{s:i, s:o, s:o}, s:i, s:i, s:f}", "bench",
                                "cmapss", "ap_every_cycle", mean_of(scores, ap_of), "f1_last",
                                mean_of(scores, f1_last_of), "auc", mean_of(scores, auc_of), "f1_every_cycle",
                                mean_of(scores, f1_every_of), "accuracy_last", mean_of(scores, accuracy_of),
                                "seeds", "count", SEEDS, "ap_every_cycle", ap, "f1_last", f1, "engines_train",
                                (int)stand->train.count, "engines_test", (int)stand->test.count, "seconds",
                                SEEDS * mean_of(scores, seconds_of)));
}

int main(int argc, char **argv)
{
    struct stand stand;
    struct scores scores[SEEDS] = {0};
    char error[512] = "out of memory";
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s DIR, of PM_train.txt, PM_test.txt and PM_truth.txt\n", argv[0]);
        return 2;
    }
    int result = stand_init(&stand, argv[1], error, sizeof error);
    for (int i = 0; result == 0 && i < SEEDS; i++) {
        result = run_seed(&stand, (uint64_t)i + 1, &scores[i]);
        if (result == -EINVAL)
            (void)snprintf(error, sizeof error,
                           "too few engines: each member of the model stops by some of its own");
        else if (result == 0 && !print_seed(i + 1, &scores[i]))
            result = -EIO;
    }
    if (result == 0 && !print_all(&stand, scores))
        result = -EIO;
    stand_fini(&stand);
    if (result != 0)
        (void)fprintf(stderr, "bench-cmapss: %s\n", result == -EIO ? "cannot write the result" : error);
    return result == 0 ? 0 : 1;
}
