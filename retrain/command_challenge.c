/* `forestall-retrain challenge`: trains on a reservoir's records from where the champion stands, compares
 * both on held-out executions, writes the challenger and a report. It runs as a child of the service, so that
 * a long training neither blocks the log nor survives it, and by hand. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/installed.h"
#include "retrain/answers.h"
#include "retrain/check.h"
#include "retrain/commands.h"
#include "retrain/compare.h"
#include "retrain/evaluate.h"
#include "retrain/loss.h"
#include "retrain/split.h"

#define REFERENCE_HELD_OUT 0.5 /* the other half is trained on as well: what was known is not forgotten */

struct challenge {
    const struct retrain_options *options;
    struct record_set records, references;
    struct check_counts counts;
    struct dataset parts[SPLIT_COUNT], reference; /* reference: its held-out part */
    size_t part_records[SPLIT_COUNT];
    struct network *champion, *challenger;
    struct comparison comparison, on_reference;
};

/* Splits these records by execution; parts[SPLIT_TEST] is for the held-out ones. */
static int split(struct challenge *c, const struct record_set *records, const size_t *usable, size_t count,
                 double held_out, struct dataset *const parts[SPLIT_COUNT])
{
    size_t *chosen = calloc(count + 1, sizeof *chosen);
    int result = chosen ? 0 : -ENOMEM;
    for (int part = 0; part < SPLIT_COUNT && result == 0; part++) {
        struct dataset_options how = retrain_dataset_options(c->options, DATASET_PROFILES_MIXED);
        size_t used = 0;
        for (size_t i = 0; i < count; i++)
            if ((int)split_by_execution(records->items[usable[i]].execution, held_out) == part)
                chosen[used++] = usable[i];
        how.augmented = part == SPLIT_TRAIN;
        how.stretched = how.augmented && c->options->stretched;
        how.dead_weight = part == SPLIT_TRAIN ? c->options->dead_weight : 1;
        c->part_records[part] += used;
        result = dataset_add(parts[part], records, chosen, used, &how);
    }
    free(chosen);
    return result;
}

static int split_checked(struct challenge *c, const struct record_set *records, bool reference)
{
    /* The reference comes from us: nobody can crowd it. */
    const struct check_limits limits = {.now_us = clock_realtime_us(),
                                        .code_share = reference ? 1 : c->options->code_share,
                                        .tenant_share = reference ? 1 : c->options->tenant_share};
    struct dataset *const parts[SPLIT_COUNT] = {&c->parts[SPLIT_TRAIN], &c->parts[SPLIT_VALIDATION],
                                                reference ? &c->reference : &c->parts[SPLIT_TEST]};
    struct check_counts counts;
    size_t *usable = calloc(records->count + 1, sizeof *usable);
    int64_t count = usable ? check_choose(records->items, records->count, &limits, usable, &counts) : -ENOMEM;
    int result = count < 0 ? (int)count : 0;
    if (result == 0)
        result = split(c, records, usable, (size_t)count,
                       reference ? REFERENCE_HELD_OUT : c->options->held_out, parts);
    if (result == 0 && !reference)
        c->counts = counts;
    free(usable);
    return result;
}

static int split_records(struct challenge *c)
{
    int result = split_checked(c, &c->records, false);
    return result == 0 && c->references.count > 0 ? split_checked(c, &c->references, true) : result;
}

/* Mean loss per held-out record, over its sequences. */
static int compare(struct challenge *c, const struct dataset *held_out, struct comparison *out)
{
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
                .code = hash_bytes(example->record->code.data, example->record->code.size),
                .tenant = check_tenant(example->record),
                .weight = dataset_inverse(example->record)};
        }
        struct compare_execution *e = &executions[count - 1];
        sequences++;
        e->champion += (loss_of(&example->labels, champion.items[i]) - e->champion) / (double)sequences;
        e->challenger += (loss_of(&example->labels, challenger.items[i]) - e->challenger) / (double)sequences;
    }
    if (result == 0)
        result = compare_models(executions, count, (uint64_t)c->options->seed, out);
    answers_fini(&champion);
    answers_fini(&challenger);
    free(executions);
    return result;
}

