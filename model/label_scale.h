/* A larger or smaller program from a record, or one whose processes nobody asked: what a plan makes of a
 * point and of a profile. */
#ifndef FORESTALL_MODEL_LABEL_SCALE_H
#define FORESTALL_MODEL_LABEL_SCALE_H

#include "model/labels.h"
#include "model/profile.h"

#define LABEL_GAUGES_MAX 16 /* an attempt has no more */

/* 0 is 1. */
double label_scale(double scale);
/* gauges: what the counters then borrow from. */
void label_scale_point(const struct label_plan *plan, struct msg_custom_metric gauges[LABEL_GAUGES_MAX],
                       struct msg_limits *limits, struct msg_counters *counters);
struct profile_summary label_scale_profile(const struct label_plan *plan,
                                           const struct profile_summary *profile);

#endif
