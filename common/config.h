/* Configuration from const tables: defaults < INI file < environment < command line. One table drives
 * parsing, --help,
 * --reference (Markdown) and --print-config. Unknown keys are errors; so are values out of range or in the
 * wrong unit.
 *
 * What is secret is so by its type: --print-config says `; key = (set)`, a comment, so that its output can be
 * read back without taking that for the value; no error repeats the value; on the command line it is
 * overwritten once read, so that the list of processes does not show it for longer. */
#ifndef FORESTALL_COMMON_CONFIG_H
#define FORESTALL_COMMON_CONFIG_H

#include "common/base.h"

enum config_type {
    CONFIG_STRING,      /* const char * */
    CONFIG_INT,         /* int64_t */
    CONFIG_BYTES,       /* int64_t; 64M, 1G, 4096 (powers of 1,024) */
    CONFIG_DURATION_MS, /* int64_t; 100ms, 10s, 15m, 24h; a bare number is milliseconds */
    CONFIG_BOOL,        /* bool; yes/no, true/false, on/off, 1/0 */
    CONFIG_DOUBLE,      /* double */
    CONFIG_SECRET,      /* const char *; never shown */
    CONFIG_ADDRESS      /* const char *; shown without the user and password in it (url.h) */
};

struct config_option {
    const char *section, *key;
    enum config_type type;
    size_t offset;        /* of the field in the target struct */
    const char *fallback; /* the default, as text */
    double min, max;      /* of numbers, inclusive; both 0 = no bounds */
    const char *help;
};

struct config;

/* Owns every string it hands out, until config_destroy. NULL when out of memory. */
struct config *config_create(const char *program, const char *description);
void config_destroy(struct config *config);
/* options and target are borrowed until config_destroy. Several tables may be added. */
FS_MUST_CHECK int config_add(struct config *config, const struct config_option *options, size_t count,
                             void *target);
/* A section whose keys are all taken as they are, e.g. [kafka] for librdkafka. Which of them are secret only
 * that library knows: no value is ever shown. */
FS_MUST_CHECK int config_passthrough(struct config *config, const char *section);
/* Walks the kept keys of such a section from *cursor = 0. */
bool config_passthrough_next(const struct config *config, const char *section, size_t *cursor,
                             const char **key, const char **value);

/* Reads everything. File: --config FILE or FORESTALL_CONFIG. Environment: FORESTALL_SECTION_KEY. Arguments:
 * --section.key=value or --section.key value; --key when only one section has it. 0 = go on, 1 = --help,
 * --version, --print-config or --reference was answered, negative errno = error says key, value and reason.
 * What is not an option ends the options (also after --). argv is main's own: secrets in it are written over.
 */
FS_MUST_CHECK int config_load(struct config *config, int argc, char **argv, char *error, size_t error_size);
/* The arguments behind the options; count may be 0. */
char *const *config_arguments(const struct config *config, int *count);

/* Parses one value as config_load does: -EINVAL or -ERANGE. Used for arguments of the command line tool as
 * well. */
FS_MUST_CHECK int config_parse_bytes(const char *text, int64_t *out);
FS_MUST_CHECK int config_parse_duration_ms(const char *text, int64_t *out);

#endif
