/* See log.h. */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *log_service = "forestall";
static enum log_level log_least = LOG_LEVEL_INFO;
static int log_fd = STDERR_FILENO;

void log_open(const char *service, enum log_level least, int fd)
{
    log_service = service;
    log_least = least;
    log_fd = fd;
}

int log_level_parse(const char *text, enum log_level *out)
{
    for (size_t i = 0; i < FS_COUNT(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

static size_t append_time(char *line, size_t size)
{
    struct timespec now;
    struct tm parts;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &parts);
    size_t used = strftime(line, size, "ts=%Y-%m-%dT%H:%M:%S", &parts);
    return used + (size_t)snprintf(line + used, size - used, ".%03ldZ", now.tv_nsec / 1000000);
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    if (level < log_least)
        return;
    size_t used = append_time(line, sizeof line);
    used += (size_t)snprintf(line + used, sizeof line - used, " level=%s service=%s event=%s ",
                             level_names[level], log_service, event);
    used = FS_MIN(used, sizeof line - 1); /* snprintf tells what it would have written */
    va_list arguments;
    va_start(arguments, format);
    int added = vsnprintf(line + used, sizeof line - used, format, arguments);
    va_end(arguments);
    if (added > 0)
        used += FS_MIN((size_t)added, sizeof line - used - 1);
    while (line[used - 1] == ' ')
        used--;
    line[used++] = '\n'; /* vsnprintf left room: it always keeps one byte for its terminator */
    /* A log that cannot be written is no reason to stop; there is nowhere to report it. */
    if (write(log_fd, line, used) < 0)
        return;
}

static bool plain(struct str text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] <= ' ' || text.data[i] == '"' || text.data[i] == '=' ||
            text.data[i] == '\\')
            return false;
    return text.size > 0;
}

const char *log_quote(char *out, size_t size, struct str text)
{
    size_t used = 0;
    if (plain(text)) {
        (void)str_copy(out, size, text);
        return out;
    }
    if (size < 3)
        return "";
    out[used++] = '"';
    for (size_t i = 0; i < text.size && used + 4 < size; i++) {
        char c = text.data[i];
        if (c == '"' || c == '\\')
            out[used++] = '\\';
        out[used++] = (unsigned char)c < ' ' ? ' ' : c;
    }
    out[used++] = '"';
    out[used] = '\0';
    return out;
}

bool log_limited(struct log_limiter *limiter, int64_t now_ms)
{
    if (now_ms / 1000 != limiter->second) {
        limiter->second = now_ms / 1000;
        limiter->used = 0;
    }
    if (limiter->used < limiter->burst) {
        limiter->used++;
        return false;
    }
    limiter->suppressed++;
    return true;
}
