/* What becomes of messages: the book of codes, history from profiles, validation, Redis fields, dead letters.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "allocate/attempts.h"
#include "allocate/book.h"
#include "allocate/dead.h"
#include "allocate/fields.h"
#include "allocate/history.h"
#include "allocate/validate.h"
#include "common/base.h"
#include "common/topics.h"
#include "model/profile.h"

#define MIB ((int64_t)1 << 20)

struct tools {
    struct codec *codec;
    struct arena *arena;
};

static int set_up(void **state)
{
    struct tools *tools = calloc(1, sizeof *tools);
    if (!tools)
        return -1;
    tools->codec = codec_create();
    tools->arena = arena_create(1 << 16, 64 << 20);
    *state = tools;
    return tools->codec && tools->arena ? 0 : -1;
}

static int tear_down(void **state)
{
    struct tools *tools = *state;
    arena_destroy(tools->arena);
    codec_destroy(tools->codec);
    free(tools);
    return 0;
}

/* --- book */

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
    in.probability = 0.25f;
    in.pinned = true;
    assert_int_equal(book_allocation_message(entry, tools->codec, tools->arena, &out), -ENOENT);
    assert_int_equal(book_set_allocation(entry, &in), 1);
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

static void book__older_revision__ignored(void **state)
{
    (void)state;
    struct book *book = book_create(16);
    struct code_entry *entry = book_obtain(book, str_of("c"), 0, 1);
    struct msg_allocation newer = allocation_of(7), older = allocation_of(6);
    assert_int_equal(book_set_allocation(entry, &newer), 1);
    assert_int_equal(book_set_allocation(entry, &older), 0);
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
        assert_int_equal(book_set_allocation(entry, &allocation), 1);
        assert_true(book_contains(entry, partition, 100 + partition));
        assert_false(book_contains(entry, partition, 101 + partition));
    }
    assert_int_equal(entry->allocation.through_count, BOOK_THROUGH_MAX);
    assert_false(book_contains(entry, 0, 1)); /* the oldest went */
    assert_int_equal(book_through(entry, 6, 50, tools->arena, &allocation.through), 0);
    allocation.revision++;
    assert_int_equal(book_set_allocation(entry, &allocation), 1);
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
        assert_int_equal(book_set_allocation(entry, &allocation), 1);
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

/* --- history */

static void history__profile__its_peaks_and_weights(void **state)
{
    struct tools *tools = *state;
    static struct profile profile;
    struct msg_code_profile message;
    struct policy_history history;
    profile_init(&profile, str_of("c"));
    for (int i = 0; i < 10; i++) {
        struct msg_execution_record record = {.outcome = MSG_OUTCOME_FINISHED, .ended_us = 10000000};
        record.totals.memory_peak_bytes = (i == 0 ? 600 : 100) * MIB;
        struct profile_position position = {.offset = i};
        (void)snprintf(position.topic, sizeof position.topic, "%s", TOPIC_EXECUTIONS_FINISHED);
        assert_int_equal(profile_count(&profile, &record, &position, 10000000), 1);
    }
    assert_int_equal(profile_store(&profile, tools->arena, &message), 0);
    assert_int_equal(history_read(&message, &history), 0);
    assert_int_equal(history.runs, 10);
    assert_int_equal(history.memory_count, 2);
    assert_true(fabs(history.memory[0].value / (100.0 * (double)MIB) - 1) < 0.05 &&
                fabs(history.memory[0].weight - 0.9) < 0.01);
    assert_true(fabs(history.memory[1].value / (600.0 * (double)MIB) - 1) < 0.05 &&
                fabs(history.memory[1].weight - 0.1) < 0.01);
    assert_true(history.memory_max >= 600.0 * (double)MIB && history.duration_p50_s > 9);
    message.memory_peak.first = 5; /* of another layout */
    assert_true(history_read(&message, &history) < 0);
}

