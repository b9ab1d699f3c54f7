/* What a supervisor's program starts with: its arguments, its environment, the places it writes to. The
 * attempt's directory is the current one. */
#ifndef FORESTALL_AGENT_PROGRAM_H
#define FORESTALL_AGENT_PROGRAM_H

#include "common/arena.h"
#include "schemas/codec.h"

/* NULL-terminated, in the arena; NULL: it is full. */
char **program_argv(const struct msg_execution_request *request, struct arena *arena);
/* The request's and what Forestall tells; directory: the current one's whole path. */
char **program_env(const struct msg_admission *admission, const char *directory, struct arena *arena);
/* Makes the scratch directory, and the output that was not asked for elsewhere, for that user ("" = the
 * caller's). 0 or negative errno. */
FS_MUST_CHECK int program_make_places(const struct msg_execution_request *request, const char *user,
                                      const char *stdout_path, const char *stderr_path);

#endif
