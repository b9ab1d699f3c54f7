/* forestall demo: a program of its own beside this one, since it starts this one as users do. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"

int command_demo(int argc, char **argv)
{
    char path[4096];
    (void)argc;
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    if (size < 0)
        return command_fail("demo", EXIT_FAILED, "/proc/self/exe: %s", strerror(errno));
    if (!str_copy(path + size, sizeof path - (size_t)size, str_of("-demo")))
        return command_fail("demo", EXIT_FAILED, "/proc/self/exe: %s", strerror(ENAMETOOLONG));
    (void)execv(path, argv);
    return command_fail("demo", EXIT_FAILED, "%s: %s", path, strerror(errno));
}
