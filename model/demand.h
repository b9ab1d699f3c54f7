/* What the demand heads speak of: the demand now and the peak ahead, per resource, as an offset log ratio
 *     ratio = ln((peak + floor) / (now + floor)),
 * so that a program at rest has a finite one. Labels and inference use these very functions.
 * Memory is the gauge memory_bytes; CPU (millicores), block I/O and egress (bytes per second) are the 1 s
 * averages of features.h, so a peak is the highest such average. Pure. */
#ifndef FORESTALL_MODEL_DEMAND_H
#define FORESTALL_MODEL_DEMAND_H

#include "model/features.h"

enum demand_resource { DEMAND_MEMORY, DEMAND_CPU, DEMAND_IO, DEMAND_NET, DEMAND_RESOURCE_COUNT };

/* The demand now, after features_step() took the sample in. */
void demand_now(const struct feature_state *state, const struct msg_counters *counters,
                double out[DEMAND_RESOURCE_COUNT]);
/* The ratio of a peak to now, within +-DEMAND_RATIO_MAX. */
#define DEMAND_RATIO_MAX 10.0
double demand_ratio(enum demand_resource resource, double now, double peak);
/* The peak of a ratio; never negative, always finite. */
double demand_peak(enum demand_resource resource, double now, double ratio);

#endif
