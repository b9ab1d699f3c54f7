/* See command.h. */
#include "cli/command.h"

#include <stdarg.h>
#include <stdio.h>

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
