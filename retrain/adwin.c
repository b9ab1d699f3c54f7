/* See adwin.h. */
#include "retrain/adwin.h"

#include <math.h>

void adwin_init(struct adwin *adwin, double delta)
{
    *adwin = (struct adwin){.delta = delta};
}

/* Of two neighbouring parts together (Chan et al. 1983). */
static double joined_variance(double n0, double mean0, double variance0, double n1, double mean1,
                              double variance1)
{
    double apart = mean0 - mean1;
    return variance0 + variance1 + n0 * n1 / (n0 + n1) * apart * apart;
}

static size_t oldest_row(const struct adwin *adwin)
{
    size_t row = ADWIN_ROWS;
    while (row > 0 && adwin->rows[row - 1].count == 0)
        row--;
    return row; /* one past it; 0: empty */
}

static void shift(struct adwin_row *row, size_t by)
{
    memmove(row->buckets, row->buckets + by, (row->count - by) * sizeof *row->buckets);
    row->count -= by;
}

static void drop_oldest(struct adwin *adwin)
{
    size_t at = oldest_row(adwin) - 1;
    struct adwin_row *row = &adwin->rows[at];
    const struct adwin_bucket bucket = row->buckets[0];
    double n = ldexp(1, (int)at), rest = adwin->width - n;
    shift(row, 1);
    if (rest <= 0) {
        adwin_init(adwin, adwin->delta);
        return;
    }
    double apart = bucket.total / n - (adwin->total - bucket.total) / rest;
    adwin->variance = fmax(0, adwin->variance - bucket.variance - n * rest / adwin->width * apart * apart);
    adwin->width = rest;
    adwin->total -= bucket.total;
}

static void insert(struct adwin *adwin, double value)
{
    struct adwin_row *row = &adwin->rows[0];
    if (adwin->width > 0)
        adwin->variance = joined_variance(adwin->width, adwin_mean(adwin), adwin->variance, 1, value, 0);
    adwin->width++;
    adwin->total += value;
    row->buckets[row->count++] = (struct adwin_bucket){.total = value};
}

/* Where a row has one too many, its two oldest become one of the next row. */
static void compress(struct adwin *adwin)
{
    for (size_t i = 0; i < ADWIN_ROWS && adwin->rows[i].count > ADWIN_BUCKETS; i++) {
        if (i + 1 == ADWIN_ROWS) {
            drop_oldest(adwin);
            return;
        }
        struct adwin_row *row = &adwin->rows[i], *next = &adwin->rows[i + 1];
        const struct adwin_bucket *a = &row->buckets[0], *b = &row->buckets[1];
        double n = ldexp(1, (int)i);
        next->buckets[next->count++] = (struct adwin_bucket){
            a->total + b->total, joined_variance(n, a->total / n, a->variance, n, b->total / n, b->variance)};
        shift(row, 2);
    }
}

static bool differs(const struct adwin *adwin, double n0, double total0)
{
    double n1 = adwin->width - n0;
    if (n0 < ADWIN_LEAST || n1 < ADWIN_LEAST)
        return false;
    double m = 1 / (1 / n0 + 1 / n1), log_term = log(2 * log(adwin->width) / adwin->delta);
    double bound = sqrt(2 / m * (adwin->variance / adwin->width) * log_term) + 2 / (3 * m) * log_term;
    return fabs(total0 / n0 - (adwin->total - total0) / n1) > bound;
}

/* Whether any cut between two buckets separates parts that differ; ROSE when the newer one is higher. */
static enum adwin_change find_cut(const struct adwin *adwin)
{
    double n0 = 0, total0 = 0;
    for (size_t row = oldest_row(adwin); row-- > 0;)
        for (size_t i = 0; i < adwin->rows[row].count; i++) {
            n0 += ldexp(1, (int)row);
            total0 += adwin->rows[row].buckets[i].total;
            if (differs(adwin, n0, total0))
                return total0 / n0 < (adwin->total - total0) / (adwin->width - n0) ? ADWIN_ROSE : ADWIN_FELL;
        }
    return ADWIN_SAME;
}

enum adwin_change adwin_add(struct adwin *adwin, double value)
{
    enum adwin_change first = ADWIN_SAME, found;
    if (isnan(value))
        return ADWIN_SAME;
    insert(adwin, fmin(fmax(value, 0), 1));
    compress(adwin);
    while ((found = find_cut(adwin)) != ADWIN_SAME) {
        first = first == ADWIN_SAME ? found : first;
        drop_oldest(adwin);
    }
    return first;
}

double adwin_mean(const struct adwin *adwin)
{
    return adwin->width > 0 ? adwin->total / adwin->width : 0;
}

double adwin_width(const struct adwin *adwin)
{
    return adwin->width;
}
