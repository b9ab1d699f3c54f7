/* See relay.h. */
#include "cli/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define CHUNK_BYTES (64u << 10)
#define HASH_START 0xcbf29ce484222325u
#define HASH_PRIME 0x100000001b3u
#define WRITE_WAIT_MS 1000
#define ROOM_LEAST_BYTES (64u << 10) /* with less, a write of the program fails next */

/* FNV-1a over a stream: guards against another output, not against an attacker. */
static uint64_t hash_more(uint64_t hash, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)data[i]) * HASH_PRIME;
    return hash;
}

void relay_init(struct relay *relay, const char *path, int out_fd)
{
    *relay = (struct relay){.path = path, .out_fd = out_fd, .in_fd = -1, .hash = HASH_START};
}

void relay_fini(struct relay *relay)
{
    if (relay->in_fd >= 0)
        (void)close(relay->in_fd);
    relay->in_fd = -1;
}

void relay_file(const char *path, int32_t attempt, char *out, size_t size)
{
    (void)snprintf(out, size, "%s.%" PRId32, path, attempt);
}

bool relay_repeated(const struct relay *relay)
{
    return relay->repeated;
}

bool relay_disk_full(const struct relay *relay)
{
    return relay->disk_full;
}

/* Looked at before holes give room again. */
static void look_for_room(struct relay *relay)
{
    struct statvfs disk;
    if (fstatvfs(relay->in_fd, &disk) == 0 && (uint64_t)disk.f_bfree * disk.f_frsize < ROOM_LEAST_BYTES)
        relay->disk_full = true;
}

/* All of it, also to a descriptor that somebody made non-blocking. */
static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t done = write(fd, data, size);
        if (done < 0 && errno == EAGAIN) {
            struct pollfd polled = {.fd = fd, .events = POLLOUT};
            (void)poll(&polled, 1, WRITE_WAIT_MS);
        } else if (done < 0 && errno != EINTR) {
            return -errno;
        }
        if (done > 0) {
            data += done;
            size -= (size_t)done;
        }
    }
    return 0;
}

/* Blocks that were passed on are not needed again; fails where the file system has no holes. */
static void punch(const struct relay *relay, int64_t size)
{
    (void)fallocate(relay->in_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size);
}

static int pass(struct relay *relay, const char *data, size_t size)
{
    int result = write_all(relay->out_fd, data, size);
    if (result < 0)
        return result;
    relay->hash = hash_more(relay->hash, data, size);
    relay->passed += (int64_t)size;
    return 0;
}

/* Other bytes than before: all of this attempt follows what is out already. */
static void begin_again(struct relay *relay)
{
    relay->repeated = true;
    relay->comparing = false;
    relay->position = 0;
    relay->passed = 0;
    relay->hash = HASH_START;
}

static int compare(struct relay *relay, const char *data, size_t size)
{
    relay->check = hash_more(relay->check, data, size);
    if (relay->position < relay->passed)
        return 0;
    relay->comparing = false;
    if (relay->check != relay->hash)
        begin_again(relay);
    return 0;
}

/* The current file to its present end, or as much of it as one call passes on. */
static int64_t pass_file(struct relay *relay)
{
    char chunk[CHUNK_BYTES];
    int64_t total = 0;
    while (total < RELAY_STEP_BYTES) {
        size_t want = sizeof chunk;
        if (relay->comparing)
            want = (size_t)FS_MIN((int64_t)want, relay->passed - relay->position);
        ssize_t got = pread(relay->in_fd, chunk, want, relay->position);
        if (got < 0)
            return errno == EINTR ? total : -errno;
        if (got == 0)
            break;
        relay->position += got;
        int result = relay->comparing ? compare(relay, chunk, (size_t)got) : pass(relay, chunk, (size_t)got);
        if (result < 0)
            return result;
        total += got;
    }
    if (total > 0)
        look_for_room(relay);
    if (total > 0 && !relay->comparing)
        punch(relay, relay->position);
    return total;
}

static bool open_attempt(struct relay *relay, int32_t attempt)
{
    char path[4300];
    relay_file(relay->path, attempt, path, sizeof path);
    int fd = open(path, O_RDWR | O_CLOEXEC); /* written for the holes */
    if (fd < 0)
        return false;
    relay_fini(relay);
    relay->in_fd = fd;
    relay->attempt = attempt;
    relay->position = 0;
    relay->check = HASH_START;
    relay->comparing = relay->passed > 0;
    return true;
}

int64_t relay_step(struct relay *relay, int32_t newest_attempt)
{
    int64_t total = 0;
    for (int32_t attempt = FS_MAX(relay->attempt, 1); attempt <= newest_attempt; attempt++) {
        if (attempt != relay->attempt && !open_attempt(relay, attempt))
            continue; /* it never wrote, or has not begun */
        int64_t result = pass_file(relay);
        if (result < 0)
            return result;
        total += result;
        if (result >= RELAY_STEP_BYTES)
            break; /* the rest of this one before the next */
    }
    return total;
}

int64_t relay_finish(struct relay *relay, int32_t newest_attempt)
{
    int64_t total = relay_step(relay, newest_attempt);
    if (total < 0 || total >= RELAY_STEP_BYTES || !relay->comparing || relay->position == 0)
        return total;
    begin_again(relay); /* it wrote less than an earlier attempt */
    int64_t rest = pass_file(relay);
    return rest < 0 ? rest : total + rest;
}
