/* forestall report: what acting on alarms has done, from the topics. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/effect.h"
#include "cli/message_json.h"
#include "cli/reader.h"

#define NAME "report"

struct command_options {
    struct target_options target;
    const char *code;
};

static const struct argument arguments[] = {
    {"code", ARGUMENT_STRING, offsetof(struct command_options, code), 0, 0, "CODE", "this code only"},
};

static const struct usage usage = {
    "forestall report [OPTION]...",
    "Tells what acting on alarms has done, by code and in all: failures averted (with a 95 % interval, by "
    "comparison\n"
    "with the executions that a code's held-out share did not act on; see forestall allocation set "
    "--held-out),\n"
    "false alarms, slack, and the cost of slack and failed attempts in GiB*h. Reads what the topics still "
    "hold: a\n"
    "week of records, a day of risks.",
    NULL,
};

static int on_risk(void *context, const struct reader_message *message)
{
    return message->message ? effect_take_risk(context, message->message) : 0;
}

static int on_record(void *context, const struct reader_message *message)
{
    return message->message ? effect_take_record(context, message->message) : 0;
}

static int read_topic(const struct target *target, const char *topic, reader_fn *take, struct effect *effect,
                      int64_t timeout_ms, char *error, size_t error_size)
{
    struct reader *reader = reader_open(target, error, error_size);
    int result =
        reader ? reader_add_topics(reader, &topic, 1, STREAM_FROM_BEGINNING, error, error_size) : -EHOSTDOWN;
    if (result == 0) {
        result = reader_scan(reader, take, effect, timeout_ms);
        (void)snprintf(error, error_size, "reading %s: %s", topic, strerror(result < 0 ? -result : 0));
    }
    reader_close(reader);
    return result < 0 ? result : 0;
}

/* --- JSON --- */

static json_t *share_json(double part, double whole)
{
    return whole > 0 ? json_real(part / whole) : json_null();
}

static json_t *averted_json(const struct effect_tally *tally)
{
    struct effect_averted averted;
    if (!effect_averted(tally, &averted))
        return json_null();
    return json_pack("{s:f,s:f,s:f,s:f,s:f,s:f}", "executions", averted.share * averted.count, "low",
                     averted.low * averted.count, "high", averted.high * averted.count, "share",
                     averted.share, "share_low", averted.low, "share_high", averted.high);
}

static json_t *arm_json(const struct effect_arm *arm)
{
    return json_pack("{s:I,s:I,s:o}", "attempts", (json_int_t)arm->attempts, "failed",
                     (json_int_t)arm->failed, "failed_share", share_json(arm->failed_weight, arm->weight));
}

static json_t *tally_json(const struct effect_tally *tally)
{
    return json_pack("{s:o,s:I,s:I,s:I,s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:o}", "code",
                     tally->code[0] ? json_string(tally->code) : json_null(), "executions",
                     (json_int_t)tally->executions, "attempts", (json_int_t)tally->attempts, "failed",
                     (json_int_t)tally->failed, "averted", averted_json(tally), "acted_on",
                     arm_json(&tally->arms[MSG_ARM_TREATED]), "held_out",
                     arm_json(&tally->arms[MSG_ARM_HELD_OUT]), "raised", (json_int_t)tally->raised, "outgrew",
                     (json_int_t)tally->outgrew, "false_alarms", (json_int_t)tally->false_alarms,
                     "held_out_alarms", (json_int_t)tally->held_out_alarms, "held_out_false_alarms",
                     (json_int_t)tally->held_out_false, "slack_gib_h", tally->slack_gib_h, "failed_gib_h",
                     tally->failed_gib_h, "cost_gib_h", tally->slack_gib_h + tally->failed_gib_h,
                     "slack_mean", share_json(tally->slack_share_s, tally->seconds));
}

static int print_json(const struct effect_tally *all, const struct effect_tally *codes, size_t count,
                      const char *only)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < count; i++)
        if ((!only || strcmp(codes[i].code, only) == 0) &&
            json_array_append_new(list, tally_json(&codes[i])) < 0) {
            json_decref(list);
            return command_fail(NAME, EXIT_FAILED, "out of memory");
        }
    return message_json_print(
               json_pack("{s:o,s:o}", "codes", list, "all", only ? json_null() : tally_json(all))) < 0
               ? EXIT_FAILED
               : 0;
}

