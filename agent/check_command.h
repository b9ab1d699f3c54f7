/* `forestall-agent --check [--json]`: what this machine allows, for people or for programs. */
#ifndef FORESTALL_AGENT_CHECK_COMMAND_H
#define FORESTALL_AGENT_CHECK_COMMAND_H

#include "agent/check.h"
#include "agent/options.h"

/* Takes --check and --json out of the arguments; true when --check was among them. */
bool check_command_take(int *argc, char **argv, bool *json);
/* Tries the machine with the configured subtree and device and prints: a table, or with json
 * {"passed": bool, "items": [{"name", "ok", "required", "detail", "advice"}]} and a line feed. Exit status: 0
 * executions can run here, 1 not. */
int check_command_run(const struct agent_options *options, bool json);
/* For the start: 0, or -EPERM with the first required thing that is missing and what to do about it. */
FS_MUST_CHECK int check_command_required(const struct agent_options *options, char *error, size_t error_size);

#endif
