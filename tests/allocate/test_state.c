/* What is kept between messages: offsets under way, attempts, nodes, newest messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "allocate/attempts.h"
#include "allocate/keep.h"
#include "allocate/ledger.h"
#include "allocate/nodes.h"
#include "common/base.h"
#include "simulate.h"

/* --- ledger */

static void ledger__done_out_of_order__stored_in_order(void **state)
{
    (void)state;
    struct ledger *ledger = ledger_create(8);
    struct ledger_position position;
    struct ticket *tickets[3];
    for (int i = 0; i < 3; i++)
        tickets[i] = ledger_take(ledger, "a", 1, 10 + i);
    ledger_release(ledger, tickets[2]);
    ledger_release(ledger, tickets[1]);
    assert_false(ledger_next(ledger, &position));
    ledger_release(ledger, tickets[0]);
    assert_true(ledger_next(ledger, &position));
    assert_string_equal(position.topic, "a");
    assert_int_equal(position.partition, 1);
    assert_int_equal(position.offset, 12);
    assert_false(ledger_next(ledger, &position));
    assert_int_equal(ledger_pending(ledger), 0);
    ledger_destroy(ledger);
}

static void ledger__held__waits_for_the_last_release(void **state)
{
    (void)state;
    struct ledger *ledger = ledger_create(8);
    struct ledger_position position;
    struct ticket *ticket = ledger_take(ledger, "a", 0, 5);
    ledger_hold(ticket);
    ledger_release(ledger, ticket);
    assert_false(ledger_next(ledger, &position));
    ledger_release(ledger, ticket);
    assert_true(ledger_next(ledger, &position));
    ledger_destroy(ledger);
}

static void ledger__full__none_until_one_is_done(void **state)
{
    (void)state;
    struct ledger *ledger = ledger_create(2);
    struct ticket *first = ledger_take(ledger, "a", 0, 1);
    assert_non_null(ledger_take(ledger, "b", 0, 1));
    assert_null(ledger_take(ledger, "a", 0, 2));
    ledger_release(ledger, first);
    assert_non_null(ledger_take(ledger, "a", 0, 2));
    ledger_destroy(ledger);
}

static void ledger__forgotten_partition__nothing_stored_and_taken_anew(void **state)
{
    (void)state;
    struct ledger *ledger = ledger_create(8);
    struct ledger_position position;
    struct ticket *old = ledger_take(ledger, "a", 0, 50);
    ledger_release(ledger, ledger_take(ledger, "a", 0, 51));
    ledger_forget(ledger, "a", 0);
    struct ticket *again = ledger_take(ledger, "a", 0, 50);
    ledger_release(ledger, old);
    assert_false(ledger_next(ledger, &position));
    ledger_release(ledger, again);
    assert_true(ledger_next(ledger, &position));
    assert_int_equal(position.offset, 50);
    assert_int_equal(ledger_pending(ledger), 0);
    ledger_destroy(ledger);
}

static void ledger__put_back__comes_again(void **state)
{
    (void)state;
    struct ledger *ledger = ledger_create(8);
    struct ledger_position position;
    struct ticket *before = ledger_take(ledger, "a", 0, 1);
    ledger_put_back(ledger, ledger_take(ledger, "a", 0, 2));
    ledger_release(ledger, before);
    assert_true(ledger_next(ledger, &position));
    assert_int_equal(position.offset, 1);
    ledger_release(ledger, ledger_take(ledger, "a", 0, 2));
    assert_true(ledger_next(ledger, &position));
    assert_int_equal(position.offset, 2);
    assert_int_equal(ledger_pending(ledger), 0);
    ledger_destroy(ledger);
}

static void ledger__random__never_passes_what_is_under_way(void **state)
{
    (void)state;
    enum { LINES = 3, MOST = 64 };
    uint64_t random = 11;
    struct ledger *ledger = ledger_create(MOST);
    struct ticket *out[LINES][MOST] = {{NULL}};
    int64_t offsets[LINES][MOST] = {{0}}, next[LINES] = {0}, stored[LINES] = {-1, -1, -1};
    int count[LINES] = {0};
    for (int step = 0; step < 20000; step++) {
        int line = (int)(simulate_random(&random) * LINES);
        if (simulate_random(&random) < 0.5 && count[line] < MOST) {
            struct ticket *ticket = ledger_take(ledger, "t", line, next[line]);
            if (ticket) {
                out[line][count[line]] = ticket;
                offsets[line][count[line]++] = next[line]++;
            }
        } else if (count[line] > 0) {
            int which = (int)(simulate_random(&random) * count[line]);
            ledger_release(ledger, out[line][which]);
            out[line][which] = out[line][--count[line]];
            offsets[line][which] = offsets[line][count[line]];
        }
        struct ledger_position position;
        while (ledger_next(ledger, &position)) {
            assert_true(position.offset > stored[position.partition]);
            stored[position.partition] = position.offset;
        }
        for (int l = 0; l < LINES; l++) {
            int64_t least = next[l];
            for (int i = 0; i < count[l]; i++)
                least = FS_MIN(least, offsets[l][i]);
            assert_int_equal(stored[l], least - 1);
        }
    }
    ledger_destroy(ledger);
}

