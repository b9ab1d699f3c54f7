/* The rules of a connection: frames in their order, time-outs, whose a node is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "tests/ingest/sample_messages.h"

static void fault__each_frame_in_each_state__only_what_the_contract_says(void **state)
{
    (void)state;
    for (int type = 1; type < FRAME_TYPE_END; type++) {
        bool from_agent = type != FRAME_WELCOME && type != FRAME_REJECT && type != FRAME_ACK &&
                          type != FRAME_ADMISSION && type != FRAME_ADJUSTMENT;
        bool first = type == FRAME_HELLO;
        const char *greeting = session_fault(SESSION_GREETING, (enum frame_type)type);
        const char *up = session_fault(SESSION_UP, (enum frame_type)type);
        assert_int_equal(greeting == NULL, first);
        assert_int_equal(up == NULL, from_agent && !first);
    }
}

static struct session_times times_of(enum session_state session, int64_t since_ms)
{
    return (struct session_times){
        .state = session, .reading = true, .since_ms = since_ms, .heard_ms = since_ms, .sent_ms = since_ms};
}

static void due__no_hello_or_silence__closed_after_five_seconds(void **state)
{
    (void)state;
    enum close_reason reason = CLOSE_NONE;
    struct session_times times = times_of(SESSION_GREETING, 1000);
    times.heard_ms = 5500; /* bytes came, no HELLO */
    assert_int_equal(session_due(&times, 5999, &reason), SESSION_DUE_NOTHING);
    assert_int_equal(session_due(&times, 6000, &reason), SESSION_DUE_CLOSE);
    assert_int_equal(reason, CLOSE_NO_HELLO);
    times = times_of(SESSION_UP, 1000);
    times.sent_ms = 5999;
    assert_int_equal(session_due(&times, 5999, &reason), SESSION_DUE_NOTHING);
    assert_int_equal(session_due(&times, 6000, &reason), SESSION_DUE_CLOSE);
    assert_int_equal(reason, CLOSE_SILENT);
}

static void due__not_read__silence_means_nothing_and_pings_go_on(void **state)
{
    (void)state;
    enum close_reason reason = CLOSE_NONE;
    struct session_times times = times_of(SESSION_UP, 1000);
    times.reading = false;
    assert_int_equal(session_due(&times, 1999, &reason), SESSION_DUE_NOTHING);
    assert_int_equal(session_due(&times, 600000, &reason), SESSION_DUE_PING);
}

static void due__frame_that_never_ends__closed(void **state)
{
    (void)state;
    enum close_reason reason = CLOSE_NONE;
    struct session_times times = times_of(SESSION_UP, 1000);
    times.frame_ms = 1000;
    times.heard_ms = times.sent_ms = 30999; /* a byte now and then */
    assert_int_equal(session_due(&times, 30999, &reason), SESSION_DUE_NOTHING);
    assert_int_equal(session_due(&times, 31000, &reason), SESSION_DUE_CLOSE);
    assert_int_equal(reason, CLOSE_SLOW_FRAME);
}

static void due__rejected__a_second_to_read_why(void **state)
{
    (void)state;
    enum close_reason reason = CLOSE_NONE;
    struct session_times times = times_of(SESSION_LEAVING, 1000);
    assert_int_equal(session_due(&times, 1999, &reason), SESSION_DUE_NOTHING);
    assert_int_equal(session_due(&times, 2000, &reason), SESSION_DUE_CLOSE);
}

static void identity__valid_hello__taken(void **state)
{
    (void)state;
    struct msg_hello hello = sample_hello();
    struct identity expected = sample_identity(), identity;
    assert_null(identity_take(&hello, &identity));
    assert_string_equal(identity.node, expected.node);
    assert_string_equal(identity.pool, expected.pool);
    assert_string_equal(identity.boot_id, expected.boot_id);
    assert_memory_equal(identity.incarnation, expected.incarnation, UUID_SIZE);
    assert_int_equal(identity.epoch, expected.epoch);
}

static void identity__each_field_spoilt__refused_and_nothing_written(void **state)
{
    (void)state;
    char longer[300];
    memset(longer, 'a', sizeof longer);
    struct str too_long = {longer, 256};
    struct msg_hello bad[10];
    for (size_t i = 0; i < FS_COUNT(bad); i++)
        bad[i] = sample_hello();
    bad[0].node = str_of("");
    bad[1].node = too_long;
    bad[2].node = str_of("a b");
    bad[3].pool = str_of("p\n");
    bad[4].boot_id = (struct str){longer, 65};
    bad[5].version = (struct str){longer, 65};
    memset(bad[6].incarnation, 0, UUID_SIZE);
    bad[7].epoch = 0;
    bad[8].spooled_through = -1;
    bad[9].pool = (struct str){longer, 129};
    for (size_t i = 0; i < FS_COUNT(bad); i++) {
        struct identity identity = {.epoch = 77};
        assert_non_null(identity_take(&bad[i], &identity));
        assert_int_equal(identity.epoch, 77);
    }
}

static void yield__who_comes_again__only_the_same_incarnation_not_from_the_past(void **state)
{
    (void)state;
    char sentence[600] = "";
    struct identity holder = sample_identity(), newcomer = holder;
    assert_int_equal(identity_yield(&holder, &newcomer, sentence, sizeof sentence), CLOSE_NONE);
    newcomer.epoch++;
    (void)snprintf(newcomer.boot_id, sizeof newcomer.boot_id, "boot-2");
    assert_int_equal(identity_yield(&holder, &newcomer, sentence, sizeof sentence), CLOSE_NONE);
    newcomer.epoch = holder.epoch;
    assert_int_equal(identity_yield(&holder, &newcomer, sentence, sizeof sentence), CLOSE_SECOND_INCARNATION);
    assert_non_null(strstr(sentence, "copied"));
    newcomer.epoch = holder.epoch - 1;
    assert_int_equal(identity_yield(&holder, &newcomer, sentence, sizeof sentence), CLOSE_OLD_EPOCH);
    newcomer = holder;
    newcomer.epoch = 100;
    newcomer.incarnation[0] ^= 1;
    assert_int_equal(identity_yield(&holder, &newcomer, sentence, sizeof sentence), CLOSE_SECOND_INCARNATION);
    assert_non_null(strstr(sentence, "69696969-6969-6969-6969-696969696969"));
}

static void names__all_reasons__have_one(void **state)
{
    (void)state;
    for (enum close_reason reason = 0; reason < CLOSE_REASON_COUNT; reason++)
        assert_non_null(close_reason_name(reason));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault__each_frame_in_each_state__only_what_the_contract_says),
        cmocka_unit_test(due__no_hello_or_silence__closed_after_five_seconds),
        cmocka_unit_test(due__not_read__silence_means_nothing_and_pings_go_on),
        cmocka_unit_test(due__frame_that_never_ends__closed),
        cmocka_unit_test(due__rejected__a_second_to_read_why),
        cmocka_unit_test(identity__valid_hello__taken),
        cmocka_unit_test(identity__each_field_spoilt__refused_and_nothing_written),
        cmocka_unit_test(yield__who_comes_again__only_the_same_incarnation_not_from_the_past),
        cmocka_unit_test(names__all_reasons__have_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
