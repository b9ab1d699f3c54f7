/* The default identity of a program. */
#include "tests/cli/cmocka_all.h"

#include <stdio.h>

#include "cli/code_name.h"

static void default__command_lines__names(void **state)
{
    static const struct {
        const char *argv[6];
        const char *name;
    } cases[] = {
        {{"xz", "-9", "file"}, "xz"},
        {{"/usr/bin/xz"}, "xz"},
        {{"./my job.sh"}, "my_job.sh"},
        {{"python3", "train.py", "-x"}, "python3:train.py"},
        {{"/usr/bin/python3.11", "-u", "/opt/a/train.py"}, "python3.11:train.py"},
        {{"python3", "-c", "print(1)"}, "python3"},
        {{"python3", "-m", "http.server"}, "python3:http.server"},
        {{"python3", "-W", "ignore", "a.py"}, "python3:a.py"},
        {{"python3", "-uc", "print(1)"}, "python3"},
        {{"python3", "-"}, "python3:-"},
        {{"python3"}, "python3"},
        {{"perl", "-e", "1"}, "perl"},
        {{"perl", "-w", "x.pl"}, "perl:x.pl"},
        {{"bash", "-c", "ls"}, "bash"},
        {{"bash", "-ec", "ls"}, "bash"},
        {{"sh", "-o", "pipefail", "run.sh"}, "sh:run.sh"},
        {{"bash", "--norc", "run.sh"}, "bash:run.sh"},
        {{"java", "-Xmx1g", "-jar", "/srv/app.jar"}, "java:app.jar"},
        {{"java", "-cp", "a:b", "org.Main"}, "java:org.Main"},
        {{"gawk", "{print}", "file"}, "gawk"},
        {{"awk", "-f", "sum.awk", "file"}, "awk:sum.awk"},
        {{"awk", "-F", ":", "{print}", "file"}, "awk"},
        {{"node", "server.js"}, "node:server.js"},
        {{"shred", "-u", "x"}, "shred"},
        {{"perldoc", "x"}, "perldoc"},
        {{""}, "_"},
        {{"dir/"}, "_"},
    };
    (void)state;
    for (size_t i = 0; i < FS_COUNT(cases); i++) {
        char name[CODE_NAME_MAX + 1];
        code_name_default((char *const *)cases[i].argv, name);
        if (strcmp(name, cases[i].name) != 0)
            print_error("%s %s: got %s\n", cases[i].argv[0], cases[i].argv[1] ? cases[i].argv[1] : "", name);
        assert_string_equal(name, cases[i].name);
        assert_true(code_name_valid(str_of(name)));
    }
}

static void default__very_long__cut_and_valid(void **state)
{
    char name[CODE_NAME_MAX + 1], program[400];
    const char *argv[] = {program, NULL}, *script[] = {"python3", program, NULL};
    (void)state;
    memset(program, 'x', sizeof program - 1);
    program[sizeof program - 1] = '\0';
    code_name_default((char *const *)argv, name);
    assert_int_equal(strlen(name), CODE_NAME_MAX);
    code_name_default((char *const *)script, name);
    assert_int_equal(strlen(name), CODE_NAME_MAX);
    assert_int_equal(strncmp(name, "python3:xxx", 11), 0);
}

static void valid__edges__as_the_design_says(void **state)
{
    char longest[CODE_NAME_MAX + 2];
    (void)state;
    memset(longest, 'a', sizeof longest - 1);
    longest[CODE_NAME_MAX + 1] = '\0';
    assert_false(code_name_valid(str_of(longest)));
    longest[CODE_NAME_MAX] = '\0';
    assert_true(code_name_valid(str_of(longest)));
    assert_true(code_name_valid(str_of("A-Z._:+@/0")));
    assert_false(code_name_valid(str_of("")));
    assert_false(code_name_valid(str_of("a b")));
    assert_false(code_name_valid(str_of("a{b}")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default__command_lines__names),
        cmocka_unit_test(default__very_long__cut_and_valid),
        cmocka_unit_test(valid__edges__as_the_design_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