/* --- keep */

static void keep__full__oldest_go(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct keep keep;
    struct str message;
    char text[16];
    keep_init(&keep, bytes, sizeof bytes);
    assert_false(keep_last(&keep, &message));
    for (int i = 0; i < 100; i++) {
        int size = snprintf(text, sizeof text, "m%d", i);
        keep_push(&keep, (struct str){text, (size_t)size});
        assert_true(keep_last(&keep, &message));
        assert_true(str_equal(message, str_of(text)));
    }
    int expected = 100 - (int)keep.count;
    assert_int_equal(keep.dropped, expected);
    assert_true(keep.count >= 8);
    for (uint32_t cursor = 0; keep_next(&keep, &cursor, &message);) {
        (void)snprintf(text, sizeof text, "m%d", expected++);
        assert_true(str_equal(message, str_of(text)));
    }
    assert_int_equal(expected, 100);
}

static void keep__larger_than_all__dropped(void **state)
{
    (void)state;
    uint8_t bytes[16];
    char large[64] = {0};
    struct keep keep;
    struct str message;
    keep_init(&keep, bytes, sizeof bytes);
    keep_push(&keep, str_of("short"));
    keep_push(&keep, (struct str){large, sizeof large});
    keep_push(&keep, (struct str){large, 13});
    assert_int_equal(keep.count, 1);
    assert_int_equal(keep.dropped, 2);
    keep_push(&keep, (struct str){large, 12}); /* exactly fits */
    assert_int_equal(keep.count, 1);
    assert_true(keep_last(&keep, &message) && message.size == 12);
}

/* --- attempts */

static struct attempt *obtain(struct attempts *attempts, uint8_t number)
{
    uint8_t execution[16] = {number};
    struct attempt *attempt = attempts_obtain(attempts, execution, 1, number % 3);
    assert_non_null(attempt);
    return attempt;
}

static void attempts__past_the_bound__longest_silent_forgotten(void **state)
{
    (void)state;
    struct attempts *attempts = attempts_create(16);
    for (uint8_t i = 0; i < 16; i++)
        obtain(attempts, i)->decision = i;
    (void)obtain(attempts, 0); /* heard of again */
    attempts_open(attempts, obtain(attempts, 1), 5);
    for (uint8_t i = 16; i < 30; i++)
        (void)obtain(attempts, i);
    uint8_t zero[16] = {0}, two[16] = {2};
    assert_int_equal(attempts_count(attempts), 16);
    assert_int_equal(attempts_evicted(attempts), 14);
    assert_non_null(attempts_find(attempts, zero, 1));
    assert_null(attempts_find(attempts, zero, 2));
    assert_null(attempts_find(attempts, two, 1));
    attempts_destroy(attempts);
}

static void attempts__advance__each_risk_once(void **state)
{
    (void)state;
    struct attempts *attempts = attempts_create(16);
    struct attempt *attempt = obtain(attempts, 1);
    assert_true(attempt_advance(attempt, 1, 10));
    assert_false(attempt_advance(attempt, 1, 10));
    assert_false(attempt_advance(attempt, 1, 9));
    assert_true(attempt_advance(attempt, 1, 11));
    assert_true(attempt_advance(attempt, 2, 1)); /* the agent was started again */
    assert_false(attempt_advance(attempt, 1, 500));
    attempts_destroy(attempts);
}

static void attempts__open__listed_until_closed_or_forgotten(void **state)
{
    (void)state;
    struct attempts *attempts = attempts_create(16);
    for (uint8_t i = 0; i < 9; i++)
        attempts_open(attempts, obtain(attempts, i), i);
    attempts_open(attempts, obtain(attempts, 4), 44);
    attempts_close(attempts, obtain(attempts, 5));
    attempts_close(attempts, obtain(attempts, 5));
    assert_int_equal(attempts_open_count(attempts), 8);
    attempts_forget_partition(attempts, 1); /* 1, 4, 7 */
    assert_int_equal(attempts_open_count(attempts), 5);
    assert_int_equal(attempts_count(attempts), 6);
    int seen = 0;
    for (struct attempt *each = attempts_first_open(attempts); each; each = each->next_open)
        seen += each->partition != 1;
    assert_int_equal(seen, 5);
    attempts_destroy(attempts);
}

