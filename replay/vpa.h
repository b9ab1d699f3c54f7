/* The arithmetic of the VPA recommender (kubernetes/autoscaler 55c37cd5): histograms of CPU samples and of
 * memory peaks per window, OOM bumps, percentiles with margins and confidence. Checked against an independent
 * re-implementation and VPA's own vectors in tests/replay. */
#ifndef FORESTALL_REPLAY_VPA_H
#define FORESTALL_REPLAY_VPA_H

#include "replay/decay.h"

#define VPA_DAY_S 86400.0

struct vpa_options {
    double interval_s; /* of one memory peak */
    double half_life_s;
};

/* One container: one try of an execution. Zero = new. */
struct vpa_container {
    bool began;
    double window_end_s, peak, oom_peak, last_s;
    bool sampled;
};

struct vpa {
    struct vpa_options options;
    struct decay cpu, memory;
    double samples, first_s, last_s; /* of CPU */
};

struct vpa_resource {
    double target, lower, upper;
};

FS_MUST_CHECK int vpa_open(struct vpa *vpa, const struct vpa_options *options);
void vpa_close(struct vpa *vpa);
void vpa_add_cpu(struct vpa *vpa, double cores, double time_s);
void vpa_add_memory(struct vpa *vpa, struct vpa_container *container, double bytes, double time_s);
/* The container was killed under this limit. */
void vpa_add_oom(struct vpa *vpa, struct vpa_container *container, double limit_bytes, double time_s);
double vpa_confidence(const struct vpa *vpa);
struct vpa_resource vpa_cpu(const struct vpa *vpa);    /* cores */
struct vpa_resource vpa_memory(const struct vpa *vpa); /* bytes */
/* What a bound is multiplied by: (1 + multiplier / confidence)^exponent; without confidence infinite or 0. */
double vpa_confidence_factor(double multiplier, double exponent, double confidence);

#endif
