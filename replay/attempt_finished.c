/* See attempt.h: only peak and time are known, so a try fits or does not. */
#include "replay/attempt.h"

void attempt_finished(const struct attempt_input *input, struct attempt_result *out)
{
    const struct trace_row *row = input->row;
    double limit = input->limit_bytes;
    *out = (struct attempt_result){.failed = row->peak_bytes > limit,
                                   .seconds = row->runtime_s,
                                   .highest_limit_bytes = limit,
                                   .last_limit_bytes = limit,
                                   .peak_bytes = row->peak_bytes};
    if (out->failed) {
        out->seconds = row->runtime_s * input->failure_at;
        out->wasted_byte_s = limit * out->seconds;
        out->peak_bytes = limit;
        return;
    }
    out->wasted_byte_s = (limit - row->peak_bytes) * row->runtime_s;
    out->slack_share_s = limit > 0 ? (limit - row->peak_bytes) / limit * row->runtime_s : 0;
}
