/* What the predictors of bench/model.py are given: every tick of a corpus as a row of numbers, so that all of
 * them see the same features, windows and labels. Writes to the directory --out, for each of --parts:
 *   PART.rows    float32 [ticks][columns], columns as in columns.json
 *   PART.jsonl   one line per example, in the order of the rows
 * train is made as the trainer has it; validation and test as `forestall-retrain evaluate` has them: every
 * code unknown (--profiles none), known by other runs of it (known) or by those before (past; the model's
 * answers then with the code's online head), as recorded and under hypothetical limits and deadlines, no
 * limit that is raised on the way. The model's answers are columns of validation and test (zero in train). */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <jansson.h>

#include "common/config.h"
#include "retrain/alarms.h"
#include "retrain/answers.h"
#include "retrain/commands.h"
#include "retrain/learned.h"
#include "retrain/split.h"

#define COLUMNS (FEATURE_COUNT + 4 * NETWORK_CAUSES + 1)

struct exporting {
    const struct retrain_options *options;
    enum dataset_profiles profiles; /* of what is judged */
    const struct network *network;
    FILE *rows, *examples;
};

static FILE *open_in(const char *directory, const char *name, const char *ending)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s.%s", directory, name, ending) >= (int)sizeof path)
        return NULL;
    return fopen(path, "wb");
}

static void write_rows(const struct exporting *e, const struct labels *labels,
                       const struct network_output *answers)
{
    for (size_t t = 0; t < labels->ticks; t++) {
        float row[COLUMNS] = {0}, *at = row;
        memcpy(at, labels->features + t * FEATURE_COUNT, FEATURE_COUNT * sizeof *at);
        at += FEATURE_COUNT;
        memcpy(at, labels->label + t * NETWORK_CAUSES, NETWORK_CAUSES * sizeof *at);
        at += NETWORK_CAUSES;
        memcpy(at, labels->mask + t * NETWORK_CAUSES, NETWORK_CAUSES * sizeof *at);
        at += NETWORK_CAUSES;
        if (answers) {
            memcpy(at, answers[t].logits, NETWORK_CAUSES * sizeof *at);
            memcpy(at + NETWORK_CAUSES, answers[t].probabilities, NETWORK_CAUSES * sizeof *at);
        }
        row[COLUMNS - 1] = (float)((double)labels->time_ms[t] * 1e-3);
        (void)fwrite(row, sizeof row, 1, e->rows); /* finish() asks for errors */
    }
}

static bool write_example(const struct exporting *e, const struct example *example)
{
    const struct labels *labels = &example->labels;
    struct str program = split_program(example->record->code);
    bool failed = labels->failure_ms != INT64_MAX;
    json_t *line =
        json_pack("{s:s%, s:I, s:b, s:b, s:b, s:o, s:s, s:f}", "program", program.data, program.size, "ticks",
                  (json_int_t)labels->ticks, "counts", alarms_count(example), "known", example->known,
                  "recorded", example->plan.memory_bytes == 0 && example->plan.timeout_ms == 0, "failure_s",
                  failed ? json_real((double)labels->failure_ms * 1e-3) : json_null(), "cause",
                  msg_cause_name(labels->cause), "weight", (double)example->weight);
    bool ok = line && json_dumpf(line, e->examples, JSON_COMPACT) == 0 && fputc('\n', e->examples) != EOF;
    json_decref(line);
    return ok;
}

static bool finish(FILE *file)
{
    bool ok = file && ferror(file) == 0;
    return file && fclose(file) == 0 && ok;
}

static int write_part(struct exporting *e, const char *name, const struct dataset *dataset, bool answered)
{
    struct answers answers = {0};
    int result = answered ? answers_make(e->network, dataset, &answers) : 0;
    if (result == 0 && answered && e->profiles == DATASET_PROFILES_PAST)
        result = learned_correct(e->network, dataset, &answers);
    e->rows = open_in(e->options->out, name, "rows");
    e->examples = open_in(e->options->out, name, "jsonl");
    if (result == 0 && (!e->rows || !e->examples))
        result = -errno;
    for (size_t i = 0; result == 0 && i < dataset->count; i++) {
        write_rows(e, &dataset->items[i].labels, answered ? answers.items[i] : NULL);
        result = write_example(e, &dataset->items[i]) ? 0 : -EIO;
    }
    bool rows = finish(e->rows), examples = finish(e->examples);
    answers_fini(&answers);
    return result == 0 && !(rows && examples) ? -EIO : result;
}

