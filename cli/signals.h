/* SIGINT, SIGTERM and SIGHUP as a number and a readable descriptor; SIGPIPE ignored. One user per process. */
#ifndef FORESTALL_CLI_SIGNALS_H
#define FORESTALL_CLI_SIGNALS_H

#include "common/base.h"

/* 0 or negative errno. */
FS_MUST_CHECK int signals_watch(void);
/* How many came since; a second one means: at once. */
int signals_count(void);
/* Readable once the first came. */
int signals_fd(void);

#endif
