/* Options of the sub-commands: const tables, GNU style, with the help made from them.
 *
 * --name VALUE, --name=VALUE, one-letter forms only for -h. Values are checked when they are met; an error
 * names the option, the value and the form that is wanted. */
#ifndef FORESTALL_CLI_ARGUMENTS_H
#define FORESTALL_CLI_ARGUMENTS_H

#include "common/base.h"

enum argument_type {
    ARGUMENT_FLAG,        /* bool, no value */
    ARGUMENT_STRING,      /* const char *, borrowed from argv */
    ARGUMENT_INT,         /* int64_t, within min and max */
    ARGUMENT_BYTES,       /* int64_t; 64M, 1G */
    ARGUMENT_DURATION_MS, /* int64_t; 500ms, 60s, 5m */
    ARGUMENT_MILLICORES,  /* int64_t; 500m, 0.5, 2 */
    ARGUMENT_LIST         /* struct argument_list, one more item with each use */
};

#define ARGUMENT_LIST_MAX 64
struct argument_list {
    const char *items[ARGUMENT_LIST_MAX];
    size_t count;
};

struct argument {
    const char *name; /* without the dashes */
    enum argument_type type;
    size_t offset;     /* in the set's target */
    int64_t min, max;  /* of numbers, inclusive; both 0 = only not negative */
    const char *value; /* how the value is called in the help; NULL for flags */
    const char *help;
};

/* One table with what it fills; a command has its own and shared ones. */
struct argument_set {
    const struct argument *arguments;
    size_t count;
    void *target;
};

struct usage {
    const char *line;     /* "forestall run [OPTION]... -- CMD..." */
    const char *text;     /* what it does; ends without a newline */
    const char *examples; /* NULL: none */
};

enum arguments_style {
    ARGUMENTS_ANYWHERE, /* options before, between and after the words */
    ARGUMENTS_FIRST     /* the first word ends the options: the rest belongs to another program */
};

/* Fills the targets (fields not named keep what they hold) and moves the words to argv[1..*count]. 0 = go on;
 * 1 = --help was printed; -EINVAL with a sentence in error. */
FS_MUST_CHECK int arguments_parse(const struct argument_set *sets, size_t set_count,
                                  const struct usage *usage, enum arguments_style style, int argc,
                                  char **argv, int *count, char *error, size_t error_size);
/* "500m" = 500, "0.5" = 500, "2" = 2000. -EINVAL, -ERANGE. */
FS_MUST_CHECK int arguments_millicores(const char *text, int64_t *out);

#endif
