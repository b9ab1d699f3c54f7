/* All services of Forestall on this machine, as supervised children of this process, with a broker and a
 * Redis: what `forestall local` is, and what a demo or a test stands on.
 *
 * Guarantees: one instance per state directory; a child that ends is started again with a growing pause; the
 * children end with this process, however it ends; local_close() ends running programs first, then lets the
 * services take in what they said, then stops them in the order of the data's way. The embedded broker
 * promises nothing over a restart but the newest value of each key of the compacted topics. */
#ifndef FORESTALL_CLI_LOCAL_H
#define FORESTALL_CLI_LOCAL_H

#include "cli/children.h"
#include "cli/instance.h"
#include "cli/local_plan.h"

struct local;

/* Checks the machine, takes the lock, opens broker and Redis, writes the file of settings, starts the
 * services. NULL with sentences in error: what is missing and what to do. Blocks for some seconds at most. */
FS_MUST_CHECK struct local *local_open(const struct local_options *options, char *error, size_t error_size);
/* Waits until all are ready, then writes local.json. 0; -EINTR: stop_fd became readable; -ETIMEDOUT or
 * -ECHILD (one keeps ending): error says which service, why, and the end of its log. */
FS_MUST_CHECK int local_wait_ready(struct local *local, int stop_fd, char *error, size_t error_size);
/* Watches for at most timeout_ms or until stop_fd is readable (-1: none). 0; -ESHUTDOWN: started for its
 * users only, and none is left. */
FS_MUST_CHECK int local_step(struct local *local, int stop_fd, int timeout_ms);
const struct instance *local_instance(const struct local *local);
/* impatient (may be NULL): asked while waiting; true shortens all waits. NULL is fine. */
typedef bool local_impatient_fn(void);
void local_close(struct local *local, local_impatient_fn *impatient);

#endif
