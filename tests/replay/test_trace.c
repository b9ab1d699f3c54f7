/* Reading what is replayed: columns in any order, quotes, what is refused and where; record files with dead
 * letters among them. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "replay/trace.h"

#define MIB 1048576.0

static char path[64];
static char error[512];
static struct trace trace;

static int set_up(void **state)
{
    (void)state;
    return trace_open(&trace);
}

static int tear_down(void **state)
{
    (void)state;
    trace_close(&trace);
    return unlink(path);
}

static void write_file(const void *bytes, size_t size)
{
    (void)strcpy(path, "/tmp/forestall-trace-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    assert_int_equal(close(fd), 0);
}

static int read_text(const char *text)
{
    write_file(text, strlen(text));
    error[0] = '\0';
    int result = trace_add_file(&trace, path, error, sizeof error);
    return result < 0 ? result : trace_finish(&trace, 2);
}

#define HEADER "code,start_s,runtime_s,peak_memory_bytes,requested_memory_bytes"

static void csv__required_columns_only(void **state)
{
    (void)state;
    assert_int_equal(read_text(HEADER "\na,0,60,1000,2000\r\n\nb,5.5,0.25,1e9,3e9\n"), 0);
    assert_int_equal(trace.count, 2);
    assert_true(trace.rows[0].evaluate && isnan(trace.rows[0].input_bytes));
    assert_true(str_equal(trace.rows[1].code, str_of("b")));
    assert_true(trace.rows[1].runtime_s == 0.25 && trace.rows[1].requested_bytes == 3e9);
    assert_true(trace_largest(&trace) == 3e9);
    assert_int_equal(trace_codes(&trace), 2);
}

static void csv__columns_in_any_order_with_quotes_and_others(void **state)
{
    (void)state;
    assert_int_equal(
        read_text("evaluate,note,peak_memory_bytes,\"code\",input_bytes,requested_memory_bytes,runtime_s,"
                  "start_s\n0,\"x, \"\"y\"\"\",7,\"a,b\",,9,1,100\n1,,8,c,55,9,1,50\n"),
        0);
    assert_int_equal(trace.count, 2);
    assert_true(str_equal(trace.rows[0].code, str_of("c"))); /* in order of start */
    assert_true(trace.rows[0].input_bytes == 55 && trace.rows[0].evaluate);
    assert_true(str_equal(trace.rows[1].code, str_of("a,b")));
    assert_true(isnan(trace.rows[1].input_bytes) && !trace.rows[1].evaluate);
}

static void csv__nothing_requested__the_first_peak_rounded_up(void **state)
{
    (void)state;
    assert_int_equal(read_text(HEADER "\na,0,1,104857600,\na,1,1,999999999,0\n"), 0); /* 100 MiB * 2 */
    assert_true(trace.rows[0].requested_bytes == 256 * MIB && trace.rows[1].requested_bytes == 256 * MIB);
}

static void csv__faults__named_with_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } faults[] = {
        {"", "is empty"},
        {"code,start_s\n", "no column runtime_s"},
        {HEADER "\na,0,60,x,1\n", ":2: peak_memory_bytes x"},
        {HEADER "\na,0,60,1,1\na,0,-1,1,1\n", ":3: runtime_s -1"},
        {HEADER "\na,0,60,nan,1\n", ":2: peak_memory_bytes nan"},
        {HEADER "\na,0,60\n", ":2: peak_memory_bytes is empty"},
        {HEADER "\n,0,60,1,1\n", ":2: code must have"},
    };
    for (size_t i = 0; i < FS_COUNT(faults); i++) {
        assert_int_equal(read_text(faults[i].text), -EINVAL);
        if (!strstr(error, faults[i].says))
            fail_msg("%s does not say %s", error, faults[i].says);
        if (i + 1 < FS_COUNT(faults))
            assert_int_equal(unlink(path), 0);
    }
}

static void file__not_there__said(void **state)
{
    (void)state;
    write_file("", 0);
    assert_int_equal(trace_add_file(&trace, "/nonexistent/file.csv", error, sizeof error), -ENOENT);
    assert_non_null(strstr(error, "/nonexistent/file.csv"));
}

/* --- records --- */

static struct msg_execution_record make_record(struct msg_series_point points[2], enum msg_outcome outcome)
{
    struct msg_execution_record record = {.attempt = 1,
                                          .code = str_of("prog"),
                                          .started_us = 1700000000000000,
                                          .ended_us = 1700000002000000,
                                          .outcome = outcome,
                                          .series = {points, 2}};
    points[0].time_us = record.started_us + 100000;
    points[1].time_us = record.ended_us;
    points[1].counters.memory_bytes = (int64_t)(50 * MIB);
    record.totals.memory_peak_bytes = (int64_t)(40 * MIB);
    return record;
}

static void append_dead(const struct msg_execution_record *record, struct buffer *out)
{
    struct buffer framed;
    const struct msg_dead_execution dead = {.record = *record};
    buffer_init(&framed, 0);
    assert_int_equal(codec_encode(&msg_dead_execution_type, &dead, &framed), 0);
    buffer_append_u32be(out, (uint32_t)framed.size);
    buffer_append_str(out, buffer_str(&framed));
    buffer_fini(&framed);
}

static void records__with_dead_letters__each_to_its_place(void **state)
{
    (void)state;
    struct msg_series_point points[2] = {0};
    struct buffer bytes;
    struct msg_str_entry hint = {str_of("input_bytes"), str_of("12345")};
    buffer_init(&bytes, 0);
    struct msg_execution_record record = make_record(points, MSG_OUTCOME_FINISHED);
    record.request.hints = (struct msg_str_map){&hint, 1};
    assert_int_equal(records_encode(&record, &bytes), 0);
    record = make_record(points, MSG_OUTCOME_OOM_KILLED);
    assert_int_equal(records_encode(&record, &bytes), 0);
    append_dead(&record, &bytes);
    record = make_record(points, MSG_OUTCOME_FINISHED);
    record.series.count = 0;
    assert_int_equal(records_encode(&record, &bytes), 0);
    write_file(bytes.data, bytes.size);
    buffer_fini(&bytes);
    assert_int_equal(trace_add_file(&trace, path, error, sizeof error), 0);
    assert_int_equal(trace_finish(&trace, 2), 0);
    assert_int_equal(trace.count, 1);
    assert_true(trace.rows[0].peak_bytes == 50 * MIB && trace.rows[0].runtime_s == 2);
    assert_true(trace.rows[0].input_bytes == 12345);
    assert_true(trace.rows[0].requested_bytes == 128 * MIB);
    assert_int_equal(trace.dead_count, 1);
    assert_int_equal(trace.dead[0]->outcome, MSG_OUTCOME_OOM_KILLED);
    assert_int_equal(trace.censored, 1);
    assert_int_equal(trace.seriesless, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(csv__required_columns_only),
        TEST(csv__columns_in_any_order_with_quotes_and_others),
        TEST(csv__nothing_requested__the_first_peak_rounded_up),
        TEST(csv__faults__named_with_their_line),
        TEST(file__not_there__said),
        TEST(records__with_dead_letters__each_to_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
