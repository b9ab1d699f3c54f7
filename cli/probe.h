/* Asks a service's /readyz on loopback. */
#ifndef FORESTALL_CLI_PROBE_H
#define FORESTALL_CLI_PROBE_H

#include "common/base.h"

/* 1 ready; 0 not, with what it says (or that nothing answers) in reason. Blocks up to timeout_ms. */
FS_MUST_CHECK int probe_ready(uint16_t port, int timeout_ms, char *reason, size_t reason_size);
/* The pure part: an HTTP answer. 1, 0 with the body's first line, -EBADMSG. */
FS_MUST_CHECK int probe_parse(struct str answer, char *reason, size_t reason_size);

/* count distinct ports of 127.0.0.1 that nobody listens on, below the range the kernel hands to clients, so
 * that a service can bind its port again after a restart. 0, -EADDRNOTAVAIL. */
FS_MUST_CHECK int probe_free_ports(uint16_t *out, size_t count);

#endif
