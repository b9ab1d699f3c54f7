/* See samples.h. */
#include "replay/samples.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static int grow(struct samples *samples)
{
    size_t capacity = samples->capacity ? 2 * samples->capacity : 16;
    struct sample *items = realloc(samples->items, capacity * sizeof *items);
    if (!items)
        return -ENOMEM;
    samples->items = items;
    double *sorted = realloc(samples->sorted, capacity * sizeof *sorted);
    if (!sorted)
        return -ENOMEM;
    samples->sorted = sorted;
    samples->capacity = capacity;
    return 0;
}

static void drop(struct samples *samples, size_t count)
{
    samples->count -= count;
    memmove(samples->items, samples->items + count, samples->count * sizeof *samples->items);
}

int samples_add(struct samples *samples, const struct sample *sample)
{
    if (samples->count == SAMPLES_MAX)
        drop(samples, SAMPLES_MAX / 2);
    if (samples->count == samples->capacity && grow(samples) < 0)
        return -ENOMEM;
    samples->items[samples->count++] = *sample;
    return 0;
}

void samples_fini(struct samples *samples)
{
    free(samples->items);
    free(samples->sorted);
    *samples = (struct samples){0};
}

void samples_expire(struct samples *samples, double before_s)
{
    size_t old = 0;
    while (old < samples->count && samples->items[old].time_s < before_s)
        old++;
    if (old > 0)
        drop(samples, old);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static size_t sort(const struct samples *samples, size_t newest)
{
    size_t count = FS_MIN(newest, samples->count), first = samples->count - count;
    for (size_t i = 0; i < count; i++)
        samples->sorted[i] = samples->items[first + i].value;
    if (count > 0)
        qsort(samples->sorted, count, sizeof *samples->sorted, by_value);
    return count;
}

double samples_percentile_linear(const struct samples *samples, size_t newest, double share)
{
    size_t count = sort(samples, newest);
    if (count == 0)
        return 0;
    double rank = share * (double)(count - 1);
    size_t below = (size_t)rank, above = FS_MIN(below + 1, count - 1);
    return samples->sorted[below] +
           (samples->sorted[above] - samples->sorted[below]) * (rank - (double)below);
}

double samples_percentile_disc(const struct samples *samples, size_t newest, double share)
{
    size_t count = sort(samples, newest);
    if (count == 0)
        return 0;
    double rank = ceil(share * (double)count - 1e-9);
    return samples->sorted[rank < 1 ? 0 : FS_MIN((size_t)rank, count) - 1];
}