/* --- nodes */

static struct msg_node_status status_of(const char *node, int64_t free_bytes)
{
    return (struct msg_node_status){.node = str_of(node),
                                    .pool = str_of("pool"),
                                    .capacity = {.memory_bytes = 1000, .cpu_millicores = 4000},
                                    .free = {.memory_bytes = free_bytes, .cpu_millicores = 1000}};
}

static void nodes__status__view_until_silent(void **state)
{
    (void)state;
    struct nodes *nodes = nodes_create(4);
    struct msg_node_status status = status_of("n", 300);
    struct node_view *node = nodes_update(nodes, &status, 1000);
    assert_true(node->policy.known && !node->is_short);
    struct msg_limits from = {.memory_bytes = 100, .cpu_millicores = 500},
                      to = {.memory_bytes = 350, .cpu_millicores = 200};
    nodes_debit(node, &from, &to);
    assert_int_equal(node->policy.free.memory_bytes, 50);
    assert_int_equal(node->policy.free.cpu_millicores, 1000);
    assert_ptr_equal(nodes_find(nodes, str_of("n"), 1000 + NODE_SILENT_MS), node);
    assert_null(nodes_find(nodes, str_of("n"), 1001 + NODE_SILENT_MS));
    assert_null(nodes_find(nodes, str_of("m"), 1000));
    nodes_destroy(nodes);
}

static void nodes__past_the_bound__longest_silent_forgotten(void **state)
{
    (void)state;
    struct nodes *nodes = nodes_create(2);
    const char *names[] = {"a", "b", "a", "c"};
    for (int i = 0; i < 4; i++) {
        struct msg_node_status status = status_of(names[i], i);
        assert_non_null(nodes_update(nodes, &status, i));
    }
    assert_null(nodes_find(nodes, str_of("b"), 4));
    assert_non_null(nodes_find(nodes, str_of("a"), 4));
    assert_non_null(nodes_find(nodes, str_of("c"), 4));
    assert_int_equal(nodes_evicted(nodes), 1);
    nodes_destroy(nodes);
}

static void nodes__largest__of_the_pool_and_not_silent(void **state)
{
    (void)state;
    struct nodes *nodes = nodes_create(8);
    struct msg_node_status small = status_of("small", 0), large = status_of("large", 0),
                           other = status_of("other", 0);
    large.capacity.memory_bytes = 5000;
    large.capacity.cpu_millicores = 1000;
    other.pool = str_of("another");
    other.capacity.memory_bytes = 9000;
    (void)nodes_update(nodes, &small, 0);
    (void)nodes_update(nodes, &large, 0);
    (void)nodes_update(nodes, &other, 0);
    struct msg_limits most = nodes_largest(nodes, str_of("pool"), 0, 100);
    assert_int_equal(most.memory_bytes, 5000);
    assert_int_equal(nodes_largest(nodes, str_of("pool"), 0.1, 100).memory_bytes, 4500); /* as queue admits */
    assert_int_equal(most.cpu_millicores, 4000);
    assert_int_equal(nodes_largest(nodes, str_of("pool"), 0, NODE_SILENT_MS + 1).memory_bytes, 0);
    nodes_destroy(nodes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ledger__done_out_of_order__stored_in_order),
        cmocka_unit_test(ledger__held__waits_for_the_last_release),
        cmocka_unit_test(ledger__full__none_until_one_is_done),
        cmocka_unit_test(ledger__forgotten_partition__nothing_stored_and_taken_anew),
        cmocka_unit_test(ledger__put_back__comes_again),
        cmocka_unit_test(ledger__random__never_passes_what_is_under_way),
        cmocka_unit_test(keep__full__oldest_go),
        cmocka_unit_test(keep__larger_than_all__dropped),
        cmocka_unit_test(attempts__past_the_bound__longest_silent_forgotten),
        cmocka_unit_test(attempts__advance__each_risk_once),
        cmocka_unit_test(attempts__open__listed_until_closed_or_forgotten),
        cmocka_unit_test(nodes__status__view_until_silent),
        cmocka_unit_test(nodes__past_the_bound__longest_silent_forgotten),
        cmocka_unit_test(nodes__largest__of_the_pool_and_not_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
