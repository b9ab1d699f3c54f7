/* The file named by FORESTALL_LIMITS: what the program may use now, as `key=value` lines. It is replaced
 * whole (rename), so a reader sees one state; a program that watches it looks at its inode or its directory.
 * 0 = no limit.
 *
 *   memory_bytes=67108864
 *   cpu_millicores=500
 *   cpu_weight=0
 *   io_read_bps=0
 *   io_write_bps=0
 *   io_weight=0
 *   net_egress_bps=0
 *   net_priority=0
 *   updated_us=1764000000000000 */
#ifndef FORESTALL_AGENT_LIMITS_FILE_H
#define FORESTALL_AGENT_LIMITS_FILE_H

#include "schemas/messages.h"

/* 0 or negative errno; the file is as before then. */
FS_MUST_CHECK int limits_file_write(int directory_fd, const char *name, const struct msg_limits *limits,
                                    int64_t now_us);

#endif
