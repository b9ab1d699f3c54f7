/* The five limits that are amounts, by number, so that rules about all of them are loops. 0 = no limit. */
#ifndef FORESTALL_ALLOCATE_AMOUNTS_H
#define FORESTALL_ALLOCATE_AMOUNTS_H

#include "schemas/messages.h"

enum amount { AMOUNT_MEMORY, AMOUNT_CPU, AMOUNT_IO_READ, AMOUNT_IO_WRITE, AMOUNT_NET, AMOUNT_COUNT };

int64_t amount_get(const struct msg_limits *limits, enum amount amount);
/* CPU is cut to what its field holds. */
void amount_set(struct msg_limits *limits, enum amount amount, int64_t value);
enum msg_cause amount_cause(enum amount amount);
/* True for the causes that more of an amount helps against. */
bool cause_is_resource(enum msg_cause cause);
bool causes_hold(const enum msg_cause *items, size_t count, enum msg_cause cause);
/* True when b allows more than a; 0 is no limit, more than any. */
bool amount_more(int64_t a, int64_t b);
/* The higher of both, resource by resource. */
struct msg_limits amounts_highest(const struct msg_limits *a, const struct msg_limits *b);

#endif
