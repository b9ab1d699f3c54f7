/* One code's allocation and one record of it in front of settle: what is known is set up, then it is settled.
 */
#ifndef FORESTALL_TESTS_ALLOCATE_SETTLE_STAND_H
#define FORESTALL_TESTS_ALLOCATE_SETTLE_STAND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "allocate/settle.h"

#define MIB ((int64_t)1 << 20)

struct settle_stand {
    struct settle_input input;
    struct policy_history history;
    struct msg_code_policy fixed;
    struct msg_execution_record record;
    struct msg_applied_adjustment adjustment;
    enum msg_cause raised[1];
    struct settle_storage storage[2];
    int turn;                         /* storage of the newest */
    struct msg_allocation allocation; /* the newest */
    bool known;
};

/* Of cmocka: a stand in *state. */
int settle_stand_set_up(void **state);
int settle_stand_tear_down(void **state);
/* The stand anew: no allocation yet, nothing fixed, no history; a first attempt of three that finished. */
struct settle_stand *settle_stand_finished(void **state, int64_t limit_mib, int64_t peak_mib);
/* The same, failed of the cause with 62 of 64 MiB used. */
struct settle_stand *settle_stand_failed(void **state, enum msg_cause cause);
/* The record tells of a raise of memory while it ran. */
void settle_stand_raised(struct settle_stand *stand, int64_t to_mib);
/* Settles the record onto the newest allocation; false when it says nothing. */
bool settle_stand_record(struct settle_stand *stand);

#endif
