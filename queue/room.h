/* Amounts of the rationed resources and what fits where. Pure.
 * Only limits count, never use: no limit on a resource takes none of it; a capacity of 0 means the resource
 * is not rationed on that node. Free amounts: INT64_MAX (INT32_MAX for CPU) = not rationed. The agent is the
 * arbiter of its node; this is the same arithmetic, made on what its last status said. */
#ifndef FORESTALL_QUEUE_ROOM_H
#define FORESTALL_QUEUE_ROOM_H

#include "schemas/messages.h"

enum room_resource { ROOM_MEMORY, ROOM_CPU, ROOM_IO_READ, ROOM_IO_WRITE, ROOM_NET, ROOM_COUNT };

int64_t room_get(const struct msg_limits *limits, enum room_resource resource);
/* Values above what the field holds are clamped. */
void room_set(struct msg_limits *limits, enum room_resource resource, int64_t amount);
enum msg_cause room_cause(enum room_resource resource);

/* sum += limits (sign 1) or -= (sign -1), never below 0 and never overflowing. */
void room_add(struct msg_limits *sum, const struct msg_limits *limits, int sign);
/* What may still be given away on a node: capacity less what is committed, less the share of memory kept for
 * raises. */
struct msg_limits room_free(const struct msg_limits *capacity, const struct msg_limits *committed,
                            double reserve);
/* Resource by resource the larger of two amounts (free amounts or capacities). */
void room_larger(struct msg_limits *largest, const struct msg_limits *other);

/* Is limit b more than limit a? 0 = no limit, more than any. */
static inline bool room_more(int64_t a, int64_t b)
{
    return a != 0 && (b == 0 || b > a);
}

enum room_fit { ROOM_FIT_NO, ROOM_FIT_LESS, ROOM_FIT_WHOLE };

/* Does `wanted` fit into `free`? With `less`, CPU, I/O and network may shrink to what is free, down to
 * `least`; then *given differs from wanted. *given is written unless NO. */
enum room_fit room_fit(const struct msg_limits *wanted, const struct msg_limits *least,
                       const struct msg_limits *free, bool less, struct msg_limits *given);

#endif
