/* Reading topics without a group, decoded: all there is, or what comes from now on.
 *
 * One reader is one stream with one assignment, growing by reader_add_*(). Nothing is committed anywhere: a
 * command looks and leaves no trace. What cannot be decoded is passed over and
 * told on standard error at the end. */
#ifndef FORESTALL_CLI_READER_H
#define FORESTALL_CLI_READER_H

#include "cli/target.h"
#include "common/topics.h"
#include "schemas/topic_codec.h"

struct reader;

struct reader_message {
    const char *topic;
    int32_t partition;
    int64_t offset, timestamp_ms;
    struct str key;
    const struct msg_type *type;
    const void *message; /* of the type; NULL: tombstone. Valid during the callback */
};

/* 0 to go on, 1 enough (reader_scan ends), negative to stop with that value. */
typedef int reader_fn(void *context, const struct reader_message *message);

/* NULL with the error. target is borrowed during the call. */
FS_MUST_CHECK struct reader *reader_open(const struct target *target, char *error, size_t error_size);
void reader_close(struct reader *reader);
/* For producing with the same connection. */
struct stream *reader_stream(struct reader *reader);

/* All partitions of these topics. Only once per reader, before any reader_add_keys(). */
FS_MUST_CHECK int reader_add_topics(struct reader *reader, const char *const *topics, size_t count,
                                    enum stream_start start, char *error, size_t error_size);
struct reader_key {
    const char *topic;
    struct str key;
};

/* The partitions that these keys are on, at most READER_KEYS_MAX, each from its beginning or end. */
#define READER_KEYS_MAX 8
FS_MUST_CHECK int reader_add_keys(struct reader *reader, const struct reader_key *keys, size_t count,
                                  enum stream_start start, char *error, size_t error_size);

/* Hands out what is there, up to where the partitions ended when they were added. 0 all read, 1 a callback
 * had enough, -ETIMEDOUT (what came was handed out), -EPIPE, or what a callback returned. */
FS_MUST_CHECK int reader_scan(struct reader *reader, reader_fn *on_message, void *context,
                              int64_t timeout_ms);
/* One wait of at most timeout_ms: number of messages handed out, or negative. */
FS_MUST_CHECK int reader_poll(struct reader *reader, reader_fn *on_message, void *context, int timeout_ms);

#endif
