/* See input_size.h. */
#include "common/input_size.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEASURED_MAX 1024 /* arguments looked at */

int64_t input_size_redirected(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? status.st_size : 0;
}

int64_t input_size(const char *cwd, char *const *argv)
{
    int directory = cwd ? open(cwd, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : AT_FDCWD;
    int64_t bytes = 0;
    for (int i = 1; argv[0] && argv[i] && i < MEASURED_MAX; i++) {
        const char *equals = strchr(argv[i], '=');
        struct stat status;
        bool found = fstatat(directory, argv[i], &status, 0) == 0 ||
                     (equals && fstatat(directory, equals + 1, &status, 0) == 0);
        if (found && S_ISREG(status.st_mode) && status.st_size > 0)
            bytes = status.st_size < INT64_MAX - bytes ? bytes + status.st_size : INT64_MAX;
    }
    if (directory >= 0)
        (void)close(directory); /* only looked at */
    return bytes;
}
