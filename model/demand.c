/* See demand.h. */
#include "model/demand.h"

#include <math.h>

/* Below this a change of demand is of no interest: a small process, a hundredth of a core, a block or two per
 * second. */
static const double floors[DEMAND_RESOURCE_COUNT] = {1048576, 10, 65536, 65536};

static double positive(double value)
{
    return value > 0 ? value : 0; /* also NaN */
}

void demand_now(const struct feature_state *state, const struct msg_counters *counters,
                double out[DEMAND_RESOURCE_COUNT])
{
    out[DEMAND_MEMORY] = positive((double)counters->memory_bytes);
    out[DEMAND_CPU] = positive(features_rate(state, FEATURE_RATE_CPU) * 1e-3);
    out[DEMAND_IO] =
        positive(features_rate(state, FEATURE_RATE_IO_READ) + features_rate(state, FEATURE_RATE_IO_WRITE));
    out[DEMAND_NET] = positive(features_rate(state, FEATURE_RATE_NET));
}

double demand_ratio(enum demand_resource resource, double now, double peak)
{
    double ratio = log((positive(peak) + floors[resource]) / (positive(now) + floors[resource]));
    return fmax(-DEMAND_RATIO_MAX, fmin(ratio, DEMAND_RATIO_MAX));
}

double demand_peak(enum demand_resource resource, double now, double ratio)
{
    double bounded = fmax(-DEMAND_RATIO_MAX, fmin(ratio, DEMAND_RATIO_MAX)); /* fmin of NaN: the bound */
    return positive((positive(now) + floors[resource]) * exp(bounded) - floors[resource]);
}
