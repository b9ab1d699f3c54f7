/* One attempt in front of the policy: what is known of it is set up, then decisions are asked for. */
#ifndef FORESTALL_TESTS_ALLOCATE_POLICY_STAND_H
#define FORESTALL_TESTS_ALLOCATE_POLICY_STAND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "allocate/policy.h"

#define MIB ((int64_t)1 << 20)
#define SECOND ((int64_t)1000000)

struct stand {
    struct msg_risk risk;
    struct policy_history history;
    struct msg_code_policy fixed;
    struct policy_node node;
    struct policy_attempt attempt;
    struct policy_decision decision;
    struct policy_input input;
};

/* Of cmocka: a stand in *state. */
int stand_set_up(void **state);
int stand_tear_down(void **state);
/* The stand anew: 58 of 64 MiB used, 90 MiB expected, an alarm; nothing else known. */
struct stand *stand_alarmed(void **state);
/* The same without alarm and growth. */
struct stand *stand_quiet(void **state);
enum msg_direction stand_decide(struct stand *stand);
/* The next sample, by so much later. */
void stand_pass(struct stand *stand, int64_t us);

#endif
