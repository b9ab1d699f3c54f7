/* See arguments.h. */
#include "cli/arguments.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/config.h"

#define HELP_COLUMN 26
#define MILLICORES_MAX 1000000000.0 /* a million cores */

static const char *type_form(enum argument_type type)
{
    switch (type) {
    case ARGUMENT_INT:
        return "a whole number";
    case ARGUMENT_BYTES:
        return "a size such as 64M or 1G";
    case ARGUMENT_DURATION_MS:
        return "a time such as 500ms, 60s or 5m";
    case ARGUMENT_MILLICORES:
        return "a share of CPU such as 500m, 0.5 or 2";
    case ARGUMENT_FLAG:
    case ARGUMENT_STRING:
    case ARGUMENT_LIST:
    default:
        return "a text";
    }
}

int arguments_millicores(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || errno || !(value >= 0))
        return -EINVAL;
    if (strcmp(end, "m") != 0) {
        if (*end)
            return -EINVAL;
        value *= 1000;
    }
    if (value > MILLICORES_MAX)
        return -ERANGE;
    *out = (int64_t)(value + 0.5);
    return 0;
}

static int parse_number(enum argument_type type, const char *text, int64_t *out)
{
    char *end;
    if (type == ARGUMENT_BYTES)
        return config_parse_bytes(text, out);
    if (type == ARGUMENT_DURATION_MS)
        return config_parse_duration_ms(text, out);
    if (type == ARGUMENT_MILLICORES)
        return arguments_millicores(text, out);
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno)
        return -EINVAL;
    *out = value;
    return 0;
}

static int store_number(const struct argument *argument, const char *text, void *field, char *error,
                        size_t error_size)
{
    int64_t value;
    int result = parse_number(argument->type, text, &value);
    if (result < 0) {
        (void)snprintf(error, error_size, "--%s %s is not %s", argument->name, text,
                       type_form(argument->type));
        return -EINVAL;
    }
    int64_t max = argument->min == 0 && argument->max == 0 ? INT64_MAX : argument->max;
    if (value < argument->min || value > max) {
        if (max == INT64_MAX)
            (void)snprintf(error, error_size, "--%s %s is too small: at least %lld", argument->name, text,
                           (long long)argument->min);
        else
            (void)snprintf(error, error_size, "--%s %s is out of range: from %lld to %lld", argument->name,
                           text, (long long)argument->min, (long long)max);
        return -EINVAL;
    }
    *(int64_t *)field = value;
    return 0;
}

static int store(const struct argument *argument, const char *value, void *target, char *error,
                 size_t error_size)
{
    void *field = (char *)target + argument->offset;
    struct argument_list *list = field;
    switch (argument->type) {
    case ARGUMENT_FLAG:
        *(bool *)field = true;
        return 0;
    case ARGUMENT_STRING:
        *(const char **)field = value;
        return 0;
    case ARGUMENT_LIST:
        if (list->count == ARGUMENT_LIST_MAX) {
            (void)snprintf(error, error_size, "--%s is given more than %d times", argument->name,
                           ARGUMENT_LIST_MAX);
            return -EINVAL;
        }
        list->items[list->count++] = value;
        return 0;
    case ARGUMENT_INT:
    case ARGUMENT_BYTES:
    case ARGUMENT_DURATION_MS:
    case ARGUMENT_MILLICORES:
    default:
        return store_number(argument, value, field, error, error_size);
    }
}

static const struct argument *find(const struct argument_set *sets, size_t set_count, struct str name,
                                   void **target)
{
    for (size_t s = 0; s < set_count; s++) {
        for (size_t i = 0; i < sets[s].count; i++) {
            if (str_equal(name, str_of(sets[s].arguments[i].name))) {
                *target = sets[s].target;
                return &sets[s].arguments[i];
            }
        }
    }
    return NULL;
}

/* Takes argv[*at] and, when it needs one, its value behind it. */
static int take_option(const struct argument_set *sets, size_t set_count, int argc, char **argv, int *at,
                       char *error, size_t error_size)
{
    const char *option = argv[*at] + 2, *equals = strchr(option, '=');
    struct str name = {option, equals ? (size_t)(equals - option) : strlen(option)};
    void *target;
    const struct argument *argument = find(sets, set_count, name, &target);
    if (!argument) {
        (void)snprintf(error, error_size, "unknown option --%.*s", (int)name.size, name.data);
        return -EINVAL;
    }
    if (argument->type == ARGUMENT_FLAG && equals) {
        (void)snprintf(error, error_size, "--%s takes no value", argument->name);
        return -EINVAL;
    }
    const char *value = equals ? equals + 1 : NULL;
    if (!value && argument->type != ARGUMENT_FLAG) {
        if (*at + 1 >= argc) {
            (void)snprintf(error, error_size, "--%s needs %s", argument->name, type_form(argument->type));
            return -EINVAL;
        }
        value = argv[++*at];
    }
    return store(argument, value, target, error, error_size);
}

static void print_help(const struct argument_set *sets, size_t set_count, const struct usage *usage)
{
    printf("usage: %s\n\n%s\n\noptions:\n", usage->line, usage->text);
    for (size_t s = 0; s < set_count; s++) {
        for (size_t i = 0; i < sets[s].count; i++) {
            const struct argument *argument = &sets[s].arguments[i];
            int width = printf("  --%s%s%s", argument->name, argument->value ? " " : "",
                               argument->value ? argument->value : "");
            printf("%*s%s\n", width < HELP_COLUMN ? HELP_COLUMN - width : 2, "", argument->help);
        }
    }
    printf("  %-*s%s\n", HELP_COLUMN - 2, "-h, --help", "show this");
    if (usage->examples)
        printf("\nexamples:\n%s\n", usage->examples);
}

int arguments_parse(const struct argument_set *sets, size_t set_count, const struct usage *usage,
                    enum arguments_style style, int argc, char **argv, int *count, char *error,
                    size_t error_size)
{
    int words = 0, at = 1;
    for (; at < argc; at++) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            print_help(sets, set_count, usage);
            return 1;
        }
        if (argv[at][0] == '-' && argv[at][1] != '\0' && argv[at][1] != '-') {
            (void)snprintf(error, error_size, "unknown option %s", argv[at]);
            return -EINVAL;
        }
        if (strncmp(argv[at], "--", 2) == 0) {
            int result = take_option(sets, set_count, argc, argv, &at, error, error_size);
            if (result < 0)
                return result;
        } else if (style == ARGUMENTS_FIRST) {
            break;
        } else {
            argv[1 + words++] = argv[at];
        }
    }
    while (at < argc)
        argv[1 + words++] = argv[at++];
    argv[1 + words] = NULL;
    *count = words;
    return 0;
}
