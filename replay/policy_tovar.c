/* See tovar.h. After a failure the highest ever seen, then the whole node. */
#include <math.h>
#include <stdlib.h>

#include "replay/history_state.h"
#include "replay/tovar.h"

static int by_value(const void *a, const void *b)
{
    double x = ((const struct sample *)a)->value, y = ((const struct sample *)b)->value;
    return (x > y) - (x < y);
}

double tovar_choose(const struct samples *samples, double *highest)
{
    static _Thread_local struct sample items[SAMPLES_MAX];
    size_t count = samples->count;
    double seconds = 0, weighted = 0, above = 0, best = 0, least = INFINITY;
    *highest = 0;
    if (count == 0)
        return 0;
    memcpy(items, samples->items, count * sizeof *items);
    qsort(items, count, sizeof *items, by_value);
    for (size_t i = 0; i < count; i++) {
        seconds += items[i].seconds;
        weighted += items[i].seconds * items[i].value;
    }
    above = seconds;
    *highest = items[count - 1].value;
    for (size_t i = 0; i < count; i++) {
        above -= items[i].seconds;
        bool last_of_equals = i + 1 == count || items[i + 1].value > items[i].value;
        double cost = items[i].value * seconds - weighted + *highest * fmax(above, 0);
        if (last_of_equals && cost < least) {
            least = cost;
            best = items[i].value;
        }
    }
    return best;
}

struct state {
    struct history_state history;
    double node_bytes;
};

static int begin(void *state, const struct replay_settings *settings, struct str code)
{
    (void)code;
    ((struct state *)state)->node_bytes = settings->node_bytes;
    return 0;
}

static double allocate(void *state, const struct replay_request *request)
{
    double highest, wanted = tovar_choose(&((struct state *)state)->history.finished, &highest);
    return wanted > 0 ? wanted : request->requested_bytes;
}

static double retry(void *state, const struct replay_request *request, const struct replay_run *failed)
{
    const struct state *tovar = state;
    double highest;
    (void)request;
    (void)tovar_choose(&tovar->history.finished, &highest); /* only the highest is wanted */
    return highest > failed->limit_bytes ? highest : tovar->node_bytes;
}

const struct replay_policy policy_tovar = {
    .name = "tovar",
    .summary = "the allocation that would have cost least; then the highest seen, then the node",
    .state_size = sizeof(struct state),
    .begin = begin,
    .end = history_state_end,
    .allocate = allocate,
    .retry = retry,
    .learn = history_state_learn,
};