static void history__many_buckets__merged_upwards_and_highest_stays(void **state)
{
    (void)state;
    struct histogram histogram;
    struct policy_history history;
    histogram_init(&histogram, 1048576, 1e12, 1.05, 86400);
    double total = 0;
    for (int i = 1; i <= 100; i++)
        assert_true(histogram_add(&histogram, (double)(i * 10 * MIB), 1, 1));
    history_peaks(&histogram, &history);
    assert_int_equal(history.memory_count, POLICY_PEAKS_MAX);
    for (uint32_t i = 0; i < history.memory_count; i++) {
        assert_true(i == 0 || history.memory[i].value > history.memory[i - 1].value);
        total += history.memory[i].weight;
    }
    assert_true(fabs(total - 1) < 1e-9);
    assert_true(fabs(history.memory[POLICY_PEAKS_MAX - 1].value / (1000.0 * (double)MIB) - 1) < 0.05);
    histogram_init(&histogram, 1048576, 1e12, 1.05, 86400);
    history_peaks(&histogram, &history);
    assert_int_equal(history.memory_count, 0);
}

/* --- validation */

static struct msg_risk valid_risk(void)
{
    return (struct msg_risk){
        .code = str_of("a/b.c:1"), .node = str_of("n"), .attempt = 1, .horizon_ms = 1000};
}

static void validate__risk__each_fault_named(void **state)
{
    (void)state;
    const struct str key = str_of("a/b.c:1");
    struct msg_risk risk = valid_risk();
    assert_null(validate_risk(&risk, key));
    assert_non_null(validate_risk(&risk, str_of("other")));
#define FAULT(change)                                                                                        \
    do {                                                                                                     \
        risk = valid_risk();                                                                                 \
        change;                                                                                              \
        assert_non_null(validate_risk(&risk, risk.code));                                                    \
    } while (0)
    FAULT(risk.code = str_of(""));
    FAULT(risk.code = str_of("has space"));
    FAULT(risk.node = str_of(""));
    FAULT(risk.attempt = 0);
    FAULT(risk.horizon_ms = 0);
    FAULT(risk.probability = NAN);
    FAULT(risk.probabilities.net = 1.5f);
    FAULT(risk.memory.p99 = INFINITY);
    FAULT(risk.cpu.p50 = -1);
    FAULT(risk.limits.memory_bytes = -1);
    FAULT(risk.limits.memory_bytes = INT64_MAX);
    FAULT(risk.limits.cpu_millicores = INT32_MAX);
    FAULT(risk.limits.cpu_weight = 10001);
    FAULT(risk.memory_bytes = -5);
#undef FAULT
}

static void validate__others__each_fault_named(void **state)
{
    (void)state;
    const struct str c = str_of("c");
    struct msg_execution_record record = {.code = c, .pool = c, .attempt = 1};
    assert_null(validate_record(&record, c));
    record.totals.memory_peak_bytes = -1;
    assert_non_null(validate_record(&record, c));
    struct msg_code_policy policy = {
        .code = c, .floor = {.memory_bytes = 10}, .ceiling = {.memory_bytes = 20}};
    assert_null(validate_policy(&policy, c));
    policy.floor.memory_bytes = 21;
    assert_non_null(validate_policy(&policy, c));
    policy.floor.memory_bytes = 0;
    policy.held_out_permille = 1001;
    assert_non_null(validate_policy(&policy, c));
    struct msg_node_status status = {.node = c, .pool = c};
    assert_null(validate_status(&status, c));
    status.free.memory_bytes = -1;
    assert_non_null(validate_status(&status, c));
    struct msg_allocation allocation = {.code = c, .before = {.io_read_bps = -2}};
    assert_non_null(validate_allocation(&allocation, c));
    struct msg_code_profile profile = {.code = c};
    assert_null(validate_profile(&profile, c));
    assert_non_null(validate_profile(&profile, str_of("d")));
}

/* --- fields */

