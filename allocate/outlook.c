/* See outlook.h. */
#include "allocate/outlook.h"

#include <math.h>
#include <stdlib.h>

#define ALIKE 0.15         /* CONTEXT: runs this far apart (as a logarithm) are half alike */
#define ANYTHING 0.3       /* CONTEXT: weight of all runs that followed something else */
#define SPREAD_LEAST 0.001 /* of any value */
#define NEIGHBOURS 0.5     /* of the root of the number of runs: which neighbour's distance is a spread */
#define USUAL 3            /* times the median distance: more is not taken for one run's spread */
#define INPUT_ALIKE 0.7    /* INPUT: errors at inputs this far apart (as a logarithm) count half */
#define BETTER 0.98        /* a bent curve must fit so much better than a straight one in logarithms */
#define CURVE_LEAST 4      /* points that a curve is drawn through */
#define DOUBT 0.5          /* of the standard error of the curve: the errors near x hold the rest */
#define FAR 0.1            /* and at least so much */
#define PER_BYTE 16.0    /* INPUT: beyond the inputs seen a byte of input moves the need by at most so much */
#define TREND_ALIKE 1.0  /* TREND: the same, of the numbers of runs */
#define TREND_FADES 0.93 /* TREND: weight of a run compared with the next one: half after ten */

/* Deviations and weights in which a spread is split: a normal distribution in five parts. */
static const double parts[OUTLOOK_PARTS][2] = {{-2, 0.054}, {-1, 0.242}, {0, 0.408}, {1, 0.242}, {2, 0.054}};

/* Exponents of x that curves with an offset are tried with: need = intercept + slope * x^power. */
static const double powers[] = {1, 0.7, 0.5, 1.4, 2, 0.25};

void outlook_begin(struct outlook *outlook)
{
    outlook->count = 0;
}

static void add(struct outlook *outlook, double value, double spread, double weight, double seconds)
{
    for (size_t i = 0; i < OUTLOOK_PARTS && outlook->count < OUTLOOK_MAX; i++)
        outlook->values[outlook->count++] = (struct outlook_value){
            value * exp(spread * parts[i][0]), weight * parts[i][1], fmax(seconds, 0.001)};
}

/* --- how far a run's neighbours are --- */

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Distance of a logarithm to its NEIGHBOURS-th neighbour: narrow where runs are dense. */
static double reach_of(const struct outlook_spreads *spreads, double at)
{
    size_t low = 0, high, count = spreads->count, wanted = (size_t)ceil(sqrt((double)count) * NEIGHBOURS);
    double reach = INFINITY;
    while (low < count && spreads->sorted[low] < at)
        low++;
    high = low;
    bool itself = high < count && spreads->sorted[high] <= at;
    for (size_t i = 0; i < wanted + itself; i++) {
        double below = low > 0 ? at - spreads->sorted[low - 1] : INFINITY;
        double above = high < count ? spreads->sorted[high] - at : INFINITY;
        reach = fmin(below, above);
        if (below < above)
            low--;
        else
            high++;
        if (!isfinite(reach))
            break;
    }
    return reach;
}

/* Never wider than the code's runs usually lie apart, nor than a single run allows; never narrower than so
 * few runs can show. */
static double spread_at(const struct outlook_spreads *spreads, double at)
{
    return fmax(fmin(reach_of(spreads, at), spreads->wide), spreads->narrow);
}

static void spreads_finish(struct outlook_spreads *spreads, const struct sizing_config *config)
{
    double reaches[SIZING_RUNS_MAX];
    size_t count = spreads->count;
    qsort(spreads->sorted, count, sizeof *spreads->sorted, by_number);
    spreads->narrow = fmax(config->spread / pow((double)FS_MAX(count, 1u), 1.5), SPREAD_LEAST);
    for (size_t i = 0; i < count; i++)
        reaches[i] = reach_of(spreads, spreads->sorted[i]);
    qsort(reaches, count, sizeof *reaches, by_number);
    double usual = count > 0 ? reaches[count / 2] : INFINITY;
    spreads->wide = fmin(config->spread, fmax(USUAL * usual, spreads->narrow));
}

static void spreads_of_peaks(const struct sizing_config *config, const struct sizing_code *code,
                             struct outlook_spreads *out)
{
    out->count = FS_MIN(code->count, (size_t)SIZING_RUNS_MAX);
    for (size_t i = 0; i < out->count; i++)
        out->sorted[i] = log(fmax(code->runs[i].peak, 1));
    spreads_finish(out, config);
}

/* --- the three ways --- */

/* Rare large runs of before, each with its share of the weight. */
static void add_older(struct outlook *outlook, const struct sizing_config *config,
                      const struct sizing_code *code, double weight, double seconds)
{
    for (size_t i = 0; i < code->older_count && i < SIZING_OLDER_MAX; i++)
        add(outlook, code->older[i].peak, config->spread / 2, weight * code->older[i].share, seconds);
}

