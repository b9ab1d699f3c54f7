/* Random messages of any schema, built through the field tables, with the edge values that codecs get wrong.
 */
#ifndef FORESTALL_TESTS_SCHEMAS_MESSAGE_RANDOM_H
#define FORESTALL_TESTS_SCHEMAS_MESSAGE_RANDOM_H

#include "schemas/messages.h"

/* splitmix64; the same seed gives the same messages on every machine. */
uint64_t random_next(uint64_t *state);
/* In [0, count). */
size_t random_below(uint64_t *state, size_t count);
/* The seed of this run: from the environment (FORESTALL_SEED) or the clock; printed, so that a failure can be
 * repeated. */
uint64_t random_seed(void);

/* Fills message (type->size bytes); strings and arrays live in the arena. items_max bounds each array and
 * map. */
void message_random(uint64_t *state, const struct msg_type *type, size_t items_max, struct arena *arena,
                    void *message);

/* Bytes between two items of an array or map field. */
size_t message_stride(const struct msg_field *field);
/* What stands behind an array or map field. */
struct message_items {
    uint8_t *items;
    size_t count;
};

#endif
