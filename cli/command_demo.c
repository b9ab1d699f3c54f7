/* forestall demo: a program of its own beside this one, since it starts this one as users do. */
#include "cli/command.h"

int command_demo(int argc, char **argv)
{
    (void)argc;
    return command_exec("demo", argv);
}
