/* See transport.h. */
#include "agent/transport.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct transport {
    int fd;
};

static int split(const char *address, char *host, size_t host_size, char *port, size_t port_size)
{
    const char *colon = strrchr(address, ':');
    struct str name = {address, colon ? (size_t)(colon - address) : 0};
    if (!colon || name.size == 0 || !colon[1])
        return -EINVAL;
    if (name.size > 2 && name.data[0] == '[' && name.data[name.size - 1] == ']') { /* [::1]:7400 */
        name.data++;
        name.size -= 2;
    }
    return str_copy(host, host_size, name) && str_copy(port, port_size, str_of(colon + 1)) ? 0 : -EINVAL;
}

static int begin_connect(const struct addrinfo *info)
{
    int one = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
                     sizeof one); /* a tick must not wait; without it: slower, not wrong */
    if (connect(fd, info->ai_addr, info->ai_addrlen) < 0 && errno != EINPROGRESS) {
        int error = -errno;
        (void)close(fd);
        return error;
    }
    return fd;
}

int transport_connect(const char *address, char *error, size_t error_size, struct transport **out)
{
    char host[256], port[32];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list;
    if (split(address, host, sizeof host, port, sizeof port) < 0) {
        (void)snprintf(error, error_size, "%.100s is not host:port", address);
        return -EINVAL;
    }
    int found = getaddrinfo(host, port, &hints, &list);
    if (found) {
        (void)snprintf(error, error_size, "cannot find %.100s: %s", address, gai_strerror(found));
        return -EHOSTUNREACH;
    }
    int fd = -EHOSTUNREACH;
    for (const struct addrinfo *info = list; info && fd < 0; info = info->ai_next)
        fd = begin_connect(info);
    freeaddrinfo(list);
    struct transport *transport = fd < 0 ? NULL : malloc(sizeof *transport);
    if (!transport) {
        if (fd >= 0)
            (void)close(fd);
        (void)snprintf(error, error_size, "cannot connect to %.100s: %s", address,
                       fd < 0 ? strerror(-fd) : "out of memory");
        return fd < 0 ? fd : -ENOMEM;
    }
    transport->fd = fd;
    *out = transport;
    return 0;
}

void transport_close(struct transport *transport)
{
    if (!transport)
        return;
    (void)close(transport->fd);
    free(transport);
}

int transport_fd(const struct transport *transport)
{
    return transport->fd;
}

int transport_establish(struct transport *transport)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer, error_size = sizeof(int);
    int error = 0;
    if (getsockopt(transport->fd, SOL_SOCKET, SO_ERROR, &error, &error_size) < 0 || error)
        return error ? -error : -errno;
    if (getpeername(transport->fd, (struct sockaddr *)&peer, &size) == 0)
        return 1;
    return errno == ENOTCONN ? 0 : -errno;
}

ssize_t transport_read(struct transport *transport, void *out, size_t size)
{
    ssize_t got;
    do {
        got = recv(transport->fd, out, size, 0);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? (errno == EWOULDBLOCK ? -EAGAIN : -errno) : got;
}

ssize_t transport_write(struct transport *transport, const void *data, size_t size)
{
    ssize_t written;
    do {
        written = send(transport->fd, data, size, MSG_NOSIGNAL);
    } while (written < 0 && errno == EINTR);
    return written < 0 ? (errno == EWOULDBLOCK ? -EAGAIN : -errno) : written;
}
