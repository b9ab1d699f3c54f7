/* A network's answers to a data set, tick by tick, from zero state at each start. */
#ifndef FORESTALL_RETRAIN_ANSWERS_H
#define FORESTALL_RETRAIN_ANSWERS_H

#include "retrain/dataset.h"

struct answers {
    struct network_output **items; /* [examples][ticks] */
    size_t count;
};

/* 0, -EINVAL (the network has other inputs), -ENOMEM. */
FS_MUST_CHECK int answers_make(const struct network *network, const struct dataset *dataset,
                               struct answers *out);
void answers_fini(struct answers *answers);

#endif
