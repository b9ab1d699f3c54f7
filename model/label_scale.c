/* See label_scale.h. */
#include "model/label_scale.h"

#include "schemas/hints.h"

double label_scale(double scale)
{
    return scale > 0 ? scale : 1;
}

static int64_t scaled(int64_t value, double scale)
{
    return (int64_t)((double)value * scale);
}

/* What a program asks for is larger with it. */
static void change_gauges(const struct label_plan *plan, struct msg_custom_metric gauges[LABEL_GAUGES_MAX],
                          struct msg_counters *counters)
{
    size_t count = 0;
    for (size_t i = 0; i < counters->custom.count && count < LABEL_GAUGES_MAX; i++) {
        struct msg_custom_metric gauge = counters->custom.items[i];
        bool data = str_equal(gauge.name, str_of(GAUGE_DATA));
        if (plan->uncounted && (data || str_equal(gauge.name, str_of(GAUGE_INPUT_READ))))
            continue;
        gauges[count] = gauge;
        gauges[count++].value *= data ? label_scale(plan->memory_scale) : 1;
    }
    counters->custom.items = gauges;
    counters->custom.count = count;
}

void label_scale_point(const struct label_plan *plan, struct msg_custom_metric gauges[LABEL_GAUGES_MAX],
                       struct msg_limits *limits, struct msg_counters *counters)
{
    double memory = label_scale(plan->memory_scale), data = label_scale(plan->data_scale);
    int64_t *const memories[] = {&limits->memory_bytes, &counters->memory_bytes,
                                 &counters->memory_usage_bytes, &counters->memory_peak_bytes};
    int64_t *const bytes[] = {&limits->io_read_bps,     &limits->io_write_bps,     &limits->net_egress_bps,
                              &counters->io_read_bytes, &counters->io_write_bytes, &counters->net_rx_bytes,
                              &counters->net_tx_bytes};
    for (size_t k = 0; k < FS_COUNT(memories) && memory != 1; k++)
        *memories[k] = scaled(*memories[k], memory);
    for (size_t k = 0; k < FS_COUNT(bytes) && data != 1; k++)
        *bytes[k] = scaled(*bytes[k], data);
    change_gauges(plan, gauges, counters);
}

struct profile_summary label_scale_profile(const struct label_plan *plan,
                                           const struct profile_summary *profile)
{
    struct profile_summary out = *profile;
    out.memory_p50 *= label_scale(plan->memory_scale);
    out.memory_p95 *= label_scale(plan->memory_scale);
    out.memory_max *= label_scale(plan->memory_scale);
    out.io_total_p50 *= label_scale(plan->data_scale);
    out.net_total_p50 *= label_scale(plan->data_scale);
    out.io_peak_p95 *= label_scale(plan->data_scale);
    out.net_peak_p95 *= label_scale(plan->data_scale);
    return out;
}
