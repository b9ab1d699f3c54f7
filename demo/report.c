/* See report.h. */
#include "demo/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/unwritable.h"
#include "demo/chart.h"

static const char head[] =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
    "content=\"width=device-width\"><title>Forestall: the demo</title><style>"
    ":root{color-scheme:light dark;--ink:#1c2430;--soft:#667080;--line:#d9dee6;--paper:#fff;--use:#5b8def55;"
    "--useline:#3668c9;--limit:#c4452f;--risk:#8a5cd1;--good:#2f8f4e}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e3e8ef;--soft:#96a0b0;--line:#343d4b;--paper:#151a21;"
    "--useline:#86adf7;--limit:#f0836d;--risk:#bb97f5;--good:#6ccb8c}}"
    "body{font:15px/1.5 "
    "system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1360px;margin:2rem "
    "auto;padding:0 1rem}h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .2rem}"
    "p{margin:.3rem "
    "0;max-width:75ch}.soft,.none{color:var(--soft)}table{border-collapse:collapse;font-size:.9rem;"
    "margin:1rem 0}td,th{padding:.25rem .8rem .25rem 0;text-align:left;border-bottom:1px solid "
    "var(--line);white-space:nowrap}td.n,th.n{text-align:right}.bad{color:var(--limit)}.ok{color:var(--good)}"
    ".runs{display:grid;grid-template-columns:repeat(auto-fit,minmax(400px,1fr));gap:1.2rem}"
    "svg{width:100%;height:auto}svg "
    "text{font-size:10px;fill:var(--soft)}.grid{stroke:var(--line);stroke-width:.7}"
    ".use{fill:var(--use);stroke:var(--useline);stroke-width:1.2}.limit{fill:none;stroke:var(--limit);"
    "stroke-width:1.8}.riskline{fill:none;stroke:var(--risk);stroke-width:1.1}svg text.risk{fill:var(--risk)}"
    "g.raise line{stroke:var(--limit);stroke-dasharray:2 3}g.raise circle{fill:var(--limit)}g.shrink line{"
    "stroke:var(--good);stroke-dasharray:2 3}g.shrink "
    "circle{fill:var(--good)}ol{font-size:.85rem;margin:.2rem 0 0;"
    "padding-left:1.4rem}code{font-size:.9em}.key b{font-weight:600}</style>";

static const char *const captions[TRIAL_KINDS] = {"Without Forestall", "With Forestall",
                                                  "The next execution"};

static void write_summary_row(struct buffer *out, const struct result *result)
{
    const struct trial *with = &result->trials[TRIAL_WITH], *next = &result->trials[TRIAL_NEXT];
    bool memory = result->what->cause == MSG_CAUSE_MEMORY;
    char peak[32], first[32], final[32], fault[FAULT_MAX];
    present_fault(result, fault);
    buffer_printf(out,
                  "<tr><td><b>%s</b><td>%s<td>%s<td>%s<td class=\"n\">%" PRId64 "<td class=\"n\">%" PRId64
                  "<td class=\"n\">%s<td class=\"n\">%s<td class=\"n\">%s",
                  result->what->program, msg_cause_name(result->what->cause),
                  result->trials[TRIAL_WITHOUT].outcome, with->outcome, with->attempts, with->raises,
                  present_bytes(peak, memory ? with->peak_bytes : 0),
                  present_bytes(first, memory ? with->first_limit_bytes : 0),
                  present_bytes(final, memory ? with->final_limit_bytes : 0));
    if (memory && with->peak_bytes > 0)
        buffer_printf(out, "<td class=\"n\">%.2f",
                      (double)with->final_limit_bytes / (double)with->peak_bytes);
    else
        buffer_printf(out, "<td class=\"n\">-");
    if (with->has_lead)
        buffer_printf(out, "<td class=\"n\">%" PRId64 " ms", with->lead_ms);
    else
        buffer_printf(out, "<td class=\"n\">-");
    if (next->known)
        buffer_printf(out, "<td>%s, %" PRId64 " raises", next->outcome, next->raises);
    else
        buffer_printf(out, "<td>-");
    buffer_printf(out, "<td class=\"%s\">%s</tr>", fault[0] ? "bad" : "ok", fault[0] ? fault : "as promised");
}

