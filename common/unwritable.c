/* See unwritable.h. */
#include "common/unwritable.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int unwritable_say(int result, const char *what, const char *option, char *error, size_t error_size)
{
    const char *reason = strerror(-result);
    switch (-result) {
    case ENOSPC: /* also: no inodes left */
    case EDQUOT:
        (void)snprintf(error, error_size,
                       "%s: %s: free space (or inodes) there, or set %s to a place that has some", what,
                       reason, option);
        break;
    case EROFS:
        (void)snprintf(error, error_size, "%s: %s: mount it writable, or set %s to a place that is", what,
                       reason, option);
        break;
    case EACCES:
    case EPERM:
        (void)snprintf(error, error_size,
                       "%s: %s: let user %u write there, or set %s to a place it may write", what, reason,
                       (unsigned)geteuid(), option);
        break;
    default:
        (void)snprintf(error, error_size, "%s: %s", what, reason);
        break;
    }
    return result;
}

bool unwritable_special(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}
