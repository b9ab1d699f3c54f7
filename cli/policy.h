/* What people change about a code, applied to what is fixed already; and the limits in an allocation's Redis
 * hash. Pure. */
#ifndef FORESTALL_CLI_POLICY_H
#define FORESTALL_CLI_POLICY_H

#include "cli/arguments.h"
#include "common/store.h"
#include "schemas/messages.h"

enum policy_verb { POLICY_GET, POLICY_SET, POLICY_PIN, POLICY_UNPIN };
bool policy_verb_parse(const char *text, enum policy_verb *out);

struct policy_limits {
    int64_t memory_bytes, cpu_millicores, io_read_bps, io_write_bps, net_egress_bps; /* -1: not named */
};

struct policy_change {
    struct policy_limits floor, ceiling, pin;
    const char *mode;
    int64_t held_out_permille; /* -1: not named */
};

#define POLICY_LIMITS_NOTHING                                                                                \
    {                                                                                                        \
        -1, -1, -1, -1, -1                                                                                   \
    }
#define POLICY_CHANGE_NOTHING                                                                                \
    {                                                                                                        \
        POLICY_LIMITS_NOTHING, POLICY_LIMITS_NOTHING, POLICY_LIMITS_NOTHING, NULL, -1                        \
    }

struct argument_set policy_arguments(struct policy_change *change);
/* 0; -EINVAL with a sentence, policy unchanged: nothing named, a floor above its ceiling, an option that
 * belongs to another verb, an unknown mode. */
FS_MUST_CHECK int policy_apply(struct msg_code_policy *policy, enum policy_verb verb,
                               const struct policy_change *change, char *error, size_t error_size);
/* Fields that are missing or no numbers are 0. */
void policy_limits_from_fields(const struct store_field *fields, size_t count, struct msg_limits *out);

#endif
