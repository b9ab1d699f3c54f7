/* See metrics.h. Values are doubles kept as bits in atomics; an update is one compare-and-swap loop. */
#include "common/metrics.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BOUNDS_MAX 24

struct metric {
    enum metrics_kind kind;
    const char *name, *help, *label, *label_value;
    const double *bounds;
    size_t bound_count;
    _Atomic uint64_t value; /* bits of a double: the value, or the sum of a histogram */
    _Atomic uint64_t buckets[BOUNDS_MAX + 1];
};

struct metrics {
    const char *prefix;
    atomic_size_t count;
    struct metric *all[METRICS_MAX];
    struct metric spare;
};

struct metrics *metrics_create(const char *prefix)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics)
        metrics->prefix = prefix;
    return metrics;
}

void metrics_destroy(struct metrics *metrics)
{
    if (!metrics)
        return;
    for (size_t i = 0; i < metrics->count; i++)
        free(metrics->all[i]);
    free(metrics);
}

/* Not seen by anybody yet. NULL: no room or memory. */
static struct metric *make(const struct metrics *metrics, enum metrics_kind kind, const char *name,
                           const char *help)
{
    bool room = atomic_load_explicit(&metrics->count, memory_order_relaxed) < METRICS_MAX;
    struct metric *metric = room ? calloc(1, sizeof *metric) : NULL;
    if (!metric)
        return NULL;
    metric->kind = kind;
    metric->name = name;
    metric->help = help;
    return metric;
}

/* Only when nothing of it changes any more but its values: the pages may be asked for by now. */
static struct metric *publish(struct metrics *metrics, struct metric *metric)
{
    if (!metric)
        return &metrics->spare;
    size_t at = atomic_load_explicit(&metrics->count, memory_order_relaxed);
    metrics->all[at] = metric;
    atomic_store_explicit(&metrics->count, at + 1, memory_order_release);
    return metric;
}

static struct metric *add_labelled(struct metrics *metrics, enum metrics_kind kind, const char *name,
                                   const char *help, const char *label, const char *value)
{
    struct metric *metric = make(metrics, kind, name, help);
    if (metric) {
        metric->label = label;
        metric->label_value = value;
    }
    return publish(metrics, metric);
}

struct metric *metrics_counter(struct metrics *metrics, const char *name, const char *help, const char *label,
                               const char *value)
{
    return add_labelled(metrics, METRICS_COUNTER, name, help, label, value);
}

struct metric *metrics_gauge(struct metrics *metrics, const char *name, const char *help, const char *label,
                             const char *value)
{
    return add_labelled(metrics, METRICS_GAUGE, name, help, label, value);
}

struct metric *metrics_histogram(struct metrics *metrics, const char *name, const char *help,
                                 const double *bounds, size_t count)
{
    struct metric *metric = make(metrics, METRICS_HISTOGRAM, name, help);
    if (metric) {
        metric->bounds = bounds;
        metric->bound_count = FS_MIN(count, (size_t)BOUNDS_MAX);
    }
    return publish(metrics, metric);
}

void metrics_register(struct metrics *metrics, const struct metrics_row *rows, size_t count,
                      const double *bounds, size_t bound_count, void *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct metrics_row *row = &rows[i];
        struct metric *metric = row->kind == METRICS_HISTOGRAM
                                    ? metrics_histogram(metrics, row->name, row->help, bounds, bound_count)
                                    : add_labelled(metrics, row->kind, row->name, row->help, NULL, NULL);
        *(struct metric **)(void *)((char *)out + row->offset) = metric;
    }
}

static double from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t to_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

void metric_add(struct metric *metric, double amount)
{
    uint64_t old = atomic_load_explicit(&metric->value, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&metric->value, &old, to_bits(from_bits(old) + amount),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

void metric_follow(struct metric *metric, double value)
{
    metric_add(metric, value - metric_value(metric));
}

void metric_set(struct metric *metric, double value)
{
    atomic_store_explicit(&metric->value, to_bits(value), memory_order_relaxed);
}

void metric_observe(struct metric *metric, double value)
{
    size_t bucket = 0;
    while (bucket < metric->bound_count && value > metric->bounds[bucket])
        bucket++;
    atomic_fetch_add_explicit(&metric->buckets[bucket], 1, memory_order_relaxed);
    metric_add(metric, value);
}

double metric_value(const struct metric *metric)
{
    return from_bits(atomic_load_explicit(&metric->value, memory_order_relaxed));
}

static void render_histogram(const struct metrics *metrics, const struct metric *metric, struct buffer *out)
{
    uint64_t total = 0;
    for (size_t i = 0; i <= metric->bound_count; i++) {
        total += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
        if (i < metric->bound_count)
            buffer_printf(out, "%s%s_bucket{le=\"%.15g\"} %llu\n", metrics->prefix, metric->name,
                          metric->bounds[i], (unsigned long long)total);
        else
            buffer_printf(out, "%s%s_bucket{le=\"+Inf\"} %llu\n", metrics->prefix, metric->name,
                          (unsigned long long)total);
    }
    buffer_printf(out, "%s%s_sum %.17g\n%s%s_count %llu\n", metrics->prefix, metric->name,
                  metric_value(metric), metrics->prefix, metric->name, (unsigned long long)total);
}

/* The text format asks for three escapes in a label's value. */
static void render_label(const struct metric *metric, struct buffer *out)
{
    buffer_printf(out, "{%s=\"", metric->label);
    for (const char *c = metric->label_value; *c; c++) {
        if (*c == '\\' || *c == '"' || *c == '\n')
            buffer_append(out, "\\", 1);
        buffer_append(out, *c == '\n' ? "n" : c, 1);
    }
    buffer_append(out, "\"}", 2);
}

void metrics_render(const struct metrics *metrics, struct buffer *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    size_t count = atomic_load_explicit(&metrics->count, memory_order_acquire);
    const char *last = "";
    for (size_t i = 0; i < count; i++) {
        const struct metric *metric = metrics->all[i];
        if (strcmp(last, metric->name) != 0) /* labelled ones are registered one after the other */
            buffer_printf(out, "# HELP %s%s %s\n# TYPE %s%s %s\n", metrics->prefix, metric->name,
                          metric->help, metrics->prefix, metric->name, kinds[metric->kind]);
        last = metric->name;
        if (metric->kind == METRICS_HISTOGRAM) {
            render_histogram(metrics, metric, out);
        } else {
            buffer_printf(out, "%s%s", metrics->prefix, metric->name);
            if (metric->label)
                render_label(metric, out);
            buffer_printf(out, " %.17g\n", metric_value(metric));
        }
    }
}
