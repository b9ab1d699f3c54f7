/* The sentence for a file or directory that could not be made or written: what, why, and what to do. */
#ifndef FORESTALL_COMMON_UNWRITABLE_H
#define FORESTALL_COMMON_UNWRITABLE_H

#include "common/base.h"

/* Writes e.g. "cannot make /var/lib/x: No space left on device: free space there, or set service.state_dir to
 * a place that has some" and returns result, a negative errno. what: as in the example, with the path;
 * option: the setting that decides the place. Errors that neither space nor rights would mend are told
 * without advice. */
int unwritable_say(int result, const char *what, const char *option, char *error, size_t error_size);
/* True when there is something else than a regular file at path, a device or a directory: what is written
 * beside it and renamed would take its place. */
bool unwritable_special(const char *path);

#endif
