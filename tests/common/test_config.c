/* Order of the sources, and an error for each thing that can be wrong, naming key, value and reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/config.h"

struct options {
    const char *name;
    int64_t count, memory, wait_ms;
    bool loud;
    double share;
    const char *word, *empty_word, *place;
};

#define FIELD(field) offsetof(struct options, field)
static const struct config_option table[] = {
    {"unit", "name", CONFIG_STRING, FIELD(name), "plain", 0, 0, "a name"},
    {"unit", "count", CONFIG_INT, FIELD(count), "3", 1, 10, "a count"},
    {"unit", "memory", CONFIG_BYTES, FIELD(memory), "64M", 0, 0, "memory"},
    {"unit", "wait", CONFIG_DURATION_MS, FIELD(wait_ms), "10s", 0, 0, "a wait"},
    {"unit", "loud", CONFIG_BOOL, FIELD(loud), "no", 0, 0, "a switch"},
    {"unit", "share", CONFIG_DOUBLE, FIELD(share), "0.5", 0, 1, "a share"},
    {"unit", "word", CONFIG_SECRET, FIELD(word), "", 0, 0, "a password"},
    {"unit", "empty_word", CONFIG_SECRET, FIELD(empty_word), "", 0, 0, "another"},
    {"unit", "place", CONFIG_ADDRESS, FIELD(place), "", 0, 0, "a URL"},
};

struct run {
    struct config *config;
    struct options options;
    char error[256];
};

static int load(struct run *run, const char *file, const char *argument)
{
    char path[] = "/tmp/forestall-config-XXXXXX", option[64];
    char *argv[] = {"unit", option, (char *)(uintptr_t)argument, NULL};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, file, strlen(file)), (ssize_t)strlen(file));
    close(fd);
    (void)snprintf(option, sizeof option, "--config=%s", path);
    *run = (struct run){.config = config_create("unit", "a test")};
    assert_non_null(run->config);
    assert_int_equal(config_add(run->config, table, FS_COUNT(table), &run->options), 0);
    assert_int_equal(config_passthrough(run->config, "kafka"), 0);
    int result = config_load(run->config, argument ? 3 : 2, argv, run->error, sizeof run->error);
    unlink(path);
    return result;
}

static void expect_error(const char *file, const char *argument, int error, const char *part)
{
    struct run run;
    assert_int_equal(load(&run, file, argument), error);
    if (!strstr(run.error, part))
        fail_msg("\"%s\" does not contain \"%s\"", run.error, part);
    config_destroy(run.config);
}

static void config_load__nothing_said__defaults(void **state)
{
    struct run run;
    (void)state;
    assert_int_equal(load(&run, "", NULL), 0);
    assert_string_equal(run.options.name, "plain");
    assert_int_equal(run.options.count, 3);
    assert_int_equal(run.options.memory, 64 << 20);
    assert_int_equal(run.options.wait_ms, 10000);
    assert_false(run.options.loud);
    assert_true(run.options.share == 0.5);
    config_destroy(run.config);
}

static void config_load__all_sources__strongest_wins(void **state)
{
    struct run run;
    (void)state;
    setenv("FORESTALL_UNIT_COUNT", "5", 1);
    setenv("FORESTALL_UNIT_NAME", "env", 1);
    assert_int_equal(load(&run, "[unit]\ncount=4\nname=file\nloud=yes\n[other]\nx=1\n", "--unit.count=6"), 0);
    unsetenv("FORESTALL_UNIT_COUNT");
    unsetenv("FORESTALL_UNIT_NAME");
    assert_int_equal(run.options.count, 6);
    assert_string_equal(run.options.name, "env");
    assert_true(run.options.loud);
    config_destroy(run.config);
}

static void config_load__wrong_value__named_in_error(void **state)
{
    (void)state;
    expect_error("[unit]\ncount=11\n", NULL, -EINVAL, "unit.count=11 is out of range: from 1 to 10");
    expect_error("[unit]\nmemory=5X\n", NULL, -EINVAL, "unit.memory=5X is not bytes");
    expect_error("", "--unit.wait=5y", -EINVAL, "unit.wait=5y is not a duration");
    expect_error("", "--unit.count=0", -ERANGE, "out of range");
    expect_error("", "--unit.loud=maybe", -EINVAL, "is not yes or no");
    expect_error("[unit]\ncount=11\nmemory=5X\n", NULL, -EINVAL,
                 "unit.count=11"); /* the first error is told */
}

static void config_load__unknown_key__refused(void **state)
{
    (void)state;
    expect_error("[unit]\ncuont=1\n", NULL, -EINVAL, "unknown key cuont in [unit]");
    expect_error("", "--unit.cuont=1", -EINVAL, "unknown option --unit.cuont");
    setenv("FORESTALL_UNIT_CUONT", "1", 1);
    expect_error("", NULL, -EINVAL, "FORESTALL_UNIT_CUONT");
    unsetenv("FORESTALL_UNIT_CUONT");
}

