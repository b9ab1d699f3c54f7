/* See instance.h. */
#include "cli/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"

#define USE_POLL_MS 20

const char *instance_default_dir(void)
{
    const char *dir = getenv("FORESTALL_STATE");
    return dir && *dir ? dir : "/var/lib/forestall/local";
}

int instance_make_dir(const char *state_dir)
{
    char path[4096];
    if (!str_copy(path, sizeof path, str_of(state_dir)))
        return -ENAMETOOLONG;
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0711) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return mkdir(path, 0711) < 0 && errno != EEXIST ? -errno : 0;
}

static int path_of(const char *state_dir, const char *name, char out[4200])
{
    int size = snprintf(out, 4200, "%s/%s", state_dir, name);
    return size < 4200 ? 0 : -ENAMETOOLONG;
}

static int open_file(const char *state_dir, const char *name, int flags)
{
    char path[4200];
    int result = path_of(state_dir, name, path);
    if (result < 0)
        return result;
    int fd = open(path, flags | O_CLOEXEC, 0644);
    return fd < 0 ? -errno : fd;
}

/* An open file description lock: it goes with the descriptor, not with the process's other descriptors. */
static int set_lock(int fd, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    return errno == EACCES || errno == EAGAIN ? -EAGAIN : -errno;
}

int instance_lock(const char *state_dir)
{
    int fd = open_file(state_dir, INSTANCE_LOCK, O_RDWR | O_CREAT);
    int result = fd < 0 ? fd : set_lock(fd, F_WRLCK);
    if (result == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return result == -EAGAIN ? -EBUSY : result;
}

int instance_running(const char *state_dir)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    int fd = open_file(state_dir, INSTANCE_LOCK, O_RDONLY);
    if (fd < 0)
        return fd;
    int result = fcntl(fd, F_OFD_GETLK, &lock) < 0 ? -errno : lock.l_type != F_UNLCK;
    (void)close(fd);
    return result;
}

int instance_open_users(const char *state_dir)
{
    return open_file(state_dir, INSTANCE_USERS, O_RDWR | O_CREAT);
}

int instance_use(const char *state_dir, int timeout_ms)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    int fd = open_file(state_dir, INSTANCE_USERS, O_RDONLY | O_CREAT);
    if (fd < 0)
        return fd;
    int result;
    while ((result = set_lock(fd, F_RDLCK)) == -EAGAIN && clock_monotonic_ms() < deadline_ms)
        (void)poll(NULL, 0, USE_POLL_MS);
    if (result == 0)
        return fd;
    (void)close(fd);
    return result == -EAGAIN ? -ETIMEDOUT : result;
}

int instance_claim_unused(int fd)
{
    return set_lock(fd, F_WRLCK);
}

/* --- local.json --- */

