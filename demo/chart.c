/* See chart.h. */
#include "demo/chart.h"

#include <math.h>

#define WIDTH 640.0
#define HEIGHT 200.0
#define LEFT 62.0
#define RIGHT 34.0
#define TOP 12.0
#define BOTTOM 24.0
#define LINES 4 /* of the value axis */

struct frame {
    int64_t start_us;
    double seconds, most;
    const char *unit;
    double divisor; /* from the counter's unit to the shown one */
};

void chart_escape(struct buffer *out, struct str text)
{
    for (size_t i = 0; i < text.size; i++) {
        switch (text.data[i]) {
        case '<':
            buffer_printf(out, "&lt;");
            break;
        case '>':
            buffer_printf(out, "&gt;");
            break;
        case '&':
            buffer_printf(out, "&amp;");
            break;
        case '"':
            buffer_printf(out, "&quot;");
            break;
        default:
            buffer_append(out, &text.data[i], 1);
        }
    }
}

static double x_of(const struct frame *frame, int64_t time_us)
{
    double share = (double)(time_us - frame->start_us) / 1e6 / frame->seconds;
    return LEFT + fmin(fmax(share, 0), 1) * (WIDTH - LEFT - RIGHT);
}

static double y_of(const struct frame *frame, double value)
{
    return HEIGHT - BOTTOM - fmin(fmax(value / frame->most, 0), 1) * (HEIGHT - TOP - BOTTOM);
}

static double limit_of(const struct msg_limits *limits, enum msg_cause cause)
{
    switch (cause) {
    case MSG_CAUSE_CPU:
        return limits->cpu_millicores;
    case MSG_CAUSE_IO:
        return (double)limits->io_read_bps;
    case MSG_CAUSE_NET:
        return (double)limits->net_egress_bps;
    default:
        return (double)limits->memory_bytes;
    }
}

static double counter_of(const struct msg_counters *counters, enum msg_cause cause)
{
    switch (cause) {
    case MSG_CAUSE_CPU:
        return (double)counters->cpu_usage_us / 1000.0; /* per second: millicores */
    case MSG_CAUSE_IO:
        return (double)counters->io_read_bytes;
    default:
        return (double)counters->net_tx_bytes;
    }
}

/* Memory is a gauge; of the others the rate over the last half second is shown. */
static double value_of(const struct msg_series_point_array *series, size_t i, enum msg_cause cause)
{
    const struct msg_series_point *point = &series->items[i], *before;
    if (cause == MSG_CAUSE_MEMORY || cause == MSG_CAUSE_OTHER)
        return (double)point->counters.memory_bytes;
    before = &series->items[i >= 5 ? i - 5 : 0];
    double seconds = (double)(point->time_us - before->time_us) / 1e6;
    return seconds > 0
               ? (counter_of(&point->counters, cause) - counter_of(&before->counters, cause)) / seconds
               : 0;
}

static struct frame frame_of(const struct msg_execution_record *record, enum msg_cause cause)
{
    struct frame frame = {.start_us = record->started_us,
                          .seconds = fmax((double)(record->ended_us - record->started_us) / 1e6, 0.1),
                          .most = limit_of(&record->highest_limits, cause),
                          .unit = cause == MSG_CAUSE_CPU                            ? "cores"
                                  : cause == MSG_CAUSE_IO || cause == MSG_CAUSE_NET ? "MiB/s"
                                                                                    : "MiB",
                          .divisor = cause == MSG_CAUSE_CPU ? 1000.0 : 1048576.0};
    for (size_t i = 0; i < record->series.count; i++) {
        frame.most = fmax(frame.most, limit_of(&record->series.items[i].limits, cause));
        frame.most = fmax(frame.most, value_of(&record->series, i, cause));
    }
    frame.most = fmax(frame.most, frame.divisor / 100) * 1.08;
    return frame;
}

static void draw_axes(struct buffer *out, const struct frame *frame)
{
    for (int i = 0; i <= LINES; i++) {
        double value = frame->most * i / LINES, y = y_of(frame, value);
        buffer_printf(out,
                      "<line class=\"grid\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                      "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%.*f</text>",
                      LEFT, WIDTH - RIGHT, y, y, LEFT - 5, y + 3, frame->most / frame->divisor < 8 ? 1 : 0,
                      value / frame->divisor);
    }
    buffer_printf(out, "<text x=\"2\" y=\"%.0f\">%s</text>", TOP + 3, frame->unit);
    buffer_printf(out,
                  "<text class=\"risk\" x=\"%.0f\" y=\"%.0f\">1</text><text class=\"risk\" x=\"%.0f\" "
                  "y=\"%.0f\">0</text>",
                  WIDTH - RIGHT + 5, TOP + 4, WIDTH - RIGHT + 5, HEIGHT - BOTTOM + 3);
    buffer_printf(
        out,
        "<text x=\"%.0f\" y=\"%.0f\">0 s</text><text x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">%.1f s</text>",
        LEFT, HEIGHT - 7, WIDTH - RIGHT, HEIGHT - 7, frame->seconds);
}

