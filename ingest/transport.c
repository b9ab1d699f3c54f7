/* See transport.h. */
#include "ingest/transport.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG                                                                                              \
    4096 /* thousands of agents come back at once after a restart; the kernel caps it at somaxconn */
/* A peer whose machine vanished while ingest does not read from it (back-pressure): unacknowledged pings end
 * it. */
#define USER_TIMEOUT_MS 30000

struct listener {
    int fd;
    char address[TRANSPORT_ADDRESS_MAX];
};

struct transport {
    int fd;
};

static int split(const char *address, char *host, size_t host_size, char *port, size_t port_size)
{
    const char *colon = strrchr(address, ':');
    struct str name = {address, colon ? (size_t)(colon - address) : 0};
    if (!colon || name.size == 0 || !colon[1])
        return -EINVAL;
    if (name.size > 2 && name.data[0] == '[' && name.data[name.size - 1] == ']') {
        name.data++;
        name.size -= 2;
    }
    return str_copy(host, host_size, name) && str_copy(port, port_size, str_of(colon + 1)) ? 0 : -EINVAL;
}

static int bind_to(const struct addrinfo *info)
{
    int one = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* Without it a restart could not listen for a minute. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = -errno;
    (void)close(fd);
    return error;
}

static int listen_on(const char *address, char *error, size_t error_size)
{
    char host[256], port[32];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
    if (split(address, host, sizeof host, port, sizeof port) < 0) {
        (void)snprintf(error, error_size, "ingest.listen=%.100s is not host:port", address);
        return -EINVAL;
    }
    int found = getaddrinfo(host, port, &hints, &list);
    if (found) {
        (void)snprintf(error, error_size, "ingest.listen=%.100s: %s", address, gai_strerror(found));
        return -EINVAL;
    }
    int fd = -EADDRNOTAVAIL;
    for (const struct addrinfo *info = list; info && fd < 0; info = info->ai_next)
        fd = bind_to(info);
    freeaddrinfo(list);
    if (fd < 0)
        (void)snprintf(error, error_size, "ingest.listen=%.100s cannot be listened on: %s", address,
                       strerror(-fd));
    return fd;
}

static void name_address(const struct sockaddr_storage *address, socklen_t size, char *out, size_t out_size)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (getnameinfo((const struct sockaddr *)address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        (void)snprintf(out, out_size, "?");
    else
        (void)snprintf(out, out_size, address->ss_family == AF_INET6 ? "[%.200s]:%.20s" : "%.200s:%.20s",
                       host, port);
}

struct listener *listener_open(const char *address, char *error, size_t error_size)
{
    int fd = listen_on(address, error, error_size);
    if (fd < 0)
        return NULL;
    struct listener *listener = calloc(1, sizeof *listener);
    struct sockaddr_storage bound = {0};
    socklen_t size = sizeof bound;
    if (!listener || getsockname(fd, (struct sockaddr *)&bound, &size) < 0) {
        (void)snprintf(error, error_size, "ingest.listen=%.100s: %s", address,
                       strerror(listener ? errno : ENOMEM));
        (void)close(fd);
        free(listener);
        return NULL;
    }
    listener->fd = fd;
    name_address(&bound, size, listener->address, sizeof listener->address);
    return listener;
}

void listener_close(struct listener *listener)
{
    if (!listener)
        return;
    (void)close(listener->fd);
    free(listener);
}

int listener_fd(const struct listener *listener)
{
    return listener->fd;
}

const char *listener_address(const struct listener *listener)
{
    return listener->address;
}

/* Failing costs latency or a late time-out, not correctness. */
static void tune(int fd)
{
    int one = 1;
    unsigned timeout_ms = USER_TIMEOUT_MS;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

int listener_accept(struct listener *listener, char *peer, size_t peer_size, struct transport **out)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    int fd = accept4(listener->fd, (struct sockaddr *)&address, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
    struct transport *transport = malloc(sizeof *transport);
    if (!transport) {
        (void)close(fd);
        return -ENOMEM;
    }
    tune(fd);
    transport->fd = fd;
    name_address(&address, size, peer, peer_size);
    *out = transport;
    return 1;
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

void transport_finish(struct transport *transport)
{
    (void)shutdown(transport->fd, SHUT_WR); /* the peer may be gone already */
}
