/* See policy.h. */
#include "cli/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FIELD(field) offsetof(struct policy_change, field)

static const struct argument arguments[] = {
    {"floor-memory", ARGUMENT_BYTES, FIELD(floor.memory_bytes), 0, 0, "SIZE", "set: never below this memory"},
    {"floor-cpu", ARGUMENT_MILLICORES, FIELD(floor.cpu_millicores), 0, INT32_MAX, "CPUS",
     "set: never below this CPU"},
    {"floor-io-read", ARGUMENT_BYTES, FIELD(floor.io_read_bps), 0, 0, "RATE",
     "set: never below this block reads per second"},
    {"floor-io-write", ARGUMENT_BYTES, FIELD(floor.io_write_bps), 0, 0, "RATE",
     "set: never below this block writes per second"},
    {"floor-net", ARGUMENT_BYTES, FIELD(floor.net_egress_bps), 0, 0, "RATE",
     "set: never below this network bytes out per second"},
    {"ceiling-memory", ARGUMENT_BYTES, FIELD(ceiling.memory_bytes), 0, 0, "SIZE",
     "set: never above this memory"},
    {"ceiling-cpu", ARGUMENT_MILLICORES, FIELD(ceiling.cpu_millicores), 0, INT32_MAX, "CPUS",
     "set: never above this CPU"},
    {"ceiling-io-read", ARGUMENT_BYTES, FIELD(ceiling.io_read_bps), 0, 0, "RATE",
     "set: never above this block reads per second"},
    {"ceiling-io-write", ARGUMENT_BYTES, FIELD(ceiling.io_write_bps), 0, 0, "RATE",
     "set: never above this block writes per second"},
    {"ceiling-net", ARGUMENT_BYTES, FIELD(ceiling.net_egress_bps), 0, 0, "RATE",
     "set: never above this network bytes out per second"},
    {"memory", ARGUMENT_BYTES, FIELD(pin.memory_bytes), 0, 0, "SIZE", "pin: exactly this memory"},
    {"cpu", ARGUMENT_MILLICORES, FIELD(pin.cpu_millicores), 0, INT32_MAX, "CPUS", "pin: exactly this CPU"},
    {"io-read", ARGUMENT_BYTES, FIELD(pin.io_read_bps), 0, 0, "RATE",
     "pin: exactly this block reads per second"},
    {"io-write", ARGUMENT_BYTES, FIELD(pin.io_write_bps), 0, 0, "RATE",
     "pin: exactly this block writes per second"},
    {"net", ARGUMENT_BYTES, FIELD(pin.net_egress_bps), 0, 0, "RATE",
     "pin: exactly this network bytes out per second"},
    {"mode", ARGUMENT_STRING, FIELD(mode), 0, 0, "act|observe|off",
     "set: decide and adjust, decide and log, leave alone"},
    {"held-out", ARGUMENT_INT, FIELD(held_out_permille), 0, 1000, "PERMILLE",
     "set: attempts that are only logged"},
};

struct argument_set policy_arguments(struct policy_change *change)
{
    return (struct argument_set){arguments, FS_COUNT(arguments), change};
}

bool policy_verb_parse(const char *text, enum policy_verb *out)
{
    static const char *const verbs[] = {"get", "set", "pin", "unpin"};
    for (size_t i = 0; i < FS_COUNT(verbs); i++) {
        if (strcmp(text, verbs[i]) == 0) {
            *out = (enum policy_verb)i;
            return true;
        }
    }
    return false;
}

static bool named(const struct policy_limits *limits)
{
    return limits->memory_bytes >= 0 || limits->cpu_millicores >= 0 || limits->io_read_bps >= 0 ||
           limits->io_write_bps >= 0 || limits->net_egress_bps >= 0;
}

static void put(const struct policy_limits *change, struct msg_limits *limits)
{
    if (change->memory_bytes >= 0)
        limits->memory_bytes = change->memory_bytes;
    if (change->cpu_millicores >= 0)
        limits->cpu_millicores = (int32_t)change->cpu_millicores;
    if (change->io_read_bps >= 0)
        limits->io_read_bps = change->io_read_bps;
    if (change->io_write_bps >= 0)
        limits->io_write_bps = change->io_write_bps;
    if (change->net_egress_bps >= 0)
        limits->net_egress_bps = change->net_egress_bps;
}

