/* What the demo runs: real programs from Debian under limits that they exceed. */
#ifndef FORESTALL_DEMO_CASES_H
#define FORESTALL_DEMO_CASES_H

#include "schemas/messages.h"

#define DEMO_ARGV_MAX 16

enum demo_expectation {
    DEMO_SAVED,   /* fails without; with: finished in its first attempt; next: finished without a raise */
    DEMO_CRASHES, /* its own bug: not raised, not run again */
    DEMO_DEAD     /* needs more than its ceiling: raised, fails, dead-lettered */
};

struct demo_case {
    const char *program; /* as shown */
    const char *about;
    enum msg_cause cause;
    enum demo_expectation expectation;
    const char *code;
    const char *memory, *cpu, *io_read, *net, *timeout; /* as on the command line; NULL = not given */
    const char *ceiling;                                /* memory ceiling that a person fixed; NULL = none */
    bool beside_next;                                   /* runs at the same time as the case after it */
    const char
        *argv[DEMO_ARGV_MAX]; /* {in} work directory, {programs}, {space} namespace of the network case */
};

extern const struct demo_case demo_cases[];
extern const size_t demo_case_count;

/* The code whose second execution is let in before others that wait (order.h). */
#define DEMO_ORDER_CODE "demo-gawk"

#endif
