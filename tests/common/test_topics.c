/* What topics are judged by: each wrong setting is named with what to do, right ones are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/topics.h"

static struct stream_topic_state states[TOPIC_COUNT];
static struct topic_fault faults[TOPIC_COUNT];

static int as_they_must_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        const struct stream_topic *topic = &topic_definitions[i].topic;
        states[i] = (struct stream_topic_state){.partitions = topic->partitions,
                                                .known = true,
                                                .compacts = topic->compact,
                                                .deletes = !topic->compact,
                                                .retention_ms = topic->compact ? -1 : topic->retention_ms};
    }
    return 0;
}

static struct stream_topic_state *state_of(const char *name)
{
    for (size_t i = 0; i < TOPIC_COUNT; i++)
        if (strcmp(topic_definitions[i].topic.name, name) == 0)
            return &states[i];
    fail_msg("no topic %s", name);
    return NULL;
}

static void expect_fault(const char *name, const char *words, const char *more_words)
{
    assert_int_equal(topics_judge(states, "p.", faults), 1);
    print_message("%s\n", faults[0].text);
    assert_string_equal(faults[0].topic, name);
    assert_non_null(strstr(faults[0].text, words));
    assert_non_null(strstr(faults[0].text, more_words));
    assert_null(strchr(faults[0].text, '\n'));
    assert_true(strlen(faults[0].text) < sizeof faults[0].text - 1); /* not cut */
}

static void judge__as_made_or_more_generous__no_fault(void **state)
{
    (void)state;
    assert_int_equal(topics_judge(states, "", faults), 0);
    for (size_t i = 0; i < TOPIC_COUNT; i++)
        if (topic_definitions[i].family != TOPIC_SINGLE)
            states[i].partitions = 3;
    state_of(TOPIC_QUARANTINE)->partitions = 5;
    state_of(TOPIC_EXECUTIONS_DLQ)->partitions = 1;
    state_of(TOPIC_TELEMETRY)->partitions = 64;
    state_of(TOPIC_EXECUTIONS_EVENTS)->retention_ms = -1;
    state_of(TOPIC_EXECUTIONS_FINISHED)->retention_ms = TOPIC_RETENTION_LEAST_MS;
    assert_int_equal(topics_judge(states, "", faults), 0);
}

static void judge__missing__says_how_to_make_it(void **state)
{
    (void)state;
    *state_of(TOPIC_VERDICTS) = (struct stream_topic_state){0};
    expect_fault(TOPIC_VERDICTS, "topic p.verdicts does not exist", "forestall topics create");
}

static void judge__partitions_of_a_family_differ__the_smaller_one(void **state)
{
    (void)state;
    state_of(TOPIC_RISKS)->partitions = 3;
    expect_fault(TOPIC_RISKS, "topic p.risks has 3 partitions", "--topic p.risks --partitions 8");
}

static void judge__more_than_one_partition_of_a_single__a_fault(void **state)
{
    (void)state;
    state_of(TOPIC_MODELS)->partitions = 2;
    expect_fault(TOPIC_MODELS, "topic p.models has 2 partitions", "must have 1");
}

static void judge__cleanup__both_ways(void **state)
{
    (void)state;
    state_of(TOPIC_ALLOCATIONS)->compacts = false;
    state_of(TOPIC_ALLOCATIONS)->deletes = true;
    expect_fault(TOPIC_ALLOCATIONS, "cleanup.policy=delete and must have compact", "p.allocations");
    (void)as_they_must_be(NULL);
    state_of(TOPIC_EXECUTIONS_FINISHED)->compacts = true;
    expect_fault(TOPIC_EXECUTIONS_FINISHED, "cleanup.policy=compact,delete and must have delete",
                 "--add-config cleanup.policy=delete");
}

static void judge__retention_too_short__named_with_the_default(void **state)
{
    (void)state;
    state_of(TOPIC_EXECUTIONS_REQUESTED)->retention_ms = 60000;
    expect_fault(TOPIC_EXECUTIONS_REQUESTED, "retention.ms=60000", "retention.ms=604800000");
}

static void judge__settings_not_told__partitions_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < TOPIC_COUNT; i++)
        states[i] = (struct stream_topic_state){.partitions = states[i].partitions};
    assert_int_equal(topics_judge(states, "", faults), 0);
    state_of(TOPIC_CODES)->partitions = 9;
    assert_int_equal(topics_judge(states, "", faults), 4); /* the others of the family are smaller now */
}

static void fill_missing__family_is_there__gets_its_count(void **state)
{
    (void)state;
    struct stream_topic topics[TOPIC_COUNT];
    struct stream_topic_state there[TOPIC_COUNT] = {0};
    topics_fill_missing(topics, 5, there);
    for (size_t i = 0; i < TOPIC_COUNT; i++)
        assert_int_equal(topics[i].partitions, topic_definitions[i].family == TOPIC_SINGLE ? 1 : 5);
    there[5].partitions = 12; /* executions.finished */
    assert_int_equal(topic_definitions[5].family, TOPIC_BY_CODE);
    topics_fill_missing(topics, 5, there);
    for (size_t i = 0; i < TOPIC_COUNT; i++)
        if (topic_definitions[i].family == TOPIC_BY_CODE)
            assert_int_equal(topics[i].partitions, topic_definitions[i].joined ? 12 : 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(judge__as_made_or_more_generous__no_fault, as_they_must_be),
        cmocka_unit_test_setup(judge__missing__says_how_to_make_it, as_they_must_be),
        cmocka_unit_test_setup(judge__partitions_of_a_family_differ__the_smaller_one, as_they_must_be),
        cmocka_unit_test_setup(judge__more_than_one_partition_of_a_single__a_fault, as_they_must_be),
        cmocka_unit_test_setup(judge__cleanup__both_ways, as_they_must_be),
        cmocka_unit_test_setup(judge__retention_too_short__named_with_the_default, as_they_must_be),
        cmocka_unit_test_setup(judge__settings_not_told__partitions_only, as_they_must_be),
        cmocka_unit_test(fill_missing__family_is_there__gets_its_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
