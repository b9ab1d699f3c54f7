/* Demand as a distribution: what the quantiles of a risk say about the chance that demand passes a limit.
 * Pure arithmetic; nothing here knows where the numbers came from. */
#ifndef FORESTALL_ALLOCATE_DEMAND_H
#define FORESTALL_ALLOCATE_DEMAND_H

/* Quantiles of a peak demand, all in the unit of the resource and rising. */
struct demand {
    double p50, p90, p99;
};

/* P(peak demand > limit): the quantiles are joined as straight lines of log demand over the normal score,
 * i.e. a log-normal whose spread may differ on either side of p90. limit <= 0 means no limit: 0. */
double demand_exceeds(const struct demand *demand, double limit);

/* The same demand seen over cover_ms instead of horizon_ms, growing straight from now; never below now. */
struct demand demand_within(const struct demand *demand, double now, double cover_ms, double horizon_ms);

#endif
