/* See local_plan.h. */
#include "cli/local_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/hash.h"

#define SECTIONS_MAX 16
#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
/* One instance of each service shares no work, and a burst over eight partitions takes the broker twice as
 * long. */
#define PARTITIONS_ON_KAFKA 1

const struct local_service local_services[] = {
    {"ingest", "forestall-ingest", false},     {"queue", "forestall-queue", false},
    {"allocate", "forestall-allocate", false}, {"predict", "forestall-predict", false},
    {"retrain", "forestall-retrain", true},    {"agent", "forestall-agent", false},
};
const size_t local_service_count = FS_COUNT(local_services);

bool local_plan_starts(const struct local_options *options, const struct local_service *service)
{
    for (size_t i = 0; i < options->without.count; i++)
        if (strcmp(options->without.items[i], service->name) == 0)
            return false;
    return !service->optional || options->with_retrain;
}

void local_plan_subtree(const char *state_dir, char *out, size_t size)
{
    (void)snprintf(out, size, "forestall-%08" PRIx32, (uint32_t)hash_bytes(state_dir, strlen(state_dir)));
}

/* The settings of one section: ours, then the user's, whose last word wins when a service reads the file. */
struct setting {
    const char *section, *key;
    char value[600];
};

struct settings {
    struct setting items[64];
    size_t count;
    bool full;
};

static void set(struct settings *settings, const char *section, const char *key, const char *format, ...)
    FS_PRINTF(4, 5);

static void set(struct settings *settings, const char *section, const char *key, const char *format, ...)
{
    va_list arguments;
    if (settings->count == FS_COUNT(settings->items)) {
        settings->full = true;
        return;
    }
    struct setting *item = &settings->items[settings->count++];
    item->section = section;
    item->key = key;
    va_start(arguments, format);
    (void)vsnprintf(item->value, sizeof item->value, format, arguments); /* addresses and numbers: short */
    va_end(arguments);
}

static void choose(const struct local_options *options, const struct local_addresses *addresses,
                   struct settings *out)
{
    char subtree[64];
    local_plan_subtree(options->state_dir, subtree, sizeof subtree);
    set(out, "service", "brokers", "%s", addresses->brokers);
    set(out, "service", "redis", "%s", addresses->redis);
    set(out, "service", "topic_prefix", "%s", options->topic_prefix);
    set(out, "service", "redis_prefix", "%s", options->redis_prefix);
    set(out, "service", "log_level", "%s", options->log_level);
    if (!addresses->embedded)
        set(out, "service", "partitions", "%" PRId64,
            options->partitions > 0 ? options->partitions : PARTITIONS_ON_KAFKA);
    if (addresses->embedded) /* it answers a fetch that finds nothing only after this time */
        set(out, "kafka", "consumer.fetch.wait.max.ms", "5");
    set(out, "ingest", "listen", "127.0.0.1:%u", addresses->ingest_port);
    set(out, "agent", "ingest", "127.0.0.1:%u", addresses->ingest_port);
    set(out, "agent", "cgroup", "%s", subtree);
    set(out, "agent", "pool", "%s", options->pool);
    set(out, "agent", "end_attempts", "yes"); /* the end of the instance is the end of its programs */
    if (options->node)
        set(out, "agent", "node", "%s", options->node);
    if (options->net_device)
        set(out, "agent", "net_device", "%s", options->net_device);
    if (options->net_namespace)
        set(out, "agent", "net_namespace", "%s", options->net_namespace);
    if (options->node_memory_bytes > 0)
        set(out, "agent", "capacity_memory", "%" PRId64, options->node_memory_bytes);
    if (options->node_cpu_millicores > 0)
        set(out, "agent", "capacity_cpu", "%" PRId64, options->node_cpu_millicores);
    set(out, "queue", "unplaceable", "1m"); /* one machine, and people who wait: no other node will come */
}

static int refuse(const char *text, char *error, size_t error_size)
{
    size_t name = strspn(text, NAME_LETTERS); /* the rest may hold a password */
    (void)snprintf(error, error_size,
                   "--set %.*s%s is not of the form section.key=value in one line, e.g. agent.tick=50ms",
                   (int)name, text, text[name] ? "..." : "");
    return -EINVAL;
}

/* Splits "section.key=value" into buffers of the caller. */
static bool split(const char *text, char section[64], char key[128], const char **value)
{
    const char *dot = strchr(text, '.'), *equals = strchr(text, '=');
    if (!dot || !equals || dot > equals || dot == text || equals == dot + 1 || strpbrk(text, "\r\n"))
        return false;
    *value = equals + 1;
    return str_copy(section, 64, (struct str){text, (size_t)(dot - text)}) &&
           str_copy(key, 128, (struct str){dot + 1, (size_t)(equals - dot - 1)});
}

/* True when a --set speaks of this key: ours is left out then, a file says each thing once. */
static bool overridden(const struct local_options *options, const struct setting *setting)
{
    for (size_t i = 0; i < options->sets.count; i++) {
        char section[64], key[128];
        const char *value;
        if (split(options->sets.items[i], section, key, &value) && strcmp(section, setting->section) == 0 &&
            strcmp(key, setting->key) == 0)
            return true;
    }
    return false;
}

static void add_section(const char *sections[SECTIONS_MAX], size_t *count, const char *name)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(sections[i], name) == 0)
            return;
    if (*count < SECTIONS_MAX)
        sections[(*count)++] = name;
}

static void append_section(const struct local_options *options, const struct settings *settings,
                           const char *name, struct buffer *out)
{
    buffer_printf(out, "\n[%s]\n", name);
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->items[i];
        if (strcmp(setting->section, name) == 0 && !overridden(options, setting))
            buffer_printf(out, "%s = %s\n", setting->key, setting->value);
    }
    for (size_t i = 0; i < options->sets.count; i++) {
        char section[64], key[128];
        const char *value;
        if (split(options->sets.items[i], section, key, &value) && strcmp(section, name) == 0)
            buffer_printf(out, "%s = %s\n", key, value);
    }
}

int local_plan_config(const struct local_options *options, const struct local_addresses *addresses,
                      struct buffer *out, char *error, size_t error_size)
{
    struct settings settings = {.count = 0};
    const char *sections[SECTIONS_MAX];
    char own[ARGUMENT_LIST_MAX][64];
    size_t section_count = 0;
    choose(options, addresses, &settings);
    if (settings.full)
        return -ENOSPC;
    for (size_t i = 0; i < settings.count; i++)
        add_section(sections, &section_count, settings.items[i].section);
    for (size_t i = 0; i < options->sets.count; i++) {
        char key[128];
        const char *value;
        if (!split(options->sets.items[i], own[i], key, &value))
            return refuse(options->sets.items[i], error, error_size);
        add_section(sections, &section_count, own[i]);
    }
    buffer_printf(
        out, "; Written by `forestall local` at its start: changes are lost. Use --set SECTION.KEY=VALUE.\n");
    for (size_t i = 0; i < section_count; i++)
        append_section(options, &settings, sections[i], out);
    return buffer_error(out);
}
