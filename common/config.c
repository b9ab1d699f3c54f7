/* See config.h. Sources are applied in order of strength; each value is checked when it is met, so that an
 * error names the source it came from. The INI syntax is inih's. */
#include "common/config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/arena.h"
#include "common/config_value.h"

#define TABLES_MAX 8
#define SECTIONS_MAX 4
#define KEPT_MAX 256
#define STRINGS_LIMIT (4u << 20)

extern char **environ;

struct table {
    const struct config_option *options;
    size_t count;
    void *target;
};

struct kept {
    const char *section, *key, *value;
};

struct config {
    const char *program, *description;
    struct arena *strings;
    struct table tables[TABLES_MAX];
    size_t table_count;
    const char *passthrough[SECTIONS_MAX];
    size_t passthrough_count;
    struct kept kept[KEPT_MAX];
    size_t kept_count;
    char **arguments;
    int argument_count;
    char *error;
    size_t error_size;
    const char *source; /* of the value being read, for messages */
    bool secret;        /* the value read last */
};

struct config *config_create(const char *program, const char *description)
{
    struct config *config = calloc(1, sizeof *config);
    if (!config)
        return NULL;
    config->strings = arena_create(4096, STRINGS_LIMIT);
    if (!config->strings) {
        free(config);
        return NULL;
    }
    config->program = program;
    config->description = description;
    return config;
}

void config_destroy(struct config *config)
{
    if (!config)
        return;
    arena_destroy(config->strings);
    free(config);
}

int config_add(struct config *config, const struct config_option *options, size_t count, void *target)
{
    if (config->table_count == TABLES_MAX)
        return -ENOSPC;
    config->tables[config->table_count++] = (struct table){options, count, target};
    return 0;
}

int config_passthrough(struct config *config, const char *section)
{
    if (config->passthrough_count == SECTIONS_MAX)
        return -ENOSPC;
    config->passthrough[config->passthrough_count++] = section;
    return 0;
}

bool config_passthrough_next(const struct config *config, const char *section, size_t *cursor,
                             const char **key, const char **value)
{
    while (*cursor < config->kept_count) {
        const struct kept *kept = &config->kept[(*cursor)++];
        if (strcmp(kept->section, section) == 0) {
            *key = kept->key;
            *value = kept->value;
            return true;
        }
    }
    return false;
}

static int fail(struct config *config, int error, const char *format, ...) FS_PRINTF(3, 4);

static int fail(struct config *config, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(config->error, config->error_size, format,
                    arguments); /* a cut message still names the key */
    va_end(arguments);
    return error;
}

static int store(struct config *config, const struct table *table, const struct config_option *option,
                 const char *value)
{
    const char *copy = arena_strdup(config->strings, str_of(value));
    if (!copy)
        return fail(config, -ENOMEM, "%s: out of memory", config->source);
    int error = config_value_store(option, copy, table->target);
    if (error == -ERANGE)
        return fail(config, error, "%s: %s.%s=%s is out of range: from %g to %g", config->source,
                    option->section, option->key, value, option->min, option->max);
    if (error)
        return fail(config, error, "%s: %s.%s=%s is not %s", config->source, option->section, option->key,
                    value, config_type_form(option->type));
    return 0;
}

static int keep(struct config *config, const char *section, const char *key, const char *value)
{
    for (size_t i = 0; i < config->kept_count; i++) {
        struct kept *kept = &config->kept[i];
        if (strcmp(kept->section, section) == 0 && strcmp(kept->key, key) == 0) {
            kept->value = arena_strdup(config->strings, str_of(value));
            return kept->value ? 0 : fail(config, -ENOMEM, "%s: out of memory", config->source);
        }
    }
    if (config->kept_count == KEPT_MAX)
        return fail(config, -ENOSPC, "%s: more than %d keys in [%s]", config->source, KEPT_MAX, section);
    struct kept kept = {section, arena_strdup(config->strings, str_of(key)),
                        arena_strdup(config->strings, str_of(value))};
    if (!kept.key || !kept.value)
        return fail(config, -ENOMEM, "%s: out of memory", config->source);
    config->kept[config->kept_count++] = kept;
    return 0;
}

