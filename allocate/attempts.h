/* What is kept of each running attempt between its risks: the state of the policy, the numbers that make
 * decisions count once, and the newest risks and decisions for a dead letter. Bounded: the longest silent
 * attempt makes room. */
#ifndef FORESTALL_ALLOCATE_ATTEMPTS_H
#define FORESTALL_ALLOCATE_ATTEMPTS_H

#include "allocate/keep.h"
#include "allocate/policy.h"

#define ATTEMPT_RISKS_BYTES (16u << 10)    /* about 30 risks */
#define ATTEMPT_DECISIONS_BYTES (8u << 10) /* about 14 decisions */
#define ATTEMPT_KEY_SIZE 20

struct attempt {
    uint8_t key[ATTEMPT_KEY_SIZE];
    int32_t partition; /* of its code */
    struct policy_attempt policy;
    int64_t epoch, sequence; /* of the newest risk handled */
    int64_t decision;        /* number of the newest decision, 0 = none */
    int64_t due_ms;          /* when an open one is looked at again */
    int64_t refused_listed;  /* raise of memory that its node's newest status lists as refused; 0 = none */
    struct msg_limits first_limits; /* in force when it was first seen */
    bool seen, ended, open;
    struct keep risks, decisions; /* framed Risk and Decision values */
    struct attempt *older, *newer, *next_open, *previous_open;
};

struct attempts;

struct attempts *attempts_create(size_t max);
void attempts_destroy(struct attempts *attempts);
struct attempt *attempts_find(const struct attempts *attempts, const uint8_t execution[16], int32_t attempt);
/* Finds or begins it and makes it the newest; NULL only when out of memory. */
struct attempt *attempts_obtain(struct attempts *attempts, const uint8_t execution[16], int32_t attempt,
                                int32_t partition);
/* The next risk of this attempt, by (epoch, sequence): false when it, or a newer one, was handled before. */
bool attempt_advance(struct attempt *attempt, int64_t epoch, int64_t sequence);
/* Open: to be looked at again at due_ms unless a risk closes it before. */
void attempts_open(struct attempts *attempts, struct attempt *attempt, int64_t due_ms);
void attempts_close(struct attempts *attempts, struct attempt *attempt);
/* The first of the open attempts; the others follow by next_open. */
struct attempt *attempts_first_open(const struct attempts *attempts);
size_t attempts_open_count(const struct attempts *attempts);
/* Forgets the attempts of one partition; O(attempts). */
void attempts_forget_partition(struct attempts *attempts, int32_t partition);
size_t attempts_count(const struct attempts *attempts);
uint64_t attempts_evicted(const struct attempts *attempts);

#endif
