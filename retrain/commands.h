/* The commands that work on files: each returns an exit status and tells errors on standard error. */
#ifndef FORESTALL_RETRAIN_COMMANDS_H
#define FORESTALL_RETRAIN_COMMANDS_H

#include "retrain/options.h"

/* more: further record files behind the options. */
int command_train(const struct retrain_options *options, char *const *more, int count);
int command_calibrate(const struct retrain_options *options, char *const *more, int count);
int command_merge(const struct retrain_options *options, char *const *more, int count);
int command_evaluate(const struct retrain_options *options, char *const *more, int count);
int command_challenge(const struct retrain_options *options, char *const *more, int count);

/* --- shared by them (command_files.c) --- */

int command_fail(const char *what, const char *why);
/* Opens the set and adds --records and what follows; negative: told already. */
FS_MUST_CHECK int command_load_records(const struct retrain_options *options, char *const *more, int count,
                                       struct record_set *out);
/* A model file; NULL: told already. */
struct network *command_load_network(const char *path);
/* Writes it beside and renames, so that a reader never sees half a file. Negative: told already. */
FS_MUST_CHECK int command_write_file(const char *path, struct str bytes);
FS_MUST_CHECK int command_save_network(const char *path, struct network *network);
/* Progress lines on standard error. */
void command_report(void *context, const struct fit_progress *progress);

#endif
