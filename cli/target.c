/* See target.h. */
#include "cli/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FIELD(field) offsetof(struct target_options, field)

static const struct argument arguments[] = {
    {"state", ARGUMENT_STRING, FIELD(state), 0, 0, "DIR",
     "state of the local instance [$FORESTALL_STATE, else /var/lib/forestall/local]"},
    {"brokers", ARGUMENT_STRING, FIELD(brokers), 0, 0, "HOST:PORT",
     "Kafka, instead of the running instance's"},
    {"redis", ARGUMENT_STRING, FIELD(redis), 0, 0, "ADDRESS", "Redis (host:port or a socket's path)"},
    {"prefix", ARGUMENT_STRING, FIELD(prefix), 0, 0, "TEXT", "prefix of the topics"},
    {"redis-prefix", ARGUMENT_STRING, FIELD(redis_prefix), 0, 0, "TEXT",
     "prefix of the Redis keys [forestall:]"},
    {"schema-registry", ARGUMENT_STRING, FIELD(schema_registry), 0, 0, "URL",
     "schema registry whose framing is written; both are read"},
    {"config", ARGUMENT_STRING, FIELD(config), 0, 0, "FILE",
     "the services' INI file: its [service] and [kafka]"},
    {"wait", ARGUMENT_DURATION_MS, FIELD(timeout_ms), 100, 86400000, "TIME",
     "longest wait for Kafka's answers [30s]"},
    {"json", ARGUMENT_FLAG, FIELD(json), 0, 0, NULL, "answer in JSON"},
};

struct argument_set target_arguments(struct target_options *options)
{
    return (struct argument_set){arguments, FS_COUNT(arguments), options};
}

_Static_assert(sizeof((struct target *)0)->brokers == sizeof((struct instance *)0)->brokers &&
                   sizeof((struct target *)0)->redis == sizeof((struct instance *)0)->redis &&
                   sizeof((struct target *)0)->topic_prefix == sizeof((struct instance *)0)->topic_prefix &&
                   sizeof((struct target *)0)->redis_prefix == sizeof((struct instance *)0)->redis_prefix,
               "copied as they are");

/* The services' own tables are not known here: only [service] and [kafka] are read, other sections are passed
 * over. */
static int read_config(const char *path, struct target *out, char *error, size_t error_size)
{
    char program[] = "forestall", option[] = "--config";
    char *argv[] = {program, option, (char *)path, NULL};
    out->config = config_create("forestall", "");
    if (!out->config ||
        config_add(out->config, service_option_table, service_option_count, &out->service) < 0 ||
        config_passthrough(out->config, "kafka") < 0) {
        (void)snprintf(error, error_size, "out of memory");
        return -ENOMEM;
    }
    return config_load(out->config, path ? 3 : 1, argv, error, error_size);
}

static int copy(char *out, size_t size, const char *text, const char *what, char *error, size_t error_size)
{
    if (str_copy(out, size, str_of(text)))
        return 0;
    (void)snprintf(error, error_size, "%s is too long", what);
    return -EINVAL;
}

static int take_service(struct target *out, char *error, size_t error_size)
{
    const struct service_options *service = &out->service;
    int result = copy(out->brokers, sizeof out->brokers, service->brokers, "brokers", error, error_size);
    if (result == 0)
        result = copy(out->redis, sizeof out->redis, service->redis, "redis", error, error_size);
    if (result == 0)
        result = copy(out->topic_prefix, sizeof out->topic_prefix, service->topic_prefix, "topic_prefix",
                      error, error_size);
    if (result == 0)
        result = copy(out->redis_prefix, sizeof out->redis_prefix, service->redis_prefix, "redis_prefix",
                      error, error_size);
    return result;
}

static int find_instance(const char *state, struct target *out, char *error, size_t error_size)
{
    int result = instance_load(state, &out->instance);
    if (result == 0)
        return 0;
    if (result == -ENOENT)
        (void)snprintf(error, error_size,
                       "no instance runs in %s: start one with `forestall local`, or say where Kafka is "
                       "(--brokers HOST:PORT or --config FILE)",
                       state);
    else
        (void)snprintf(error, error_size, "%s/" INSTANCE_FILE " cannot be read: %s", state,
                       result == -EBADMSG ? "not as this version writes it" : strerror(-result));
    return result;
}