static double recency(const struct sizing_config *config, const struct sizing_code *code, size_t i)
{
    return pow(config->fades, (double)(code->count - 1 - i));
}

void outlook_by_level(struct outlook *outlook, const struct sizing_config *config,
                      const struct sizing_code *code)
{
    struct outlook_spreads spreads;
    double total = 0;
    spreads_of_peaks(config, code, &spreads);
    for (size_t i = 0; i < spreads.count; i++) {
        const struct sizing_run *run = &code->runs[i];
        double weight = recency(config, code, i), peak = fmax(run->peak, 1);
        add(outlook, peak, spread_at(&spreads, log(peak)), weight, run->seconds);
        total += weight;
    }
    add_older(outlook, config, code, total, code->runs[code->count - 1].seconds);
}

void outlook_by_context(struct outlook *outlook, const struct sizing_config *config,
                        const struct sizing_code *code)
{
    struct outlook_spreads spreads;
    const struct sizing_run *last = &code->runs[code->count - 1];
    double now = log(fmax(last->peak, 1)), all = 0, total = config->stays;
    spreads_of_peaks(config, code, &spreads);
    add(outlook, fmax(last->peak, 1), spread_at(&spreads, now), config->stays, last->seconds);
    for (size_t i = 1; i < spreads.count; i++)
        all += recency(config, code, i);
    for (size_t i = 1; i < spreads.count; i++) {
        const struct sizing_run *run = &code->runs[i];
        double apart = (log(fmax(code->runs[i - 1].peak, 1)) - now) / ALIKE, peak = fmax(run->peak, 1);
        double weight = recency(config, code, i) * (exp(-0.5 * apart * apart) + ANYTHING / all);
        add(outlook, peak, spread_at(&spreads, log(peak)), weight, run->seconds);
        total += weight;
    }
    add_older(outlook, config, code, total, last->seconds);
}

static void points_add(struct outlook_curve *curve, const struct sizing_run *run, double x, double weight)
{
    double peak = fmax(run->peak, 1);
    curve->least = curve->count > 0 ? fmin(curve->least, peak / 2) : peak / 2;
    curve->low = curve->count > 0 ? fmin(curve->low, x) : x;
    curve->high = curve->count > 0 ? fmax(curve->high, x) : x;
    curve->points[curve->count++] = (struct outlook_point){x, log(x), peak, run->seconds, weight};
}

static double curve_x(const struct outlook_curve *curve, double x)
{
    return curve->power > 0 && curve->power != 1 ? pow(x, curve->power) : curve->power > 0 ? x : log(x);
}

static double curve_value(const struct outlook_curve *curve, double x)
{
    double value = curve->intercept + curve->slope * (curve->growth ? x : curve_x(curve, x));
    return fmax(curve->growth || curve->power <= 0 ? exp(fmin(value, 700)) : value, curve->least);
}

/* A need at another input than the one it is known of: as `wanted`, but it neither falls where the input
 * grows, nor grows faster than in proportion, nor by more than PER_BYTE allows: what a program needs without
 * any input stays. */
static double carried(double need, double from, double to, double wanted)
{
    double by_ratio = need * to / from, most = PER_BYTE * (to - from);
    return to > from ? fmin(fmax(wanted, need), fmin(by_ratio, need + most))
                     : fmax(fmin(wanted, need), fmax(by_ratio, need + most));
}

static double nearest_seen(const struct outlook_curve *curve, double input)
{
    return fmin(fmax(input, curve->low), curve->high);
}

/* Between the inputs seen the curve decides. A fit of a few inputs that lie close together says nothing of
 * others, however steep it is. */
static double curve_by_input(const struct outlook_curve *curve, double input)
{
    double edge = nearest_seen(curve, input), need = curve_value(curve, edge);
    return fmax(carried(need, edge, input, curve_value(curve, input)), curve->least);
}

static double curve_error(const struct outlook_curve *curve, const struct outlook_point *point)
{
    return log(point->peak / curve_value(curve, point->x));
}

/* Weighted least squares for the curve's shape. Relative errors count, so squares of needs themselves (not of
 * their logarithms) are divided by the need's. */
