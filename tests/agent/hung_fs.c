/* See hung_fs.h. FUSE by its own protocol: the greeting is answered, nothing else is. */
#include "tests/agent/hung_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#define QUESTION_MAX (2 << 20) /* the kernel reads into no less than it may write */

static char question[QUESTION_MAX];

static int greet(int fd)
{
    struct fuse_in_header *header = (struct fuse_in_header *)(void *)question;
    struct {
        struct fuse_out_header header;
        struct fuse_init_out body;
    } answer = {
        .header.len = sizeof answer,
        .body = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_write = 4096}};
    if (read(fd, question, sizeof question) < 0)
        return -errno;
    if (header->opcode != FUSE_INIT)
        return -EPROTO;
    answer.header.unique = header->unique;
    return write(fd, &answer, sizeof answer) == (ssize_t)sizeof answer ? 0 : -EIO;
}

int hung_fs_open(const char *directory, struct hung_fs *out)
{
    char options[100];
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    (void)snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
    int result = mount("hung", directory, "fuse", MS_NOSUID | MS_NODEV, options) < 0 ? -errno : greet(fd);
    if (result < 0) {
        (void)close(fd);
        return result;
    }
    out->fd = fd;
    return 0;
}

bool hung_fs_take(const struct hung_fs *fs, int timeout_ms)
{
    struct pollfd asked = {.fd = fs->fd, .events = POLLIN};
    return poll(&asked, 1, timeout_ms) == 1 && read(fs->fd, question, sizeof question) > 0;
}

void hung_fs_close(const struct hung_fs *fs, const char *directory)
{
    (void)close(fs->fd);
    (void)umount2(directory, MNT_DETACH);
}
