/* forestall topics: makes the topics, or says what is wrong with them. */
#include <errno.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/message_json.h"
#include "cli/target.h"
#include "common/topics.h"
#include "schemas/registry_framer.h"
#include "schemas/topic_codec.h"
#include "schemas/topic_types.h"

#define NAME "topics"
/* What an upgrade needs: old and new versions of the services read each other's values, and compacted topics
 * keep values of all versions there ever were. */
#define COMPATIBILITY "FULL_TRANSITIVE"

struct command_options {
    struct target_options target;
    int64_t partitions;
};

static const struct argument arguments[] = {
    {"partitions", ARGUMENT_INT, offsetof(struct command_options, partitions), 1, 10000, "N",
     "of topics that are made now and keyed [8]; a topic read together with one that is there gets as many "
     "as that"},
};

static const struct usage usage = {
    "forestall topics create|check [OPTION]...",
    "create makes the topics that are missing, with the partitions, retention and compaction that Forestall "
    "needs,\n"
    "and then checks all; topics that are there are left as they are. With a schema registry it also "
    "registers the\n"
    "schemas and lets only compatible changes follow. check changes nothing: it says what is wrong, a line "
    "for each\n"
    "topic, and exits with 1. The services refuse to run on the same grounds.",
    "  forestall topics create --brokers kafka-1:9092 --partitions 32\n"
    "  forestall topics check --config /etc/forestall.ini",
};

static int print_faults(const struct topic_fault *faults, size_t count, bool json)
{
    if (!json) {
        for (size_t i = 0; i < count; i++)
            (void)command_fail(NAME, EXIT_FAILED, "%s", faults[i].text);
        if (count == 0)
            printf("%d topics are as they must be\n", TOPIC_COUNT);
        return count > 0 ? EXIT_FAILED : EXIT_SUCCESS;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(
                list, json_pack("{s:s,s:s}", "topic", faults[i].topic, "fault", faults[i].text)) < 0)
            return command_fail(NAME, EXIT_FAILED, "out of memory");
    int printed = message_json_print(json_pack("{s:i,s:o}", "topics", TOPIC_COUNT, "faults", list));
    return printed < 0 || count > 0 ? EXIT_FAILED : EXIT_SUCCESS;
}

static int check(struct stream *stream, const struct command_options *options, char *error, size_t error_size)
{
    struct topic_fault faults[TOPIC_COUNT];
    int count = topics_check(stream, stream_topic_prefix(stream), faults, error, error_size);
    return count < 0 ? count : print_faults(faults, (size_t)count, options->target.json);
}

static int register_schemas(struct stream *stream, char *error, size_t error_size)
{
    const struct msg_type *types[TOPIC_COUNT];
    const char *topics[TOPIC_COUNT];
    char subject[300];
    size_t count = 0, cursor = 0;
    struct registry_framer *framer;
    while (count < TOPIC_COUNT && topic_type_next(&cursor, &topics[count], &types[count]))
        count++;
    int result = topic_codec_announce(stream, types, count, error, error_size);
    if (result == 0)
        result = registry_framer_of(stream, &framer, error, error_size);
    for (size_t i = 0; result == 0 && framer && i < count; i++) {
        registry_framer_subject(framer, topics[i], subject, sizeof subject);
        result = registry_set_compatibility(registry_framer_registry(framer), subject, COMPATIBILITY, error,
                                            error_size);
    }
    return result;
}

static int create(struct stream *stream, const struct command_options *options, char *error,
                  size_t error_size)
{
    int result =
        topics_prepare(stream, stream_topic_prefix(stream), (int32_t)options->partitions, error, error_size);
    if (result == -EINVAL) /* all of what is wrong, not only the first */
        return check(stream, options, error, error_size);
    if (result == 0 && stream_schema_registry(stream)[0])
        result = register_schemas(stream, error, error_size);
    return result == 0 ? check(stream, options, error, error_size) : result;
}

int command_topics(int argc, char **argv)
{
    struct command_options options = {.target = TARGET_OPTIONS_DEFAULT};
    struct argument_set sets[] = {{arguments, FS_COUNT(arguments), &options},
                                  target_arguments(&options.target)};
    char error[1024];
    struct target target;
    int words;
    int result = arguments_parse(sets, FS_COUNT(sets), &usage, ARGUMENTS_ANYWHERE, argc, argv, &words, error,
                                 sizeof error);
    if (result != 0)
        return result < 0 ? command_misuse(NAME, error) : EXIT_SUCCESS;
    bool creates = words == 1 && strcmp(argv[1], "create") == 0;
    if (!creates && (words != 1 || strcmp(argv[1], "check") != 0))
        return command_misuse(NAME, "say create or check");
    if (target_open(&options.target, &target, error, sizeof error) < 0)
        return command_fail(NAME, EXIT_FAILED, "%s", error);
    struct stream *stream = target_stream(&target, error, sizeof error);
    result = !stream   ? -EHOSTDOWN
             : creates ? create(stream, &options, error, sizeof error)
                       : check(stream, &options, error, sizeof error);
    stream_close(stream);
    target_close(&target);
    return result < 0 ? command_fail(NAME, EXIT_FAILED, "%s", error) : result;
}
