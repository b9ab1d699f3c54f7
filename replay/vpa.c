/* See vpa.h. */
#include "replay/vpa.h"

#include <math.h>

#define EPSILON 1e-4
#define MARGIN 1.15
#define BUMP_RATIO 1.2
#define BUMP_LEAST (100 * 1048576.0)
#define LEAST_CORES 0.025
#define LEAST_BYTES (250 * 1048576.0)
#define CPU_WEIGHT 0.1
#define SAMPLES_PER_DAY 1440.0

int vpa_open(struct vpa *vpa, const struct vpa_options *options)
{
    const struct decay_scale cpu = {0.01, 1000, 1.05, options->half_life_s, EPSILON};
    const struct decay_scale memory = {1e7, 1e12, 1.05, options->half_life_s, EPSILON};
    *vpa = (struct vpa){.options = *options};
    int result = decay_open(&vpa->cpu, &cpu);
    return result < 0 ? result : decay_open(&vpa->memory, &memory);
}

void vpa_close(struct vpa *vpa)
{
    decay_close(&vpa->cpu);
    decay_close(&vpa->memory);
}

void vpa_add_cpu(struct vpa *vpa, double cores, double time_s)
{
    decay_add(&vpa->cpu, cores, CPU_WEIGHT, time_s);
    vpa->first_s = vpa->samples > 0 ? fmin(vpa->first_s, time_s) : time_s;
    vpa->last_s = vpa->samples > 0 ? fmax(vpa->last_s, time_s) : time_s;
    vpa->samples++;
}

/* A sample or an OOM's inserted one. A window counts its highest once, at its end. */
static void add_memory(struct vpa *vpa, struct vpa_container *container, double bytes, double time_s,
                       bool oom)
{
    if (!oom && container->sampled && time_s < container->last_s)
        return;
    container->last_s = time_s;
    container->sampled = true;
    if (!container->began)
        container->window_end_s = time_s;
    container->began = true;
    if (time_s < container->window_end_s) {
        double old = fmax(container->peak, container->oom_peak);
        if (old != 0 && bytes <= old)
            return;
        if (old == 0)
            return; /* no window has begun: as the original */
        decay_subtract(&vpa->memory, old, 1, container->window_end_s);
    } else {
        double interval = vpa->options.interval_s;
        container->window_end_s += floor((time_s - container->window_end_s) / interval) * interval + interval;
        container->peak = container->oom_peak = 0;
    }
    decay_add(&vpa->memory, bytes, 1, container->window_end_s);
    *(oom ? &container->oom_peak : &container->peak) = bytes;
}

void vpa_add_memory(struct vpa *vpa, struct vpa_container *container, double bytes, double time_s)
{
    add_memory(vpa, container, bytes, time_s, false);
}

void vpa_add_oom(struct vpa *vpa, struct vpa_container *container, double limit_bytes, double time_s)
{
    double used = fmax(limit_bytes, container->peak);
    add_memory(vpa, container, fmax(used + BUMP_LEAST, used * BUMP_RATIO), time_s, true);
}

double vpa_confidence(const struct vpa *vpa)
{
    if (vpa->samples <= 0)
        return 0;
    return fmin((vpa->last_s - vpa->first_s) / VPA_DAY_S, vpa->samples / SAMPLES_PER_DAY);
}

double vpa_confidence_factor(double multiplier, double exponent, double confidence)
{
    if (confidence > 0)
        return pow(1 + multiplier / confidence, exponent);
    return exponent > 0 ? INFINITY : 0;
}

static struct vpa_resource recommend(const struct decay *decay, double confidence, double least)
{
    double p50 = decay_percentile(decay, 0.5), p95 = decay_percentile(decay, 0.95);
    double lower = vpa_confidence_factor(0.001, -2, confidence),
           upper = vpa_confidence_factor(1, 1, confidence);
    return (struct vpa_resource){
        .target = fmax(decay_percentile(decay, 0.9) * MARGIN, least),
        .lower = fmax(p50 * MARGIN * lower, least),
        .upper = fmax(p95 > 0 ? p95 * MARGIN * upper : 0, least),
    };
}

struct vpa_resource vpa_cpu(const struct vpa *vpa)
{
    return recommend(&vpa->cpu, vpa_confidence(vpa), LEAST_CORES);
}

struct vpa_resource vpa_memory(const struct vpa *vpa)
{
    return recommend(&vpa->memory, vpa_confidence(vpa), LEAST_BYTES);
}
