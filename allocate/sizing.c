/* See sizing.h. */
#include "allocate/sizing.h"

#include <math.h>
#include <stdlib.h>

#include "allocate/outlook.h"

#define JUDGED_FADES 0.95      /* of the cost kept of a method, per run judged: half after 14 */
#define JUDGED_RETRY_SLACK 0.5 /* of the need: what a retry leaves idle */
#define FIRST_JUDGED 0.0001f   /* a cost of nothing must not read as never judged */
#define WORTH_CHANGING 0.97    /* a method takes over when it costs 3 % less */
#define JUDGED_LEAST 4         /* runs with an input: of fewer outlook.c only guesses */
#define TREND_RUNS_LEAST 4
#define CURVE_BEYOND 4.0 /* knots reach so many times below and above the inputs seen */

const struct sizing_config sizing_defaults = {
    .rerun_s = 60,
    .spread = 0.07,      /* 15 % at two deviations: what one run says (docs/design/allocation.md) */
    .stays = 1,          /* as much as one run of the same */
    .fades = 0.98,       /* half after 34 runs */
    .jump_share = 0.003, /* one run in some hundred is the first of a new version */
    .jump_most = 10, /* inputs of one code differ six times in the field; the first step is then fourfold */
    .unsaved = 1,
    .raised = 0.1, /* on recorded programs it costs less than nothing: docs/design/sizing.md */
};

/* Runs that told their input size; 0 when that is always the same. */
static size_t with_input(const struct sizing_code *code)
{
    size_t known = 0;
    double least = INFINITY, most = 0;
    for (size_t i = 0; i < code->count; i++) {
        double input = code->runs[i].input;
        if (!(input > 0) || !isfinite(input))
            continue;
        known++;
        least = fmin(least, input);
        most = fmax(most, input);
    }
    return known < 2 || most > 1.05 * least ? known : 0;
}

/* True when runs with different input sizes, or a single one, can carry a curve or a guess. */
static bool has_curve(const struct sizing_code *code)
{
    return with_input(code) > 0;
}

static void look(const struct sizing_config *config, const struct sizing_code *code,
                 enum sizing_method method, double input, struct outlook *out)
{
    outlook_begin(out);
    if (method == SIZING_INPUT && input > 0 && has_curve(code)) {
        struct outlook_curve curve;
        outlook_draw_input(&curve, config, code);
        outlook_by_input(out, config, &curve, input);
    } else if (method == SIZING_TREND && code->count >= TREND_RUNS_LEAST)
        outlook_by_trend(out, config, code);
    else if (method == SIZING_LEVEL)
        outlook_by_level(out, config, code);
    else
        outlook_by_context(out, config, code);
    outlook_finish(out);
}

double sizing_start(const struct sizing_config *config, const struct sizing_code *code,
                    enum sizing_method method, double input)
{
    struct outlook outlook;
    if (code->count == 0)
        return 0;
    look(config, code, method, input, &outlook);
    return outlook_cheapest(&outlook, config, 0);
}

double sizing_retry(const struct sizing_config *config, const struct sizing_code *code,
                    enum sizing_method method, double input, double failed)
{
    struct outlook outlook;
    if (code->count == 0)
        return 0;
    look(config, code, method, input, &outlook);
    outlook_above(&outlook, config, failed);
    struct sizing_config again = *config;
    again.rerun_s = 0; /* how long a run takes must not decide how far to go */
    again.unsaved = 1; /* and it has failed once */
    return outlook_cheapest(&outlook, &again, failed);
}

/* What an amount would have cost, in units of the need: slack; or a raise while running, or the failed try
 * and what it takes to run again. */
static double judged(const struct sizing_config *config, const struct sizing_run *run, double amount)
{
    double need = fmax(run->peak, 1), seconds = fmax(run->seconds, 0.001);
    if (amount >= need)
        return (amount - need) / need;
    double failed = (amount * seconds + need * config->rerun_s) / (need * seconds) + JUDGED_RETRY_SLACK;
    return config->unsaved * failed + (1 - config->unsaved) * config->raised;
}

void sizing_judge(const struct sizing_config *config, const struct sizing_code *code,
                  const struct sizing_run *run, float costs[SIZING_METHOD_COUNT])
{
    if (code->count == 0)
        return;
    for (int method = 0; method < SIZING_METHOD_COUNT; method++) {
        if (method == SIZING_INPUT && (!(run->input > 0) || with_input(code) < JUDGED_LEAST))
            continue;
        double start = sizing_start(config, code, (enum sizing_method)method, run->input);
        double cost = fmin(judged(config, run, start), 100);
        double before = costs[method] > 0 ? (double)costs[method] : cost;
        costs[method] = fmaxf((float)(before * JUDGED_FADES + cost * (1 - JUDGED_FADES)), FIRST_JUDGED);
    }
}

enum sizing_method sizing_pick(const struct sizing_code *code, const float costs[SIZING_METHOD_COUNT],
                               bool told)
{
    enum sizing_method best = SIZING_CONTEXT;
    for (enum sizing_method method = SIZING_LEVEL; method < SIZING_INPUT; method++)
        if (costs[method] > 0 && (double)costs[method] < WORTH_CHANGING * (double)costs[best])
            best = method;
    if (!told || !has_curve(code))
        return best;
    bool unjudged = !(costs[SIZING_INPUT] > 0);
    return unjudged || (double)costs[SIZING_INPUT] < WORTH_CHANGING * (double)costs[best] ? SIZING_INPUT
                                                                                          : best;
}

size_t sizing_curve(const struct sizing_config *config, const struct sizing_code *code,
                    struct knot knots[SIZING_KNOTS_MAX])
{
    double least = INFINITY, most = 0;
    if (!has_curve(code))
        return 0;
    for (size_t i = 0; i < code->count; i++) {
        double input = code->runs[i].input;
        if (!(input > 0) || !isfinite(input))
            continue;
        least = fmin(least, input / CURVE_BEYOND);
        most = fmax(most, input * CURVE_BEYOND);
    }
    struct outlook_curve curve;
    struct outlook outlook;
    outlook_draw_input(&curve, config, code);
    double ratio = pow(most / least, 1.0 / (SIZING_KNOTS_MAX - 1));
    for (size_t i = 0; i < SIZING_KNOTS_MAX; i++) {
        double at = least * pow(ratio, (double)i);
        outlook_begin(&outlook);
        outlook_by_input(&outlook, config, &curve, at);
        outlook_finish(&outlook);
        knots[i] = (struct knot){at, fmax(outlook_cheapest(&outlook, config, 0), 1)};
    }
    return SIZING_KNOTS_MAX;
}