/* The first resource whose floor is above its ceiling; NULL: none. */
static const char *crossed(const struct msg_limits *floor, const struct msg_limits *ceiling)
{
    const struct {
        const char *name;
        int64_t floor, ceiling;
    } pairs[] = {{"memory", floor->memory_bytes, ceiling->memory_bytes},
                 {"cpu", floor->cpu_millicores, ceiling->cpu_millicores},
                 {"io-read", floor->io_read_bps, ceiling->io_read_bps},
                 {"io-write", floor->io_write_bps, ceiling->io_write_bps},
                 {"net", floor->net_egress_bps, ceiling->net_egress_bps}};
    for (size_t i = 0; i < FS_COUNT(pairs); i++)
        if (pairs[i].ceiling > 0 && pairs[i].floor > pairs[i].ceiling)
            return pairs[i].name;
    return NULL;
}

static int refuse(char *error, size_t error_size, const char *text)
{
    (void)snprintf(error, error_size, "%s", text);
    return -EINVAL;
}

static int set_mode(struct msg_code_policy *policy, const char *mode, char *error, size_t error_size)
{
    for (enum msg_mode value = 0; value < MSG_MODE_COUNT; value++) {
        if (strcmp(mode, msg_mode_name(value)) == 0) {
            policy->mode = value;
            return 0;
        }
    }
    (void)snprintf(error, error_size, "--mode %s is none of act, observe, off", mode);
    return -EINVAL;
}

static int apply_set(struct msg_code_policy *policy, const struct policy_change *change, char *error,
                     size_t error_size)
{
    if (!named(&change->floor) && !named(&change->ceiling) && !change->mode && change->held_out_permille < 0)
        return refuse(error, error_size, "set needs --floor-..., --ceiling-..., --mode or --held-out");
    put(&change->floor, &policy->floor);
    put(&change->ceiling, &policy->ceiling);
    if (change->held_out_permille >= 0)
        policy->held_out_permille = (int32_t)change->held_out_permille;
    const char *name = crossed(&policy->floor, &policy->ceiling);
    if (name) {
        (void)snprintf(error, error_size, "the floor of %s would be above its ceiling", name);
        return -EINVAL;
    }
    return change->mode ? set_mode(policy, change->mode, error, error_size) : 0;
}

static int apply(struct msg_code_policy *policy, enum policy_verb verb, const struct policy_change *change,
                 char *error, size_t error_size)
{
    bool others =
        named(&change->floor) || named(&change->ceiling) || change->mode || change->held_out_permille >= 0;
    if (verb == POLICY_SET)
        return named(&change->pin)
                   ? refuse(error, error_size,
                            "--memory and the like belong to pin; set has --floor-... and --ceiling-...")
                   : apply_set(policy, change, error, error_size);
    if (others)
        return refuse(error, error_size, "--floor-..., --ceiling-..., --mode and --held-out belong to set");
    if (verb == POLICY_UNPIN) {
        policy->has_pin = false;
        policy->pin = (struct msg_limits){0};
        return 0;
    }
    if (!named(&change->pin))
        return refuse(error, error_size, "pin needs --memory, --cpu, --io-read, --io-write or --net");
    policy->has_pin = true;
    put(&change->pin, &policy->pin);
    return 0;
}

int policy_apply(struct msg_code_policy *policy, enum policy_verb verb, const struct policy_change *change,
                 char *error, size_t error_size)
{
    struct msg_code_policy changed = *policy;
    int result = apply(&changed, verb, change, error, error_size);
    if (result == 0)
        *policy = changed;
    return result;
}

static int64_t number(const struct store_field *fields, size_t count, const char *name)
{
    struct str text = store_field_get(fields, count, name);
    char copy[32];
    return text.data && str_copy(copy, sizeof copy, text) ? strtoll(copy, NULL, 10) : 0;
}

void policy_limits_from_fields(const struct store_field *fields, size_t count, struct msg_limits *out)
{
    *out = (struct msg_limits){.memory_bytes = number(fields, count, "memory_bytes"),
                               .cpu_millicores = (int32_t)number(fields, count, "cpu_millicores"),
                               .cpu_weight = (int32_t)number(fields, count, "cpu_weight"),
                               .io_read_bps = number(fields, count, "io_read_bps"),
                               .io_write_bps = number(fields, count, "io_write_bps"),
                               .io_weight = (int32_t)number(fields, count, "io_weight"),
                               .net_egress_bps = number(fields, count, "net_egress_bps"),
                               .net_priority = (int32_t)number(fields, count, "net_priority")};
}