bool target_elsewhere(const struct target_options *options)
{
    const char *brokers = getenv("FORESTALL_SERVICE_BROKERS"), *file = getenv("FORESTALL_CONFIG");
    return options->brokers || options->config ||
           (!options->state && ((brokers && *brokers) || (file && *file)));
}

static int override(const struct target_options *options, struct target *out, char *error, size_t error_size)
{
    int result = 0;
    if (options->schema_registry)
        out->service.schema_registry = options->schema_registry;
    if (options->brokers)
        result = copy(out->brokers, sizeof out->brokers, options->brokers, "--brokers", error, error_size);
    if (result == 0 && options->redis)
        result = copy(out->redis, sizeof out->redis, options->redis, "--redis", error, error_size);
    if (result == 0 && options->prefix)
        result =
            copy(out->topic_prefix, sizeof out->topic_prefix, options->prefix, "--prefix", error, error_size);
    if (result == 0 && options->redis_prefix)
        result = copy(out->redis_prefix, sizeof out->redis_prefix, options->redis_prefix, "--redis-prefix",
                      error, error_size);
    return result;
}

int target_from_instance(const struct instance *instance, struct target *out, char *error, size_t error_size)
{
    *out = (struct target){.from_instance = true, .instance = *instance};
    (void)str_copy(out->ini, sizeof out->ini, str_of(instance->config)); /* as long as the source */
    int result = read_config(out->ini, out, error, error_size);
    if (result == -EACCES)
        (void)snprintf(
            error, error_size,
            "%s: %s: it may hold passwords, so only who runs `forestall local` can read it; be that "
            "user, or say where Kafka is (--brokers HOST:PORT or --config FILE)",
            out->ini, strerror(EACCES));
    (void)memcpy(out->brokers, instance->brokers, sizeof out->brokers);
    (void)memcpy(out->redis, instance->redis, sizeof out->redis);
    (void)memcpy(out->topic_prefix, instance->topic_prefix, sizeof out->topic_prefix);
    (void)memcpy(out->redis_prefix, instance->redis_prefix, sizeof out->redis_prefix);
    if (result < 0)
        target_close(out);
    return result;
}

int target_open(const struct target_options *options, struct target *out, char *error, size_t error_size)
{
    int result;
    if (target_elsewhere(options)) {
        *out = (struct target){0};
        result = read_config(options->config, out, error, error_size);
        if (result == 0)
            result = take_service(out, error, error_size);
    } else {
        *out = (struct target){0};
        result =
            find_instance(options->state ? options->state : instance_default_dir(), out, error, error_size);
        if (result == 0) {
            struct instance found = out->instance;
            result = target_from_instance(&found, out, error, error_size);
        }
    }
    if (result == 0)
        result = override(options, out, error, error_size);
    if (result < 0)
        target_close(out);
    return result;
}

void target_close(struct target *target)
{
    config_destroy(target->config);
    target->config = NULL;
}

struct stream *target_stream(const struct target *target, char *error, size_t error_size)
{
    struct stream_options options = {.brokers = target->brokers,
                                     .topic_prefix = target->topic_prefix,
                                     .schema_registry = target->service.schema_registry,
                                     .client_id = "forestall",
                                     .config = target->config,
                                     .max_fetched_bytes = 32u << 20};
    return stream_open(&options, error, error_size);
}

struct store *target_store(const struct target *target, char *error, size_t error_size)
{
    struct store_options options = {.address = target->redis,
                                    .password = target->service.redis_password,
                                    .prefix = target->redis_prefix,
                                    .timeout_ms = 2000};
    struct store *store = store_open(&options, error, error_size);
    if (store && store_ping(store, error, error_size) < 0) {
        store_close(store);
        return NULL;
    }
    return store;
}
