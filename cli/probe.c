/* See probe.h. */
#include "cli/probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

#define PORT_FIRST 10000
#define PORT_TOP_LEAST 12000
#define PORT_TRIES 4000
#define PORTS_MAX 32

int probe_parse(struct str answer, char *reason, size_t reason_size)
{
    char head[64], *end_of_status;
    (void)str_copy(head, sizeof head, answer);
    const char *space = strncmp(head, "HTTP/1.", 7) == 0 ? strchr(head, ' ') : NULL;
    if (!space)
        return -EBADMSG;
    long status = strtol(space, &end_of_status, 10);
    if (end_of_status == space)
        return -EBADMSG;
    const char *body = memmem(answer.data, answer.size, "\r\n\r\n", 4);
    struct str text = {"", 0};
    if (body)
        text = (struct str){body + 4, answer.size - (size_t)(body + 4 - answer.data)};
    const char *end = memchr(text.data, '\n', text.size);
    if (end)
        text.size = (size_t)(end - text.data);
    (void)str_copy(reason, reason_size, text);
    return status == 200;
}

static int wait_for(int fd, short events, int64_t deadline_ms)
{
    struct pollfd polled = {.fd = fd, .events = events};
    int64_t left_ms = deadline_ms - clock_monotonic_ms();
    return left_ms > 0 && poll(&polled, 1, (int)left_ms) > 0 ? 0 : -ETIMEDOUT;
}

static int connect_to(int fd, uint16_t port, int64_t deadline_ms)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int error = 0;
    socklen_t size = sizeof error;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return -errno;
    if (wait_for(fd, POLLOUT, deadline_ms) < 0)
        return -ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? -errno : -error;
}

static int exchange(int fd, int64_t deadline_ms, char *out, size_t capacity, size_t *size)
{
    static const char request[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)sizeof request - 1)
        return -EIO;
    *size = 0;
    while (*size < capacity && wait_for(fd, POLLIN, deadline_ms) == 0) {
        ssize_t got = recv(fd, out + *size, capacity - *size, 0);
        if (got <= 0)
            break;
        *size += (size_t)got;
    }
    return *size > 0 ? 0 : -ETIMEDOUT;
}

int probe_ready(uint16_t port, int timeout_ms, char *reason, size_t reason_size)
{
    char answer[2048];
    size_t size = 0;
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int result = fd < 0 ? -errno : connect_to(fd, port, deadline_ms);
    if (result == 0)
        result = exchange(fd, deadline_ms, answer, sizeof answer, &size);
    if (fd >= 0)
        (void)close(fd);
    if (result == 0)
        result = probe_parse((struct str){answer, size}, reason, reason_size);
    if (result >= 0)
        return result;
    (void)snprintf(reason, reason_size, "does not answer on port %u: %s", port, strerror(-result));
    return 0;
}

static unsigned ephemeral_first(void)
{
    unsigned long first = 32768;
    char line[64];
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    if (file) {
        if (fgets(line, sizeof line, file))
            first = strtoul(line, NULL, 10);
        (void)fclose(file);
    }
    return (unsigned)FS_MIN(FS_MAX(first, (unsigned long)PORT_TOP_LEAST), 65535UL);
}

static int bind_random(unsigned top)
{
    uint16_t chance = 0;
    if (getrandom(&chance, sizeof chance, 0) != (ssize_t)sizeof chance)
        return -errno;
    unsigned port = PORT_FIRST + chance % (top - PORT_FIRST);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int error = -errno;
    (void)close(fd);
    return error;
}

int probe_free_ports(uint16_t *out, size_t count)
{
    int fds[PORTS_MAX];
    size_t found = 0;
    unsigned top = ephemeral_first();
    if (count > PORTS_MAX)
        return -EADDRNOTAVAIL;
    for (int tries = 0; found < count && tries < PORT_TRIES; tries++) {
        struct sockaddr_in address = {0};
        socklen_t size = sizeof address;
        int fd = bind_random(top);
        if (fd < 0)
            continue;
        if (getsockname(fd, (struct sockaddr *)&address, &size) == 0) {
            out[found] = ntohs(address.sin_port);
            fds[found++] = fd; /* kept until all are found, so that they differ */
        } else {
            (void)close(fd);
        }
    }
    for (size_t i = 0; i < found; i++)
        (void)close(fds[i]);
    return found == count ? 0 : -EADDRNOTAVAIL;
}
