/* Autopilot's window recommender for memory: the 98th percentile of the load-adjusted histogram (each
 * window's peak weighs its own size) of 5 min windows with a half life of 48 h, plus 15 %, the highest of the
 * last hour's recommendations. Structure as published; the constants are not, see docs/design/replay.md. It
 * has no published rule for a kill: twice. */
#include <math.h>
#include <stdlib.h>

#include "replay/history_state.h"

#define HOUR_S 3600.0
#define HALF_LIFE_S (48 * HOUR_S)
#define WINDOW_S 300.0
#define SHARE 0.98
#define MARGIN 1.15
#define GROWTH 1.05 /* of its buckets */
#define KEPT 64     /* recommendations of the last hour; the oldest gives way */

struct state {
    struct history_state history;
    double recommended[KEPT], recommended_s[KEPT];
    size_t next;
};

static void end(void *state)
{
    history_state_end(state);
}

static double bucket_end(double value)
{
    return pow(GROWTH, ceil(log(value) / log(GROWTH) - 1e-9));
}

struct weighted {
    double value, weight;
};

static int by_value(const void *a, const void *b)
{
    double x = ((const struct weighted *)a)->value, y = ((const struct weighted *)b)->value;
    return (x > y) - (x < y);
}

static double percentile(struct weighted *items, size_t count)
{
    double total = 0, reached = 0;
    qsort(items, count, sizeof *items, by_value);
    for (size_t i = 0; i < count; i++)
        total += items[i].weight;
    for (size_t i = 0; i < count; i++) {
        reached += items[i].weight;
        if (reached >= SHARE * total)
            return items[i].value;
    }
    return count > 0 ? items[count - 1].value : 0;
}

static double recommend(struct state *autopilot, double now_s)
{
    static _Thread_local struct weighted items[SAMPLES_MAX];
    const struct samples *samples = &autopilot->history.finished;
    size_t count = FS_MIN(samples->count, (size_t)SAMPLES_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct sample *sample = &samples->items[i];
        double value = bucket_end(fmax(sample->value, 1)),
               windows = fmax(ceil(sample->seconds / WINDOW_S), 1);
        items[i] =
            (struct weighted){value, value * windows * exp2(-fmax(now_s - sample->time_s, 0) / HALF_LIFE_S)};
    }
    return percentile(items, count) * MARGIN;
}

static double allocate(void *state, const struct replay_request *request)
{
    struct state *autopilot = state;
    if (autopilot->history.finished.count == 0)
        return request->requested_bytes;
    double wanted = recommend(autopilot, request->now_s);
    autopilot->recommended[autopilot->next] = wanted;
    autopilot->recommended_s[autopilot->next] = request->now_s;
    autopilot->next = (autopilot->next + 1) % KEPT;
    for (size_t i = 0; i < KEPT; i++)
        if (request->now_s - autopilot->recommended_s[i] <= HOUR_S)
            wanted = fmax(wanted, autopilot->recommended[i]);
    return wanted;
}

const struct replay_policy policy_autopilot = {
    .name = "autopilot",
    .summary = "Autopilot's window recommender",
    .state_size = sizeof(struct state),
    .end = end,
    .allocate = allocate,
    .retry = policy_retry_double,
    .learn = history_state_learn,
};
