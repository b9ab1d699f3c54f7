/* See evaluate.h. */
#include "retrain/evaluate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/score.h"
#include "retrain/alarms.h"
#include "retrain/learned.h"
#include "retrain/split.h"

struct evaluating {
    const struct network *network;
    const struct dataset *dataset;
    struct answers answers;
    double rate;                      /* false alarms per hour */
    float *scores, *labels, *weights; /* [ticks] scratch */
};

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static const char *cause_name(size_t cause)
{
    return msg_cause_name((enum msg_cause)(MSG_CAUSE_MEMORY + cause));
}

/* Rules speak of memory only. */
static float tick_score(const struct evaluating *e, size_t example, size_t tick, size_t cause,
                        enum alarms_rule rule)
{
    const struct network_output *answers = e->answers.items[example];
    return cause == MSG_CAUSE_MEMORY - 1
               ? alarms_score(&e->dataset->items[example].labels, answers, tick, rule)
               : answers[tick].probabilities[cause];
}

/* Fills the scratch with every counted tick of a cause; for memory only of executions that have a limit. */
static size_t gather(struct evaluating *e, size_t cause, enum alarms_rule rule)
{
    size_t count = 0;
    for (size_t i = 0; i < e->dataset->count; i++) {
        const struct labels *labels = &e->dataset->items[i].labels;
        for (size_t t = 0; t < labels->ticks; t++) {
            size_t at = t * NETWORK_CAUSES + cause;
            bool limited = labels->features[t * FEATURE_COUNT + FEATURE_MEMORY_LIMITED] > 0;
            if (labels->mask[at] <= 0 || (cause == MSG_CAUSE_MEMORY - 1 && !limited))
                continue;
            e->scores[count] = tick_score(e, i, t, cause, rule);
            e->labels[count] = labels->label[at];
            e->weights[count++] = 1;
        }
    }
    return count;
}

static json_t *alarm_scores(const struct alarms *alarms, float threshold)
{
    struct score_alarms scores;
    score_alarms(alarms->series, alarms->count, threshold, ALARMS_HORIZON_MS, &scores);
    return json_pack("{s:f, s:o, s:o, s:o, s:f, s:I, s:I, s:I, s:f}", "threshold", (double)threshold,
                     "recall_1s", number(scores.recall[0]), "recall_2s", number(scores.recall[1]),
                     "recall_5s", number(scores.recall[2]), "false_alarms_per_hour",
                     scores.false_alarms_per_hour, "failures", (json_int_t)scores.failures, "true_alarms",
                     (json_int_t)scores.true_alarms, "false_alarms", (json_int_t)scores.false_alarms, "hours",
                     scores.hours);
}

/* At the common rate of false alarms, at twice and at half of it, and at the rule's own threshold. */
static json_t *rule_scores(struct evaluating *e, enum alarms_rule rule)
{
    struct alarms alarms;
    if (alarms_make(e->dataset, &e->answers, rule, &alarms) < 0)
        return NULL;
    size_t count = gather(e, MSG_CAUSE_MEMORY - 1, rule);
    double precision = score_average_precision(e->scores, e->labels, e->weights, count);
    float own = rule == ALARMS_MODEL ? e->network->thresholds[MSG_CAUSE_MEMORY - 1]
                                     : 0.8f; /* headroom: "raise at 80 %" */
    json_t *out = json_object();
    json_object_set_new(out, "average_precision", number(precision));
    if (rule ==
        ALARMS_MODEL) /* an alarm at the first tick: what starts and dies within a lead cannot be foreseen */
        json_object_set_new(out, "ceiling", alarm_scores(&alarms, -1));
    json_object_set_new(out, "at_rate",
                        alarm_scores(&alarms, alarms_choose(&alarms, ALARMS_HORIZON_MS, e->rate)));
    json_object_set_new(out, "at_half_rate",
                        alarm_scores(&alarms, alarms_choose(&alarms, ALARMS_HORIZON_MS, e->rate / 2)));
    json_object_set_new(out, "at_double_rate",
                        alarm_scores(&alarms, alarms_choose(&alarms, ALARMS_HORIZON_MS, e->rate * 2)));
    if (rule == ALARMS_MODEL || rule == ALARMS_HEADROOM)
        json_object_set_new(out, "at_own_threshold", alarm_scores(&alarms, own));
    alarms_fini(&alarms);
    return out;
}

static json_t *memory_scores(struct evaluating *e)
{
    json_t *out = json_object();
    for (int rule = 0; rule < ALARMS_RULE_COUNT; rule++)
        json_object_set_new(out, alarms_rule_name((enum alarms_rule)rule),
                            rule_scores(e, (enum alarms_rule)rule));
    return out;
}

static double log_loss(const struct evaluating *e, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        double p = fmin(fmax((double)e->scores[i], 1e-7), 1 - 1e-7);
        sum -= e->labels[i] > 0.5f ? log(p) : log1p(-p);
    }
    return count ? sum / (double)count : NAN;
}

