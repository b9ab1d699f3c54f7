/* See lane.h. */
#include "predict/lane.h"

#include <errno.h>
#include <stdlib.h>

int lane_open(struct lane *lane, struct network *network, size_t attempts, size_t rows)
{
    *lane = (struct lane){.network = network, .state_size = network_state_size(&network->shape)};
    lane->scratch = network_scratch_create(&network->shape);
    lane->explainer = explainer_create(network);
    lane->states = calloc(attempts, lane->state_size * sizeof *lane->states);
    lane->before = calloc(rows, lane->state_size * sizeof *lane->before);
    lane->out = calloc(rows, sizeof *lane->out);
    if (lane->scratch && lane->explainer && lane->states && lane->before && lane->out)
        return 0;
    lane_close(lane);
    return -ENOMEM;
}

void lane_close(struct lane *lane)
{
    network_destroy(lane->network);
    network_scratch_destroy(lane->scratch);
    explainer_destroy(lane->explainer);
    free(lane->states);
    free(lane->before);
    free(lane->out);
    *lane = (struct lane){0};
}

void lane_clear_state(struct lane *lane, size_t attempt)
{
    if (lane->network)
        memset(lane->states + attempt * lane->state_size, 0, lane->state_size * sizeof *lane->states);
}

void lane_step(struct lane *lane, const float *features, const uint32_t *attempts, real **pointers,
               size_t rows)
{
    if (!lane->network)
        return;
    for (size_t row = 0; row < rows; row++) {
        pointers[row] = lane->states + attempts[row] * lane->state_size;
        memcpy(lane->before + row * lane->state_size, pointers[row], lane->state_size * sizeof *lane->before);
    }
    network_step(lane->network, lane->scratch, features, pointers, lane->out, rows);
}

void lane_undo(struct lane *lane, size_t attempt, size_t row)
{
    if (lane->network)
        memcpy(lane->states + attempt * lane->state_size, lane->before + row * lane->state_size,
               lane->state_size * sizeof *lane->states);
}