static int export_part(struct exporting *e, enum split part, const struct split_table *table,
                       const struct record_set *records)
{
    static const char *const names[SPLIT_COUNT] = {"train", "validation", "test"};
    bool training = part == SPLIT_TRAIN;
    struct dataset_options how =
        retrain_dataset_options(e->options, training ? DATASET_PROFILES_MIXED : e->profiles);
    struct dataset dataset = {0};
    size_t *chosen = calloc(records->count + 1, sizeof *chosen), count = 0;
    how.staircases = training;
    for (size_t i = 0; chosen && i < records->count; i++)
        if (split_of(table, records->items[i].code, (uint64_t)e->options->seed) == part)
            chosen[count++] = i;
    int result = chosen ? dataset_add(&dataset, records, chosen, count, &how) : -ENOMEM;
    if (result == 0)
        result = write_part(e, names[part], &dataset, !training);
    (void)fprintf(stderr, "%s: %zu records, %zu examples, %zu ticks, %zu left out\n", names[part], count,
                  dataset.count, dataset.ticks, dataset.left_out);
    free(chosen);
    dataset_fini(&dataset);
    return result;
}

static int write_columns(const struct retrain_options *options, const struct network *network)
{
    FILE *file = open_in(options->out, "columns", "json");
    json_t *features = json_array(), *causes = json_array(), *thresholds = json_array();
    for (int i = 0; i < FEATURE_COUNT; i++)
        json_array_append_new(features, json_string(feature_name((enum feature_index)i)));
    for (int i = 0; i < NETWORK_CAUSES; i++)
        json_array_append_new(causes, json_string(msg_cause_name((enum msg_cause)(MSG_CAUSE_MEMORY + i))));
    for (int i = 0; i < NETWORK_CAUSES; i++)
        json_array_append_new(thresholds, json_real((double)network->thresholds[i]));
    json_t *out =
        json_pack("{s:o, s:o, s:s, s:o, s:i, s:i, s:i}", "features", features, "causes", causes, "model",
                  network->version, "thresholds", thresholds, "hidden", (int)network->shape.hidden, "layers",
                  (int)network->shape.layers, "horizon_ms", (int)options->horizon_ms);
    int result = file && out && json_dumpf(out, file, 0) == 0 ? 0 : -EIO;
    json_decref(out);
    return finish(file) ? result : -EIO;
}

static int run(const struct retrain_options *options, char *const *more, int count)
{
    struct record_set records;
    struct split_table *table = NULL;
    enum dataset_profiles profiles;
    char error[512];
    if (!*options->out || (mkdir(options->out, 0777) < 0 && errno != EEXIST))
        return command_fail("cannot write", "say --out DIRECTORY");
    if (retrain_profiles(options, &profiles) < 0)
        return command_fail("--profiles", "must be none, known or past");
    if (*options->splits && split_table_load(options->splits, &table, error, sizeof error) < 0)
        return command_fail("cannot read the splits", error);
    struct network *network = command_load_network(options->model);
    int result = network ? command_load_records(options, more, count, &records) : -ENOENT;
    if (result == 0) {
        struct exporting exporting = {.options = options, .network = network, .profiles = profiles};
        result = write_columns(options, network);
        for (int part = 0; part < SPLIT_COUNT && result == 0; part++)
            if (split_wanted(options->parts, (enum split)part))
                result = export_part(&exporting, (enum split)part, table, &records);
        if (result < 0)
            (void)command_fail("cannot export", strerror(-result));
        records_close(&records);
    }
    network_destroy(network);
    split_table_destroy(table);
    return result < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct retrain_options options = {0};
    char error[512] = "out of memory";
    struct config *config = config_create(
        "bench-ticks", "Every tick of a corpus as numbers, for bench/model.py: "
                       "--model FILE --splits FILE --parts all --out DIRECTORY --records FILE...");
    int result = config ? config_add(config, retrain_options, retrain_option_count, &options) : -1, count,
        status = 1;
    if (result == 0)
        result = config_load(config, argc, argv, error, sizeof error);
    if (result == 1) {
        status = 0;
    } else if (result < 0) {
        (void)command_fail("bench-ticks", error);
    } else {
        char *const *more = config_arguments(config, &count);
        status = run(&options, more, count);
    }
    config_destroy(config);
    return status;
}
