/* With which limits an attempt starts, whether it counts as raised, and in which arm. Pure.
 *
 * First attempt: the code's allocation where it says something, else what was requested, else the defaults. A
 * pin is taken as it is. Retry: at least what the verdict said. CPU, I/O and network are never more than the
 * largest node has; memory that nobody asked for in so many words neither. */
#ifndef FORESTALL_QUEUE_START_H
#define FORESTALL_QUEUE_START_H

#include "common/knots.h"
#include "schemas/messages.h"

/* A set of causes: bit (1 << enum msg_cause). */
#define CAUSE_BIT(cause) (1u << (cause))
#define CAUSE_RESOURCES                                                                                      \
    (CAUSE_BIT(MSG_CAUSE_MEMORY) | CAUSE_BIT(MSG_CAUSE_CPU) | CAUSE_BIT(MSG_CAUSE_IO) |                      \
     CAUSE_BIT(MSG_CAUSE_NET))

/* What Redis holds for a code. */
struct allocation {
    bool exists;
    bool read; /* Redis has answered at least once, be it that there is none */
    struct msg_limits limits;
    int64_t memory_most_bytes; /* of Admission */
    struct msg_limits ceiling; /* where allocate says one; 0 = none */
    int64_t revision;
    unsigned raised; /* causes whose mark stands */
    bool pinned;
    int32_t held_out_permille;
    struct knot by_input[KNOTS_MAX]; /* memory for who tells the input size */
    uint32_t by_input_count;
};

struct start_config {
    int64_t default_memory_bytes;
    int64_t default_cpu_millicores;
};

struct start_wish {
    const uint8_t *execution; /* 16 bytes */
    int32_t attempt;
    struct msg_limits requested;
    double input_bytes;        /* not above 0: not told */
    struct msg_limits retry;   /* a retry's limits at least; all 0 = none */
    int64_t retry_revision;    /* allocation they come from */
    unsigned retry_raised;     /* resources they were raised in */
    struct msg_limits largest; /* what the largest node could give when empty (room_free) */
};

struct start {
    struct msg_limits limits;
    struct msg_limits least; /* CPU, I/O and network may be lessened to this when the node has no more */
    int64_t revision;        /* 0: not from an allocation */
    unsigned raised;
    enum msg_arm arm;
    float propensity; /* with which this arm was drawn */
};

void start_choose(const struct start_config *config, const struct start_wish *wish,
                  const struct allocation *allocation, struct start *out);

/* A retry without a verdict: the failed resource times `step`, under the ceiling, the pin and the largest
 * node. False: there is nothing more to give. */
bool start_raise(struct msg_limits *limits, enum msg_cause cause, double step,
                 const struct allocation *allocation, const struct msg_limits *largest);

#endif
