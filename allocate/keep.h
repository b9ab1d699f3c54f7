/* The newest messages that fit into a fixed number of bytes: pushed at the end, dropped from the front. */
#ifndef FORESTALL_ALLOCATE_KEEP_H
#define FORESTALL_ALLOCATE_KEEP_H

#include "common/base.h"

struct keep {
    uint8_t *bytes; /* borrowed */
    uint32_t capacity, used, count;
    uint32_t last;    /* where the newest begins */
    uint64_t dropped; /* too old or too large */
};

void keep_init(struct keep *keep, uint8_t *bytes, uint32_t capacity);
/* O(bytes kept) when something has to go. */
void keep_push(struct keep *keep, struct str message);
/* Walks from *cursor = 0, oldest first; false at the end. */
bool keep_next(const struct keep *keep, uint32_t *cursor, struct str *message);
/* The newest; false when empty. */
bool keep_last(const struct keep *keep, struct str *message);

#endif
