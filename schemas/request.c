/* See request.h. */
#include "schemas/request.h"

#include "common/hash.h"
#include "schemas/hints.h"
#include "schemas/limits.h"
#include "schemas/name.h"

#define ARGUMENTS_MAX 4096
#define COMMAND_ARGUMENTS 64 /* by so many and by so many bytes commands are told apart: each tick asks */
#define COMMAND_BYTES 4096
#define PATH_SIZE_MAX 4096
#define USER_MAX 64
#define PRIORITY_MAX 1000
#define ATTEMPTS_MAX 100
#define TIMEOUT_MAX_MS (INT64_C(366) * 86400 * 1000)

/* Texts become C strings where the program is started: a zero byte would cut them silently. */
static bool has_zero(struct str text)
{
    return text.size > 0 && memchr(text.data, '\0', text.size);
}

static bool any_zero(const struct msg_str_array *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        if (has_zero(texts->items[i]))
            return true;
    return false;
}

static bool good_env(const struct msg_str_array *env)
{
    for (size_t i = 0; i < env->count; i++) {
        struct str entry = env->items[i];
        if (entry.size < 2 || entry.data[0] == '=' || !memchr(entry.data, '=', entry.size))
            return false;
    }
    return true;
}

static bool good_path(struct str path)
{
    return path.size == 0 || (path.data[0] == '/' && path.size < PATH_SIZE_MAX && !has_zero(path));
}

static const char *program_fault(const struct msg_execution_request *request)
{
    if (request->argv.count == 0 || request->argv.count > ARGUMENTS_MAX || request->argv.items[0].size == 0)
        return "argv is empty or has more than 4096 entries";
    if (any_zero(&request->argv) || any_zero(&request->env) || has_zero(request->user))
        return "a text has a zero byte in it";
    if (!good_env(&request->env))
        return "an entry of env is not NAME=value";
    if (!good_path(request->cwd) || !good_path(request->stdout_path) || !good_path(request->stderr_path))
        return "a path is not absolute or too long";
    if (request->user.size > USER_MAX)
        return "user is longer than 64 bytes";
    return NULL;
}

const char *request_fault(const struct msg_execution_request *request)
{
    static const uint8_t nobody[16];
    if (memcmp(request->execution, nobody, sizeof nobody) == 0)
        return "execution is all zeros";
    if (!name_valid(request->pool, NAME_SIZE_MAX))
        return "pool is not 1..128 bytes of [A-Za-z0-9._:+@/-]";
    if (!name_valid(request->code, NAME_SIZE_MAX))
        return "code is not 1..128 bytes of [A-Za-z0-9._:+@/-]";
    if (request->priority < 0 || request->priority > PRIORITY_MAX)
        return "priority is not 0..1000";
    if (request->max_attempts < 1 || request->max_attempts > ATTEMPTS_MAX)
        return "max_attempts is not 1..100";
    if (request->timeout_ms < 0 || request->timeout_ms > TIMEOUT_MAX_MS)
        return "timeout_ms is negative or above a year";
    const char *fault = limits_fault(&request->limits);
    return fault ? fault : program_fault(request);
}

int32_t request_command(const struct msg_execution_request *request)
{
    size_t count = FS_MIN(request->argv.count, (size_t)COMMAND_ARGUMENTS), left = COMMAND_BYTES;
    uint64_t hash = 0;
    for (size_t i = 0; i < count; i++) {
        struct str argument = request->argv.items[i];
        size_t size = FS_MIN(argument.size, left);
        const uint64_t parts[] = {hash, argument.size, hash_bytes(argument.data, size)};
        hash = hash_bytes(parts, sizeof parts);
        left -= size;
    }
    int32_t command = (int32_t)(hash & INT32_MAX);
    return count > 0 && command == 0 ? 1 : command;
}

struct request_identity request_identity(const struct msg_execution_request *request)
{
    double input_bytes = hints_input_bytes(&request->hints);
    bool told = input_bytes > 0 && input_bytes < (double)INPUT_BYTES_MAX;
    return (struct request_identity){request_command(request), told ? (int64_t)input_bytes : 0};
}
