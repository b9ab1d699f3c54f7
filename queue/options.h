/* What queue can be told: section [queue]. */
#ifndef FORESTALL_QUEUE_OPTIONS_H
#define FORESTALL_QUEUE_OPTIONS_H

#include "common/config.h"

struct queue_options {
    const char *member;
    /* order and placement */
    int64_t ageing_ms, patience_ms, unplaceable_ms;
    double raise_reserve;
    int64_t default_memory_bytes, default_cpu_millicores;
    /* offers to agents */
    int64_t offer_ttl_ms, resend_ms;
    /* nodes */
    int64_t lease_ms, lease_margin_ms, takeover_ms, settle_ms;
    /* retries */
    int64_t backoff_ms, backoff_max_ms, verdict_wait_ms;
    double failure_step;
    /* bounds */
    int64_t max_executions, max_request_bytes, request_memory_bytes, max_nodes, max_codes, max_done,
        keep_done_ms;
};

extern const struct config_option queue_option_table[];
extern const size_t queue_option_count;

#endif
