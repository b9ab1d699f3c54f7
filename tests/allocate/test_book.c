/* The book of codes: allocations, positions, verdicts and policies of each. */
#include <math.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "allocate/book.h"
#include "common/topics.h"
#include "tests/allocate/tools.h"

#define MIB ((int64_t)1 << 20)

static struct msg_allocation allocation_of(int64_t revision)
{
    return (struct msg_allocation){.code = str_of("c"),
                                   .revision = revision,
                                   .limits = {.memory_bytes = revision * MIB},
                                   .reason = str_of("because"),
                                   .runs = 3,
                                   .updated_us = 9};
}

static struct msg_verdict verdict_of(uint8_t execution, int64_t decided_us)
{
    struct msg_verdict verdict = {.attempt = 2,
                                  .code = str_of("c"),
                                  .pool = str_of("p"),
                                  .retry = true,
                                  .cause = MSG_CAUSE_MEMORY,
                                  .reason = str_of("why"),
                                  .decided_us = decided_us};
    verdict.execution[0] = execution;
    return verdict;
}

static void book__allocation__comes_back_as_it_was(void **state)
{
    struct tools *tools = *state;
    struct book *book = book_create(16);
    struct code_entry *entry = book_obtain(book, str_of("c"), 4, 1);
    struct msg_allocation in = allocation_of(7), out;
    enum msg_cause raised[] = {MSG_CAUSE_CPU, MSG_CAUSE_MEMORY};
    struct msg_partition_offset through[] = {{str_of(TOPIC_EXECUTIONS_FINISHED), 4, 100}};
    struct msg_verdict verdicts[] = {verdict_of(1, 10), verdict_of(2, 20)};
    in.raised = (struct msg_cause_array){raised, 2};
    in.through = (struct msg_partition_offset_array){through, 1};
    in.verdicts = (struct msg_verdict_array){verdicts, 2};
    struct msg_recent_run recent[] = {{1e6, 5, -1}, {2e6, 6, 1000}};
    float costs[] = {0.5f, 0.25f, 0, 1};
    struct msg_input_knot knots[] = {{1000, 2e6}, {4000, 5e6}};
    in.recent = (struct msg_recent_run_array){recent, 2};
    in.method_costs = (struct msg_float_array){costs, 4};
    in.by_input = (struct msg_input_knot_array){knots, 2};
    in.probability = 0.25f;
    in.pinned = true;
    in.outgrown = 3.5f;
    in.outgrown_failed = 1.25f;
    assert_int_equal(book_allocation_message(entry, tools->codec, tools->arena, &out), -ENOENT);
    assert_int_equal(book_set_allocation(book, entry, &in), 1);
    assert_int_equal(book_allocation_message(entry, tools->codec, tools->arena, &out), 0);
    struct buffer a, b;
    buffer_init(&a, 0);
    buffer_init(&b, 0);
    assert_int_equal(codec_encode(&msg_allocation_type, &in, &a), 0);
    assert_int_equal(codec_encode(&msg_allocation_type, &out, &b), 0);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    buffer_fini(&a);
    buffer_fini(&b);
    book_destroy(book);
}

static void book__saved_executions__share_of_all_codes(void **state)
{
    (void)state;
    struct book *book = book_create(16);
    struct code_entry *one = book_obtain(book, str_of("one"), 0, 1),
                      *other = book_obtain(book, str_of("other"), 1, 1);
    struct msg_allocation saved = allocation_of(1), failed = allocation_of(1), absurd = allocation_of(2);
    assert_true(book_saved(book) == 0);
    saved.outgrown = 8;
    failed.outgrown = failed.outgrown_failed = 1;
    absurd.outgrown = NAN;
    assert_int_equal(book_set_allocation(book, one, &saved), 1);
    assert_true(book_saved(book) == 8.0 / 9);
    assert_int_equal(book_set_allocation(book, other, &failed), 1);
    assert_true(book_saved(book) == 0.8);
    book_forget_partition(book, 1);
    assert_true(book_saved(book) == 8.0 / 9);
    assert_int_equal(book_set_allocation(book, one, &absurd), 1);
    assert_true(book_saved(book) == 0 && one->allocation.outgrown == 0);
    book_destroy(book);
}

static void book__older_revision__ignored(void **state)
{
    (void)state;
    struct book *book = book_create(16);
    struct code_entry *entry = book_obtain(book, str_of("c"), 0, 1);
    struct msg_allocation newer = allocation_of(7), older = allocation_of(6);
    assert_int_equal(book_set_allocation(book, entry, &newer), 1);
    assert_int_equal(book_set_allocation(book, entry, &older), 0);
    assert_int_equal(entry->allocation.revision, 7);
    book_destroy(book);
}

static void book__positions__guard_and_stay_bounded(void **state)
{
    struct tools *tools = *state;
    struct book *book = book_create(16);
    struct code_entry *entry = book_obtain(book, str_of("c"), 0, 1);
    struct msg_allocation allocation = allocation_of(0);
    for (int32_t partition = 0; partition < 7; partition++) {
        allocation.revision++;
        assert_int_equal(book_through(entry, partition, 100 + partition, tools->arena, &allocation.through),
                         0);
        assert_int_equal(book_set_allocation(book, entry, &allocation), 1);
        assert_true(book_contains(entry, partition, 100 + partition));
        assert_false(book_contains(entry, partition, 101 + partition));
    }
    assert_int_equal(entry->allocation.through_count, BOOK_THROUGH_MAX);
    assert_false(book_contains(entry, 0, 1)); /* the oldest went */
    assert_int_equal(book_through(entry, 6, 50, tools->arena, &allocation.through), 0);
    allocation.revision++;
    assert_int_equal(book_set_allocation(book, entry, &allocation), 1);
    assert_true(book_contains(entry, 6, 106)); /* never back */
    book_destroy(book);
}

