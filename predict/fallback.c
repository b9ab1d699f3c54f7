/* See fallback.h. Sources: the ETA rule of node watchers (limit - usage) / slope; VPA's peak histograms. */
#include "predict/fallback.h"

#include <math.h>

#define HORIZON_S (FALLBACK_HORIZON_MS / 1000.0)
/* A history says that the limit is passed some time, not within the horizon: it counts from half the limit on
 * and in full from 0.85, where usual watchers warn. */
#define NEAR_FROM 0.5
#define NEAR_FULL 0.85
/* Above this and growing (there within ten horizons) is an alarm, as usual watchers have it. */
#define CRITICAL 0.95
#define GROWING 10
#define CRITICAL_PROBABILITY 0.6
#define SPREAD 1.3 /* of a slope over the next 10 s, at p90; twice as much at p99 */
#define PROBABILITY_MAX 0.99

static double share(double value)
{
    return value > 0 ? fmin(value, 1) : 0;
}

static double surviving(const struct profile_summary *profile, double value)
{
    if (value < profile->memory_p50)
        return 1 - 0.5 * value / profile->memory_p50;
    if (value < profile->memory_p95)
        return 0.5 - 0.45 * (value - profile->memory_p50) / (profile->memory_p95 - profile->memory_p50);
    if (value < profile->memory_max)
        return 0.05 * (profile->memory_max - value) / (profile->memory_max - profile->memory_p95);
    return 0;
}

double fallback_exceeds(const struct profile_summary *profile, double now, double limit)
{
    if (!profile || profile->runs <= 0 || limit <= 0)
        return 0;
    double alive = surviving(profile, now);
    return alive > 0 ? share(surviving(profile, limit) / alive) : 0;
}

/* Reached in a horizon's time at this rate: one half. */
static double eta_probability(double left, double rate)
{
    if (left <= 0)
        return 1;
    if (!(rate > 0))
        return 0;
    double horizons = left / rate / HORIZON_S;
    return 1 / (1 + horizons * horizons);
}

struct memory_terms {
    double eta, critical, history;
};

static double memory_probability(const struct feature_state *state, const struct usage *usage, double limit,
                                 const struct profile_summary *profile, struct memory_terms *terms)
{
    double rate = features_rate(state, FEATURE_RATE_MEMORY_SECOND),
           used = limit > 0 ? usage->now[0] / limit : 0;
    *terms = (struct memory_terms){0};
    if (limit <= 0)
        return 0;
    terms->eta = eta_probability(limit - usage->now[0], rate);
    bool growing = rate * GROWING * HORIZON_S > limit - usage->now[0];
    terms->critical = used > CRITICAL && growing ? CRITICAL_PROBABILITY : 0;
    terms->history =
        fallback_exceeds(profile, usage->now[0], limit) * share((used - NEAR_FROM) / (NEAR_FULL - NEAR_FROM));
    return 1 - (1 - fmax(terms->eta, terms->critical)) * (1 - terms->history);
}

/* Late by the program's own progress or by the code's history, and held back by this resource. */
static double late(const float *features, enum feature_index held_back, enum feature_index need)
{
    double ln_late = 4 * fmax((double)features[FEATURE_PROGRESS_FINISH], (double)features[need]);
    return features[FEATURE_HAS_TIMEOUT] > 0 ? share((double)features[held_back]) * share(ln_late) : 0;
}

static double grown(double now, double rate)
{
    return now + fmax(rate, 0) * HORIZON_S;
}

