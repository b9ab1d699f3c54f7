/* See profile.h. A code is a program, and programs are started with many arguments on many inputs: what the
 * very same command needed before, on as large an input, says more than what all of them needed together. */
#include <math.h>
#include <stdlib.h>

#include "model/profile.h"

/* Which run of the command gives way to a new one: the oldest, but the only one whose rise is known not for
 * one without. Most records of runs that went well come without a series. */
static uint32_t giving_way(const struct profile *profile, const struct profile_run *run)
{
    uint32_t oldest = 0, second = 0, count = 0, rises = 0;
    for (uint32_t i = 0; i < profile->recent_count; i++) {
        if (profile->recent[i].what.command != run->what.command)
            continue;
        rises += rise_known(&profile->recent[i].rise);
        oldest = count == 0 ? i : oldest;
        second = count++ == 1 ? i : second;
    }
    bool only = rises == 1 && rise_known(&profile->recent[oldest].rise);
    return only && !rise_known(&run->rise) ? second : oldest;
}

static uint32_t count_of(const struct profile *profile, int32_t command)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < profile->recent_count; i++)
        count += profile->recent[i].what.command == command;
    return count;
}

static void drop(struct profile *profile, uint32_t at)
{
    profile->recent_count--;
    memmove(profile->recent + at, profile->recent + at + 1,
            (profile->recent_count - at) * sizeof profile->recent[0]);
}

static bool usable(const struct profile_run *run)
{
    const float numbers[] = {run->memory_peak, run->cpu_time_s, run->duration_s, run->io_total,
                             run->net_total};
    for (size_t i = 0; i < FS_COUNT(numbers); i++)
        if (!isfinite(numbers[i]) || numbers[i] < 0)
            return false;
    return run->what.command != 0;
}

bool profile_recent_add(struct profile *profile, const struct profile_run *run)
{
    if (!usable(run))
        return false;
    if (count_of(profile, run->what.command) == PROFILE_RECENT_SAME)
        drop(profile, giving_way(profile, run));
    else if (profile->recent_count == PROFILE_RECENT_MAX)
        drop(profile, 0);
    profile->recent[profile->recent_count++] = *run;
    return true;
}

double profile_likeness(const struct request_identity *a, const struct request_identity *b)
{
    double x = (double)a->input_bytes, y = (double)b->input_bytes;
    if (a->command == 0 || a->command != b->command)
        return PROFILE_LIKE_CODE;
    bool same = x == y; /* also when neither is told */
    if (fmin(x, y) >= INPUT_SMALL_BYTES)
        same = fmax(x, y) <= fmin(x, y) * PROFILE_SAME_INPUT;
    return same ? PROFILE_LIKE_INPUT : PROFILE_LIKE_COMMAND;
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The nearest rank; sorts values. 0: there are none. */
static double quantile(float *values, size_t count, double share)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, ascending);
    return (double)values[(size_t)ceil(share * (double)count) - 1];
}

/* Needs go with a power of the size of the input. Over 83 commands of the training corpus that hold more than
 * 20 MiB, each with several sizes: median exponent 0.9 of memory (a tenth below 0.02: compressors with a
 * window; a tenth above 1.05) and 1.04 of CPU time, mostly within a few percent of the line. */
#define EXPECTED_MEMORY 0.9
#define EXPECTED_WORK 1.0
#define EXPECTED_WEIGHT                                                                                      \
    0.02 /* as if so much squared logarithm had been seen: two runs, one a fifth larger                      \
          */
#define EXPONENT_MOST 1.3

static double known_size(const struct request_identity *what)
{
    return what->input_bytes >= INPUT_SMALL_BYTES ? log((double)what->input_bytes) : 0;
}

/* Sums of a least squares line. */
struct line {
    double n, x, y, xx, xy;
};

static void line_add(struct line *line, double x, double y)
{
    line->n++;
    line->x += x;
    line->y += y;
    line->xx += x * x;
    line->xy += x * y;
}

static double line_slope(const struct line *line, double expected)
{
    if (line->n == 0)
        return expected;
    double xx = line->xx - line->x * line->x / line->n, xy = line->xy - line->x * line->y / line->n;
    return fmin(fmax((xy + EXPECTED_WEIGHT * expected) / (fmax(xx, 0) + EXPECTED_WEIGHT), 0), EXPONENT_MOST);
}

/* How needs go with the size of the input, and the size (logarithm) that is asked for; 0: not known. */
struct growth {
    double memory, work, size;
};

static struct growth fit_growth(const struct profile *profile, const struct request_identity *what,
                                double likeness)
{
    struct line memory = {0}, work = {0};
    for (uint32_t i = 0; i < profile->recent_count; i++) {
        const struct profile_run *run = &profile->recent[i];
        double size = known_size(&run->what);
        if ((likeness > PROFILE_LIKE_CODE && run->what.command != what->command) || !run->finished ||
            size == 0)
            continue;
        if (run->memory_peak > 0)
            line_add(&memory, size, log((double)run->memory_peak));
        if (run->cpu_time_s > 0)
            line_add(&work, size, log((double)run->cpu_time_s));
    }
    return (struct growth){line_slope(&memory, EXPECTED_MEMORY), line_slope(&work, EXPECTED_WORK),
                           known_size(what)};
}

