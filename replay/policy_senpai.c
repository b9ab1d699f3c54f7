/* See senpai.h. Ticks of one second; the limit is memory.high, so what meets it is held, not killed. A trace
 * without a series tells no stall: a quiet run shrinks the limit every six seconds until it meets the peak, a
 * run that did not fit was all stall. */
#include <math.h>

#include "replay/policy.h"
#include "replay/senpai.h"

#define RAISE_SPREAD 20 /* targets' worth of stall at which the limit doubles */
#define LOWER_SPREAD 10
#define LOWER_MOST 0.01
#define LEAST_BYTES (100 * 1048576.0)
#define MOST_BYTES (10 * 1073741824.0)
#define PAGE 4096.0
#define TICK_S 1.0

static double aligned(double bytes)
{
    return floor(fmin(fmax(bytes, LEAST_BYTES), MOST_BYTES) / PAGE) * PAGE;
}

double senpai_raised(double limit_bytes, int64_t stall_us)
{
    int64_t whole = stall_us / SENPAI_TARGET_US; /* as the original */
    double targets = (double)whole / RAISE_SPREAD;
    return aligned(limit_bytes * (1 + fmin(targets * targets, 1)));
}

double senpai_lowered(double limit_bytes, int64_t stall_us)
{
    int64_t whole = SENPAI_TARGET_US / FS_MAX(stall_us, 1);
    double targets = (double)whole / LOWER_SPREAD;
    return aligned(limit_bytes * (1 - fmin(LOWER_MOST * targets * targets, LOWER_MOST)));
}

struct state {
    double limit_bytes; /* of the newest try; 0 = none yet */
    double changed_stall_s, started_s;
    int quiet;
};

static double allocate(void *state, const struct replay_request *request)
{
    const struct state *senpai = state;
    return senpai->limit_bytes > 0 ? senpai->limit_bytes : request->requested_bytes;
}

static double retry(void *state, const struct replay_request *request, const struct replay_run *failed)
{
    (void)state;
    (void)request;
    return 2 * failed->limit_bytes;
}

static int learn(void *state, const struct replay_run *run)
{
    struct state *senpai = state;
    senpai->limit_bytes = run->limit_bytes;
    if (run->failed || run->record) /* a series was followed while it ran */
        return 0;
    double periods = floor((run->ended_s - run->started_s) / (SENPAI_QUIET_TICKS * TICK_S));
    senpai->limit_bytes =
        fmax(run->limit_bytes * pow(1 - LOWER_MOST, periods), fmin(run->peak_bytes, run->limit_bytes));
    return 0;
}

static double adjust(void *state, const struct replay_moment *moment)
{
    struct state *senpai = state;
    if (moment->sequence <= 1 || senpai->started_s != moment->started_s) {
        senpai->started_s = moment->started_s;
        senpai->changed_stall_s = 0;
        senpai->quiet = 0;
    }
    int64_t stall_us = (int64_t)llround((moment->stalled_s - senpai->changed_stall_s) * 1e6);
    bool pressed = stall_us >= SENPAI_TARGET_US;
    senpai->quiet = pressed ? 0 : senpai->quiet + 1;
    if (!pressed && senpai->quiet < SENPAI_QUIET_TICKS)
        return moment->limit_bytes;
    senpai->quiet = 0;
    senpai->changed_stall_s = moment->stalled_s;
    double limit = pressed ? senpai_raised(moment->limit_bytes, stall_us)
                           : senpai_lowered(moment->limit_bytes, stall_us);
    return pressed ? limit : fmin(limit, moment->limit_bytes);
}

const struct replay_policy policy_senpai = {
    .name = "senpai",
    .summary = "a limit that follows the pressure",
    .state_size = sizeof(struct state),
    .period_s = TICK_S,
    .brake = true,
    .allocate = allocate,
    .retry = retry,
    .learn = learn,
    .adjust = adjust,
};
