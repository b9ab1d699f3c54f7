/* Options of the sub-commands. */
#include "tests/cli/cmocka_all.h"

#include <errno.h>

#include "cli/arguments.h"

struct target {
    bool flag;
    const char *text;
    int64_t count, bytes, time_ms, cpu;
    struct argument_list list;
};

#define FIELD(field) offsetof(struct target, field)

static const struct argument arguments[] = {
    {"flag", ARGUMENT_FLAG, FIELD(flag), 0, 0, NULL, "a flag"},
    {"text", ARGUMENT_STRING, FIELD(text), 0, 0, "TEXT", "a text"},
    {"count", ARGUMENT_INT, FIELD(count), 1, 9, "N", "a number"},
    {"bytes", ARGUMENT_BYTES, FIELD(bytes), 0, 0, "SIZE", "a size"},
    {"time", ARGUMENT_DURATION_MS, FIELD(time_ms), 0, 0, "TIME", "a time"},
    {"cpu", ARGUMENT_MILLICORES, FIELD(cpu), 0, 0, "CPUS", "a share"},
    {"item", ARGUMENT_LIST, FIELD(list), 0, 0, "ITEM", "an item"},
};

static const struct usage usage = {"test [OPTION]...", "Tests.", NULL};
static char error[256];

/* words ends with NULL and begins with the command's name. */
static int parse(struct target *target, enum arguments_style style, char **words, int *count)
{
    struct argument_set set = {arguments, FS_COUNT(arguments), target};
    int argc = 0;
    while (words[argc])
        argc++;
    error[0] = '\0';
    return arguments_parse(&set, 1, &usage, style, argc, words, count, error, sizeof error);
}

#define WORDS(...) ((char *[]){(char *)"test", __VA_ARGS__ __VA_OPT__(, ) NULL})
#define W(text) ((char *)(text))

static void parse__all_types_in_both_forms__values_stored(void **state)
{
    struct target target = {0};
    int count;
    (void)state;
    assert_int_equal(parse(&target, ARGUMENTS_ANYWHERE,
                           WORDS(W("--flag"), W("--text=a=b"), W("--count"), W("7"), W("--bytes=64M"),
                                 W("--time"), W("90s"), W("--cpu=0.5"), W("--item"), W("x"), W("--item=y")),
                           &count),
                     0);
    assert_true(target.flag);
    assert_string_equal(target.text, "a=b");
    assert_int_equal(target.count, 7);
    assert_int_equal(target.bytes, 64 << 20);
    assert_int_equal(target.time_ms, 90000);
    assert_int_equal(target.cpu, 500);
    assert_int_equal(target.list.count, 2);
    assert_string_equal(target.list.items[1], "y");
    assert_int_equal(count, 0);
}

static void parse__anywhere__options_after_words_and_after_dashes_words(void **state)
{
    struct target target = {0};
    int count;
    char **words = WORDS(W("one"), W("--flag"), W("two"), W("--"), W("--text"));
    (void)state;
    assert_int_equal(parse(&target, ARGUMENTS_ANYWHERE, words, &count), 0);
    assert_true(target.flag);
    assert_null(target.text);
    assert_int_equal(count, 3);
    assert_string_equal(words[1], "one");
    assert_string_equal(words[3], "--text");
    assert_null(words[4]);
}

static void parse__first__rest_belongs_to_the_program(void **state)
{
    struct target target = {0};
    int count;
    char **words = WORDS(W("--count=3"), W("ls"), W("--flag"), W("-l"), W("--"), W("x"));
    (void)state;
    assert_int_equal(parse(&target, ARGUMENTS_FIRST, words, &count), 0);
    assert_false(target.flag);
    assert_int_equal(count, 5);
    assert_string_equal(words[1], "ls");
    assert_string_equal(words[4], "--");
}

static void parse__lonely_dash__is_a_word(void **state)
{
    struct target target = {0};
    int count;
    (void)state;
    assert_int_equal(parse(&target, ARGUMENTS_ANYWHERE, WORDS(W("-")), &count), 0);
    assert_int_equal(count, 1);
}

static void parse__wrong__names_option_value_and_form(void **state)
{
    static const struct {
        const char *words[2];
        const char *says;
    } cases[] = {
        {{"--nothing", NULL}, "unknown option --nothing"},
        {{"-x", NULL}, "unknown option -x"},
        {{"--flag=yes", NULL}, "--flag takes no value"},
        {{"--bytes", NULL}, "--bytes needs a size"},
        {{"--bytes", "many"}, "--bytes many is not a size"},
        {{"--count", "0"}, "--count 0 is out of range: from 1 to 9"},
        {{"--count", "2x"}, "--count 2x is not a whole number"},
        {{"--bytes", "-1"}, "--bytes -1"},
        {{"--time", "soon"}, "--time soon is not a time"},
        {{"--cpu", "nan"}, "--cpu nan is not a share"},
        {{"--cpu", "1e30"}, "--cpu 1e30 is not a share"},
    };
    (void)state;
    for (size_t i = 0; i < FS_COUNT(cases); i++) {
        struct target target = {0};
        int count;
        char *words[4] = {W("test"), (char *)cases[i].words[0], (char *)cases[i].words[1], NULL};
        assert_int_equal(parse(&target, ARGUMENTS_ANYWHERE, words, &count), -EINVAL);
        assert_non_null(strstr(error, cases[i].says));
    }
}

static void parse__too_many_items__refused(void **state)
{
    struct target target = {0};
    int count;
    char *words[ARGUMENT_LIST_MAX + 3] = {W("test")};
    (void)state;
    for (size_t i = 1; i <= ARGUMENT_LIST_MAX + 1; i++)
        words[i] = W("--item=x");
    assert_int_equal(parse(&target, ARGUMENTS_ANYWHERE, words, &count), -EINVAL);
    assert_int_equal(target.list.count, ARGUMENT_LIST_MAX);
}

static void millicores__forms__thousandths_of_a_core(void **state)
{
    int64_t value = 0;
    (void)state;
    assert_int_equal(arguments_millicores("500m", &value), 0);
    assert_int_equal(value, 500);
    assert_int_equal(arguments_millicores("2", &value), 0);
    assert_int_equal(value, 2000);
    assert_int_equal(arguments_millicores("0.25", &value), 0);
    assert_int_equal(value, 250);
    assert_int_equal(arguments_millicores("-1", &value), -EINVAL);
    assert_int_equal(arguments_millicores("2k", &value), -EINVAL);
    assert_int_equal(arguments_millicores("", &value), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse__all_types_in_both_forms__values_stored),
        cmocka_unit_test(parse__anywhere__options_after_words_and_after_dashes_words),
        cmocka_unit_test(parse__first__rest_belongs_to_the_program),
        cmocka_unit_test(parse__lonely_dash__is_a_word),
        cmocka_unit_test(parse__wrong__names_option_value_and_form),
        cmocka_unit_test(parse__too_many_items__refused),
        cmocka_unit_test(millicores__forms__thousandths_of_a_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
