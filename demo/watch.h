/* What the topics say about the demo's executions while it runs: records and risks, kept per execution.
 * Reads without a group from the moment it is opened. */
#ifndef FORESTALL_DEMO_WATCH_H
#define FORESTALL_DEMO_WATCH_H

#include "schemas/messages.h"

struct watch;

#define WATCH_EXECUTIONS_MAX 256
#define WATCH_RISKS_MAX 8192 /* per execution; more are not kept */

struct watch_risk {
    int64_t sampled_us;
    float probability;
};

struct watched {
    uint8_t execution[16];
    const struct msg_execution_record *record; /* of its newest attempt; NULL = none came yet */
    const struct watch_risk *risks;            /* in the order published */
    size_t risk_count;
};

/* NULL: error says why (broker not reachable...). */
FS_MUST_CHECK struct watch *watch_open(const char *brokers, char *error, size_t error_size);
void watch_close(struct watch *watch);
/* Takes in what has come until the execution has the record of that attempt; attempt 0: until it is seen
 * running. 0, -ETIMEDOUT, -EPIPE. */
FS_MUST_CHECK int watch_wait(struct watch *watch, const uint8_t execution[16], int32_t attempt,
                             int timeout_ms);
/* NULL when nothing is known of it. Valid until watch_close(); its content changes with watch_wait(). */
const struct watched *watch_find(const struct watch *watch, const uint8_t execution[16]);

#endif
