/* Whether what an agent says can be true: pure checks of decoded messages. Absurd values are an agent's fault
 * or somebody else's bytes; let through, they would poison features, sums and decisions. Bounds are far above
 * what machines have. */
#ifndef FORESTALL_INGEST_VALIDATE_H
#define FORESTALL_INGEST_VALIDATE_H

#include "schemas/messages.h"

#define VALID_BYTES_MAX (INT64_C(1) << 52)   /* memory: 4 PiB, what x86-64 can address physically */
#define VALID_COUNTER_MAX (INT64_C(1) << 60) /* cumulative: 4,096 CPUs for 9 years in microseconds */
#define VALID_TIME_LEAST_US 1577836800000000 /* 2020-01-01: before, a clock that was never set */
#define VALID_SAMPLES_MAX 4096               /* attempts an agent takes */
#define VALID_ATTEMPT_MAX 1000000
#define VALID_TIMEOUT_MAX_MS (366LL * 86400 * 1000)

bool validate_time(int64_t time_us, int64_t latest_us);
/* Each: NULL, or what is absurd (a literal). latest_us: now and the clock skew that is tolerated, Unix
 * microseconds. */
const char *validate_tick(const struct msg_tick *tick, int64_t latest_us);
const char *validate_status(const struct msg_node_status *status, int64_t latest_us);
const char *validate_event(const struct msg_execution_event *event, int64_t latest_us);
const char *validate_record(const struct msg_execution_record *record, int64_t latest_us);

#endif
