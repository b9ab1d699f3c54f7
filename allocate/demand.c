/* See demand.h. Normal scores: z(0.5) = 0, z(0.9) = 1.2816, z(0.99) = 2.3263. */
#include "allocate/demand.h"

#include <math.h>

#define Z90 1.2815515655446004
#define Z99 2.3263478740408408
#define LEAST_SPREAD 0.01 /* 1 % per score: keeps equal quantiles from dividing by zero */

double demand_exceeds(const struct demand *demand, double limit)
{
    if (limit <= 0)
        return 0;
    if (!(demand->p50 > 0))
        return demand->p99 > limit ? 1 : 0;
    double at = log(limit / demand->p50);
    double lower = fmax(log(demand->p90 / demand->p50) / Z90, LEAST_SPREAD);
    double upper = fmax(log(demand->p99 / demand->p90) / (Z99 - Z90), LEAST_SPREAD);
    double score = at / lower;
    if (score > Z90)
        score = Z90 + (at - lower * Z90) / upper;
    return 0.5 * erfc(score / sqrt(2.0));
}

static double within(double quantile, double now, double share)
{
    return quantile > now ? now + (quantile - now) * share : now;
}

struct demand demand_within(const struct demand *demand, double now, double cover_ms, double horizon_ms)
{
    double share = horizon_ms > 0 && cover_ms < horizon_ms ? cover_ms / horizon_ms : 1;
    return (struct demand){within(demand->p50, now, share), within(demand->p90, now, share),
                           within(demand->p99, now, share)};
}