static json_t *tick_scores(struct evaluating *e, size_t count, size_t positives)
{
    return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o}", "ticks", (json_int_t)count, "positive",
                     (json_int_t)positives, "log_loss", number(log_loss(e, count)), "average_precision",
                     number(score_average_precision(e->scores, e->labels, e->weights, count)), "brier",
                     number(score_brier(e->scores, e->labels, e->weights, count)), "calibration_error",
                     number(score_calibration_error(e->scores, e->labels, e->weights, count)));
}

static json_t *cause_scores(struct evaluating *e, size_t cause)
{
    size_t count = gather(e, cause, ALARMS_MODEL), positives = 0;
    for (size_t i = 0; i < count; i++)
        positives += e->labels[i] > 0.5f;
    return tick_scores(e, count, positives);
}

/* Within another horizon than that of alarms; ticks and causes as there. */
static json_t *horizon_scores(struct evaluating *e, size_t horizon, size_t cause)
{
    size_t count = 0, positives = 0;
    for (size_t i = 0; i < e->dataset->count; i++) {
        const struct labels *labels = &e->dataset->items[i].labels;
        for (size_t t = 0; t < labels->ticks; t++) {
            int8_t label = labels->horizons[(t * NETWORK_HORIZONS + horizon) * NETWORK_CAUSES + cause];
            bool limited = labels->features[t * FEATURE_COUNT + FEATURE_MEMORY_LIMITED] > 0;
            if (label < 0 || (cause == MSG_CAUSE_MEMORY - 1 && !limited))
                continue;
            e->scores[count] = e->answers.items[i][t].horizon_probabilities[horizon][cause];
            e->labels[count] = (float)label;
            positives += label > 0;
            e->weights[count++] = 1;
        }
    }
    return tick_scores(e, count, positives);
}

static json_t *horizons_scores(struct evaluating *e)
{
    json_t *out = json_object();
    for (size_t h = 0; e->network->has_horizons && h < NETWORK_HORIZONS; h++) {
        json_t *causes = json_object();
        char name[16];
        for (size_t cause = 0; cause < NETWORK_CAUSES; cause++)
            json_object_set_new(causes, cause_name(cause), horizon_scores(e, h, cause));
        (void)snprintf(name, sizeof name, "%ds", (int)(network_horizons_ms[h] / 1000));
        json_object_set_new(out, name, causes);
    }
    return out;
}

/* After the first second: while a program is being loaded its memory is near nothing, and any peak is many
 * times that. How often the true peak ahead was at or below each quantile (should be 0.5, 0.9, 0.99), and how
 * far above it p99 is. */
static json_t *demand_scores(struct evaluating *e, size_t resource)
{
    static const char *const names[NETWORK_QUANTILES] = {"below_p50", "below_p90", "below_p99"};
    double below[NETWORK_QUANTILES] = {0}, total = 0, excess = 0, loss = 0;
    for (size_t i = 0; i < e->dataset->count; i++) {
        const struct labels *labels = &e->dataset->items[i].labels;
        for (size_t t = 0; t < labels->ticks; t++) {
            size_t at = t * NETWORK_RESOURCES + resource;
            const float *quantiles = e->answers.items[i][t].demand[resource];
            if (labels->demand_mask[at] <= 0 || labels->time_ms[t] < 1000)
                continue;
            for (size_t q = 0; q < NETWORK_QUANTILES; q++) {
                double miss = (double)(labels->demand[at] - quantiles[q]),
                       level = (double)network_quantile_levels[q];
                below[q] += miss <= 0;
                loss += fmax(level * miss, (level - 1) * miss);
            }
            excess += (double)(quantiles[NETWORK_QUANTILES - 1] - labels->demand[at]);
            total += 1;
        }
    }
    json_t *out =
        json_pack("{s:f, s:o, s:o}", "ticks", total, "pinball", number(total > 0 ? loss / total : NAN),
                  "p99_to_peak_geometric", number(exp(excess / total)));
    for (size_t q = 0; q < NETWORK_QUANTILES; q++)
        json_object_set_new(out, names[q], number(total > 0 ? below[q] / total : NAN));
    return out;
}

/* --- deadlines --- */

struct deadline_count {
    json_int_t missed, met, early, half, late, false_alarms;
};

/* Share of the deadline that had passed when the cause's level first reached the threshold; above 1: never.
 */
static double first_alarm(const struct evaluating *e, size_t example, size_t cause)
{
    const struct labels *labels = &e->dataset->items[example].labels;
    alarms_levels(labels, e->answers.items[example], cause, e->scores);
    for (size_t t = 0; t < labels->ticks; t++)
        if (e->scores[t] >= e->network->thresholds[cause])
            return (double)labels->features[t * FEATURE_COUNT + FEATURE_ELAPSED_TO_TIMEOUT];
    return INFINITY;
}

/* Of the deadlines missed for lack of this resource: how many the model told of by a quarter, a half and nine
 * tenths of the time; of those met: how many it gave a false alarm for. */
