/* Koordinator's peak predictor (a7a1b76b): p98 of a decaying histogram (half life 24 h) times 1.1; the
 * request during the first 24 h, and again when nothing was seen for 30 min. It has no rule for a kill:
 * twice. */
#include "replay/decay.h"
#include "replay/policy.h"

#define HOUR_S 3600.0
#define HALF_LIFE_S (24 * HOUR_S)
#define COLD_S (24 * HOUR_S)
#define EXPIRES_S (0.5 * HOUR_S)
#define TRAINED_S 60.0
#define FIRST (5 * 1048576.0)
#define MOST (2 * 1048576.0 * 1048576.0)
#define SHARE 0.98
#define MARGIN 1.1

struct state {
    struct decay decay;
    double first_s, last_s;
    bool known;
};

static int begin(void *state, const struct replay_settings *settings, struct str code)
{
    const struct decay_scale scale = {FIRST, MOST, 1.05, HALF_LIFE_S, 1e-4};
    (void)settings;
    (void)code;
    return decay_open(&((struct state *)state)->decay, &scale);
}

static void end(void *state)
{
    decay_close(&((struct state *)state)->decay);
}

static double allocate(void *state, const struct replay_request *request)
{
    struct state *predictor = state;
    if (predictor->known && request->now_s - predictor->last_s > EXPIRES_S) {
        decay_reset(&predictor->decay);
        predictor->known = false;
    }
    bool cold = !predictor->known || request->now_s - predictor->first_s < COLD_S;
    return cold ? request->requested_bytes : decay_percentile(&predictor->decay, SHARE) * MARGIN;
}

static int learn(void *state, const struct replay_run *run)
{
    struct state *predictor = state;
    if (!predictor->known)
        predictor->first_s = run->started_s;
    predictor->known = true;
    double time_s = run->started_s;
    do {
        decay_add(&predictor->decay, run->peak_bytes, 1, time_s);
        time_s += TRAINED_S;
    } while (time_s < run->ended_s && time_s - run->started_s < COLD_S);
    predictor->last_s = run->ended_s;
    return 0;
}

const struct replay_policy policy_koordinator = {
    .name = "koordinator",
    .summary = "Koordinator's peak predictor",
    .state_size = sizeof(struct state),
    .begin = begin,
    .end = end,
    .allocate = allocate,
    .retry = policy_retry_double,
    .learn = learn,
};
