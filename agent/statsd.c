/* See statsd.h. */
#include "agent/statsd.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NUMBER_MAX 32

static bool good_name(struct str name)
{
    if (name.size == 0 || name.size > TRACK_CUSTOM_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '_' && c != '.' && c != '-')
            return false;
    }
    return true;
}

/* A decimal number and nothing else; *relative when it has a sign. */
static bool parse_value(struct str text, double *value, bool *relative)
{
    char copy[NUMBER_MAX + 1];
    char *end;
    if (text.size == 0 || !str_copy(copy, sizeof copy, text) || strspn(copy, "0123456789+-.eE") != text.size)
        return false;
    *value = strtod(copy, &end);
    *relative = copy[0] == '+' || copy[0] == '-';
    return end == copy + text.size;
}

static void take_line(struct track *track, struct str line, struct statsd_counts *counts)
{
    const char *colon = memchr(line.data, ':', line.size);
    const char *bar = colon ? memchr(colon, '|', line.size - (size_t)(colon - line.data)) : NULL;
    double value;
    bool relative;
    if (!bar || line.data + line.size - bar != 2 || bar[1] != 'g') {
        counts->malformed++;
        return;
    }
    struct str name = {line.data, (size_t)(colon - line.data)};
    if (!good_name(name) ||
        !parse_value((struct str){colon + 1, (size_t)(bar - colon - 1)}, &value, &relative)) {
        counts->malformed++;
        return;
    }
    int result = track_gauge(track, name, value, relative);
    if (result == 0)
        counts->taken++;
    else if (result == -ENOSPC)
        counts->too_many_names++;
    else
        counts->malformed++;
}

static void take_datagram(struct track *track, struct str datagram, struct statsd_counts *counts)
{
    while (datagram.size > 0) {
        const char *end = memchr(datagram.data, '\n', datagram.size);
        size_t size = end ? (size_t)(end - datagram.data) : datagram.size;
        if (size > 0)
            take_line(track, (struct str){datagram.data, size}, counts);
        size_t step = end ? size + 1 : size;
        datagram.data += step;
        datagram.size -= step;
    }
}

void statsd_drain(int fd, struct track *track, struct statsd_counts *counts)
{
    char bytes[STATSD_DATAGRAM_MAX];
    for (int i = 0; i < STATSD_DATAGRAMS_PER_TICK; i++) {
        ssize_t size = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC);
        if (size < 0)
            break;
        if ((size_t)size > sizeof bytes)
            counts->malformed++; /* its last line is cut: none of it is trusted */
        else
            take_datagram(track, (struct str){bytes, (size_t)size}, counts);
    }
}

int statsd_open(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!str_copy(address.sun_path, sizeof address.sun_path, str_of(path)))
        return -ENAMETOOLONG;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    (void)unlink(path); /* of an earlier agent */
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || chmod(path, 0666) < 0) {
        int error = -errno;
        (void)close(fd);
        return error;
    }
    return fd;
}
