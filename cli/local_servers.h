/* What the services of a local instance stand on: the machine, a broker, a Redis. */
#ifndef FORESTALL_CLI_LOCAL_SERVERS_H
#define FORESTALL_CLI_LOCAL_SERVERS_H

#include "cli/children.h"
#include "cli/instance.h"
#include "cli/local_plan.h"
#include "common/log.h"

struct embedded_broker;

struct local_broker {
    struct embedded_broker *embedded; /* NULL: a given Kafka */
    struct log_limiter limiter;
    uint64_t overflows; /* values not kept, as far as they were told */
};

/* Asks forestall-agent --check. 0, or -EPERM with its table of what is missing. */
FS_MUST_CHECK int local_servers_check_machine(const struct local_options *options,
                                              const char *program_directory, char *error, size_t error_size);
/* Starts a redis-server on a socket in the state directory (a free port of loopback when the path is too long
 * for one) and waits for its answer, or asks the given one. Fills instance->redis. */
FS_MUST_CHECK int local_servers_open_redis(const struct local_options *options, struct children *children,
                                           struct instance *instance, char *error, size_t error_size);
/* Opens the embedded broker or asks the given Kafka. Fills instance->brokers and embedded. */
FS_MUST_CHECK int local_servers_open_broker(const struct local_options *options, struct local_broker *broker,
                                            struct instance *instance, char *error, size_t error_size);
int local_servers_broker_fd(const struct local_broker *broker); /* -1: none */
void local_servers_step_broker(struct local_broker *broker);
void local_servers_close_broker(struct local_broker *broker);

#endif
