/* One network at work: its working memory and the states of all running attempts under it. */
#ifndef FORESTALL_PREDICT_LANE_H
#define FORESTALL_PREDICT_LANE_H

#include "model/network.h"
#include "predict/explain.h"

struct lane {
    struct network *network; /* NULL: empty lane */
    struct network_scratch *scratch;
    struct explainer *explainer;
    real *states; /* [attempts][state_size] */
    real *before; /* [rows][state_size]: of the rows of a wave, before its step */
    size_t state_size;
    struct network_output *out; /* [rows] */
};

/* Takes the network over, also on error. states begin at zero. 0, -ENOMEM (the lane is empty then). */
FS_MUST_CHECK int lane_open(struct lane *lane, struct network *network, size_t attempts, size_t rows);
void lane_close(struct lane *lane); /* an empty one as well */
/* The attempt in this place of the table is a new one. */
void lane_clear_state(struct lane *lane, size_t attempt);
/* One step for attempts[0..rows), all different; fills out and before. Nothing in an empty lane. */
void lane_step(struct lane *lane, const float *features, const uint32_t *attempts, real **pointers,
               size_t rows);

/* After a step: puts the state of this row's attempt back to what it was before. */
void lane_undo(struct lane *lane, size_t attempt, size_t row);

#endif