static void fit(struct outlook_curve *curve)
{
    bool plain = !curve->growth && curve->power > 0;
    double w = 0, x = 0, y = 0, xx = 0, xy = 0, squares = 0;
    for (size_t i = 0; i < curve->count; i++) {
        const struct outlook_point *point = &curve->points[i];
        double weight = plain ? point->weight / (point->peak * point->peak) : point->weight;
        double at = curve->growth ? point->x : curve_x(curve, point->x);
        double value = plain ? point->peak : log(point->peak);
        w += weight;
        x += weight * at;
        y += weight * value;
        xx += weight * at * at;
        xy += weight * at * value;
    }
    double variance = xx - x * x / w;
    bool varies = variance > 1e-12 * xx;
    curve->slope = varies ? (xy - x * y / w) / variance : 0;
    if (!curve->growth)
        curve->slope =
            fmax(curve->slope, 0); /* no need falls with the input; errors near x tell other reasons */
    curve->intercept = (y - curve->slope * x) / w;
    curve->weight = 0;
    for (size_t i = 0; i < curve->count; i++) {
        double error = curve_error(curve, &curve->points[i]);
        squares += curve->points[i].weight * error * error;
        curve->weight += curve->points[i].weight;
    }
    curve->centre = x / w;
    curve->variance = varies ? variance / w * curve->weight : INFINITY;
    curve->error = sqrt(squares / curve->weight);
}

static void spread_errors(struct outlook_curve *curve, const struct sizing_config *config)
{
    struct outlook_spreads *spreads = &curve->spreads;
    spreads->count = curve->count;
    for (size_t i = 0; i < curve->count; i++)
        spreads->sorted[i] = curve_error(curve, &curve->points[i]);
    spreads_finish(spreads, config);
}

void outlook_draw_input(struct outlook_curve *curve, const struct sizing_config *config,
                        const struct sizing_code *code)
{
    struct outlook_curve best = {.count = 0}, tried;
    for (size_t i = 0; i < code->count && i < SIZING_RUNS_MAX; i++)
        if (code->runs[i].input > 0 && isfinite(code->runs[i].input))
            points_add(&best, &code->runs[i], code->runs[i].input, recency(config, code, i));
    if (best.count >= CURVE_LEAST) {
        fit(&best);
        tried = best;
        for (size_t i = 0; i < sizeof powers / sizeof powers[0]; i++) {
            tried.power = powers[i];
            fit(&tried);
            if (tried.error < BETTER * best.error)
                best = tried;
        }
        spread_errors(&best, config);
    }
    *curve = best;
}

static void draw_trend(struct outlook_curve *curve, const struct sizing_config *config,
                       const struct sizing_code *code)
{
    *curve = (struct outlook_curve){.growth = true};
    for (size_t i = 0; i < code->count && i < SIZING_RUNS_MAX; i++)
        points_add(curve, &code->runs[i], (double)(i + 1), pow(TREND_FADES, (double)(code->count - 1 - i)));
    fit(curve);
    spread_errors(curve, config);
}

/* How uncertain the curve is at x, as a logarithm: beyond the inputs seen it is `carried` that bounds it. */
static double doubt_at(const struct outlook_curve *curve, double x)
{
    double off = (curve->growth ? x : curve_x(curve, nearest_seen(curve, x))) - curve->centre;
    return fmin(DOUBT * curve->error * sqrt(1 / curve->weight + off * off / curve->variance), 1);
}

/* The errors around the curve, those near x first, laid upon the curve's value at x and widened by its doubt.
 */
static void add_around(struct outlook *outlook, const struct outlook_curve *curve, double x, double alike)
{
    double doubt = doubt_at(curve, x), inflated = 1 + 1 / (double)curve->count;
    double here = curve->growth ? curve_value(curve, x) : curve_by_input(curve, x);
    for (size_t i = 0; i < curve->count; i++) {
        const struct outlook_point *point = &curve->points[i];
        double error = curve_error(curve, point), apart = (point->ln_x - log(x)) / alike;
        double weight = point->weight * (exp(-0.5 * apart * apart) + FAR);
        add(outlook, here * exp(error * inflated), hypot(spread_at(&curve->spreads, error), doubt), weight,
            point->seconds);
    }
}

static const double guesses[] = {0, 0.5, 1};

/* Of so few runs no curve can be drawn: the need may be as before, grow with the input, or in between. */
static void add_guess(struct outlook *outlook, const struct sizing_config *config,
                      const struct outlook_curve *curve, double input)
{
    for (size_t i = 0; i < curve->count; i++) {
        const struct outlook_point *point = &curve->points[i];
        for (size_t k = 0; k < sizeof guesses / sizeof guesses[0]; k++)
            add(outlook,
                carried(point->peak, point->x, input, point->peak * pow(input / point->x, guesses[k])),
                config->spread, point->weight, point->seconds);
    }
}

void outlook_by_input(struct outlook *outlook, const struct sizing_config *config,
                      const struct outlook_curve *curve, double input)
{
    if (curve->count < CURVE_LEAST)
        add_guess(outlook, config, curve, input);
    else
        add_around(outlook, curve, input, INPUT_ALIKE);
}

