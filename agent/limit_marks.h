/* Where something happens below a memory limit, and how much more the agent gives there. Pure, and for every
 * layer: the agent acts on it, allocate reckons with it, replay does as both do. Bytes throughout. Where the
 * numbers come from: docs/design/closed-loop.md. */
#ifndef FORESTALL_AGENT_LIMIT_MARKS_H
#define FORESTALL_AGENT_LIMIT_MARKS_H

#include <math.h>

#define LIMIT_MIB 1048576.0
/* The brake: 2 ms of the fastest ramp seen, 2 GiB/s; it takes one. */
#define LIMIT_BRAKE_SHARE (1.0 / 16)
#define LIMIT_BRAKE_LEAST (4 * LIMIT_MIB)

/* What holds a program that outgrows its limit, and how exactly: v1's brake to half a MiB; v2's to a 32nd of
 * its level, with page cache up to there (agent/cgroup_v2.c). */
enum limit_brake { LIMIT_BRAKE_NONE, LIMIT_BRAKE_EXACT, LIMIT_BRAKE_COARSE };

/* An advance is due so far below the limit, but not below a share of a small one; it gives so many times what
 * is held, at least so much above it. It must come before the brake, so it is due earlier with a coarse one;
 * where none holds what is faster it gives more. */
#define LIMIT_NEAR_MOST_SHARE 0.65
struct limit_advance {
    double near_share, near_least, headroom, least;
};

static inline struct limit_advance limit_advance_of(enum limit_brake brake)
{
    static const struct limit_advance all[] = {
        [LIMIT_BRAKE_NONE] = {0.09, 5.5 * LIMIT_MIB, 1.16, 7.25 * LIMIT_MIB},
        [LIMIT_BRAKE_EXACT] = {0.07, 5 * LIMIT_MIB, 1.12, 6.25 * LIMIT_MIB},
        [LIMIT_BRAKE_COARSE] = {0.11, 7 * LIMIT_MIB, 1.18, 9 * LIMIT_MIB},
    };
    return all[brake];
}

/* Memory charged from which the brake holds a program. */
static inline double limit_brake_level(double limit)
{
    return limit - fmin(fmax(limit * LIMIT_BRAKE_SHARE, LIMIT_BRAKE_LEAST), limit / 2);
}

/* Memory held from which an advance is due. */
static inline double limit_near_level(double limit, enum limit_brake brake)
{
    struct limit_advance advance = limit_advance_of(brake);
    return fmax(limit - fmax(limit * advance.near_share, advance.near_least), limit * LIMIT_NEAR_MOST_SHARE);
}

/* The limit that an advance gives, whole MiB, before anybody's bound. */
static inline double limit_advanced(double held, enum limit_brake brake)
{
    struct limit_advance advance = limit_advance_of(brake);
    return ceil(fmax(held * advance.headroom, held + advance.least) / LIMIT_MIB) * LIMIT_MIB;
}

#endif
