/* See series.h. */
#include "agent/series.h"

#include <assert.h>

void series_reset(struct series *series)
{
    series->pushed = 0;
    series->stride = 1;
    series->older_count = 0;
    series->recent_head = 0;
    series->recent_count = 0;
}

bool series_valid(const struct series *series)
{
    return series->stride >= 1 && (series->stride & (series->stride - 1)) == 0 &&
           series->older_count <= SERIES_OLDER && series->recent_head < SERIES_RECENT &&
           series->recent_count <= SERIES_RECENT && series->pushed >= series->recent_count;
}

/* Every second of the older points goes; the oldest stays. */
static void thin_older(struct series *series)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < series->older_count; i += 2)
        series->older[kept++] = series->older[i];
    series->older_count = kept;
    series->stride *= 2;
}

static void retire_oldest(struct series *series)
{
    uint64_t number = series->pushed - series->recent_count; /* of the oldest recent point, from 0 */
    if (number % series->stride == 0) {
        if (series->older_count == SERIES_OLDER)
            thin_older(series);
        if (number % series->stride == 0)
            series->older[series->older_count++] = series->recent[series->recent_head];
    }
    series->recent_head = (series->recent_head + 1) % SERIES_RECENT;
    series->recent_count--;
}

void series_push(struct series *series, const struct series_point *point)
{
    if (series->recent_count == SERIES_RECENT)
        retire_oldest(series);
    series->recent[(series->recent_head + series->recent_count) % SERIES_RECENT] = *point;
    series->recent_count++;
    series->pushed++;
}

size_t series_count(const struct series *series)
{
    return (size_t)series->older_count + series->recent_count;
}

const struct series_point *series_at(const struct series *series, size_t index)
{
    assert(index < series_count(series));
    if (index < series->older_count)
        return &series->older[index];
    return &series->recent[(series->recent_head + index - series->older_count) % SERIES_RECENT];
}

const struct series_point *series_back(const struct series *series, int64_t age_us)
{
    if (series->recent_count < 2)
        return NULL;
    const struct series_point *point = NULL;
    int64_t newest_us = series_at(series, series_count(series) - 1)->monotonic_us;
    for (uint32_t i = series->recent_count - 1; i-- > 0;) {
        point = &series->recent[(series->recent_head + i) % SERIES_RECENT];
        if (newest_us - point->monotonic_us >= age_us)
            break;
    }
    return point;
}
