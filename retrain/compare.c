/* See compare.h. */
#include "retrain/compare.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/random.h"

#define RESAMPLES 1000

/* One unit of the bootstrap: a code, or an execution. */
struct cluster {
    uint64_t group;
    double difference, champion, challenger; /* weighted sums */
    double weight, count;
};

struct sums {
    double difference, champion, challenger, weight;
};

const char *compare_verdict_name(enum compare_verdict verdict)
{
    static const char *const names[] = {"champion_stays", "undecided", "challenger_wins"};
    return names[verdict];
}

static int by_group(const void *a, const void *b)
{
    uint64_t left = ((const struct cluster *)a)->group, right = ((const struct cluster *)b)->group;
    return left < right ? -1 : left > right;
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

/* Merges those of one group; returns how many are left. */
static size_t merge(struct cluster *clusters, size_t count)
{
    size_t used = 0;
    qsort(clusters, count, sizeof *clusters, by_group);
    for (size_t i = 0; i < count; i++) {
        if (used > 0 && clusters[used - 1].group == clusters[i].group) {
            struct cluster *into = &clusters[used - 1];
            into->difference += clusters[i].difference;
            into->champion += clusters[i].champion;
            into->challenger += clusters[i].challenger;
            into->weight += clusters[i].weight;
            into->count += clusters[i].count;
        } else {
            clusters[used++] = clusters[i];
        }
    }
    return used;
}

/* No code weighs more than COMPARE_CODE_TIMES times the mean. */
static void cap(struct cluster *clusters, size_t count)
{
    double total = 0;
    for (size_t i = 0; i < count; i++)
        total += clusters[i].weight;
    double most = COMPARE_CODE_TIMES * total / (double)count;
    for (size_t i = 0; i < count; i++) {
        double share = fmin(1, most / clusters[i].weight);
        clusters[i].difference *= share;
        clusters[i].champion *= share;
        clusters[i].challenger *= share;
        clusters[i].weight *= share;
    }
}

static struct sums add_up(const struct cluster *clusters, size_t count)
{
    struct sums sums = {0};
    for (size_t i = 0; i < count; i++) {
        sums.difference += clusters[i].difference;
        sums.champion += clusters[i].champion;
        sums.challenger += clusters[i].challenger;
        sums.weight += clusters[i].weight;
    }
    return sums;
}

/* The mean difference without the group that gains most. */
static double without_best(const struct cluster *clusters, size_t count)
{
    struct sums sums = add_up(clusters, count);
    const struct cluster *best = clusters;
    for (size_t i = 1; i < count; i++)
        if (clusters[i].difference < best->difference)
            best = &clusters[i];
    double rest = sums.weight - best->weight;
    return rest > 0 ? (sums.difference - best->difference) / rest : 0;
}

static void bootstrap(const struct cluster *clusters, size_t count, uint64_t seed, double means[RESAMPLES])
{
    for (size_t r = 0; r < RESAMPLES; r++) {
        double sum = 0, weight = 0;
        for (size_t i = 0; i < count; i++) {
            const struct cluster *drawn = &clusters[random_next(&seed) % count];
            sum += drawn->difference;
            weight += drawn->weight;
        }
        means[r] = sum / weight;
    }
    qsort(means, RESAMPLES, sizeof *means, by_value);
}

static double gain_of(const struct comparison *comparison)
{
    return comparison->champion > 0 ? (comparison->champion - comparison->challenger) / comparison->champion
                                    : 0;
}

static const char *judge(struct comparison *out)
{
    double gain = gain_of(out);
    out->verdict = COMPARE_CHAMPION_STAYS;
    if (!isfinite(out->champion) || !isfinite(out->challenger))
        return "a loss that is not a number";
    if (out->executions < COMPARE_EXECUTIONS_MIN)
        return "too few executions";
    if (!(gain >= COMPARE_GAIN_MIN))
        return "not better";
    if (!(out->without < 0))
        return "better by one code or tenant alone";
    out->verdict = out->high < 0 ? COMPARE_CHALLENGER_WINS : COMPARE_UNDECIDED;
    return out->high < 0 ? "better beyond chance" : "better on average, not beyond chance";
}

static void conclude(struct comparison *out)
{
    const char *words = judge(out);
    (void)snprintf(out->reason, sizeof out->reason,
                   "%s: loss %.4f against the champion's %.4f on %zu held-out executions of %zu codes, "
                   "difference %.4f .. %.4f (90 %%)",
                   words, out->challenger, out->champion, out->executions, out->codes, out->low, out->high);
}

static void fill(const struct compare_execution *executions, size_t count, bool tenants,
                 struct cluster *clusters)
{
    for (size_t i = 0; i < count; i++) {
        const struct compare_execution *e = &executions[i];
        double weight = e->weight > 0 ? e->weight : 1;
        clusters[i] = (struct cluster){.group = tenants ? e->tenant : e->code,
                                       .difference = weight * (e->challenger - e->champion),
                                       .champion = weight * e->champion,
                                       .challenger = weight * e->challenger,
                                       .weight = weight,
                                       .count = 1};
    }
}

/* As executions, as codes, as tenants: clusters and means hold room for all of them. */
static void compare(const struct compare_execution *executions, size_t count, uint64_t seed,
                    struct cluster *clusters, double *means, struct comparison *out)
{
    fill(executions, count, true, clusters);
    out->tenants = merge(clusters, count);
    double without_tenant = out->tenants > 1 ? without_best(clusters, out->tenants) : -INFINITY;
    fill(executions, count, false, clusters);
    out->codes = merge(clusters, count);
    cap(clusters, out->codes);
    struct sums sums = add_up(clusters, out->codes);
    out->champion = sums.champion / sums.weight;
    out->challenger = sums.challenger / sums.weight;
    bool by_code = out->codes >= COMPARE_CODES_MIN;
    out->without = fmax(without_tenant, by_code ? without_best(clusters, out->codes) : -INFINITY);
    if (!by_code)
        fill(executions, count, false, clusters);
    bootstrap(clusters, by_code ? out->codes : count, seed, means);
    out->low = means[RESAMPLES / 20];
    out->high = means[RESAMPLES - 1 - RESAMPLES / 20];
}

int compare_models(const struct compare_execution *executions, size_t count, uint64_t seed,
                   struct comparison *out)
{
    struct comparison made = {.executions = count};
    struct cluster *clusters = calloc(count + 1, sizeof *clusters);
    double *means = calloc(RESAMPLES, sizeof *means);
    if (!clusters || !means) {
        free(clusters);
        free(means);
        return -ENOMEM;
    }
    if (count > 0)
        compare(executions, count, seed, clusters, means, &made);
    conclude(&made);
    *out = made;
    free(clusters);
    free(means);
    return 0;
}

bool compare_is_worse(const struct comparison *comparison)
{
    return comparison->executions >= COMPARE_EXECUTIONS_MIN && comparison->low > 0 &&
           gain_of(comparison) <= -COMPARE_GAIN_MIN;
}

bool compare_holds(const struct comparison *comparison, double share)
{
    return comparison->executions >= COMPARE_EXECUTIONS_MIN && gain_of(comparison) >= -share;
}
