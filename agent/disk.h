/* Small files that must be whole or absent: written beside, synced, renamed. Relative to an open directory.
 */
#ifndef FORESTALL_AGENT_DISK_H
#define FORESTALL_AGENT_DISK_H

#include <stdatomic.h>

#include "common/base.h"

/* Replaces name by these bytes; durable before it returns when sync. 0 or negative errno, the old file is
 * untouched then. */
FS_MUST_CHECK int disk_replace(int directory_fd, const char *name, const void *data, size_t size,
                               unsigned mode, bool sync);
/* Reads at most size - 1 bytes, terminated. Number of bytes, -EFBIG when it is longer, or negative errno. */
FS_MUST_CHECK int64_t disk_read(int directory_fd, const char *name, char *out, size_t size);
/* Writes all of it at the descriptor's end; 0 or negative errno (-EIO when short, a part may be written). */
FS_MUST_CHECK int disk_write_all(int fd, const void *data, size_t size);
/* Makes the directory when missing and opens it. A descriptor or negative errno. */
FS_MUST_CHECK int disk_open_directory(int directory_fd, const char *name, unsigned mode);
/* Removes a directory and the plain files, sockets and directories in it. 0 also when it is not there.
 * Otherwise the first error, with as much removed as can be; -ECANCELED: stop became true (NULL = never).
 * Needs 65 descriptors at most, however deep it is. */
FS_MUST_CHECK int disk_remove_tree(int directory_fd, const char *name, const atomic_bool *stop);

#endif
