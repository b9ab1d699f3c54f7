/* Where a command finds Kafka and Redis: what it was told, else a configuration file, else the running
 * instance of `forestall local`. Holds the options that all commands share. */
#ifndef FORESTALL_CLI_TARGET_H
#define FORESTALL_CLI_TARGET_H

#include "cli/arguments.h"
#include "cli/instance.h"
#include "common/config.h"
#include "common/service.h"
#include "common/store.h"
#include "common/stream.h"

struct target_options {
    const char *state, *brokers, *redis, *prefix, *redis_prefix, *schema_registry, *config;
    bool json;
    int64_t timeout_ms; /* for reading what is there */
};

/* Fill in before parsing. */
#define TARGET_OPTIONS_DEFAULT                                                                               \
    {                                                                                                        \
        .timeout_ms = 30000                                                                                  \
    }
/* A set for arguments_parse(). */
struct argument_set target_arguments(struct target_options *options);

struct target {
    char brokers[512], redis[512], topic_prefix[128], redis_prefix[128];
    struct config *config; /* section [kafka] of --config; NULL: none */
    struct service_options service;
    bool from_instance;
    struct instance instance; /* when from_instance */
    char ini[4200];           /* the file the sections came from; "" = none */
};

/* Kafka was named (an option, FORESTALL_SERVICE_BROKERS or a configuration file): no local instance is meant.
 */
bool target_elsewhere(const struct target_options *options);
/* 0, or negative errno with a sentence that says what to do. */
FS_MUST_CHECK int target_open(const struct target_options *options, struct target *out, char *error,
                              size_t error_size);
/* The same from an instance that is known. */
FS_MUST_CHECK int target_from_instance(const struct instance *instance, struct target *out, char *error,
                                       size_t error_size);
void target_close(struct target *target);

/* NULL with the error. */
FS_MUST_CHECK struct stream *target_stream(const struct target *target, char *error, size_t error_size);
FS_MUST_CHECK struct store *target_store(const struct target *target, char *error, size_t error_size);

#endif
