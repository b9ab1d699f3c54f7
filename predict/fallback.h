/* What decides while no model does: how fast memory runs towards its limit (the ETA rule) and what finished
 * executions of the code needed (decaying peak histograms). Both look at a second and more: what they say
 * alarms at once. Risks of it carry FALLBACK_VERSION. Pure. */
#ifndef FORESTALL_PREDICT_FALLBACK_H
#define FORESTALL_PREDICT_FALLBACK_H

#include "model/profile.h"
#include "predict/forecast.h"

#define FALLBACK_VERSION "histogram"
#define FALLBACK_HORIZON_MS 10000
#define FALLBACK_THRESHOLD 0.5f
#define FALLBACK_TERMS 3

/* features: of this sample; profile may be NULL or empty. terms: what the probability of memory, or of the
 * most probable cause, was made from; weights in logits as in a Contribution. */
void fallback_forecast(const struct feature_state *state, const float *features,
                       const struct msg_limits *limits, const struct usage *usage,
                       const struct profile_summary *profile, struct forecast *out,
                       struct msg_contribution terms[FALLBACK_TERMS]);

/* Share of the code's runs whose peak passes `limit`, of those that pass `now`: the survival function through
 * p50, p95 and the maximum, straight in between. 0 when nothing is known or now is beyond all history. */
double fallback_exceeds(const struct profile_summary *profile, double now, double limit);

#endif
