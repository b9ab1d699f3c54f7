/* Between ours.c (what is shared by all codes) and policy_ours.c (what decides). */
#ifndef FORESTALL_REPLAY_OURS_INTERNAL_H
#define FORESTALL_REPLAY_OURS_INTERNAL_H

#include "predict/engine.h"
#include "predict/learn.h"
#include "replay/ours.h"

#define OURS_POINTS_MAX 4096 /* of one try; the newest are learned from */

struct ours_tools {
    struct codes *codes;
    size_t code_count;
    struct engine *engine;            /* NULL: no series */
    struct learner *learner;          /* NULL: no series */
    double outgrown, outgrown_failed; /* of the allocations of all codes */
    uint64_t tries;                   /* begun; makes ids that no other try has */
    uint8_t execution[16];            /* of the running try */
    struct msg_risk risk;             /* told last, without its explanation */
    bool told;
    struct msg_series_point points[OURS_POINTS_MAX]; /* of the running try, as it was sampled */
    size_t point_count;
};

#endif
