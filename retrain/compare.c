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
    uint64_t code;
    double difference; /* sum */
    double count;
};

const char *compare_verdict_name(enum compare_verdict verdict)
{
    static const char *const names[] = {"champion_stays", "undecided", "challenger_wins"};
    return names[verdict];
}

static int by_code(const void *a, const void *b)
{
    uint64_t left = ((const struct cluster *)a)->code, right = ((const struct cluster *)b)->code;
    return left < right ? -1 : left > right;
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

/* Merges neighbours of one code; returns how many are left. */
static size_t merge(struct cluster *clusters, size_t count, bool apply)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && clusters[i].code == clusters[i - 1].code && !apply)
            continue;
        if (apply && used > 0 && clusters[used - 1].code == clusters[i].code) {
            clusters[used - 1].difference += clusters[i].difference;
            clusters[used - 1].count += clusters[i].count;
            continue;
        }
        if (apply)
            clusters[used] = clusters[i];
        used++;
    }
    return used;
}

static void bootstrap(const struct cluster *clusters, size_t count, uint64_t seed, double means[RESAMPLES])
{
    for (size_t r = 0; r < RESAMPLES; r++) {
        double sum = 0, weight = 0;
        for (size_t i = 0; i < count; i++) {
            const struct cluster *drawn = &clusters[random_next(&seed) % count];
            sum += drawn->difference;
            weight += drawn->count;
        }
        means[r] = sum / weight;
    }
    qsort(means, RESAMPLES, sizeof *means, by_value);
}

static void conclude(struct comparison *out)
{
    double gain = out->champion > 0 ? (out->champion - out->challenger) / out->champion : 0;
    const char *words;
    if (out->executions < COMPARE_EXECUTIONS_MIN) {
        out->verdict = COMPARE_CHAMPION_STAYS;
        words = "too few held-out executions";
    } else if (out->high < 0 && gain >= COMPARE_GAIN_MIN) {
        out->verdict = COMPARE_CHALLENGER_WINS;
        words = "better beyond chance";
    } else if (gain >= COMPARE_GAIN_MIN) {
        out->verdict = COMPARE_UNDECIDED;
        words = "better on average, not beyond chance";
    } else {
        out->verdict = COMPARE_CHAMPION_STAYS;
        words = "not better";
    }
    (void)snprintf(out->reason, sizeof out->reason,
                   "%s: loss %.4f against the champion's %.4f on %zu held-out executions of %zu codes, "
                   "difference %.4f .. %.4f (90 %%)",
                   words, out->challenger, out->champion, out->executions, out->codes, out->low, out->high);
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
    for (size_t i = 0; i < count; i++) {
        const struct compare_execution *e = &executions[i];
        clusters[i] = (struct cluster){e->code, e->challenger - e->champion, 1};
        made.champion += e->champion / (double)count;
        made.challenger += e->challenger / (double)count;
    }
    qsort(clusters, count, sizeof *clusters, by_code);
    made.codes = merge(clusters, count, false);
    size_t units = made.codes >= COMPARE_CODES_MIN ? merge(clusters, count, true) : count;
    if (count > 0) {
        bootstrap(clusters, units, seed, means);
        made.low = means[RESAMPLES / 20];
        made.high = means[RESAMPLES - 1 - RESAMPLES / 20];
    }
    conclude(&made);
    *out = made;
    free(clusters);
    free(means);
    return 0;
}