/* The run as if its input had been as large. */
static struct profile_run grown(const struct profile_run *run, const struct growth *growth)
{
    struct profile_run out = *run;
    double size = known_size(&run->what);
    if (growth->size == 0 || size == 0)
        return out;
    double larger = fmin(fmax(growth->size - size, -PROFILE_LARGER_MOST), PROFILE_LARGER_MOST);
    float memory = (float)exp(growth->memory * larger), work = (float)exp(growth->work * larger);
    out.memory_peak *= memory;
    out.cpu_time_s *= work;
    out.duration_s *= work;
    out.io_total *= work;
    out.net_total *= work;
    for (size_t i = 0; i < RISE_LEVELS; i++) {
        out.rise.s[i] *= work;
        out.rise.cpu_s[i] *= work;
    }
    return out;
}

struct runs {
    size_t count, peaks, finished, rises, sizes;
    float peak[PROFILE_RECENT_MAX], cpu_time_s[PROFILE_RECENT_MAX], duration_s[PROFILE_RECENT_MAX];
    float io_total[PROFILE_RECENT_MAX], net_total[PROFILE_RECENT_MAX];
    float size[PROFILE_RECENT_MAX]; /* of the input, as it was */
    struct rise rise[PROFILE_RECENT_MAX];
};

static void take(struct runs *runs, const struct profile_run *run)
{
    runs->cpu_time_s[runs->finished] = run->cpu_time_s;
    runs->duration_s[runs->finished] = run->duration_s;
    runs->io_total[runs->finished] = run->io_total;
    runs->net_total[runs->finished++] = run->net_total;
    runs->peak[runs->peaks++] = run->memory_peak;
    if (known_size(&run->what) > 0)
        runs->size[runs->sizes++] = (float)run->what.input_bytes;
    if (rise_known(&run->rise))
        runs->rise[runs->rises++] = run->rise;
}

/* Of each level the median of when it was reached: ascends as those of the runs do. */
static void median_rise(const struct runs *runs, struct rise *out)
{
    float s[PROFILE_RECENT_MAX], cpu_s[PROFILE_RECENT_MAX];
    for (size_t level = 0; level < RISE_LEVELS; level++) {
        for (size_t i = 0; i < runs->rises; i++) {
            s[i] = runs->rise[i].s[level];
            cpu_s[i] = runs->rise[i].cpu_s[level];
        }
        out->s[level] = (float)quantile(s, runs->rises, 0.5);
        out->cpu_s[level] = (float)quantile(cpu_s, runs->rises, 0.5);
    }
}

/* Those at least so like it. A run that was stopped says something only by a peak above those of runs that
 * finished. */
static void collect(const struct profile *profile, const struct request_identity *what, double likeness,
                    struct runs *runs)
{
    struct growth growth = fit_growth(profile, what, likeness);
    float highest = 0;
    for (int finished = 1; finished >= 0; finished--)
        for (uint32_t i = 0; i < profile->recent_count; i++) {
            const struct profile_run run = grown(&profile->recent[i], &growth);
            if (run.finished != finished || profile_likeness(&run.what, what) < likeness)
                continue;
            runs->count++;
            if (run.finished)
                take(runs, &run);
            else if (run.memory_peak > highest)
                runs->peak[runs->peaks++] = run.memory_peak;
            if (run.finished && run.memory_peak > highest)
                highest = run.memory_peak;
        }
}

void profile_recent_summarise(const struct profile *profile, const struct request_identity *what,
                              struct profile_summary *out)
{
    struct runs runs = {0};
    double likeness = PROFILE_LIKE_CODE;
    for (uint32_t i = 0; i < profile->recent_count; i++)
        likeness = fmax(likeness, profile_likeness(&profile->recent[i].what, what));
    if (likeness == PROFILE_LIKE_CODE && known_size(what) == 0)
        return;
    collect(profile, what, likeness, &runs);
    if (likeness == PROFILE_LIKE_CODE && runs.sizes == 0)
        return;
    out->likeness = likeness;
    out->runs = (int64_t)runs.count;
    out->finished = (int64_t)runs.finished;
    out->memory_p50 = quantile(runs.peak, runs.peaks, 0.5);
    out->memory_p95 = quantile(runs.peak, runs.peaks, 0.95);
    out->memory_max = quantile(runs.peak, runs.peaks, 1);
    out->cpu_time_p50_s = quantile(runs.cpu_time_s, runs.finished, 0.5);
    out->cpu_time_p95_s = quantile(runs.cpu_time_s, runs.finished, 0.95);
    out->duration_p50_s = quantile(runs.duration_s, runs.finished, 0.5);
    out->duration_p95_s = quantile(runs.duration_s, runs.finished, 0.95);
    out->io_total_p50 = quantile(runs.io_total, runs.finished, 0.5);
    out->net_total_p50 = quantile(runs.net_total, runs.finished, 0.5);
    out->input_p50 = quantile(runs.size, runs.sizes, 0.5);
    if (likeness > PROFILE_LIKE_CODE)
        median_rise(&runs, &out->rise);
}
