/* From the model's answer about one sample to what a risk says: probabilities, cause, demand in the limits'
 * units. Pure. */
#ifndef FORESTALL_PREDICT_FORECAST_H
#define FORESTALL_PREDICT_FORECAST_H

#include "model/demand.h"
#include "model/network.h"
#include "predict/publish.h"

/* What is used now; never negative, never absurd. */
struct usage {
    double now[DEMAND_RESOURCE_COUNT];        /* as model/demand.h measures them */
    double throttled, io_stall, memory_stall; /* shares of the last second */
};

/* What alarms of an attempt, as its samples made it (model/alarm_level.h). Zero: none came yet. */
struct forecast_levels {
    bool begun, known; /* known: earlier runs like it were, and it had not refuted them */
    int64_t time_us;   /* of the last sample, as the limits */
    struct msg_limits limits;
    float log_odds[NETWORK_CAUSES];
};

struct forecast {
    float probabilities[NETWORK_CAUSES];
    float log_odds[NETWORK_CAUSES]; /* the same; a network's */
    float levels[NETWORK_CAUSES];   /* what alarms, as probabilities */
    float thresholds[NETWORK_CAUSES];
    float horizons[NETWORK_HORIZONS]
                  [NETWORK_CAUSES]; /* of a failure within network_horizons_ms; 0 = not told */
    float probability;              /* of any cause */
    bool above;                     /* one of the levels reached its threshold */
    enum msg_cause cause;           /* the most probable, of those whose did if there are any */
    int32_t horizon_ms;
    struct msg_demand_quantiles demand[NETWORK_RESOURCES];
};

void usage_read(const struct feature_state *state, const struct msg_counters *counters, struct usage *out);

/* Of this sample alone: its probabilities are its levels. logits: calibrated and corrected; answer: the
 * network's for the rest. What is sooner is never more probable than what is later. */
void forecast_from(const struct network *network, const float logits[NETWORK_CAUSES],
                   const struct network_output *answer, const struct usage *usage, struct forecast *out);
/* Fills probability, cause and above from the probabilities, the levels and the thresholds. */
void forecast_conclude(struct forecast *forecast);
/* Takes the sample into the attempt's levels and concludes from these. Under other limits than before it is
 * another question: they begin anew. So they do when it has outgrown all that was known of it (known: the
 * feature HAS_PROFILE): what was said by that is worth nothing now. */
void forecast_follow(struct forecast *forecast, struct forecast_levels *levels, int64_t time_us,
                     const struct msg_limits *limits, bool known);
float forecast_logistic(float logit);

/* The risk of one sample but for kind, consumed_us, published_us, profile and explanation. Strings borrow
 * from tick and sample, model_version is borrowed. */
void forecast_risk(const struct msg_tick *tick, const struct msg_sample *sample, const struct usage *usage,
                   const struct forecast *forecast, const char *model_version, struct msg_risk *out);
void forecast_view(const struct msg_risk *risk, struct publish_view *out);

#endif
