/* Redis through hiredis 0.14 or later: own non-blocking reads and writes up to a deadline, one script,
 * back-off.
 *
 * Commands are kept formatted in a buffer until store_flush(), so that NOSCRIPT (Redis was restarted or
 * flushed) can be answered by loading the script and sending those commands once more. */
#include "common/store.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/arena.h"
#include "common/clock.h"
#include "common/store_connection.h"

#define QUEUE_MAX 1024
#define TIMEOUT_MS 500
#define ARGUMENTS_MAX (2 * STORE_FIELDS_MAX + 5)

/* Revisions are compared as decimal text: Lua's numbers are doubles and exact to 2^53 only. */
static const char script_text[] =
    "local old = redis.call('HGET', KEYS[1], 'revision')\n"
    "local new = ARGV[1]\n"
    "if old and (#old > #new or (#old == #new and old >= new)) then return 0 end\n"
    "redis.call('DEL', KEYS[1])\n"
    "redis.call('HSET', KEYS[1], 'revision', unpack(ARGV))\n"
    "return 1";

/* Takes the place of the script's hash until the connection that is used knows it. */
static const char sha_later[STORE_SHA_SIZE + 1] = "0000000000000000000000000000000000000000";
/* *ARGC\r\n$7\r\nEVALSHA\r\n$40\r\n comes before it. */
#define SHA_PREFIX "\r\n$7\r\nEVALSHA\r\n$40\r\n"

enum command_kind { COMMAND_SET, COMMAND_GET, COMMAND_DELETE };

struct command {
    enum command_kind kind;
    char *bytes; /* formatted; owned by hiredis */
    size_t size;
    bool again; /* the script was not known: once more */
    bool answered;
};

struct store {
    struct store_connection connection;
    char *prefix;
    int timeout_ms;
    struct command queue[QUEUE_MAX];
    size_t queued;
};

static int64_t deadline(const struct store *store)
{
    return clock_monotonic_ms() + store->timeout_ms;
}

struct store *store_open(const struct store_options *options, char *error, size_t error_size)
{
    struct store *store = calloc(1, sizeof *store);
    if (!store) {
        snprintf(error, error_size, "out of memory");
        return NULL;
    }
    store->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS;
    store->prefix = strdup(options->prefix ? options->prefix : "");
    const char *address = options->address ? options->address : "";
    if (!store_connection_init(&store->connection, address, options->password, script_text, error,
                               error_size) ||
        !store->prefix) {
        store_close(store);
        return NULL;
    }
    error[0] = '\0';
    (void)store_connection_ready(&store->connection, deadline(store)); /* tried again with each call */
    return store;
}

static void empty_queue(struct store *store)
{
    for (size_t i = 0; i < store->queued; i++)
        redisFreeCommand(store->queue[i].bytes);
    store->queued = 0;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    empty_queue(store);
    store_connection_fini(&store->connection);
    free(store->prefix);
    free(store);
}

int store_ping(struct store *store, char *error, size_t error_size)
{
    if (store_connection_ping(&store->connection, deadline(store)))
        return 0;
    snprintf(error, error_size, "%s", store->connection.error);
    return store->connection.refused_password ? -EACCES : -EHOSTDOWN;
}

const char *store_error(const struct store *store)
{
    return store->connection.error;
}

uint64_t store_generation(const struct store *store)
{
    return store->connection.generation;
}

/* --- queueing --- */

static int queue_command(struct store *store, enum command_kind kind, int argc, const char **argv,
                         const size_t *sizes)
{
    if (store->queued == QUEUE_MAX)
        return -EAGAIN;
    char *bytes;
    int size = (int)redisFormatCommandArgv(&bytes, argc, argv, sizes);
    if (size < 0)
        return -ENOMEM;
    store->queue[store->queued++] = (struct command){.kind = kind, .bytes = bytes, .size = (size_t)size};
    return 0;
}

static int full_key(const struct store *store, const char *key, char *out, size_t size)
{
    int length = snprintf(out, size, "%s%s", store->prefix, key);
    return length < 0 || (size_t)length >= size ? -EINVAL : length;
}

