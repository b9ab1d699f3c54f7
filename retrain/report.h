/* What `challenge` found, as the service reads it. */
#ifndef FORESTALL_RETRAIN_REPORT_H
#define FORESTALL_RETRAIN_REPORT_H

#include <jansson.h>

#include "retrain/compare.h"

#define REPORT_METRICS_MAX 24

struct report {
    enum compare_verdict verdict;
    char reason[256], version[65], parent[65];
    int64_t records;
    struct report_metric {
        char name[48];
        double value;
    } metrics[REPORT_METRICS_MAX];
    size_t metric_count;
};

/* -EBADMSG: not a report. */
FS_MUST_CHECK int report_parse(const char *text, struct report *out);
/* Adds a number; one more than REPORT_METRICS_MAX is left out. */
void report_add(struct report *report, const char *name, double value);
/* 0, negative errno. */
FS_MUST_CHECK int report_read(const char *path, struct report *out);

#endif
