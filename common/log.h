/* logfmt lines: ts level service event key=value ... — one write(2) per line, so lines of several processes
 * do not mix. error: something was lost; warn: went on; info: life cycle; debug: for developers. Any thread
 * may log. */
#ifndef FORESTALL_COMMON_LOG_H
#define FORESTALL_COMMON_LOG_H

#include "common/base.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* service is borrowed for the life of the process. Before log_open lines go to standard error from info on.
 */
void log_open(const char *service, enum log_level least, int fd);
/* -EINVAL unless text is debug, info, warn or error. */
FS_MUST_CHECK int log_level_parse(const char *text, enum log_level *out);
/* event: a stable snake_case name; format yields key=value pairs. Lines are cut at 4,096 bytes. */
void log_event(enum log_level level, const char *event, const char *format, ...) FS_PRINTF(3, 4);
/* text quoted as logfmt asks (only when needed), into out, cut to size; returns out. */
const char *log_quote(char *out, size_t size, struct str text);

#define log_debug(event, ...) log_event(LOG_LEVEL_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...) log_event(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warn(event, ...) log_event(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_event(LOG_LEVEL_ERROR, event, __VA_ARGS__)

/* At most `burst` lines per second of one kind; zero-initialise with burst set. */
struct log_limiter {
    unsigned burst;
    unsigned used;
    int64_t second;
    uint64_t suppressed; /* in all */
};
/* True when the line must not be written (it is counted). */
bool log_limited(struct log_limiter *limiter, int64_t now_ms);

#endif
