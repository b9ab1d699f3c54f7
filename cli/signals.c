/* See signals.h. */
#include "cli/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static int wake[2] = {-1, -1};
static volatile sig_atomic_t count;

static void on_signal(int number)
{
    (void)number;
    int kept = errno;
    count = count + 1;
    ssize_t written = write(wake[1], "x", 1); /* full: it is readable already */
    (void)written;
    errno = kept;
}

int signals_watch(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    if (wake[0] < 0 && pipe2(wake, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    (void)sigemptyset(&action.sa_mask);
    if (sigaction(SIGINT, &action, NULL) < 0 || sigaction(SIGTERM, &action, NULL) < 0 ||
        sigaction(SIGHUP, &action, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return -errno;
    return 0;
}

int signals_count(void)
{
    return count;
}

int signals_fd(void)
{
    return wake[0];
}
