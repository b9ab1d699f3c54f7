/* How large the input of a command is, when nobody tells it. */
#ifndef FORESTALL_COMMON_INPUT_SIZE_H
#define FORESTALL_COMMON_INPUT_SIZE_H

#include <stdint.h>

/* Bytes of the regular files that the arguments after the first name: as a whole, behind a `=`, or as a word
 * within one (a shell's command, `FILE:name`), but for what is written: behind a `>`, `-o`, `--output` and
 * the like, `of=`. What a run before has left there would make the same input another one. Relative names are
 * those in cwd (NULL: the working directory); at most 1,024 names are looked at. stdin_fd: what it reads as
 * standard input counts too, when that is a regular file; -1: nothing. 0: none, or none that can be seen. */
int64_t input_size(const char *cwd, char *const *argv, int stdin_fd);

#endif
