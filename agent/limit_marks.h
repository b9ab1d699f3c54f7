/* Where something happens below a memory limit, and how much more the agent gives there. Pure, and for every
 * layer: the agent acts on it, allocate reckons with it, replay does as both do. Bytes throughout. Where the
 * numbers come from: docs/design/closed-loop.md. */
#ifndef FORESTALL_AGENT_LIMIT_MARKS_H
#define FORESTALL_AGENT_LIMIT_MARKS_H

#include <math.h>
#include <stdbool.h>

#define LIMIT_MIB 1048576.0
/* The brake: 2 ms of the fastest ramp seen, 2 GiB/s; it takes one. */
#define LIMIT_BRAKE_SHARE (1.0 / 16)
#define LIMIT_BRAKE_LEAST (4 * LIMIT_MIB)

/* An advance is due so far below the limit, but not below a share of a small one; it gives so many times what
 * is held, at least so much above it: the next one 4 to 6 % of the memory later. Where no brake holds what is
 * faster, at least what the fastest make in 3 ms; the agent looks every one. */
#define LIMIT_NEAR_MOST_SHARE 0.65
struct limit_advance {
    double near_share, near_least, headroom, least;
};
static const struct limit_advance limit_advance_braked = {0.07, 5 * LIMIT_MIB, 1.12, 6 * LIMIT_MIB},
                                  limit_advance_bare = {0.09, 5.5 * LIMIT_MIB, 1.17, 8 * LIMIT_MIB};

/* Memory charged from which the brake holds a program. */
static inline double limit_brake_level(double limit)
{
    return limit - fmin(fmax(limit * LIMIT_BRAKE_SHARE, LIMIT_BRAKE_LEAST), limit / 2);
}

/* Memory held from which an advance is due. */
static inline double limit_near_level(double limit, bool braked)
{
    const struct limit_advance *advance = braked ? &limit_advance_braked : &limit_advance_bare;
    return fmax(limit - fmax(limit * advance->near_share, advance->near_least),
                limit * LIMIT_NEAR_MOST_SHARE);
}

/* The limit that an advance gives, before anybody's bound. */
static inline double limit_advanced(double held, bool braked)
{
    const struct limit_advance *advance = braked ? &limit_advance_braked : &limit_advance_bare;
    return fmax(held * advance->headroom, held + advance->least);
}

#endif