static void fields__allocation__names_and_decimals(void **state)
{
    (void)state;
    static const char *const expected[][2] = {{"memory_bytes", "7340032"},
                                              {"cpu_millicores", "0"},
                                              {"cpu_weight", "0"},
                                              {"io_read_bps", "0"},
                                              {"io_write_bps", "0"},
                                              {"io_weight", "0"},
                                              {"net_egress_bps", "123456789012"},
                                              {"net_priority", "0"},
                                              {"before_memory_bytes", "5"},
                                              {"before_cpu_millicores", "0"},
                                              {"before_io_read_bps", "0"},
                                              {"before_io_write_bps", "0"},
                                              {"before_net_egress_bps", "0"},
                                              {"probability", "0.25"},
                                              {"reason", "because"},
                                              {"raised", "memory,cpu,io,net"},
                                              {"good_since_raise", "4"},
                                              {"pinned", "1"},
                                              {"held_out_permille", "20"},
                                              {"runs", "3"},
                                              {"updated_us", "9"}};
    enum msg_cause raised[] = {MSG_CAUSE_MEMORY, MSG_CAUSE_CPU, MSG_CAUSE_IO, MSG_CAUSE_NET};
    struct msg_allocation allocation = allocation_of(7);
    struct fields fields;
    allocation.limits.net_egress_bps = 123456789012;
    allocation.before.memory_bytes = 5;
    allocation.probability = 0.25f;
    allocation.raised = (struct msg_cause_array){raised, 4};
    allocation.good_since_raise = 4;
    allocation.pinned = true;
    allocation.held_out_permille = 20;
    fields_fill(&fields, &allocation);
    assert_int_equal(fields.count, FS_COUNT(expected));
    for (size_t i = 0; i < fields.count; i++) {
        assert_true(str_equal(fields.items[i].name, str_of(expected[i][0])));
        assert_true(str_equal(fields.items[i].value, str_of(expected[i][1])));
    }
}

/* --- dead letters */

static struct msg_adjustment adjustment_of(int64_t decision)
{
    return (struct msg_adjustment){.node = str_of("n"),
                                   .attempt = 1,
                                   .code = str_of("c"),
                                   .decision = decision,
                                   .model_version = str_of("m-adjust"),
                                   .reason = str_of("why")};
}

static void keep_risk(struct attempt *attempt, int64_t sequence)
{
    struct buffer out;
    struct msg_risk risk = valid_risk();
    risk.sequence = sequence;
    risk.model_version = str_of("m-risk");
    buffer_init(&out, 0);
    assert_int_equal(codec_encode(&msg_risk_type, &risk, &out), 0);
    keep_push(&attempt->risks, buffer_str(&out));
    buffer_fini(&out);
}

static void decode(struct tools *tools, const struct buffer *framed, struct msg_dead_execution *out)
{
    assert_int_equal(
        codec_decode(tools->codec, &msg_dead_execution_type, buffer_str(framed), tools->arena, out), 0);
}

static void dead__kept__risks_and_decisions_in_order(void **state)
{
    struct tools *tools = *state;
    struct attempts *attempts = attempts_create(16);
    uint8_t execution[16] = {1};
    struct attempt *attempt = attempts_obtain(attempts, execution, 1, 0);
    struct buffer scratch, out;
    struct msg_applied_adjustment met[2] = {{.adjustment = adjustment_of(5)},
                                            {.adjustment = adjustment_of(10)}};
    struct msg_execution_record record = {.code = str_of("c"), .attempt = 1, .adjustments = {met, 2}};
    struct msg_dead_execution dead;
    bool reduced = true;
    buffer_init(&scratch, 0);
    buffer_init(&out, 0);
    for (int i = 1; i <= 3; i++) {
        struct msg_decision decision = {adjustment_of(10 * i), 1.5 * i, 2.5};
        keep_risk(attempt, i);
        assert_int_equal(dead_keep_decision(&decision, &scratch, &attempt->decisions), 0);
    }
    struct dead_input input = {&record, attempt, str_of("although raised"), 99};
    assert_int_equal(dead_encode(&input, tools->codec, tools->arena, DEAD_MAX_BYTES, &out, &reduced), 0);
    decode(tools, &out, &dead);
    assert_false(reduced);
    assert_int_equal(dead.dead_us, 99);
    assert_true(str_equal(dead.model_version, str_of("m-risk")));
    assert_int_equal(dead.risks.count, 3);
    assert_int_equal(dead.risks.items[2].sequence, 3);
    assert_int_equal(dead.decisions.count, 4); /* the one met before a restart comes first */
    assert_int_equal(dead.decisions.items[0].adjustment.decision, 5);
    assert_int_equal(dead.decisions.items[1].adjustment.decision, 10);
    assert_true(dead.decisions.items[3].expected_cost > 4.4 && dead.decisions.items[3].kept_cost > 2.4);
    buffer_fini(&scratch);
    buffer_fini(&out);
    attempts_destroy(attempts);
}

