/* See gate.h. */
#include "ingest/gate.h"

enum gate gate_judge(enum gate before, const struct gate_view *view)
{
    size_t eighth = view->limit_bytes / 8;
    size_t narrow_at = before >= GATE_NARROW ? 3 * eighth : 4 * eighth;
    size_t close_at = before == GATE_CLOSED ? 5 * eighth : 6 * eighth;
    if (view->refused || view->stalled_ms >= view->stall_ms || view->inflight_bytes >= close_at)
        return GATE_CLOSED;
    return view->inflight_bytes >= narrow_at ? GATE_NARROW : GATE_OPEN;
}
