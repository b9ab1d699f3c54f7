/* The default identity of a program (design §1): the executable's base name, for interpreters plus the
 * script's. */
#ifndef FORESTALL_CLI_CODE_NAME_H
#define FORESTALL_CLI_CODE_NAME_H

#include "schemas/name.h"

#define CODE_NAME_MAX NAME_SIZE_MAX

/* xz; python3:train.py; bash:nightly.sh; java:server.jar; python3:http.server (-m). What an interpreter is
 * told on the command line (python3 -c TEXT) has no name: the interpreter's alone. Characters that a code may
 * not have become '_'; out is never empty. argv ends with NULL. */
void code_name_default(char *const *argv, char out[CODE_NAME_MAX + 1]);
/* 1..128 bytes of [A-Za-z0-9._:+@/-]. */
bool code_name_valid(struct str name);

#endif