static void draw_use(struct buffer *out, const struct frame *frame,
                     const struct msg_series_point_array *series, enum msg_cause cause)
{
    buffer_printf(out, "<path class=\"use\" d=\"M%.1f %.1f", x_of(frame, series->items[0].time_us),
                  y_of(frame, 0));
    for (size_t i = 0; i < series->count; i++)
        buffer_printf(out, "L%.1f %.1f", x_of(frame, series->items[i].time_us),
                      y_of(frame, value_of(series, i, cause)));
    buffer_printf(out, "L%.1f %.1fZ\"/>", x_of(frame, series->items[series->count - 1].time_us),
                  y_of(frame, 0));
}

/* Steps; where there is no limit the line pauses. */
static void draw_limit(struct buffer *out, const struct frame *frame,
                       const struct msg_execution_record *record, enum msg_cause cause)
{
    const struct msg_series_point_array *series = &record->series;
    double last = limit_of(&record->first_limits, cause);
    buffer_printf(out, "<path class=\"limit\" d=\"");
    if (last > 0)
        buffer_printf(out, "M%.1f %.1f", LEFT, y_of(frame, last));
    for (size_t i = 0; i < series->count; i++) {
        double limit = limit_of(&series->items[i].limits, cause);
        if (limit == last && i + 1 < series->count)
            continue;
        if (last > 0)
            buffer_printf(out, "H%.1f", x_of(frame, series->items[i].time_us));
        if (limit > 0)
            buffer_printf(out, last > 0 ? "V%.1f" : "M%.1f",
                          last > 0 ? y_of(frame, limit) : x_of(frame, series->items[i].time_us));
        if (limit > 0 && last <= 0)
            buffer_printf(out, " %.1f", y_of(frame, limit));
        last = limit;
    }
    buffer_printf(out, "\"/>");
}

static void draw_risk(struct buffer *out, const struct frame *frame, const struct trial *trial)
{
    const double height = HEIGHT - TOP - BOTTOM;
    if (trial->risk_count == 0)
        return;
    buffer_printf(out, "<polyline class=\"riskline\" points=\"");
    for (size_t i = 0; i < trial->risk_count; i++)
        buffer_printf(out, "%.1f,%.1f ", x_of(frame, trial->risks[i].sampled_us),
                      HEIGHT - BOTTOM - (double)trial->risks[i].probability * height);
    buffer_printf(out, "\"/>");
}

static void draw_decisions(struct buffer *out, const struct frame *frame,
                           const struct msg_execution_record *record)
{
    for (size_t i = 0; i < record->adjustments.count; i++) {
        const struct msg_applied_adjustment *applied = &record->adjustments.items[i];
        double x = x_of(frame, applied->applied_us);
        buffer_printf(out,
                      "<g class=\"%s\"><line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.0f\" y2=\"%.0f\"/><circle "
                      "cx=\"%.1f\" cy=\"%.0f\" r=\"3\"/><title>",
                      msg_direction_name(applied->adjustment.direction), x, x, TOP, HEIGHT - BOTTOM, x, TOP);
        buffer_printf(out, "%.2f s, %s: ", (double)(applied->applied_us - record->started_us) / 1e6,
                      msg_adjustment_result_name(applied->result));
        chart_escape(out, applied->adjustment.reason);
        buffer_printf(out, "</title></g>");
    }
}

void chart_draw(struct buffer *out, const struct trial *trial)
{
    const struct msg_execution_record *record = trial->record;
    if (!record || record->series.count == 0) {
        buffer_printf(out, "<p class=\"none\">no series in the record</p>");
        return;
    }
    enum msg_cause cause = trial->what->cause;
    struct frame frame = frame_of(record, cause);
    buffer_printf(out, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\">", WIDTH, HEIGHT);
    draw_axes(out, &frame);
    draw_use(out, &frame, &record->series, cause);
    draw_limit(out, &frame, record, cause);
    draw_risk(out, &frame, trial);
    draw_decisions(out, &frame, record);
    buffer_printf(out, "</svg>");
}
