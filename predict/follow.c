/* What is followed without a group: profiles of all codes, and models. What cannot be used is counted and
 * told once in a while; what was here before stays. See predict.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/installed.h"
#include "model/network_widen.h"
#include "predict/predict.h"

#define PATH_SIZE 4096
#define SCHEMA_PAUSE_MS 1000 /* schemas are looked up once a second */

/* --- profiles --- */

static void refuse_code(struct predict *predict, struct str key, const char *reason)
{
    char name[PROFILE_CODE_MAX];
    metric_add(predict->metrics.codes_refused, 1);
    if (!log_limited(&predict->limiter, predict->now_ms))
        log_warn("profile_refused", "code=%s reason=\"%s\"", log_quote(name, sizeof name, key), reason);
}

static enum stream_outcome take_code(struct predict *predict, struct topic_codec *codec,
                                     const struct stream_message *message)
{
    struct str key = {message->key, message->key_size};
    struct msg_code_profile profile;
    if (!message->value) {
        codes_drop(predict->codes, key);
        return STREAM_DONE;
    }
    arena_reset(predict->messages);
    enum stream_outcome outcome = topic_codec_decode(codec, &msg_code_profile_type, message,
                                                     predict->messages, &profile, predict->now_ms);
    if (outcome == STREAM_RETRY)
        return STREAM_RETRY;
    if (outcome != STREAM_DONE || !str_equal(profile.code, key))
        refuse_code(predict, key, "not a readable CodeProfile of this code");
    else if (codes_take(predict->codes, &profile) < 0)
        refuse_code(predict, key, "its numbers are not usable");
    else
        metric_add(predict->metrics.codes_read, 1);
    return STREAM_DONE;
}

int predict_restore_code(void *context, const struct stream_message *message)
{
    struct predict *predict = context;
    predict->now_ms = clock_monotonic_ms(); /* schemas are looked for by it */
    return take_code(predict, predict->codec, message) == STREAM_RETRY ? -EAGAIN : 0;
}

/* --- models --- */

static void refuse_model(struct predict *predict, const char *origin, const char *reason)
{
    metric_add(predict->metrics.models_refused, 1);
    log_warn("model_refused", "from=%s reason=\"%s\" kept=%s", origin, reason,
             engine_champion(predict->engine) ? engine_champion(predict->engine)->version : "histogram");
}

/* NULL: refused. */
static struct network *load(struct predict *predict, const char *origin, struct str bytes)
{
    struct network *network;
    char error[256];
    int result = network_load_current(bytes, &network, error, sizeof error);
    if (result == 0)
        return network;
    refuse_model(predict, origin, result == -ENOMEM ? "out of memory" : error);
    return NULL;
}

static void install(struct predict *predict, enum models_role role, const char *origin,
                    struct network *network)
{
    char version[NETWORK_VERSION_SIZE];
    str_copy(version, sizeof version, str_of(network->version));
    int result = role == MODELS_CHAMPION ? engine_set_champion(predict->engine, network, predict->now_ms)
                                         : engine_set_challenger(predict->engine, network);
    if (result < 0)
        refuse_model(predict, origin, "out of memory");
    else
        log_info("model", "role=%s version=%s from=%s warming=%d", models_role_name(role), version, origin,
                 engine_warming(predict->engine));
}

static void withdraw(struct predict *predict, enum models_role role)
{
    models_drop(predict->models, role);
    if (role == MODELS_CHAMPION)
        predict_use_file(predict);
    else
        fs_drop(engine_set_challenger(predict->engine, NULL)); /* nothing can fail without a network */
    log_info("model_withdrawn", "role=%s", models_role_name(role));
}