/* What wins on what was seen lately must not have lost what was known before. */
static int compare_both(struct challenge *c)
{
    struct comparison *on = &c->comparison;
    int result = compare(c, &c->parts[SPLIT_TEST], on);
    if (result == 0 && c->references.count > 0)
        result = compare(c, &c->reference, &c->on_reference);
    if (result < 0 || c->references.count == 0 || on->verdict == COMPARE_CHAMPION_STAYS ||
        compare_holds(&c->on_reference, c->options->reference_loss))
        return result;
    on->verdict = COMPARE_CHAMPION_STAYS;
    (void)snprintf(
        on->reason, sizeof on->reason,
        "worse on the reference: loss %.4f against the champion's %.4f on %zu executions (on the held-out "
        "ones %.4f against %.4f)",
        c->on_reference.challenger, c->on_reference.champion, c->on_reference.executions, on->challenger,
        on->champion);
    return 0;
}

static size_t refused(const struct check_counts *counts)
{
    size_t all = 0;
    for (int fault = CHECK_NUMBERS; fault < CHECK_FAULT_COUNT; fault++)
        all += counts->faulty[fault];
    return all;
}

static int write_report(const struct challenge *c)
{
    json_t *scores =
        evaluate_network(c->challenger, &c->parts[SPLIT_TEST], c->options->false_alarms_per_hour, false);
    size_t seen = c->part_records[SPLIT_TRAIN] + c->part_records[SPLIT_VALIDATION];
    json_t *report = json_pack(
        "{s:s, s:s, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:s, s:s, s:o*}",
        "verdict", compare_verdict_name(c->comparison.verdict), "reason", c->comparison.reason,
        "champion_loss", c->comparison.champion, "challenger_loss", c->comparison.challenger, "low",
        c->comparison.low, "high", c->comparison.high, "held_out", (json_int_t)c->comparison.executions,
        "codes", (json_int_t)c->comparison.codes, "tenants", (json_int_t)c->comparison.tenants, "refused",
        (json_int_t)refused(&c->counts), "crowded", (json_int_t)c->counts.crowded, "reference_champion_loss",
        c->on_reference.champion, "reference_challenger_loss", c->on_reference.challenger,
        "reference_executions", (json_int_t)c->on_reference.executions, "records", (json_int_t)seen,
        "version", c->challenger->version, "parent", c->champion->version, "scores", scores);
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
    fit.checkpoint = c->options->checkpoint;
    fit.additions = false; /* of `train`: a challenger learns as a whole */
    int result = split_records(c);
    if (result < 0)
        return command_fail("cannot label the records", strerror(-result)), result;
    (void)fprintf(
        stderr,
        "challenge: %zu records to train on, %zu to stop by, %zu held out; %zu not believed, %zu too many of "
        "one code or tenant\n",
        c->part_records[SPLIT_TRAIN], c->part_records[SPLIT_VALIDATION], c->part_records[SPLIT_TEST],
        refused(&c->counts), c->counts.crowded);
    result = fit_network(c->champion, &c->parts[SPLIT_TRAIN], &c->parts[SPLIT_VALIDATION], &fit,
                         command_report, NULL, &c->challenger);
    if (result < 0)
        return command_fail("cannot train",
                            result == -EINVAL ? "too few records with series" : strerror(-result)),
               result;
    result = command_save_network(c->options->out, c->challenger);
    if (result == 0 && (result = compare_both(c)) < 0)
        (void)command_fail("cannot compare", strerror(-result));
    return result == 0 ? write_report(c) : result;
}

/* "" = the shipped ones; none = without. What is asked for and cannot be read ends the challenge: without it
 * a gate would be open. */
static int load_reference(struct challenge *c)
{
    char shipped[4300];
    struct retrain_options options = *c->options;
    if (strcmp(options.reference, "none") == 0)
        return 0;
    if (!*options.reference) {
        int result = installed_path(INSTALLED_REFERENCE, shipped, sizeof shipped);
        if (result < 0)
            return command_fail("the shipped reference", strerror(-result)), result;
        options.reference = shipped;
    }
    options.records = options.reference;
    return command_load_records(&options, NULL, 0, &c->references);
}

int command_challenge(const struct retrain_options *options, char *const *more, int count)
{
    struct challenge c = {.options = options};
    if (!*options->out || !*options->champion)
        return command_fail("challenge", "say --champion FILE and --out FILE");
    c.champion = command_load_network(options->champion);
    int result = c.champion ? command_load_records(options, more, count, &c.records) : -ENOENT;
    if (result == 0) {
        result = load_reference(&c);
        if (result == 0)
            result = run(&c);
        for (int part = 0; part < SPLIT_COUNT; part++)
            dataset_fini(&c.parts[part]);
        dataset_fini(&c.reference);
        records_close(&c.records);
        records_close(&c.references);
    }
    network_destroy(c.champion);
    network_destroy(c.challenger);
    return result < 0 ? 1 : 0;
}
