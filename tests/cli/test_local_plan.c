/* The one file of settings of a local instance, and what is asked of a service's /readyz. */
#include "tests/cli/cmocka_all.h"

#include <errno.h>

#include "cli/local_plan.h"
#include "cli/local_renew.h"
#include "cli/probe.h"
#include "common/topics.h"
#include "schemas/codec.h"

static struct local_addresses addresses = {
    .brokers = "127.0.0.1:9", .redis = "/s/redis.sock", .ingest_port = 7000, .embedded = true};

static const char *make(const struct local_options *options, int expected, char *error, size_t error_size)
{
    static char text[8192];
    struct buffer out;
    buffer_init(&out, 0);
    assert_int_equal(local_plan_config(options, &addresses, &out, error, error_size), expected);
    assert_true(str_copy(text, sizeof text, buffer_str(&out)));
    buffer_fini(&out);
    return text;
}

static void config__defaults__sections_of_all_services(void **state)
{
    struct local_options options = LOCAL_OPTIONS_DEFAULT;
    char error[256], subtree[64];
    (void)state;
    options.state_dir = "/var/lib/x";
    options.node_memory_bytes = 1 << 30;
    local_plan_subtree(options.state_dir, subtree, sizeof subtree);
    const char *text = make(&options, 0, error, sizeof error);
    assert_non_null(strstr(text, "[service]\nbrokers = 127.0.0.1:9\nredis = /s/redis.sock\n"));
    assert_non_null(strstr(text, "\n[ingest]\nlisten = 127.0.0.1:7000\n"));
    assert_non_null(strstr(text, "\n[agent]\ningest = 127.0.0.1:7000\n"));
    assert_non_null(strstr(text, "capacity_memory = 1073741824\n"));
    assert_non_null(strstr(text, subtree));
    assert_non_null(strstr(text, "[kafka]\n"));
}

static void config__partitions__one_on_a_kafka_unless_asked(void **state)
{
    struct local_options options = LOCAL_OPTIONS_DEFAULT;
    char error[256];
    (void)state;
    options.state_dir = "/x";
    assert_null(
        strstr(make(&options, 0, error, sizeof error), "partitions")); /* the embedded broker made them */
    addresses.embedded = false;
    assert_non_null(strstr(make(&options, 0, error, sizeof error), "\npartitions = 1\n"));
    options.partitions = 8;
    assert_non_null(strstr(make(&options, 0, error, sizeof error), "\npartitions = 8\n"));
    addresses.embedded = true;
}

static void config__set__replaces_ours_and_adds_sections(void **state)
{
    struct local_options options = LOCAL_OPTIONS_DEFAULT;
    char error[256];
    (void)state;
    options.state_dir = "/x";
    options.sets =
        (struct argument_list){{"agent.end_attempts=no", "predict.threshold=0.5", "kafka.a.b=c=d"}, 3};
    const char *text = make(&options, 0, error, sizeof error);
    assert_non_null(strstr(text, "end_attempts = no\n"));
    assert_null(strstr(text, "end_attempts = yes"));
    assert_non_null(strstr(text, "\n[predict]\nthreshold = 0.5\n"));
    assert_non_null(strstr(text, "a.b = c=d\n"));
}

static void config__malformed_set__refused_by_name(void **state)
{
    static const char *const wrong[] = {"x",       "agent=1",    "agent.=1",
                                        ".tick=1", "agent.tick", "agent.tick=1\n[x]"};
    char error[256];
    (void)state;
    for (size_t i = 0; i < FS_COUNT(wrong); i++) {
        struct local_options options = LOCAL_OPTIONS_DEFAULT;
        options.state_dir = "/x";
        options.sets = (struct argument_list){{wrong[i]}, 1};
        (void)make(&options, -EINVAL, error, sizeof error);
        assert_non_null(strstr(error, "section.key=value"));
    }
    struct local_options options = LOCAL_OPTIONS_DEFAULT;
    options.state_dir = "/x";
    options.sets = (struct argument_list){{"service.redis_password=hunter2\n"}, 1};
    (void)make(&options, -EINVAL, error, sizeof error);
    assert_non_null(strstr(error, "service.redis_password"));
    assert_null(strstr(error, "hunter2"));
}

static void starts__without_and_retrain__as_asked(void **state)
{
    struct local_options options = LOCAL_OPTIONS_DEFAULT;
    (void)state;
    options.without = (struct argument_list){{"predict"}, 1};
    for (size_t i = 0; i < local_service_count; i++) {
        bool expected =
            strcmp(local_services[i].name, "predict") != 0 && strcmp(local_services[i].name, "retrain") != 0;
        assert_int_equal(local_plan_starts(&options, &local_services[i]), expected);
    }
    options.with_retrain = true;
    for (size_t i = 0; i < local_service_count; i++)
        if (strcmp(local_services[i].name, "retrain") == 0)
            assert_true(local_plan_starts(&options, &local_services[i]));
}

