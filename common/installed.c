/* See installed.h. */
#include "common/installed.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

int installed_path(const char *relative, char *out, size_t size)
{
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        return -errno;
    self[length] = '\0';
    *strrchr(self, '/') = '\0'; /* the kernel's path is absolute */
    int written = snprintf(out, size, "%s%s%s", self, *relative ? "/" : "", relative);
    return written >= 0 && (size_t)written < size ? 0 : -ENAMETOOLONG;
}