int store_queue_set_if_newer(struct store *store, const char *key, int64_t revision,
                             const struct store_field *fields, size_t count)
{
    char name[512], revision_text[24];
    int name_size = full_key(store, key, name, sizeof name);
    if (name_size < 0 || revision < 0)
        return -EINVAL;
    if (count > STORE_FIELDS_MAX)
        return -E2BIG;
    int revision_size = snprintf(revision_text, sizeof revision_text, "%" PRId64, revision);
    const char *argv[ARGUMENTS_MAX] = {"EVALSHA", sha_later, "1", name, revision_text};
    size_t sizes[ARGUMENTS_MAX] = {7, STORE_SHA_SIZE, 1, (size_t)name_size, (size_t)revision_size};
    int argc = 5;
    for (size_t i = 0; i < count; i++) {
        if (str_equal(fields[i].name, str_of("revision")))
            return -EINVAL;
        argv[argc] = fields[i].name.data;
        sizes[argc++] = fields[i].name.size;
        argv[argc] = fields[i].value.data ? fields[i].value.data : "";
        sizes[argc++] = fields[i].value.size;
    }
    return queue_command(store, COMMAND_SET, argc, argv, sizes);
}

static int queue_key(struct store *store, enum command_kind kind, const char *verb, const char *key)
{
    char name[512];
    int name_size = full_key(store, key, name, sizeof name);
    if (name_size < 0)
        return -EINVAL;
    const char *argv[] = {verb, name};
    size_t sizes[] = {strlen(verb), (size_t)name_size};
    return queue_command(store, kind, 2, argv, sizes);
}

int store_queue_get(struct store *store, const char *key)
{
    return queue_key(store, COMMAND_GET, "HGETALL", key);
}

int store_queue_delete(struct store *store, const char *key)
{
    return queue_key(store, COMMAND_DELETE, "DEL", key);
}

/* --- flushing --- */

static int read_fields(const redisReply *reply, struct store_field *fields)
{
    size_t count = reply->elements / 2;
    if (count == 0)
        return -ENOENT;
    if (count > STORE_FIELDS_MAX + 1)
        return -E2BIG;
    for (size_t i = 0; i < count; i++) {
        const redisReply *name = reply->element[2 * i], *value = reply->element[2 * i + 1];
        fields[i] = (struct store_field){{name->str, (size_t)name->len}, {value->str, (size_t)value->len}};
    }
    return (int)count;
}

struct answers {
    store_reply_fn *on_reply;
    void *context;
};

static void answer(struct store *store, size_t index, const redisReply *reply, const struct answers *answers)
{
    struct store_field fields[STORE_FIELDS_MAX + 1];
    struct command *command = &store->queue[index];
    int status;
    if (!reply) {
        status = -EHOSTDOWN;
    } else if (command->kind == COMMAND_GET && reply->type == REDIS_REPLY_ARRAY) {
        status = read_fields(reply, fields);
    } else if (command->kind != COMMAND_GET && reply->type == REDIS_REPLY_INTEGER) {
        status = (int)reply->integer;
    } else {
        bool loading = reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "LOADING", 7) == 0;
        status = loading ? -EHOSTDOWN : -EIO;
        snprintf(store->connection.error, sizeof store->connection.error, "Redis at %s: %s",
                 store->connection.address,
                 reply->type == REDIS_REPLY_ERROR ? reply->str : "unexpected reply");
    }
    command->answered = true;
    if (answers->on_reply)
        answers->on_reply(answers->context, index, status, fields,
                          command->kind == COMMAND_GET && status > 0 ? (size_t)status : 0);
}

static bool script_unknown(const struct command *command, const redisReply *reply)
{
    return command->kind == COMMAND_SET && !command->again && reply->type == REDIS_REPLY_ERROR &&
           strncmp(reply->str, "NOSCRIPT", 8) == 0;
}

