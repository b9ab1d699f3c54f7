/* The networks at work and who comes next: the champion, one beside it ("shadow": a challenger, or the next
 * champion until its states have seen as many ticks as training does), and a challenger that waits for the
 * end of such a warm-up. Not within a wave. */
#ifndef FORESTALL_PREDICT_SUCCESSION_H
#define FORESTALL_PREDICT_SUCCESSION_H

#include "predict/lane.h"

struct succession {
    size_t attempts, rows;  /* of its lanes */
    int64_t training_ticks; /* T: ticks after which a state is warm */
    struct lane champion, shadow;
    uint64_t number;         /* of the shadow: ticks under another one are none under it */
    uint32_t warmest;        /* most ticks an attempt has seen under the shadow; its owner counts them */
    bool warming;            /* the shadow is the next champion */
    int64_t warming_ms;      /* since when */
    struct network *waiting; /* challenger that comes after the warm-up */
    uint64_t swaps;          /* of champions */
};

void succession_close(struct succession *succession);
/* Takes the network over, also on error; NULL: none from now on. running: are there attempts, whose states
 * have to be warm before it decides? 0, -ENOMEM (all stays as it was). */
FS_MUST_CHECK int succession_set_champion(struct succession *succession, struct network *network,
                                          int64_t now_ms, bool running);
/* Takes the network over, also on error; NULL: none. It waits for the end of a warm-up. 0, -ENOMEM. */
FS_MUST_CHECK int succession_set_challenger(struct succession *succession, struct network *network);
/* Lets a warm champion take over. */
void succession_tend(struct succession *succession, int64_t now_ms, bool running);

#endif
