/* Making the topics and refusing to run on wrong ones; the judgement itself is in topics.c. */
#include <errno.h>
#include <stdio.h>

#include "common/topics.h"

static int describe(struct stream *stream, struct stream_topic_state states[TOPIC_COUNT], char *error,
                    size_t error_size)
{
    const char *names[TOPIC_COUNT];
    for (size_t i = 0; i < TOPIC_COUNT; i++)
        names[i] = topic_definitions[i].topic.name;
    return stream_topics_describe(stream, names, TOPIC_COUNT, states, error, error_size);
}

int topics_check(struct stream *stream, const char *prefix, struct topic_fault out[TOPIC_COUNT], char *error,
                 size_t error_size)
{
    struct stream_topic_state states[TOPIC_COUNT];
    int result = describe(stream, states, error, error_size);
    return result < 0 && result != -EACCES ? result : (int)topics_judge(states, prefix, out);
}

int topics_prepare(struct stream *stream, const char *prefix, int32_t partitions, char *error,
                   size_t error_size)
{
    struct stream_topic topics[TOPIC_COUNT];
    struct stream_topic_state states[TOPIC_COUNT];
    struct topic_fault faults[TOPIC_COUNT];
    int result = describe(stream, states, error, error_size);
    if (result < 0 && result != -EACCES)
        return result;
    topics_fill_missing(topics, partitions, states);
    result = stream_topics_ensure(stream, topics, TOPIC_COUNT, error, error_size);
    if (result < 0)
        return result;
    result = topics_check(stream, prefix, faults, error, error_size);
    if (result <= 0)
        return result;
    char more[64] = "";
    if (result > 1)
        (void)snprintf(more, sizeof more, " (%d more: forestall topics check)", result - 1);
    (void)snprintf(error, error_size, "%s%s", faults[0].text, more);
    return -EINVAL;
}
