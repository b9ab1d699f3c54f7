/* Single values: parsed (numbers with units, checked for range before they are converted), and printed. */
#include "common/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/url.h"

struct unit {
    const char *name;
    double factor;
};

static const struct unit byte_units[] = {{"", 1},           {"K", 1024},          {"M", 1048576},
                                         {"G", 1073741824}, {"T", 1099511627776}, {NULL, 0}};
static const struct unit duration_units[] = {{"", 1},        {"ms", 1},       {"s", 1000}, {"m", 60000},
                                             {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

/* A trailing "B" or "iB" after a byte unit is accepted: 64MiB, 64MB and 64M are the same here. */
static bool unit_matches(const char *text, const char *unit, bool bytes)
{
    size_t size = strlen(unit);
    if (strncmp(text, unit, size) != 0)
        return false;
    text += size;
    if (bytes && size > 0 && strcmp(text, "iB") == 0)
        return true;
    return *text == '\0' || (bytes && strcmp(text, "B") == 0);
}

static int parse_number(const char *text, const struct unit *units, double *out)
{
    char *end;
    bool bytes = units == byte_units;
    if (!isdigit((unsigned char)*text) && *text != '-' && *text != '.')
        return -EINVAL;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || errno == ERANGE || !isfinite(value))
        return -EINVAL;
    for (; units->name; units++) {
        if (unit_matches(end, units->name, bytes)) {
            *out = value * units->factor;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_integer(const char *text, const struct unit *units, int64_t *out)
{
    double value;
    int error = parse_number(text, units, &value);
    if (error)
        return error;
    if (value < -9.2e18 || value > 9.2e18)
        return -ERANGE;
    if (floor(value) != value)
        return -EINVAL;
    *out = (int64_t)value;
    return 0;
}

int config_parse_bytes(const char *text, int64_t *out)
{
    double value; /* 1.5G is a whole number of bytes, and 0.1G is rounded down to one */
    int error = parse_number(text, byte_units, &value);
    if (error)
        return error;
    if (value < 0)
        return -EINVAL;
    if (value > 9.2e18)
        return -ERANGE;
    *out = (int64_t)value;
    return 0;
}

int config_parse_duration_ms(const char *text, int64_t *out)
{
    int error = parse_integer(text, duration_units, out);
    return error ? error : *out < 0 ? -EINVAL : 0;
}

static int parse_bool(const char *text, bool *out)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    for (size_t i = 0; i < FS_COUNT(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = i % 2 == 1;
            return 0;
        }
    }
    return -EINVAL;
}

static int in_range(const struct config_option *option, double value)
{
    if (option->min == 0 && option->max == 0)
        return 0;
    return value < option->min || value > option->max ? -ERANGE : 0;
}

const char *config_type_form(enum config_type type)
{
    static const char *const forms[] = {"text",
                                        "a whole number",
                                        "bytes such as 4096, 64M or 1G",
                                        "a duration such as 100ms, 10s or 15m",
                                        "yes or no",
                                        "a number",
                                        "text; never shown",
                                        "text; shown without user and password"};
    return forms[type];
}

int config_value_store(const struct config_option *option, const char *text, void *target)
{
    void *field = (char *)target + option->offset;
    int64_t whole = 0;
    double number = 0;
    int error;
    switch (option->type) {
    case CONFIG_STRING:
    case CONFIG_SECRET:
    case CONFIG_ADDRESS:
        memcpy(field, &text, sizeof text);
        return 0;
    case CONFIG_BOOL:
        return parse_bool(text, field);
    case CONFIG_DOUBLE:
        error = parse_number(text, no_units, &number);
        if (!error && !(error = in_range(option, number)))
            memcpy(field, &number, sizeof number);
        return error;
    case CONFIG_INT:
        error = parse_integer(text, no_units, &whole);
        break;
    case CONFIG_BYTES:
        error = config_parse_bytes(text, &whole);
        break;
    case CONFIG_DURATION_MS:
    default:
        error = config_parse_duration_ms(text, &whole);
        break;
    }
    if (!error && !(error = in_range(option, (double)whole)))
        memcpy(field, &whole, sizeof whole);
    return error;
}

void config_value_print_secret(const char *key, const char *value)
{
    if (*value)
        printf("; %s = (set)\n", key);
    else
        printf("%s = \n", key);
}

static void print_address(const char *key, const char *value)
{
    struct str before, after;
    if (url_split_user(value, &before, &after))
        printf("; %s = %.*s(set)@%s\n", key, (int)before.size, before.data, after.data);
    else
        printf("%s = %s\n", key, value);
}

void config_value_print(const struct config_option *option, const void *target)
{
    const void *field = (const char *)target + option->offset;
    switch (option->type) {
    case CONFIG_STRING:
        printf("%s = %s\n", option->key, *(const char *const *)field);
        break;
    case CONFIG_SECRET:
        config_value_print_secret(option->key, *(const char *const *)field);
        break;
    case CONFIG_ADDRESS:
        print_address(option->key, *(const char *const *)field);
        break;
    case CONFIG_BOOL:
        printf("%s = %s\n", option->key, *(const bool *)field ? "yes" : "no");
        break;
    case CONFIG_DOUBLE:
        printf("%s = %g\n", option->key, *(const double *)field);
        break;
    case CONFIG_DURATION_MS:
        printf("%s = %lldms\n", option->key, (long long)*(const int64_t *)field);
        break;
    case CONFIG_INT:
    case CONFIG_BYTES:
    default:
        printf("%s = %lld\n", option->key, (long long)*(const int64_t *)field);
        break;
    }
}
