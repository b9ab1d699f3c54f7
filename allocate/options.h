/* Options of forestall-allocate, section [allocate]. */
#ifndef FORESTALL_ALLOCATE_OPTIONS_H
#define FORESTALL_ALLOCATE_OPTIONS_H

#include "allocate/policy.h"
#include "allocate/settle.h"
#include "common/config.h"

struct allocate_options {
    const char *member;
    int64_t expiry_ms, idle_ms;
    int64_t max_codes, max_attempts, max_nodes, max_pending;
    int64_t replay_risks;
    double raise_reserve;
    int64_t redis_timeout_ms;
    int64_t shrink_after_ms, settle_ms, mark_runs;
    struct policy_config policy;
    struct settle_config settle;
};

extern const struct config_option allocate_option_table[];
extern const size_t allocate_option_count;

/* Brings what the table read in other units into policy and settle. */
void allocate_options_finish(struct allocate_options *options);

#endif
