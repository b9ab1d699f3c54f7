/* The sub-commands: each is one function with its own options, listed in main.c. */
#ifndef FORESTALL_CLI_COMMAND_H
#define FORESTALL_CLI_COMMAND_H

#include "common/base.h"

/* Exit status of the tool itself: something could not be done; the command line is wrong; for `run` a failure
 * of Forestall's, told apart from the program's status as env(1) and timeout(1) do. */
#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_OWN_FAILURE 125

/* argv[0] is the sub-command's name. The exit status. */
typedef int command_fn(int argc, char **argv);

struct command {
    const char *name, *summary;
    command_fn *run;
};

command_fn command_local, command_run, command_submit, command_cancel, command_status, command_explain,
    command_allocation, command_dlq, command_model, command_topics, command_replay, command_report,
    command_demo;

/* "forestall COMMAND: text" on standard error; returns status. */
int command_fail(const char *name, int status, const char *format, ...) FS_PRINTF(3, 4);
/* The same for a wrong command line, with a pointer to --help; returns EXIT_USAGE. */
int command_misuse(const char *name, const char *text);
/* Goes on as the program `forestall-NAME` beside this one; returns only when that fails. */
int command_exec(const char *name, char **argv);

#endif
