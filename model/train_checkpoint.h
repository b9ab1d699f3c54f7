/* Where a training stands after an epoch, as a file: whoever is killed goes on from there and ends with the
 * very bytes of an undisturbed run. Written beside and renamed, so there is always a whole one; a sum finds a
 * damaged one. */
#ifndef FORESTALL_MODEL_TRAIN_CHECKPOINT_H
#define FORESTALL_MODEL_TRAIN_CHECKPOINT_H

#include "model/train.h"

struct train_checkpoint_part {
    void *data;
    size_t size;
};

#define TRAIN_CHECKPOINT_PARTS_MAX 16

/* fingerprint: of everything that the training depends on. 0, negative errno. */
FS_MUST_CHECK int train_checkpoint_write(const char *path, uint64_t fingerprint,
                                         const struct train_checkpoint_part *parts, size_t count);
/* Fills the parts. 0; -ENOENT: there is none; -EBADMSG: damaged or of another training, parts are unchanged;
 * other negative errno. */
FS_MUST_CHECK int train_checkpoint_read(const char *path, uint64_t fingerprint,
                                        const struct train_checkpoint_part *parts, size_t count);

#endif