static void dead__nothing_kept__decisions_from_the_record(void **state)
{
    struct tools *tools = *state;
    struct buffer out;
    struct msg_applied_adjustment met = {.adjustment = adjustment_of(5)};
    struct msg_execution_record record = {.code = str_of("c"), .attempt = 1, .adjustments = {&met, 1}};
    struct dead_input input = {&record, NULL, str_of("x"), 1};
    struct msg_dead_execution dead;
    bool reduced;
    buffer_init(&out, 0);
    assert_int_equal(dead_encode(&input, tools->codec, tools->arena, DEAD_MAX_BYTES, &out, &reduced), 0);
    decode(tools, &out, &dead);
    assert_int_equal(dead.decisions.count, 1);
    assert_int_equal(dead.risks.count, 0);
    assert_true(str_equal(dead.model_version, str_of("m-adjust")));
    buffer_fini(&out);
}

static void dead__too_large__older_points_thinned_newest_minute_whole(void **state)
{
    struct tools *tools = *state;
    enum { POINTS = 20000 };
    struct buffer out;
    struct msg_execution_record record = {.code = str_of("c"), .attempt = 1, .series_stride = 1};
    record.series.items = calloc(POINTS, sizeof *record.series.items);
    record.series.count = POINTS;
    assert_non_null(record.series.items);
    for (int i = 0; i < POINTS; i++)
        record.series.items[i].time_us = INT64_C(1700000000000000) + i * INT64_C(100000);
    struct dead_input input = {&record, NULL, str_of("x"), 1};
    struct msg_dead_execution dead;
    bool reduced = false;
    buffer_init(&out, 0);
    assert_int_equal(dead_encode(&input, tools->codec, tools->arena, 200 << 10, &out, &reduced), 0);
    assert_true(reduced && out.size <= 200 << 10);
    decode(tools, &out, &dead);
    size_t count = dead.record.series.count;
    assert_true(count > 600 && count < POINTS && dead.record.series_stride > 1);
    assert_int_equal(record.series.count, POINTS); /* the caller's is as it was */
    for (size_t i = 0; i < 600; i++)
        assert_int_equal(dead.record.series.items[count - 1 - i].time_us,
                         record.series.items[POINTS - 1 - i].time_us);
    assert_int_equal(dead.record.series.items[0].time_us, record.series.items[0].time_us);
    out.size = 0;
    assert_int_equal(dead_encode(&input, tools->codec, tools->arena, 10 << 10, &out, &reduced), 0);
    decode(tools, &out, &dead);
    assert_int_equal(dead.record.series.count, 0);
    out.size = 0;
    assert_int_equal(dead_encode(&input, tools->codec, tools->arena, 100, &out, &reduced), -EMSGSIZE);
    buffer_fini(&out);
    free(record.series.items);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(book__allocation__comes_back_as_it_was),
        TEST(book__older_revision__ignored),
        TEST(book__positions__guard_and_stay_bounded),
        TEST(book__verdicts__found_and_dropped_when_committed_or_old),
        TEST(book__full__oldest_known_and_room_after_removal),
        TEST(book__policy__strings_are_its_own),
        TEST(history__profile__its_peaks_and_weights),
        TEST(history__many_buckets__merged_upwards_and_highest_stays),
        TEST(validate__risk__each_fault_named),
        TEST(validate__others__each_fault_named),
        TEST(fields__allocation__names_and_decimals),
        TEST(dead__kept__risks_and_decisions_in_order),
        TEST(dead__nothing_kept__decisions_from_the_record),
        TEST(dead__too_large__older_points_thinned_newest_minute_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
