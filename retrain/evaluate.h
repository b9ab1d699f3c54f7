/* Scores of a model on a data set, beside simple rules, as JSON. */
#ifndef FORESTALL_RETRAIN_EVALUATE_H
#define FORESTALL_RETRAIN_EVALUATE_H

#include <jansson.h>

#include "retrain/answers.h"

/* An object (to be released) with the members memory (rules), causes, demand, programs; NULL when out of
 * memory. false_alarms_per_hour: the rate at which rules are compared; the model is also scored at its own
 * threshold. learned: with the codes' online heads (retrain/learned.h). */
json_t *evaluate_network(const struct network *network, const struct dataset *dataset,
                         double false_alarms_per_hour, bool learned);

#endif