static const char *passthrough_section(const struct config *config, const char *section)
{
    for (size_t i = 0; i < config->passthrough_count; i++)
        if (strcmp(config->passthrough[i], section) == 0)
            return config->passthrough[i];
    return NULL;
}

static bool section_known(const struct config *config, const char *section)
{
    for (size_t t = 0; t < config->table_count; t++)
        for (size_t i = 0; i < config->tables[t].count; i++)
            if (strcmp(config->tables[t].options[i].section, section) == 0)
                return true;
    return passthrough_section(config, section) != NULL;
}

/* section NULL: any section that has the key; *found counts the matches. */
static int assign(struct config *config, const char *section, const char *key, const char *value, int *found)
{
    *found = 0;
    for (size_t t = 0; t < config->table_count; t++) {
        const struct table *table = &config->tables[t];
        for (size_t i = 0; i < table->count; i++) {
            const struct config_option *option = &table->options[i];
            if ((section && strcmp(option->section, section) != 0) || strcmp(option->key, key) != 0)
                continue;
            if ((*found)++ > 0)
                return fail(config, -EINVAL, "%s: --%s is in more than one section: write --SECTION.%s",
                            config->source, key, key);
            int error = store(config, table, option, value);
            if (error)
                return error;
            config->secret =
                option->type == CONFIG_SECRET || (option->type == CONFIG_ADDRESS && strchr(value, '@'));
        }
    }
    const char *free_section = section ? passthrough_section(config, section) : NULL;
    if (*found == 0 && free_section) {
        *found = 1;
        config->secret = true; /* only the library knows which of its own are */
        return keep(config, free_section, key, value);
    }
    return 0;
}

/* One file serves all services: sections of other services are passed over, unknown keys of known ones are
 * not. */
static int on_ini(void *context, const char *section, const char *key, const char *value)
{
    struct config *config = context;
    int found;
    if (config->error[0]) /* inih reads on after an error; the first one is told */
        return 0;
    if (!section_known(config, section))
        return 1;
    int error = assign(config, section, key, value, &found);
    if (!error && found == 0)
        error = fail(config, -EINVAL, "%s: unknown key %s in [%s]", config->source, key, section);
    return error ? 0 : 1;
}

static int load_file(struct config *config, const char *path)
{
    config->source = path;
    config->error[0] = '\0';
    errno = 0;
    int result = ini_parse(path, on_ini, config);
    if (result == 0)
        return 0;
    if (config->error[0])
        return -EINVAL;
    if (result == -1)
        return fail(config, errno ? -errno : -ENOENT, "%s: cannot be read: %s", path,
                    strerror(errno ? errno : ENOENT));
    return fail(config, -EINVAL, "%s:%d: not a line of the form key = value", path, result);
}

static void environment_name(const struct config_option *option, char *out, size_t size)
{
    (void)snprintf(out, size, "FORESTALL_%s_%s", option->section, option->key); /* table names are short */
    for (; *out; out++)
        *out = (char)toupper((unsigned char)*out);
}

static bool environment_known(const struct config *config, struct str name)
{
    for (size_t t = 0; t < config->table_count; t++) {
        for (size_t i = 0; i < config->tables[t].count; i++) {
            char known[128];
            environment_name(&config->tables[t].options[i], known, sizeof known);
            if (str_equal(name, str_of(known)))
                return true;
        }
    }
    return false;
}

