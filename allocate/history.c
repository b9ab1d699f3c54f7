/* See history.h. */
#include "allocate/history.h"

#include <math.h>

struct peaks {
    struct policy_peak items[HISTOGRAM_BUCKETS_MAX];
    size_t count;
};

static void collect(const struct histogram *histogram, struct peaks *peaks)
{
    for (uint32_t i = 0; i < histogram->buckets; i++) {
        double weight = (double)histogram->weights[i];
        if (weight < HISTOGRAM_EPSILON)
            continue;
        double start = histogram_bucket_start(histogram, i), end = histogram_bucket_start(histogram, i + 1);
        peaks->items[peaks->count++] = (struct policy_peak){(start + end) / 2, weight};
    }
}

/* Merges the lightest pair of neighbours into the higher of the two. */
static void merge_lightest(struct peaks *peaks)
{
    size_t lightest = 0;
    double least = INFINITY;
    for (size_t i = 0; i + 1 < peaks->count; i++) {
        double weight = peaks->items[i].weight + peaks->items[i + 1].weight;
        if (weight < least) {
            least = weight;
            lightest = i;
        }
    }
    peaks->items[lightest + 1].weight += peaks->items[lightest].weight;
    memmove(&peaks->items[lightest], &peaks->items[lightest + 1],
            (peaks->count - lightest - 1) * sizeof peaks->items[0]);
    peaks->count--;
}

void history_peaks(const struct histogram *histogram, struct policy_history *out)
{
    struct peaks peaks = {.count = 0};
    double total = 0;
    collect(histogram, &peaks);
    while (peaks.count > POLICY_PEAKS_MAX)
        merge_lightest(&peaks);
    for (size_t i = 0; i < peaks.count; i++)
        total += peaks.items[i].weight;
    for (size_t i = 0; i < peaks.count; i++)
        out->memory[i] = (struct policy_peak){peaks.items[i].value, peaks.items[i].weight / total};
    out->memory_count = (uint32_t)peaks.count;
}

void history_of(const struct profile *profile, struct policy_history *out)
{
    struct profile_summary summary;
    profile_summarise(profile, NULL, &summary); /* sizes are of the code */
    *out = (struct policy_history){
        .runs = summary.runs,
        .memory_p95 = summary.memory_p95,
        .memory_max = summary.memory_max,
        .duration_p50_s = summary.duration_p50_s,
        .duration_p95_s = summary.duration_p95_s,
    };
    history_peaks(&profile->histograms[PROFILE_MEMORY_PEAK], out);
}

int history_read(const struct msg_code_profile *message, struct policy_history *out)
{
    struct profile profile;
    int result = profile_load(&profile, message);
    if (result == 0)
        history_of(&profile, out);
    return result;
}