static void write_summary(struct buffer *out, const struct result *results, size_t count,
                          const struct order *order)
{
    buffer_printf(
        out,
        "<table><tr><th>program<th>cause<th>without<th>with<th class=\"n\">attempts<th class=\"n\">raises"
        "<th class=\"n\">peak<th class=\"n\">limit<th class=\"n\">highest limit<th class=\"n\">highest / peak"
        "<th class=\"n\">lead<th>next<th></tr>");
    for (size_t i = 0; i < count; i++)
        write_summary_row(out, &results[i]);
    buffer_printf(out, "</table>");
    if (order->known)
        buffer_printf(
            out,
            "<p>Waiting line: the node was full; two executions of codes nobody had raised were submitted, "
            "then one of <code>%s</code>, which had been raised. It started <b class=\"%s\">%s</b>, %.2f s "
            "before the first of the others.</p>",
            DEMO_ORDER_CODE, order->raised_first ? "ok" : "bad", order->raised_first ? "first" : "late",
            (double)(order->started_us[1] - order->started_us[0]) / 1e6);
}

static void write_decisions(struct buffer *out, const struct msg_execution_record *record)
{
    if (record->adjustments.count == 0)
        return;
    buffer_printf(out, "<ol>");
    for (size_t i = 0; i < record->adjustments.count; i++) {
        const struct msg_applied_adjustment *applied = &record->adjustments.items[i];
        buffer_printf(out, "<li>%.2f s, %s, %s: ", (double)(applied->applied_us - record->started_us) / 1e6,
                      msg_direction_name(applied->adjustment.direction),
                      msg_adjustment_result_name(applied->result));
        chart_escape(out, applied->adjustment.reason);
        buffer_printf(out, "</li>");
    }
    buffer_printf(out, "</ol>");
}

static void write_trial(struct buffer *out, const struct trial *trial)
{
    buffer_printf(out, "<div><p><b>%s</b>: %s", captions[trial->kind], trial->outcome);
    buffer_printf(out, " after %.1f s", (double)trial->duration_ms / 1000.0);
    if (trial->kind != TRIAL_WITHOUT)
        buffer_printf(out, ", highest probability %.2f", trial->max_probability);
    buffer_printf(out, "</p>");
    chart_draw(out, trial);
    if (trial->record)
        write_decisions(out, trial->record);
    buffer_printf(out, "</div>");
}

static void write_case(struct buffer *out, const struct result *result)
{
    buffer_printf(out, "<h2>%s</h2><p class=\"soft\">%s &middot; <code>", result->what->program,
                  result->what->about);
    for (size_t i = 0; i < DEMO_ARGV_MAX && result->what->argv[i]; i++) {
        buffer_printf(out, i ? " " : "");
        chart_escape(out, str_of(result->what->argv[i]));
    }
    buffer_printf(out, "</code></p><div class=\"runs\">");
    for (size_t kind = 0; kind < TRIAL_KINDS; kind++)
        if (result->trials[kind].known)
            write_trial(out, &result->trials[kind]);
    buffer_printf(out, "</div>");
}

static int save(const char *path, const struct buffer *page)
{
    char temporary[4096];
    if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary)
        return -ENAMETOOLONG;
    if (unwritable_special(path))
        return -EEXIST;
    FILE *file = fopen(temporary, "wbe");
    if (!file)
        return -errno;
    bool written = fwrite(page->data, 1, page->size, file) == page->size;
    if (fclose(file) != 0 || !written || rename(temporary, path) < 0) {
        int error = errno ? -errno : -EIO;
        (void)unlink(temporary);
        return error;
    }
    return 0;
}

int report_write(const char *path, const struct result *results, size_t count, const struct order *order)
{
    struct buffer page;
    buffer_init(&page, 0);
    buffer_printf(&page, "%s", head);
    buffer_printf(
        &page,
        "<h1>Forestall: what it did here</h1><p class=\"soft\">Real programs under limits that they exceed, "
        "first without Forestall, then with it, then once more.</p><p class=\"key soft\"><b>Filled</b>: use "
        "of the scarce resource. <b>Red line</b>: limit in force. <b>Violet line</b>: probability of "
        "failure within ten seconds, 0 to 1. <b>Dashed</b>: a decision, red up, green down; hover for its "
        "reason.</p>");
    write_summary(&page, results, count, order);
    for (size_t i = 0; i < count; i++)
        write_case(&page, &results[i]);
    buffer_printf(&page, "</html>\n");
    int error = buffer_error(&page);
    if (!error)
        error = save(path, &page);
    buffer_fini(&page);
    return error;
}