/* True for FORESTALL_<section of a table>_...: a variable that is meant for this program. */
static bool environment_claimed(const struct config *config, struct str name)
{
    for (size_t t = 0; t < config->table_count; t++) {
        for (size_t i = 0; i < config->tables[t].count; i++) {
            struct config_option prefix = {.section = config->tables[t].options[i].section, .key = ""};
            char text[128];
            if (passthrough_section(config, prefix.section))
                continue;
            environment_name(&prefix, text, sizeof text);
            if (name.size >= strlen(text) && memcmp(name.data, text, strlen(text)) == 0)
                return true;
        }
    }
    return false;
}

static int refuse_unknown_environment(struct config *config)
{
    for (char **entry = environ; *entry; entry++) {
        const char *equals = strchr(*entry, '=');
        struct str name = {*entry, equals ? (size_t)(equals - *entry) : 0};
        if (environment_claimed(config, name) && !environment_known(config, name))
            return fail(config, -EINVAL, "environment: unknown variable %.*s (see --help)", (int)name.size,
                        name.data);
    }
    return 0;
}

static int load_environment(struct config *config)
{
    config->source = "environment";
    for (size_t t = 0; t < config->table_count; t++) {
        for (size_t i = 0; i < config->tables[t].count; i++) {
            char name[128];
            environment_name(&config->tables[t].options[i], name, sizeof name);
            const char *value = getenv(name);
            int error = value ? store(config, &config->tables[t], &config->tables[t].options[i], value) : 0;
            if (error)
                return error;
        }
    }
    return refuse_unknown_environment(config);
}

/* FORESTALL_KAFKA_SECURITY_PROTOCOL=ssl is security.protocol=ssl of [kafka]. */
static int load_passthrough_environment(struct config *config)
{
    for (size_t s = 0; s < config->passthrough_count; s++) {
        char prefix[64];
        int size = snprintf(prefix, sizeof prefix, "FORESTALL_%s_", config->passthrough[s]);
        for (char *c = prefix; *c; c++)
            *c = (char)toupper((unsigned char)*c);
        for (char **entry = environ; *entry; entry++) {
            const char *equals = strchr(*entry, '=');
            if (!equals || strncmp(*entry, prefix, (size_t)size) != 0)
                continue;
            char key[128];
            if (!str_copy(key, sizeof key,
                          (struct str){*entry + size, (size_t)(equals - *entry) - (size_t)size}))
                continue;
            for (char *c = key; *c; c++)
                *c = *c == '_' ? '.' : (char)tolower((unsigned char)*c);
            int error = keep(config, config->passthrough[s], key, equals + 1);
            if (error)
                return error;
        }
    }
    return 0;
}

static void print_help(const struct config *config)
{
    printf("%s: %s\n\nUsage: %s [--config FILE] [--SECTION.KEY=VALUE ...]\n\n", config->program,
           config->description, config->program);
    for (size_t t = 0; t < config->table_count; t++)
        for (size_t i = 0; i < config->tables[t].count; i++) {
            const struct config_option *o = &config->tables[t].options[i];
            printf("  --%s.%s (%s)\n        %s\n", o->section, o->key, o->fallback ? o->fallback : "",
                   o->help);
        }
    printf(
        "\n  --config FILE, --help, --version, --print-config, --reference\n"
        "Every option also as environment variable FORESTALL_SECTION_KEY. --print-config shows passwords as "
        "(set),\nand so all that is passed on to a library.\n");
}

static void print_reference(const struct config *config)
{
    printf("# %s\n\n%s\n\n| option | default | form | meaning |\n|---|---|---|---|\n", config->program,
           config->description);
    for (size_t t = 0; t < config->table_count; t++)
        for (size_t i = 0; i < config->tables[t].count; i++) {
            const struct config_option *o = &config->tables[t].options[i];
            printf("| `%s.%s` | `%s` | %s | %s |\n", o->section, o->key, o->fallback ? o->fallback : "",
                   config_type_form(o->type), o->help);
        }
}