static void book__verdicts__found_and_dropped_when_committed_or_old(void **state)
{
    struct tools *tools = *state;
    struct book *book = book_create(16);
    struct code_entry *entry = book_obtain(book, str_of("c"), 0, 1);
    struct msg_allocation allocation = allocation_of(1), message;
    struct msg_verdict verdicts[3] = {verdict_of(1, 10), verdict_of(2, 20), verdict_of(3, 30)}, found;
    uint8_t second[16] = {2};
    for (int i = 0; i < 3; i++) { /* one record after another */
        allocation.revision = i + 1;
        allocation.verdicts = (struct msg_verdict_array){verdicts, (size_t)i + 1};
        assert_int_equal(book_through(entry, 0, 100 + i, tools->arena, &allocation.through), 0);
        assert_int_equal(book_set_allocation(book, entry, &allocation), 1);
    }
    assert_int_equal(book_verdict(entry, tools->codec, second, 2, tools->arena, &found), 0);
    assert_int_equal(found.decided_us, 20);
    assert_int_equal(book_verdict(entry, tools->codec, second, 1, tools->arena, &found), -ENOENT);
    book_drop_verdicts(entry, 100, 0);
    assert_int_equal(entry->verdict_count, 2);
    book_drop_verdicts(entry, -1, 25);
    assert_int_equal(entry->verdict_count, 1);
    assert_int_equal(book_allocation_message(entry, tools->codec, tools->arena, &message), 0);
    assert_int_equal(message.verdicts.items[0].execution[0], 3);
    book_drop_verdicts(entry, 102, 0);
    assert_int_equal(entry->verdict_count, 0);
    book_destroy(book);
}

static void book__full__oldest_known_and_room_after_removal(void **state)
{
    (void)state;
    struct book *book = book_create(16);
    char code[16];
    for (int i = 0; i < 16; i++) {
        (void)snprintf(code, sizeof code, "c%d", i);
        assert_non_null(book_obtain(book, str_of(code), i % 2, i));
    }
    assert_null(book_obtain(book, str_of("more"), 0, 20));
    assert_non_null(book_obtain(book, str_of("c0"), 0, 20)); /* used again */
    assert_string_equal(book_oldest(book)->code, "c1");
    book_remove(book, book_oldest(book));
    assert_non_null(book_obtain(book, str_of("more"), 0, 20));
    assert_null(book_find(book, str_of("c1")));
    book_forget_partition(book, 0);
    assert_int_equal(book_count(book), 7);
    struct code_entry *entry;
    int walked = 0;
    for (size_t cursor = 0; book_next(book, &cursor, &entry);)
        walked += entry->partition == 1;
    assert_int_equal(walked, 7);
    book_destroy(book);
}

/* As a restore takes them in: by partitions, old and new. */
static void book_order__taken_in_by_partitions__oldest_use_first(void **state)
{
    (void)state;
    static const int64_t uses[] = {50, 10, 40, 10, 30};
    static const char *const wanted[] = {"c1", "c3", "c4", "c2", "c0"};
    struct book *book = book_create(16);
    char code[16];
    for (size_t i = 0; i < FS_COUNT(uses); i++) {
        (void)snprintf(code, sizeof code, "c%zu", i);
        assert_non_null(book_obtain(book, str_of(code), 0, uses[i]));
    }
    book_order(book);
    for (size_t i = 0; i < FS_COUNT(wanted); i++) {
        assert_string_equal(book_oldest(book)->code, wanted[i]);
        book_remove(book, book_oldest(book));
    }
    assert_null(book_oldest(book));
    book_order(book); /* empty */
    book_destroy(book);
}

static void book__policy__strings_are_its_own(void **state)
{
    (void)state;
    struct book *book = book_create(16);
    struct code_entry *entry = book_obtain(book, str_of("c"), 0, 1);
    char author[200];
    memset(author, 'a', sizeof author);
    struct msg_code_policy policy = {
        .code = str_of("c"), .author = {author, sizeof author}, .held_out_permille = 5};
    assert_null(book_policy(entry));
    assert_null(book_policy(NULL));
    book_set_policy(entry, &policy);
    memset(author, 'b', sizeof author);
    assert_int_equal(book_policy(entry)->author.size, BOOK_AUTHOR_MAX - 1);
    assert_int_equal(book_policy(entry)->author.data[0], 'a');
    assert_int_equal(book_policy(entry)->held_out_permille, 5);
    book_destroy(book);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tools_set_up, tools_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(book__allocation__comes_back_as_it_was),
        TEST(book__saved_executions__share_of_all_codes),
        TEST(book__older_revision__ignored),
        TEST(book__positions__guard_and_stay_bounded),
        TEST(book__verdicts__found_and_dropped_when_committed_or_old),
        TEST(book__full__oldest_known_and_room_after_removal),
        TEST(book_order__taken_in_by_partitions__oldest_use_first),
        TEST(book__policy__strings_are_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