static struct msg_demand_quantiles memory_demand(const struct feature_state *state, const struct usage *usage,
                                                 const struct profile_summary *profile)
{
    double second = features_rate(state, FEATURE_RATE_MEMORY_SECOND);
    double most = fmax(fmax(features_rate(state, FEATURE_RATE_MEMORY_FAST), second),
                       features_rate(state, FEATURE_RATE_MEMORY_SLOW));
    struct msg_demand_quantiles demand = {.p50 = grown(usage->now[0], second)};
    demand.p90 = fmax(demand.p50, grown(usage->now[0], most * SPREAD));
    demand.p99 = fmax(demand.p90, grown(usage->now[0], most * 2 * SPREAD));
    if (profile && profile->runs > 0 && usage->now[0] < profile->memory_max) {
        /* A history bounds better than a slope drawn out, and the peak may come at any time. */
        demand.p90 = fmax(demand.p50, fmin(demand.p90, profile->memory_max));
        demand.p99 = fmax(demand.p90, fmin(fmax(demand.p99, profile->memory_p95), profile->memory_max));
    }
    return demand;
}

/* A rate in use now, at most what the code ever used or half as much again. */
static struct msg_demand_quantiles rate_demand(double now, double peak)
{
    return (struct msg_demand_quantiles){now, fmax(now, fmin(1.5 * now, fmax(peak, now))),
                                         fmax(1.5 * now, peak)};
}

static float to_logit(double probability)
{
    double bounded = fmin(fmax(probability, 1 - PROBABILITY_MAX), PROBABILITY_MAX);
    return (float)log(bounded / (1 - bounded));
}

static struct msg_contribution term(const float *features, enum feature_index index, double probability)
{
    return (struct msg_contribution){str_of(feature_name(index)), features[index], to_logit(probability)};
}

static void explain(const float *features, const struct memory_terms *memory, const struct forecast *forecast,
                    struct msg_contribution terms[FALLBACK_TERMS])
{
    terms[0] = term(features, FEATURE_MEMORY_EXHAUSTION_SECOND, memory->eta);
    terms[1] = term(features, FEATURE_MEMORY_TO_LIMIT, memory->critical);
    terms[2] = term(features, FEATURE_PROFILE_MAX_TO_LIMIT, memory->history);
    if (forecast->cause == MSG_CAUSE_CPU)
        terms[0] = term(features, FEATURE_THROTTLED_SHARE_SLOW, (double)forecast->probabilities[1]);
    else if (forecast->cause == MSG_CAUSE_IO)
        terms[0] = term(features, FEATURE_IO_STALL_SHARE_SLOW, (double)forecast->probabilities[2]);
    else if (forecast->cause == MSG_CAUSE_NET)
        terms[0] = term(features, FEATURE_NET_TO_LIMIT, (double)forecast->probabilities[3]);
}

void fallback_forecast(const struct feature_state *state, const float *features,
                       const struct msg_limits *limits, const struct usage *usage,
                       const struct profile_summary *profile, struct forecast *out,
                       struct msg_contribution terms[FALLBACK_TERMS])
{
    struct memory_terms memory;
    const double probabilities[NETWORK_CAUSES] = {
        memory_probability(state, usage, (double)limits->memory_bytes, profile, &memory),
        late(features, FEATURE_THROTTLED_SHARE_SLOW, FEATURE_PROFILE_CPU_NEED),
        late(features, FEATURE_IO_STALL_SHARE_SLOW, FEATURE_PROFILE_IO_NEED),
        late(features, FEATURE_NET_TO_LIMIT, FEATURE_PROFILE_NET_NEED),
        0,
    };
    for (size_t i = 0; i < NETWORK_CAUSES; i++)
        out->levels[i] = out->probabilities[i] = (float)fmin(probabilities[i], PROBABILITY_MAX);
    bool known = profile && profile->runs > 0;
    out->demand[0] = memory_demand(state, usage, profile);
    out->demand[1] = rate_demand(usage->now[1], known ? profile->cpu_peak_p95 : 0);
    out->demand[2] = rate_demand(usage->now[2], known ? profile->io_peak_p95 : 0);
    out->demand[3] = rate_demand(usage->now[3], known ? profile->net_peak_p95 : 0);
    for (size_t i = 0; i < NETWORK_CAUSES; i++)
        out->thresholds[i] = FALLBACK_THRESHOLD;
    memset(out->horizons, 0, sizeof out->horizons);
    out->horizon_ms = FALLBACK_HORIZON_MS;
    forecast_conclude(out);
    explain(features, &memory, out, terms);
}
