/* A network's answers as a service gives them that has learned from what each code did before: the code's
 * online head (model/online.h) corrects the answers to a record, and only then learns what happened in it.
 * The profile, the other thing that is learned, is among the features (DATASET_PROFILES_PAST). */
#ifndef FORESTALL_RETRAIN_LEARNED_H
#define FORESTALL_RETRAIN_LEARNED_H

#include "retrain/answers.h"

/* Corrects logits and probabilities of all causes, code by code in the order in which records began. What is
 * hypothetical is answered, never learned from. 0, -ENOMEM. */
FS_MUST_CHECK int learned_correct(const struct network *network, const struct dataset *dataset,
                                  struct answers *answers);

#endif