/* What loading prints with --print-config, or another argument that is answered. */
static void printed(const char *file, const char *argument, char *out, size_t size)
{
    struct run run;
    FILE *to = tmpfile();
    int kept = dup(STDOUT_FILENO);
    assert_non_null(to);
    assert_true(kept >= 0);
    (void)fflush(stdout);
    assert_true(dup2(fileno(to), STDOUT_FILENO) >= 0);
    int result = load(&run, file, argument);
    (void)fflush(stdout);
    assert_true(dup2(kept, STDOUT_FILENO) >= 0);
    (void)close(kept);
    assert_int_equal(result, 1);
    rewind(to);
    out[fread(out, 1, size - 1, to)] = '\0';
    (void)fclose(to);
    config_destroy(run.config);
}

static void print_config__secrets__said_to_be_set_and_not_shown(void **state)
{
    char text[4096];
    (void)state;
    printed("[unit]\nname=shown\nword=hunter2\nplace=https://me:hunter2@there:8081/path\n"
            "[kafka]\nsasl.password=hunter2\n",
            "--print-config", text, sizeof text);
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "\nname = shown\n"));
    assert_non_null(strstr(text, "\n; word = (set)\n"));
    assert_non_null(strstr(text, "\nempty_word = \n"));
    assert_non_null(strstr(text, "\n; place = https://(set)@there:8081/path\n"));
    assert_non_null(strstr(text, "[kafka]\n; sasl.password = (set)\n"));
    char again[4096]; /* secrets from elsewhere are not overwritten by what was printed */
    setenv("FORESTALL_UNIT_WORD", "hunter2", 1);
    printed(text, "--print-config", again, sizeof again);
    unsetenv("FORESTALL_UNIT_WORD");
    assert_non_null(strstr(again, "\nname = shown\n"));
    assert_non_null(strstr(again, "\n; word = (set)\n"));
    assert_non_null(strstr(again, "\nplace = \n"));
}

static void reference__secrets__said_to_be_never_shown(void **state)
{
    char text[4096];
    (void)state;
    printed("", "--reference", text, sizeof text);
    assert_non_null(strstr(text, "| `unit.word` | `` | text; never shown |"));
    assert_non_null(strstr(text, "| `unit.place` | `` | text; shown without user and password |"));
}

static void config_load__secrets_on_the_command_line__overwritten(void **state)
{
    struct options options;
    char word[] = "--unit.word=hunter2", apart[] = "--empty_word", its[] = "hunter3", name[] = "--name=shown",
         place[] = "--place=https://me:hunter4@there:1/", library[] = "--kafka.sasl.password=hunter5",
         error[256];
    char *argv[] = {"unit", word, apart, its, name, place, library, NULL};
    const char *key, *value;
    size_t cursor = 0;
    (void)state;
    struct config *config = config_create("unit", "a test");
    assert_non_null(config);
    assert_int_equal(config_add(config, table, FS_COUNT(table), &options), 0);
    assert_int_equal(config_passthrough(config, "kafka"), 0);
    assert_int_equal(config_load(config, FS_COUNT(argv) - 1, argv, error, sizeof error), 0);
    for (size_t i = 0; argv[i]; i++)
        assert_null(strstr(argv[i], "hunter"));
    assert_string_equal(word, "--unit.word=*******");
    assert_string_equal(name, "--name=shown");
    assert_string_equal(options.word, "hunter2");
    assert_string_equal(options.empty_word, "hunter3");
    assert_string_equal(options.place, "https://me:hunter4@there:1/");
    assert_true(config_passthrough_next(config, "kafka", &cursor, &key, &value));
    assert_string_equal(value, "hunter5");
    config_destroy(config);
}

static void config_load__passthrough__kept(void **state)
{
    struct run run;
    size_t cursor = 0;
    const char *key, *value;
    (void)state;
    assert_int_equal(load(&run, "[kafka]\nsecurity.protocol=ssl\n", NULL), 0);
    assert_true(config_passthrough_next(run.config, "kafka", &cursor, &key, &value));
    assert_string_equal(key, "security.protocol");
    assert_string_equal(value, "ssl");
    assert_false(config_passthrough_next(run.config, "kafka", &cursor, &key, &value));
    config_destroy(run.config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_load__nothing_said__defaults),
        cmocka_unit_test(config_load__all_sources__strongest_wins),
        cmocka_unit_test(config_load__wrong_value__named_in_error),
        cmocka_unit_test(config_load__unknown_key__refused),
        cmocka_unit_test(config_load__passthrough__kept),
        cmocka_unit_test(config_load__secrets_on_the_command_line__overwritten),
        cmocka_unit_test(print_config__secrets__said_to_be_set_and_not_shown),
        cmocka_unit_test(reference__secrets__said_to_be_never_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
