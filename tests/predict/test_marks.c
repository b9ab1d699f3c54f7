/* Names that were put in are held; of others hardly one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "predict/marks.h"

static struct str name_of(const char *kind, int number)
{
    static char name[32];
    (void)snprintf(name, sizeof name, "%s.%d", kind, number);
    return str_of(name);
}

static void hold__many_added__none_missed_and_few_others_held(void **state)
{
    (void)state;
    struct marks *marks = marks_create();
    int others = 0;
    assert_non_null(marks);
    assert_false(marks_hold(marks, name_of("in", 0)));
    for (int i = 0; i < 10000; i++)
        marks_add(marks, name_of("in", i));
    for (int i = 0; i < 10000; i++) {
        assert_true(marks_hold(marks, name_of("in", i)));
        others += marks_hold(marks, name_of("out", i));
    }
    assert_true(others < 50); /* one in 839 is expected: 12 */
    marks_destroy(marks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hold__many_added__none_missed_and_few_others_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