/* --- text --- */

static void print_line(const char *name, const struct effect_tally *tally)
{
    struct effect_averted averted;
    char text[64] = "not known", slack[16] = "-";
    if (effect_averted(tally, &averted))
        (void)snprintf(text, sizeof text, "%.1f (%.1f to %.1f)", averted.share * averted.count,
                       averted.low * averted.count, averted.high * averted.count);
    if (tally->seconds > 0)
        (void)snprintf(slack, sizeof slack, "%.0f%%", 100 * tally->slack_share_s / tally->seconds);
    printf("%-24s %9" PRIu64 " %7" PRIu64 " %7" PRIu64 " %8" PRIu64 " %7" PRIu64 " %6s %9.4f %9.4f  %s\n",
           name, tally->executions, tally->failed, tally->raised, tally->outgrew, tally->false_alarms, slack,
           tally->slack_gib_h, tally->failed_gib_h, text);
}

static int print_text(const struct effect_tally *all, const struct effect_tally *codes, size_t count,
                      const char *only)
{
    printf("%-24s %9s %7s %7s %8s %7s %6s %9s %9s  %s\n", "code", "execution", "failed", "raised", "outgrew",
           "false", "slack", "GiB*h", "+ failed", "averted (95 %)");
    for (size_t i = 0; i < count; i++)
        if (!only || strcmp(codes[i].code, only) == 0)
            print_line(codes[i].code, &codes[i]);
    if (!only)
        print_line("all", all);
    if (!only && all->arms[MSG_ARM_HELD_OUT].attempts == 0)
        printf("\nNothing was held out, so what acting averted cannot be told from what would have gone well "
               "anyway:\n"
               "forestall allocation set --held-out 20 CODE holds out 20 in 1000. `outgrew` finished "
               "although they\n"
               "needed more memory than they began with.\n");
    return fflush(stdout) == EOF ? EXIT_FAILED : 0;
}

static int report(const struct command_options *options, const struct target *target)
{
    char error[1024] = "out of memory";
    struct effect *effect = effect_create();
    size_t count;
    int64_t timeout_ms = options->target.timeout_ms;
    int result =
        effect ? read_topic(target, TOPIC_RISKS, on_risk, effect, timeout_ms, error, sizeof error) : -ENOMEM;
    if (result == 0)
        result =
            read_topic(target, TOPIC_EXECUTIONS_FINISHED, on_record, effect, timeout_ms, error, sizeof error);
    if (result < 0) {
        effect_destroy(effect);
        return command_fail(NAME, EXIT_FAILED, "%s", error);
    }
    const struct effect_tally *all = effect_all(effect), *codes = effect_codes(effect, &count);
    int status = options->target.json ? print_json(all, codes, count, options->code)
                                      : print_text(all, codes, count, options->code);
    if (effect_dropped(effect) > 0)
        status = command_fail(NAME, EXIT_FAILED, "%" PRIu64 " attempts or codes did not fit",
                              effect_dropped(effect));
    effect_destroy(effect);
    return status;
}

int command_report(int argc, char **argv)
{
    struct command_options options = {.target = TARGET_OPTIONS_DEFAULT};
    struct argument_set sets[] = {{arguments, FS_COUNT(arguments), &options},
                                  target_arguments(&options.target)};
    char error[1024];
    struct target target;
    int words;
    int result = arguments_parse(sets, FS_COUNT(sets), &usage, ARGUMENTS_ANYWHERE, argc, argv, &words, error,
                                 sizeof error);
    if (result != 0)
        return result < 0 ? command_misuse(NAME, error) : 0;
    if (words != 0)
        return command_misuse(NAME, "takes no words");
    if (target_open(&options.target, &target, error, sizeof error) < 0)
        return command_fail(NAME, EXIT_FAILED, "%s", error);
    int status = report(&options, &target);
    target_close(&target);
    return status;
}
