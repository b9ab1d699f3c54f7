/* forestall replay: a program of its own beside this one, since it links what the services are made of. */
#include "cli/command.h"

int command_replay(int argc, char **argv)
{
    (void)argc;
    return command_exec("replay", argv);
}