static bool append(struct store *store, struct command *command)
{
    if (command->kind == COMMAND_SET) {
        char *sha = memmem(command->bytes, command->size, SHA_PREFIX, strlen(SHA_PREFIX));
        assert(sha);
        memcpy(sha + strlen(SHA_PREFIX), store->connection.script_sha, STORE_SHA_SIZE);
    }
    return store_connection_append(&store->connection, command->bytes, command->size);
}

/* One round over the commands whose `again` is as wanted; returns how many are to be sent once more. */
static size_t exchange(struct store *store, bool again, int64_t deadline_ms, const struct answers *answers)
{
    for (size_t i = 0; i < store->queued; i++) {
        struct command *command = &store->queue[i];
        if (command->again == again && !command->answered && !append(store, command))
            return 0;
    }
    if (!store_connection_send(&store->connection, deadline_ms))
        return 0;
    size_t repeat = 0;
    for (size_t i = 0; i < store->queued; i++) {
        struct command *command = &store->queue[i];
        if (command->answered || command->again != again)
            continue;
        redisReply *reply = store_connection_receive(&store->connection, deadline_ms);
        if (!reply)
            return 0;
        if (script_unknown(command, reply)) {
            command->again = true;
            repeat++;
        } else {
            answer(store, i, reply, answers);
        }
        freeReplyObject(reply);
    }
    return repeat;
}

int store_flush(struct store *store, store_reply_fn *on_reply, void *context)
{
    struct answers answers = {on_reply, context};
    int64_t deadline_ms = deadline(store);
    if (store->queued > 0 && store_connection_ready(&store->connection, deadline_ms) &&
        exchange(store, false, deadline_ms, &answers) > 0 &&
        store_connection_load_script(&store->connection, deadline_ms))
        (void)exchange(store, true, deadline_ms, &answers); /* a second NOSCRIPT is answered as an error */
    int result = 0;
    for (size_t i = 0; i < store->queued; i++) {
        if (store->queue[i].answered)
            continue;
        answer(store, i, NULL, &answers);
        result = -EHOSTDOWN;
    }
    empty_queue(store);
    return result;
}

/* --- direct calls: a pipeline of one --- */

static void keep_status(void *context, size_t index, int status, const struct store_field *fields,
                        size_t count)
{
    (void)index, (void)fields, (void)count;
    *(int *)context = status;
}

static int flush_one(struct store *store, int queued)
{
    if (queued < 0)
        return queued;
    int status = -EHOSTDOWN;
    int result = store_flush(store, keep_status, &status);
    return result < 0 ? result : status;
}

int store_set_if_newer(struct store *store, const char *key, int64_t revision,
                       const struct store_field *fields, size_t count)
{
    assert(store->queued == 0);
    return flush_one(store, store_queue_set_if_newer(store, key, revision, fields, count));
}

int store_delete(struct store *store, const char *key)
{
    assert(store->queued == 0);
    return flush_one(store, store_queue_delete(store, key));
}

struct copy {
    struct store_field *out;
    size_t max;
    struct arena *arena;
    int status;
};

static void keep_fields(void *context, size_t index, int status, const struct store_field *fields,
                        size_t count)
{
    (void)index;
    struct copy *copy = context;
    copy->status = count > copy->max ? -E2BIG : status;
    for (size_t i = 0; i < count && copy->status > 0; i++) {
        char *name = arena_strdup(copy->arena, fields[i].name),
             *value = arena_strdup(copy->arena, fields[i].value);
        copy->out[i] = (struct store_field){{name, fields[i].name.size}, {value, fields[i].value.size}};
        if (!name || !value)
            copy->status = -ENOMEM;
    }
}

int store_get(struct store *store, const char *key, struct store_field *out, size_t max, struct arena *arena)
{
    assert(store->queued == 0);
    struct copy copy = {.out = out, .max = max, .arena = arena, .status = -EHOSTDOWN};
    int result = store_queue_get(store, key);
    if (result == 0)
        result = store_flush(store, keep_fields, &copy);
    return result < 0 ? result : copy.status;
}

struct str store_field_get(const struct store_field *fields, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(fields[i].name, str_of(name)))
            return fields[i].value;
    }
    return (struct str){NULL, 0};
}