static json_t *services_json(const struct instance *instance)
{
    json_t *out = json_array();
    for (size_t i = 0; out && i < instance->service_count; i++) {
        const struct instance_service *service = &instance->services[i];
        if (json_array_append_new(out, json_pack("{s:s,s:I,s:I}", "name", service->name, "pid",
                                                 (json_int_t)service->pid, "http_port",
                                                 (json_int_t)service->http_port)) < 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

int instance_save(const struct instance *instance)
{
    char path[4200], temporary[4200];
    int result = path_of(instance->state_dir, INSTANCE_FILE, path);
    if (result == 0)
        result = path_of(instance->state_dir, "." INSTANCE_FILE, temporary);
    if (result < 0)
        return result;
    json_t *root = json_pack(
        "{s:I,s:I,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:b,s:o}", "pid", (json_int_t)instance->pid,
        "started_us", (json_int_t)instance->started_us, "state_dir", instance->state_dir, "config",
        instance->config, "brokers", instance->brokers, "redis", instance->redis, "topic_prefix",
        instance->topic_prefix, "redis_prefix", instance->redis_prefix, "pool", instance->pool, "node",
        instance->node, "ingest", instance->ingest, "embedded", (int)instance->embedded, "while_used",
        (int)instance->while_used, "services", services_json(instance));
    if (!root)
        return -ENOMEM;
    result = json_dump_file(root, temporary, JSON_INDENT(2)) < 0 ? -EIO : 0;
    json_decref(root);
    if (result == 0 && rename(temporary, path) < 0)
        result = -errno;
    return result;
}

static int write_all(int fd, struct str text)
{
    while (text.size > 0) {
        ssize_t written = write(fd, text.data, text.size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? -errno : -EIO;
        text.data += written;
        text.size -= (size_t)written;
    }
    return 0;
}

/* Made anew and renamed: a file that is there already keeps its mode, and whoever has it open. */
int instance_save_config(const struct instance *instance, struct str text)
{
    char beside[4300];
    (void)snprintf(beside, sizeof beside, "%s.new", instance->config);
    if (unlink(beside) < 0 && errno != ENOENT) /* of one that was killed */
        return -errno;
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int result = write_all(fd, text);
    if (close(fd) < 0 && result == 0)
        result = -errno;
    if (result == 0 && rename(beside, instance->config) < 0)
        result = -errno;
    if (result < 0)
        (void)unlink(beside); /* the first error is the one to tell */
    return result;
}

static bool read_text(const json_t *root, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(root, key));
    return text && str_copy(out, size, str_of(text));
}

static bool read_services(const json_t *root, struct instance *out)
{
    size_t index;
    json_t *item;
    json_array_foreach (json_object_get(root, "services"), index, item) {
        if (out->service_count == INSTANCE_SERVICES_MAX)
            return false;
        struct instance_service *service = &out->services[out->service_count++];
        if (!read_text(item, "name", service->name, sizeof service->name))
            return false;
        service->pid = json_integer_value(json_object_get(item, "pid"));
        service->http_port = json_integer_value(json_object_get(item, "http_port"));
    }
    return true;
}

static bool read_instance(const json_t *root, struct instance *out)
{
    *out = (struct instance){.pid = json_integer_value(json_object_get(root, "pid")),
                             .started_us = json_integer_value(json_object_get(root, "started_us")),
                             .embedded = json_is_true(json_object_get(root, "embedded")),
                             .while_used = json_is_true(json_object_get(root, "while_used"))};
    return out->pid > 0 && read_text(root, "state_dir", out->state_dir, sizeof out->state_dir) &&
           read_text(root, "config", out->config, sizeof out->config) &&
           read_text(root, "brokers", out->brokers, sizeof out->brokers) &&
           read_text(root, "redis", out->redis, sizeof out->redis) &&
           read_text(root, "topic_prefix", out->topic_prefix, sizeof out->topic_prefix) &&
           read_text(root, "redis_prefix", out->redis_prefix, sizeof out->redis_prefix) &&
           read_text(root, "pool", out->pool, sizeof out->pool) &&
           read_text(root, "node", out->node, sizeof out->node) &&
           read_text(root, "ingest", out->ingest, sizeof out->ingest) && read_services(root, out);
}

int instance_load(const char *state_dir, struct instance *out)
{
    char path[4200];
    int running = instance_running(state_dir);
    if (running <= 0)
        return running < 0 ? running : -ENOENT;
    int result = path_of(state_dir, INSTANCE_FILE, path);
    if (result < 0)
        return result;
    if (access(path, R_OK) < 0)
        return -errno;
    json_t *root = json_load_file(path, 0, NULL);
    result = root && read_instance(root, out) ? 0 : -EBADMSG;
    json_decref(root);
    return result;
}

void instance_remove(const char *state_dir)
{
    char path[4200];
    if (path_of(state_dir, INSTANCE_FILE, path) == 0)
        (void)unlink(path); /* left behind it is harmless: the lock says that nobody is there */
}
