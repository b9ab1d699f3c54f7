/* VPA, every try a container of its own, sampled once a minute. Twice: with its own settings (24 h windows
 * and half life) and "fair", with 1 min windows and a half life of 1 h, since its defaults were not made for
 * runs of seconds. A new try starts with the target; a running one is changed in place when its limit leaves
 * [lower, upper], which is kinder than the eviction of the original. */
#include "replay/policy.h"
#include "replay/vpa.h"

#define MINUTE_S 60.0
#define HOUR_S 3600.0
#define OOM_AFTER_S 1.0 /* the event is seen after the sample */

struct state {
    struct vpa vpa;
    struct vpa_container container; /* of the running try */
    double started_s;               /* of it */
    bool known;
};

static int begin(void *state, const struct replay_settings *settings, struct str code)
{
    const struct vpa_options own = {VPA_DAY_S, VPA_DAY_S};
    (void)settings;
    (void)code;
    return vpa_open(&((struct state *)state)->vpa, &own);
}

static int begin_fair(void *state, const struct replay_settings *settings, struct str code)
{
    const struct vpa_options fair = {MINUTE_S, HOUR_S};
    (void)settings;
    (void)code;
    return vpa_open(&((struct state *)state)->vpa, &fair);
}

static void end(void *state)
{
    vpa_close(&((struct state *)state)->vpa);
}

static double allocate(void *state, const struct replay_request *request)
{
    const struct state *vpa = state;
    return vpa->known ? vpa_memory(&vpa->vpa).target : request->requested_bytes;
}

static double retry(void *state, const struct replay_request *request, const struct replay_run *failed)
{
    (void)failed;
    return allocate(state, request);
}

static struct vpa_container *container_of(struct state *vpa, double started_s)
{
    if (!vpa->container.began || vpa->started_s != started_s)
        vpa->container = (struct vpa_container){0};
    vpa->started_s = started_s;
    return &vpa->container;
}

/* Without a series its peak stands for every sample of it; CPU only counts samples here. */
static int learn(void *state, const struct replay_run *run)
{
    struct state *vpa = state;
    struct vpa_container *container = container_of(vpa, run->started_s);
    vpa_add_cpu(&vpa->vpa, 1, run->started_s);
    if (!container->began)
        vpa_add_memory(&vpa->vpa, container, run->peak_bytes, run->started_s);
    else
        vpa_add_memory(&vpa->vpa, container, run->peak_bytes, run->ended_s);
    if (run->failed)
        vpa_add_oom(&vpa->vpa, container, run->limit_bytes, container->last_s + OOM_AFTER_S);
    vpa->container = (struct vpa_container){0};
    vpa->known = true;
    return 0;
}

static double update(void *state, const struct replay_moment *moment)
{
    struct state *vpa = state;
    vpa_add_cpu(&vpa->vpa, 1, moment->now_s);
    vpa_add_memory(&vpa->vpa, container_of(vpa, moment->started_s), moment->used_bytes, moment->now_s);
    if (!vpa->known)
        return moment->limit_bytes;
    struct vpa_resource wanted = vpa_memory(&vpa->vpa);
    bool within = moment->limit_bytes >= wanted.lower && moment->limit_bytes <= wanted.upper;
    return within ? moment->limit_bytes : wanted.target;
}

const struct replay_policy policy_vpa = {
    .name = "vpa",
    .summary = "VPA's recommender with its own settings",
    .state_size = sizeof(struct state),
    .period_s = MINUTE_S,
    .begin = begin,
    .end = end,
    .allocate = allocate,
    .retry = retry,
    .learn = learn,
    .adjust = update,
};

const struct replay_policy policy_vpa_fair = {
    .name = "vpa-fair",
    .summary = "the same with windows of 1 min and a half life of 1 h",
    .state_size = sizeof(struct state),
    .period_s = MINUTE_S,
    .begin = begin_fair,
    .end = end,
    .allocate = allocate,
    .retry = retry,
    .learn = learn,
    .adjust = update,
};