static json_t *deadline_scores(struct evaluating *e, size_t cause)
{
    struct deadline_count n = {0};
    for (size_t i = 0; i < e->dataset->count; i++) {
        const struct labels *labels = &e->dataset->items[i].labels;
        if (!alarms_deadline(&e->dataset->items[i], cause))
            continue;
        double share = first_alarm(e, i, cause);
        if (labels->label[cause] > 0.5f) {
            n.missed++;
            n.early += share <= 0.25;
            n.half += share <= 0.5;
            n.late += share <= 0.9;
        } else {
            n.met++;
            n.false_alarms += share <= 2;
        }
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "missed", n.missed, "told_by_25_percent", n.early,
                     "told_by_50_percent", n.half, "told_by_90_percent", n.late, "met", n.met, "false_alarms",
                     n.false_alarms);
}

/* --- per program --- */

struct program_count {
    json_int_t examples, failures, caught_1s, false_alarms;
    double hours;
};

static void count_example(const struct evaluating *e, size_t i, const struct alarms *one,
                          struct program_count *count)
{
    struct score_alarms scores;
    score_alarms(one->series + i, 1, e->network->thresholds[MSG_CAUSE_MEMORY - 1], ALARMS_HORIZON_MS,
                 &scores);
    count->examples++;
    count->failures += (json_int_t)scores.failures;
    count->caught_1s += scores.failures && scores.recall[0] > 0;
    count->false_alarms += (json_int_t)scores.false_alarms;
    count->hours += scores.hours;
}

static void add_program(json_t *out, struct str program, const struct program_count *count)
{
    char name[129];
    (void)str_copy(name, sizeof name, program); /* codes are at most 128 bytes */
    json_t *known = json_object_get(out, name);
    json_int_t examples = count->examples + json_integer_value(json_object_get(known, "examples"));
    json_int_t failures = count->failures + json_integer_value(json_object_get(known, "failures"));
    json_int_t caught = count->caught_1s + json_integer_value(json_object_get(known, "caught_1s"));
    json_int_t alarms = count->false_alarms + json_integer_value(json_object_get(known, "false_alarms"));
    double hours = count->hours + json_number_value(json_object_get(known, "hours"));
    json_object_set_new(out, name,
                        json_pack("{s:I, s:I, s:I, s:I, s:f}", "examples", examples, "failures", failures,
                                  "caught_1s", caught, "false_alarms", alarms, "hours", hours));
}

/* Memory alarms at the model's own threshold of it. */
static json_t *program_scores(struct evaluating *e)
{
    json_t *out = json_object();
    struct alarms alarms;
    if (alarms_make(e->dataset, &e->answers, ALARMS_MODEL, &alarms) < 0)
        return out;
    size_t s = 0;
    for (size_t i = 0; i < e->dataset->count && s < alarms.count; i++) {
        struct program_count count = {0};
        if (alarms.series[s].time_ms != e->dataset->items[i].labels.time_ms)
            continue; /* not among those that count */
        count_example(e, s++, &alarms, &count);
        add_program(out, split_program(e->dataset->items[i].record->code), &count);
    }
    alarms_fini(&alarms);
    return out;
}

json_t *evaluate_network(const struct network *network, const struct dataset *dataset,
                         double false_alarms_per_hour, bool learned)
{
    static const char *const resources[NETWORK_RESOURCES] = {"memory", "cpu", "io", "net"};
    struct evaluating e = {.network = network, .dataset = dataset, .rate = false_alarms_per_hour};
    e.scores = calloc(dataset->ticks + 1, sizeof *e.scores);
    e.labels = calloc(dataset->ticks + 1, sizeof *e.labels);
    e.weights = calloc(dataset->ticks + 1, sizeof *e.weights);
    json_t *out = NULL;
    if (e.scores && e.labels && e.weights && answers_make(network, dataset, &e.answers) == 0 &&
        (!learned || learned_correct(network, dataset, &e.answers) == 0)) {
        json_t *causes = json_object(), *demand = json_object(), *deadlines = json_object();
        for (size_t cause = 0; cause < NETWORK_CAUSES; cause++)
            json_object_set_new(causes, cause_name(cause), cause_scores(&e, cause));
        for (size_t cause = MSG_CAUSE_CPU - 1; cause < MSG_CAUSE_OTHER - 1; cause++)
            json_object_set_new(deadlines, cause_name(cause), deadline_scores(&e, cause));
        for (size_t r = 0; r < NETWORK_RESOURCES; r++)
            json_object_set_new(demand, resources[r], demand_scores(&e, r));
        out =
            json_pack("{s:I, s:I, s:f, s:o, s:o, s:o, s:o, s:o, s:o}", "examples", (json_int_t)dataset->count,
                      "ticks", (json_int_t)dataset->ticks, "false_alarms_per_hour", false_alarms_per_hour,
                      "memory", memory_scores(&e), "causes", causes, "horizons", horizons_scores(&e),
                      "deadlines", deadlines, "demand", demand, "programs", program_scores(&e));
    }
    answers_fini(&e.answers);
    free(e.scores);
    free(e.labels);
    free(e.weights);
    return out;
}
