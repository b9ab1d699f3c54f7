/* See report.h. */
#include "retrain/report.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

void report_add(struct report *report, const char *name, double value)
{
    if (report->metric_count == REPORT_METRICS_MAX)
        return;
    struct report_metric *metric = &report->metrics[report->metric_count++];
    (void)str_copy(metric->name, sizeof metric->name, str_of(name)); /* names are ours and fit */
    metric->value = value;
}

static void add_metric(struct report *report, const char *name, const json_t *value)
{
    if (json_is_number(value))
        report_add(report, name, json_number_value(value));
}

static int parse_verdict(const char *name, enum compare_verdict *out)
{
    for (int v = COMPARE_CHAMPION_STAYS; v <= COMPARE_CHALLENGER_WINS; v++)
        if (name && strcmp(name, compare_verdict_name((enum compare_verdict)v)) == 0) {
            *out = (enum compare_verdict)v;
            return 0;
        }
    return -EBADMSG;
}

static bool copy_text(const json_t *object, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && str_copy(out, size, str_of(text));
}

int report_parse(const char *text, struct report *out)
{
    static const char *const numbers[] = {"champion_loss",
                                          "challenger_loss",
                                          "low",
                                          "high",
                                          "held_out",
                                          "reference_champion_loss",
                                          "reference_challenger_loss",
                                          "reference_executions"};
    static const char *const alarms[] = {"recall_1s", "recall_2s", "recall_5s", "false_alarms_per_hour"};
    struct report report = {0};
    json_t *object = json_loads(text, 0, NULL);
    const json_t *memory =
        json_object_get(json_object_get(json_object_get(object, "scores"), "memory"), "model");
    int result = parse_verdict(json_string_value(json_object_get(object, "verdict")), &report.verdict);
    if (!copy_text(object, "reason", report.reason, sizeof report.reason) ||
        !copy_text(object, "version", report.version, sizeof report.version) ||
        !copy_text(object, "parent", report.parent, sizeof report.parent))
        result = -EBADMSG;
    report.records = json_integer_value(json_object_get(object, "records"));
    for (size_t i = 0; i < FS_COUNT(numbers); i++)
        add_metric(&report, numbers[i], json_object_get(object, numbers[i]));
    add_metric(&report, "memory_average_precision", json_object_get(memory, "average_precision"));
    for (size_t i = 0; i < FS_COUNT(alarms); i++)
        add_metric(&report, alarms[i],
                   json_object_get(json_object_get(memory, "at_own_threshold"), alarms[i]));
    json_decref(object);
    if (result == 0)
        *out = report;
    return result;
}

int report_read(const char *path, struct report *out)
{
    static char text[1 << 20];
    FILE *file = fopen(path, "r");
    if (!file)
        return -errno;
    size_t size = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file); /* only read from */
    text[size] = '\0';
    return report_parse(text, out);
}
