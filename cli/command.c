/* See command.h. */
#include "cli/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "common/installed.h"

int command_fail(const char *name, int status, const char *format, ...)
{
    va_list arguments;
    (void)fflush(stdout);
    (void)fprintf(stderr, "forestall %s: ", name);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    return status;
}

int command_misuse(const char *name, const char *text)
{
    (void)fprintf(stderr, "forestall %s: %s (see forestall %s --help)\n", name, text, name);
    return EXIT_USAGE;
}

int command_exec(const char *name, char **argv)
{
    char path[4096], program[64];
    (void)snprintf(program, sizeof program, "forestall-%s", name); /* names of ours are short */
    int result = installed_path(program, path, sizeof path);
    if (result < 0)
        return command_fail(name, EXIT_FAILED, "%s: %s", program, strerror(-result));
    (void)execv(path, argv);
    return command_fail(name, EXIT_FAILED, "%s: %s", path, strerror(errno));
}
