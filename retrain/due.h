/* When the service trains: pure. */
#ifndef FORESTALL_RETRAIN_DUE_H
#define FORESTALL_RETRAIN_DUE_H

#include "common/base.h"

struct due_rule {
    size_t min_records;  /* fewer in all: never */
    size_t min_new;      /* so many new ones: at once */
    int64_t interval_ms; /* any new one: after this time */
};

/* new_records: since the last training; idle_ms: since it, or since the start. */
static inline bool due_training(const struct due_rule *rule, size_t records, size_t new_records,
                                int64_t idle_ms)
{
    if (records < rule->min_records || new_records == 0)
        return false;
    return new_records >= rule->min_new || idle_ms >= rule->interval_ms;
}

#endif