static enum stream_outcome take_model(struct predict *predict, const struct stream_message *message)
{
    char error[128];
    struct msg_model chunk;
    struct str bytes;
    enum models_role role;
    int32_t number;
    if (models_role_of((struct str){message->key, message->key_size}, &role, &number) < 0 ||
        role == MODELS_PREVIOUS)
        return STREAM_DONE; /* a role of later versions, or not ours: only a rollback needs it */
    if (!message->value) {
        if (number == 0)
            withdraw(predict, role);
        return STREAM_DONE;
    }
    arena_reset(predict->messages);
    enum stream_outcome outcome = topic_codec_decode(predict->followed_codec, &msg_model_type, message,
                                                     predict->messages, &chunk, predict->now_ms);
    if (outcome == STREAM_RETRY)
        return STREAM_RETRY;
    if (outcome != STREAM_DONE) {
        refuse_model(predict, "topic", "not a readable Model");
        return STREAM_DONE;
    }
    int result = models_take(predict->models, role, &chunk, &bytes, error, sizeof error);
    if (result < 0)
        refuse_model(predict, "topic", result == -ENOMEM ? "out of memory" : error);
    struct network *network = result > 0 ? load(predict, "topic", bytes) : NULL;
    if (network)
        install(predict, role, "topic", network);
    return STREAM_DONE;
}

enum stream_outcome predict_follow(void *context, const struct stream_message *message)
{
    struct predict *predict = context;
    if (str_equal(message->topic, str_of(TOPIC_CODES)))
        return take_code(predict, predict->followed_codec, message);
    return take_model(predict, message);
}

int predict_restore_codes(struct predict *predict, int32_t partition, stream_restore_fn *take, void *context,
                          int timeout_ms)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    int result = -EAGAIN;
    while (result == -EAGAIN && clock_monotonic_ms() < deadline_ms && !service_stopping()) {
        result = stream_restore(predict->stream, TOPIC_CODES, partition, take, context, timeout_ms);
        if (result == -EAGAIN)
            (void)poll(NULL, 0, SCHEMA_PAUSE_MS);
    }
    return result;
}

/* --- the file --- */

static int read_all(int fd, uint8_t *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t got = read(fd, data + at, size - at);
        if (got <= 0)
            return got < 0 ? -errno : -EIO;
        at += (size_t)got;
    }
    return 0;
}

/* The file's bytes, to be freed. */
static int read_file(const char *path, size_t most, struct str *out)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = fstat(fd, &status) < 0                                 ? -errno
                 : status.st_size <= 0 || (size_t)status.st_size > most ? -EFBIG
                                                                        : 0;
    uint8_t *data = result == 0 ? malloc((size_t)status.st_size) : NULL;
    if (result == 0)
        result = data ? read_all(fd, data, (size_t)status.st_size) : -ENOMEM;
    (void)close(fd); /* read only */
    if (result < 0)
        free(data);
    else
        *out = (struct str){(const char *)data, (size_t)status.st_size};
    return result;
}

static struct network *load_file(struct predict *predict, const char *path)
{
    struct str bytes = {0};
    char reason[256];
    int result = read_file(path, (size_t)predict->options->model_bytes, &bytes);
    if (result < 0) {
        (void)snprintf(reason, sizeof reason, "%s; set predict.model to a model file, or to none",
                       strerror(-result));
        refuse_model(predict, path, reason);
        return NULL;
    }
    struct network *network = load(predict, path, bytes);
    free((void *)(uintptr_t)bytes.data);
    return network;
}

void predict_use_file(struct predict *predict)
{
    char path[PATH_SIZE + sizeof INSTALLED_MODEL];
    const char *wanted = predict->options->model;
    struct network *network = NULL;
    bool none = strcmp(wanted, "none") == 0;
    if (!none && wanted[0])
        network = load_file(predict, wanted);
    else if (!none && installed_path(INSTALLED_MODEL, path, sizeof path) == 0)
        network = load_file(predict, wanted = path);
    if (network) {
        install(predict, MODELS_CHAMPION, wanted, network);
        return;
    }
    fs_drop(
        engine_set_champion(predict->engine, NULL, predict->now_ms)); /* nothing can fail without a network */
    log_warn("fallback", "decides=histogram reason=\"%s\"",
             none ? "predict.model is none" : "no usable model");
}
