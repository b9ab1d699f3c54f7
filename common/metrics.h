/* Prometheus metrics: registered at start, updated with relaxed atomics by one thread or many, rendered by
 * another. Names follow Prometheus: forestall_<service>_<what>_<unit>, counters end in _total. */
#ifndef FORESTALL_COMMON_METRICS_H
#define FORESTALL_COMMON_METRICS_H

#include "common/base.h"
#include "common/buffer.h"

struct metrics;
struct metric;

#define METRICS_MAX 256

/* prefix: e.g. "forestall_ingest_", put before each name; borrowed. NULL when out of memory. */
struct metrics *metrics_create(const char *prefix);
void metrics_destroy(struct metrics *metrics);

/* Registration; name, help, label and value are borrowed. Never NULL: past METRICS_MAX or out of memory a
 * spare metric is returned that counts but is not shown, so that updates need no check. label may be NULL. */
struct metric *metrics_counter(struct metrics *metrics, const char *name, const char *help, const char *label,
                               const char *value);
struct metric *metrics_gauge(struct metrics *metrics, const char *name, const char *help, const char *label,
                             const char *value);
/* bounds: rising upper bounds, borrowed; +Inf is added. At most 24. */
struct metric *metrics_histogram(struct metrics *metrics, const char *name, const char *help,
                                 const double *bounds, size_t count);

/* One metric without a label, and where its owner keeps it. */
struct metrics_row {
    enum metrics_kind { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM } kind;
    size_t offset; /* of a struct metric * in the owner's struct */
    const char *name, *help;
};
/* Registers all rows into out, as above; bounds are those of all histograms among them. */
void metrics_register(struct metrics *metrics, const struct metrics_row *rows, size_t count,
                      const double *bounds, size_t bound_count, void *out);

void metric_add(struct metric *metric, double amount);
/* Makes a counter show what is counted elsewhere. For one thread per counter. */
void metric_follow(struct metric *metric, double value);
void metric_set(struct metric *metric, double value);
void metric_observe(struct metric *metric, double value);
double metric_value(const struct metric *metric);

/* Text format 0.0.4. */
void metrics_render(const struct metrics *metrics, struct buffer *out);

#endif
