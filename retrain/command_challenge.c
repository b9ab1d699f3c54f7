/* `forestall-retrain challenge`: trains on a reservoir's records from where the champion stands, compares
 * both on held-out executions, writes the challenger and a report. It runs as a child of the service, so that
 * a long training neither blocks the log nor survives it, and by hand. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/hash.h"
#include "retrain/answers.h"
#include "retrain/commands.h"
#include "retrain/compare.h"
#include "retrain/evaluate.h"
#include "retrain/loss.h"
#include "retrain/split.h"

struct challenge {
    const struct retrain_options *options;
    struct record_set records;
    struct dataset parts[SPLIT_COUNT];
    size_t part_records[SPLIT_COUNT];
    struct network *champion, *challenger;
    struct comparison comparison;
};

static int split_records(struct challenge *c)
{
    size_t *chosen = calloc(c->records.count + 1, sizeof *chosen);
    int result = chosen ? 0 : -ENOMEM;
    for (int part = 0; part < SPLIT_COUNT && result == 0; part++) {
        struct dataset_options how = retrain_dataset_options(c->options, DATASET_PROFILES_MIXED);
        size_t count = 0;
        for (size_t i = 0; i < c->records.count; i++)
            if ((int)split_by_execution(c->records.items[i].execution, c->options->held_out) == part)
                chosen[count++] = i;
        how.augmented = part == SPLIT_TRAIN;
        how.stretched = how.augmented && c->options->stretched;
        c->part_records[part] = count;
        result = dataset_add(&c->parts[part], &c->records, chosen, count, &how);
    }
    free(chosen);
    return result;
}

/* Mean loss per held-out record, over its sequences. */
static int compare(struct challenge *c)
{
    const struct dataset *held_out = &c->parts[SPLIT_TEST];
    struct answers champion = {0}, challenger = {0};
    struct compare_execution *executions = calloc(held_out->count + 1, sizeof *executions);
    size_t count = 0, sequences = 0;
    int result = executions ? answers_make(c->champion, held_out, &champion) : -ENOMEM;
    if (result == 0)
        result = answers_make(c->challenger, held_out, &challenger);
    for (size_t i = 0; result == 0 && i < held_out->count; i++) {
        const struct example *example = &held_out->items[i];
        bool same = i > 0 && held_out->items[i - 1].record ==
                                 example->record; /* a record's sequences are neighbours */
        if (!same) {
            sequences = 0;
            executions[count++] = (struct compare_execution){
                .code = hash_bytes(example->record->code.data, example->record->code.size)};
        }
        struct compare_execution *e = &executions[count - 1];
        sequences++;
        e->champion += (loss_of(&example->labels, champion.items[i]) - e->champion) / (double)sequences;
        e->challenger += (loss_of(&example->labels, challenger.items[i]) - e->challenger) / (double)sequences;
    }
    if (result == 0)
        result = compare_models(executions, count, (uint64_t)c->options->seed, &c->comparison);
    answers_fini(&champion);
    answers_fini(&challenger);
    free(executions);
    return result;
}

static int write_report(const struct challenge *c)
{
    json_t *scores =
        evaluate_network(c->challenger, &c->parts[SPLIT_TEST], c->options->false_alarms_per_hour);
    size_t seen = c->part_records[SPLIT_TRAIN] + c->part_records[SPLIT_VALIDATION];
    json_t *report = json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:s, s:s, s:o*}", "verdict",
                               compare_verdict_name(c->comparison.verdict), "reason", c->comparison.reason,
                               "champion_loss", c->comparison.champion, "challenger_loss",
                               c->comparison.challenger, "low", c->comparison.low, "high", c->comparison.high,
                               "held_out", (json_int_t)c->comparison.executions, "codes",
                               (json_int_t)c->comparison.codes, "records", (json_int_t)seen, "version",
                               c->challenger->version, "parent", c->champion->version, "scores", scores);
    char *text = report ? json_dumps(report, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;
    int result = -ENOMEM;
    if (text && *c->options->report)
        result = command_write_file(c->options->report, str_of(text));
    else if (text)
        result = puts(text) < 0 ? -EIO : 0;
    free(text);
    json_decref(report);
    return result;
}

static int run(struct challenge *c)
{
    struct fit_options fit = retrain_fit_options(c->options);
    int result = split_records(c);
    if (result < 0)
        return command_fail("cannot label the records", strerror(-result)), result;
    (void)fprintf(stderr, "challenge: %zu records to train on, %zu to stop by, %zu held out\n",
                  c->part_records[SPLIT_TRAIN], c->part_records[SPLIT_VALIDATION],
                  c->part_records[SPLIT_TEST]);
    result = fit_network(c->champion, &c->parts[SPLIT_TRAIN], &c->parts[SPLIT_VALIDATION], &fit,
                         command_report, NULL, &c->challenger);
    if (result < 0)
        return command_fail("cannot train",
                            result == -EINVAL ? "too few records with series" : strerror(-result)),
               result;
    result = command_save_network(c->options->out, c->challenger);
    if (result == 0 && (result = compare(c)) < 0)
        (void)command_fail("cannot compare", strerror(-result));
    return result == 0 ? write_report(c) : result;
}

int command_challenge(const struct retrain_options *options, char *const *more, int count)
{
    struct challenge c = {.options = options};
    if (!*options->out || !*options->champion)
        return command_fail("challenge", "say --champion FILE and --out FILE");
    c.champion = command_load_network(options->champion);
    int result = c.champion ? command_load_records(options, more, count, &c.records) : -ENOENT;
    if (result == 0) {
        result = run(&c);
        for (int part = 0; part < SPLIT_COUNT; part++)
            dataset_fini(&c.parts[part]);
        records_close(&c.records);
    }
    network_destroy(c.champion);
    network_destroy(c.challenger);
    return result < 0 ? 1 : 0;
}
