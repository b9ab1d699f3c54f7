/* Witt et al., linear regression: the line of peaks over input sizes plus the standard deviation of its
 * relative error; twice after a failure. Without input sizes: the mean in place of the line. */
#include <math.h>

#include "replay/history_state.h"
#include "replay/regression.h"

static double mean_of(const struct samples *samples)
{
    double sum = 0;
    for (size_t i = 0; i < samples->count; i++)
        sum += samples->items[i].value;
    return sum / (double)samples->count;
}

static double allocate(void *state, const struct replay_request *request)
{
    const struct samples *samples = &((struct history_state *)state)->finished;
    if (samples->count == 0)
        return request->requested_bytes;
    struct regression line = regression_fit(samples);
    double fitted =
        isfinite(request->input_bytes) ? regression_at(&line, request->input_bytes) : mean_of(samples);
    return fitted > 0 ? fitted * (1 + line.spread) : request->requested_bytes;
}

const struct replay_policy policy_witt_regression = {
    .name = "witt-regression",
    .summary = "line over input sizes plus its spread; twice after a failure",
    .state_size = sizeof(struct history_state),
    .end = history_state_end,
    .allocate = allocate,
    .retry = policy_retry_double,
    .learn = history_state_learn,
};
