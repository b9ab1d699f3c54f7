/* See score.h. */
#include "replay/score.h"

#include <errno.h>
#include <stdlib.h>

void score_fini(struct score *score)
{
    free(score->ratios);
    *score = (struct score){0};
}

int score_ratio(struct score *score, double ratio)
{
    if (score->ratio_count == score->ratio_capacity) {
        size_t capacity = score->ratio_capacity ? 2 * score->ratio_capacity : 256;
        double *ratios = realloc(score->ratios, capacity * sizeof *ratios);
        if (!ratios)
            return -ENOMEM;
        score->ratios = ratios;
        score->ratio_capacity = capacity;
    }
    score->ratios[score->ratio_count++] = ratio;
    return 0;
}

double score_wastage(const struct score *score)
{
    return score->slack_gib_h + score->failed_gib_h;
}

double score_slack(const struct score *score)
{
    return score->seconds > 0 ? score->slack_share_s / score->seconds : 0;
}

double score_changes(const struct score *score)
{
    return score->executions > 0 ? (double)score->changes / (double)score->executions : 0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double score_ratio_median(struct score *score)
{
    if (score->ratio_count == 0)
        return 0;
    qsort(score->ratios, score->ratio_count, sizeof *score->ratios, by_value);
    return score->ratios[(score->ratio_count - 1) / 2];
}
