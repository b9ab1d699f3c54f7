/* Crane's resource recommender (2b0ddae8): p99 of 168 h of one-minute samples with a half life of 48 h over
 * linear buckets of 100 MiB, times 1.15, over a target utilisation of 1; an OOM of the last 7 days asks for
 * max(+100 MiB, x 1.2) of what was killed. */
#include <math.h>

#include "replay/decay.h"
#include "replay/history_state.h"

#define HOUR_S 3600.0
#define HISTORY_S (168 * HOUR_S)
#define HALF_LIFE_S (48 * HOUR_S)
#define BUCKET 104857600.0
#define BUCKETS_END 104857600000.0
#define SHARE 0.99
#define MARGIN 1.15
#define SAMPLE_S 60.0
#define OOM_KEPT_S (7 * 24 * HOUR_S)
#define BUMP_LEAST (100 * 1048576.0)
#define BUMP_RATIO 1.2

struct state {
    struct history_state history;
    struct decay decay;
    double oom_bytes, oom_s;
};

static int begin(void *state, const struct replay_settings *settings, struct str code)
{
    const struct decay_scale scale = {BUCKET, BUCKETS_END, 0, HALF_LIFE_S, 1e-10};
    (void)settings;
    (void)code;
    return decay_open(&((struct state *)state)->decay, &scale);
}

static void end(void *state)
{
    history_state_end(state);
    decay_close(&((struct state *)state)->decay);
}

/* Built anew from the samples in the window: what is older does not count at all. */
static double recommend(struct state *crane, double now_s)
{
    struct samples *samples = &crane->history.finished;
    samples_expire(samples, now_s - HISTORY_S);
    decay_reset(&crane->decay);
    crane->decay.reference_s = now_s - HISTORY_S;
    for (size_t i = 0; i < samples->count; i++) {
        const struct sample *sample = &samples->items[i];
        decay_add(&crane->decay, sample->value, fmax(floor(sample->seconds / SAMPLE_S), 1), sample->time_s);
    }
    return decay_percentile(&crane->decay, SHARE) * MARGIN;
}

static double allocate(void *state, const struct replay_request *request)
{
    struct state *crane = state;
    double wanted = recommend(crane, request->now_s);
    if (crane->oom_bytes > 0 && request->now_s - crane->oom_s < OOM_KEPT_S)
        wanted = fmax(wanted, fmax(crane->oom_bytes + BUMP_LEAST, crane->oom_bytes * BUMP_RATIO));
    return wanted > 0 ? wanted : request->requested_bytes;
}

static double retry(void *state, const struct replay_request *request, const struct replay_run *failed)
{
    (void)failed;
    return allocate(state, request);
}

/* A killed try was sampled too. */
static int learn(void *state, const struct replay_run *run)
{
    struct state *crane = state;
    const struct sample sample = {run->started_s, run->peak_bytes, run->ended_s - run->started_s,
                                  run->input_bytes};
    if (run->failed) {
        crane->oom_bytes = run->limit_bytes;
        crane->oom_s = run->ended_s;
    }
    return samples_add(&crane->history.finished, &sample);
}

const struct replay_policy policy_crane = {
    .name = "crane",
    .summary = "Crane's recommender",
    .state_size = sizeof(struct state),
    .begin = begin,
    .end = end,
    .allocate = allocate,
    .retry = retry,
    .learn = learn,
};