/* The number of the run in place of an input size; the newest runs tell where it goes. */
void outlook_by_trend(struct outlook *outlook, const struct sizing_config *config,
                      const struct sizing_code *code)
{
    struct outlook_curve curve;
    draw_trend(&curve, config, code);
    add_around(outlook, &curve, (double)(code->count + 1), TREND_ALIKE);
}

/* --- what it says --- */

static int by_value(const void *a, const void *b)
{
    double x = ((const struct outlook_value *)a)->value, y = ((const struct outlook_value *)b)->value;
    return (x > y) - (x < y);
}

void outlook_finish(struct outlook *outlook)
{
    double total = 0;
    qsort(outlook->values, outlook->count, sizeof outlook->values[0], by_value);
    for (size_t i = 0; i < outlook->count; i++)
        total += outlook->values[i].weight;
    for (size_t i = 0; i < outlook->count && total > 0; i++)
        outlook->values[i].weight /= total;
}

/* Few enough values for all pairs of them: below the upper fifth, runs of neighbours become their highest. */
static void thin_out(struct outlook *outlook)
{
    size_t upper = outlook->count - outlook->count / 5, kept = 0, run = 1;
    while (outlook->count / 5 + (upper + run - 1) / run > OUTLOOK_KEPT)
        run++;
    for (size_t i = 0; i < outlook->count;) {
        size_t end = i < upper ? FS_MIN(i + run, upper) : i + 1;
        struct outlook_value joined = {outlook->values[end - 1].value, 0, 0};
        for (; i < end; i++) {
            joined.weight += outlook->values[i].weight;
            joined.seconds += outlook->values[i].weight * outlook->values[i].seconds;
        }
        joined.seconds /= fmax(joined.weight, 1e-300);
        outlook->values[kept++] = joined;
    }
    outlook->count = kept;
}

static double mean_seconds(const struct outlook *outlook)
{
    double seconds = 0;
    for (size_t i = 0; i < outlook->count; i++)
        seconds += outlook->values[i].weight * outlook->values[i].seconds;
    return fmax(seconds, 0.001);
}

void outlook_above(struct outlook *outlook, const struct sizing_config *config, double failed)
{
    double seconds = mean_seconds(outlook);
    size_t kept = 0;
    for (size_t i = 0; i < outlook->count; i++)
        if (outlook->values[i].value > failed)
            outlook->values[kept++] = outlook->values[i];
    outlook->count = kept;
    for (size_t i = 0; i < OUTLOOK_JUMPS && outlook->count < OUTLOOK_MAX; i++)
        outlook->values[outlook->count++] =
            (struct outlook_value){failed * pow(config->jump_most, ((double)i + 1) / OUTLOOK_JUMPS),
                                   config->jump_share / OUTLOOK_JUMPS, seconds};
    outlook_finish(outlook);
}

/* Sums over the first values: of weight times time, of that times the need, and of weight times need. */
struct sums {
    double time[OUTLOOK_KEPT + 1], used[OUTLOOK_KEPT + 1], need[OUTLOOK_KEPT + 1];
};

static void sum_up(const struct outlook *outlook, struct sums *sums)
{
    sums->time[0] = sums->used[0] = sums->need[0] = 0;
    for (size_t i = 0; i < outlook->count; i++) {
        const struct outlook_value *value = &outlook->values[i];
        sums->time[i + 1] = sums->time[i] + value->weight * value->seconds;
        sums->used[i + 1] = sums->used[i] + value->weight * value->seconds * value->value;
        sums->need[i + 1] = sums->need[i] + value->weight * value->value;
    }
}

/* From the top: the least cost of all needs from value i on, and the amount that has it, when every try that
 * does not fit is raised while it runs or fails, and then is followed by the best one for what is left. */
double outlook_cheapest(struct outlook *outlook, const struct sizing_config *config, double above)
{
    double least[OUTLOOK_KEPT + 1];
    size_t choice = 0;
    struct sums sums;
    thin_out(outlook);
    size_t count = outlook->count;
    if (count == 0)
        return above;
    sum_up(outlook, &sums);
    least[count] = 0;
    for (size_t i = count; i-- > 0;) {
        least[i] = INFINITY;
        for (size_t j = i; j < count; j++) {
            double amount = outlook->values[j].value;
            double slack = amount * (sums.time[j + 1] - sums.time[i]) - (sums.used[j + 1] - sums.used[i]);
            double failed = amount * (sums.time[count] - sums.time[j + 1]) +
                            config->rerun_s * (sums.need[count] - sums.need[j + 1]);
            double raised = config->raised * (sums.used[count] - sums.used[j + 1]);
            double cost = slack + config->unsaved * (failed + least[j + 1]) + (1 - config->unsaved) * raised;
            if (cost < least[i]) {
                least[i] = cost;
                choice = j;
            }
        }
    }
    return outlook->values[choice].value;
}
