/* What `forestall local` starts, decided before anything runs: addresses, ports, and the one INI file of all
 * services. Pure. */
#ifndef FORESTALL_CLI_LOCAL_PLAN_H
#define FORESTALL_CLI_LOCAL_PLAN_H

#include "cli/arguments.h"
#include "common/buffer.h"

struct local_options {
    const char *state_dir;
    const char *kafka, *redis; /* NULL: the embedded broker, a Redis of its own */
    const char *pool, *node, *topic_prefix, *redis_prefix, *log_level, *net_device, *net_namespace;
    int64_t node_memory_bytes, node_cpu_millicores; /* 0: the machine's */
    int64_t partitions; /* of topics that have to be made; 0: the embedded broker's default, 1 on a Kafka */
    int64_t ready_timeout_ms;
    bool while_used, with_retrain;
    struct argument_list sets;    /* "section.key=value" for the services' file */
    struct argument_list without; /* services that somebody else runs */
};

#define LOCAL_OPTIONS_DEFAULT                                                                                \
    {                                                                                                        \
        .pool = "default", .topic_prefix = "", .redis_prefix = "forestall:", .log_level = "info",            \
        .ready_timeout_ms = 60000                                                                            \
    }

/* One service of the instance, in the order of starting. */
struct local_service {
    const char *name, *program;
    bool optional; /* only with its option */
};
extern const struct local_service local_services[];
extern const size_t local_service_count;

struct local_addresses {
    const char *brokers, *redis;
    uint16_t ingest_port;
    bool embedded;
};

/* The cgroup subtree of the instance: "forestall-" and eight hex digits of the state directory's hash, so
 * that instances do not meet and the next instance of the same directory finds what a killed one left. */
void local_plan_subtree(const char *state_dir, char *out, size_t size);
/* Appends the INI file. 0; -EINVAL with a sentence for a --set that is not section.key=value or has a line
 * break; -ENOMEM. */
FS_MUST_CHECK int local_plan_config(const struct local_options *options,
                                    const struct local_addresses *addresses, struct buffer *out, char *error,
                                    size_t error_size);
bool local_plan_starts(const struct local_options *options, const struct local_service *service);

#endif