static void print_config(const struct config *config)
{
    const char *section = "";
    for (size_t t = 0; t < config->table_count; t++)
        for (size_t i = 0; i < config->tables[t].count; i++) {
            const struct config_option *option = &config->tables[t].options[i];
            if (strcmp(section, option->section) != 0)
                printf("[%s]\n", section = option->section);
            config_value_print(option, config->tables[t].target);
        }
    for (size_t i = 0; i < config->kept_count; i++) {
        if (i == 0 || strcmp(config->kept[i].section, config->kept[i - 1].section) != 0)
            printf("[%s]\n", config->kept[i].section);
        config_value_print_secret(config->kept[i].key, config->kept[i].value);
    }
}

static int load_argument(struct config *config, char *name, const char *value)
{
    int found;
    char *dot = strchr(name, '.');
    const char *section = NULL, *key = name;
    if (dot) {
        *dot = '\0';
        section = name;
        key = dot + 1;
    }
    int error = assign(config, section, key, value, &found);
    if (!error && found == 0)
        error = fail(config, -EINVAL, "command line: unknown option --%s%s%s (see --help)",
                     section ? section : "", section ? "." : "", key);
    return error;
}

enum { PRINT_NOTHING, PRINT_CONFIG };

/* Walks the arguments; with apply false only looks for what acts before anything is read (--config, --help
 * ...). */
static int walk_arguments(struct config *config, int argc, char **argv, bool apply, const char **file,
                          int *print)
{
    config->source = "command line";
    int i = 1;
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (argv[i][2] == '\0') {
            i++;
            break;
        }
        if (strcmp(argv[i], "--help") == 0)
            return print_help(config), 1;
        if (strcmp(argv[i], "--version") == 0)
            return printf("%s %s\n", config->program, FORESTALL_VERSION), 1;
        if (strcmp(argv[i], "--reference") == 0)
            return print_reference(config), 1;
        if (strcmp(argv[i], "--print-config") == 0) {
            *print = PRINT_CONFIG;
            continue;
        }
        char name[256];
        char *equals = strchr(argv[i], '=');
        size_t size = equals ? (size_t)(equals - argv[i]) - 2 : strlen(argv[i]) - 2;
        if (!str_copy(name, sizeof name, (struct str){argv[i] + 2, size}))
            return fail(config, -EINVAL, "command line: option name too long");
        if (!equals && i + 1 >= argc)
            return fail(config, -EINVAL, "command line: --%s needs a value", name);
        char *value = equals ? equals + 1 : argv[++i];
        if (strcmp(name, "config") == 0)
            *file = value;
        else if (apply) {
            int error = load_argument(config, name, value);
            if (error)
                return error;
            if (config->secret)
                memset(value, '*', strlen(value)); /* everybody can list processes with their arguments */
        }
    }
    config->arguments = argv + i;
    config->argument_count = argc - i;
    return 0;
}

int config_load(struct config *config, int argc, char **argv, char *error, size_t error_size)
{
    const char *file = getenv("FORESTALL_CONFIG");
    int print = PRINT_NOTHING;
    config->error = error;
    config->error_size = error_size;
    config->source = "default";
    for (size_t t = 0; t < config->table_count; t++)
        for (size_t i = 0; i < config->tables[t].count; i++) {
            const struct config_option *option = &config->tables[t].options[i];
            int result = store(config, &config->tables[t], option, option->fallback ? option->fallback : "");
            if (result)
                return result;
        }
    int result = walk_arguments(config, argc, argv, false, &file, &print);
    if (result == 0 && file && *file)
        result = load_file(config, file);
    if (result == 0)
        result = load_environment(config);
    if (result == 0)
        result = load_passthrough_environment(config);
    if (result == 0)
        result = walk_arguments(config, argc, argv, true, &file, &print);
    if (result == 0 && print == PRINT_CONFIG) {
        print_config(config);
        return 1;
    }
    return result;
}

char *const *config_arguments(const struct config *config, int *count)
{
    *count = config->argument_count;
    return config->arguments;
}