static void subtree__two_directories__two_names(void **state)
{
    char a[64], b[64];
    (void)state;
    local_plan_subtree("/a", a, sizeof a);
    local_plan_subtree("/b", b, sizeof b);
    assert_string_not_equal(a, b);
}

static void renew__allocation_and_profile__offsets_gone_and_the_rest_stays(void **state)
{
    struct msg_partition_offset through[] = {{.topic = str_of(TOPIC_EXECUTIONS_FINISHED), .offset = 9}};
    struct msg_allocation allocation = {.code = str_of("xz"), .revision = 7, .through = {through, 1}}, out;
    struct msg_code_profile profile = {.code = str_of("xz"), .runs = 3, .through = {through, 1}}, profile_out;
    struct local_renew *renew = local_renew_create();
    struct codec *codec = codec_create();
    struct arena *arena = arena_create(4096, 1u << 20);
    struct buffer bytes;
    (void)state;
    buffer_init(&bytes, 0);
    assert_int_equal(codec_encode(&msg_allocation_type, &allocation, &bytes), 0);
    struct str value = local_renew_value(renew, TOPIC_ALLOCATIONS, buffer_str(&bytes));
    assert_int_equal(codec_decode(codec, &msg_allocation_type, value, arena, &out), 0);
    assert_int_equal(out.revision, 7);
    assert_int_equal(out.through.count, 0);
    value = local_renew_value(renew, TOPIC_POLICIES, buffer_str(&bytes)); /* of another topic */
    assert_ptr_equal(value.data, bytes.data);
    buffer_reset(&bytes);
    assert_int_equal(codec_encode(&msg_code_profile_type, &profile, &bytes), 0);
    value = local_renew_value(renew, TOPIC_CODES, buffer_str(&bytes));
    assert_int_equal(codec_decode(codec, &msg_code_profile_type, value, arena, &profile_out), 0);
    assert_int_equal(profile_out.runs, 3);
    assert_int_equal(profile_out.through.count, 0);
    struct str nonsense = str_of("nonsense");
    assert_ptr_equal(local_renew_value(renew, TOPIC_CODES, nonsense).data, nonsense.data);
    buffer_fini(&bytes);
    arena_destroy(arena);
    codec_destroy(codec);
    local_renew_destroy(renew);
}

static void probe_parse__answers__ready_reason_or_nonsense(void **state)
{
    char reason[64];
    (void)state;
    assert_int_equal(probe_parse(str_of("HTTP/1.1 200 OK\r\nA: b\r\n\r\nready\n"), reason, sizeof reason), 1);
    assert_string_equal(reason, "ready");
    assert_int_equal(probe_parse(str_of("HTTP/1.1 503 No\r\n\r\nstarting: joins\nx"), reason, sizeof reason),
                     0);
    assert_string_equal(reason, "starting: joins");
    assert_int_equal(probe_parse(str_of("HTTP/1.0 200 OK\r\n"), reason, sizeof reason), 1);
    assert_string_equal(reason, "");
    assert_int_equal(probe_parse(str_of("SSH-2.0"), reason, sizeof reason), -EBADMSG);
    assert_int_equal(probe_parse(str_of(""), reason, sizeof reason), -EBADMSG);
}

static void probe__nobody_listens__says_so_at_once(void **state)
{
    char reason[128];
    uint16_t ports[8];
    (void)state;
    assert_int_equal(probe_free_ports(ports, 8), 0);
    for (size_t i = 1; i < 8; i++)
        assert_true(ports[i] != ports[0] && ports[i] >= 10000);
    assert_int_equal(probe_ready(ports[0], 5000, reason, sizeof reason), 0);
    assert_non_null(strstr(reason, "does not answer"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config__defaults__sections_of_all_services),
        cmocka_unit_test(config__partitions__one_on_a_kafka_unless_asked),
        cmocka_unit_test(config__set__replaces_ours_and_adds_sections),
        cmocka_unit_test(config__malformed_set__refused_by_name),
        cmocka_unit_test(starts__without_and_retrain__as_asked),
        cmocka_unit_test(subtree__two_directories__two_names),
        cmocka_unit_test(renew__allocation_and_profile__offsets_gone_and_the_rest_stays),
        cmocka_unit_test(probe_parse__answers__ready_reason_or_nonsense),
        cmocka_unit_test(probe__nobody_listens__says_so_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
