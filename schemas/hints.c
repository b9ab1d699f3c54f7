/* See hints.h. */
#include "schemas/hints.h"

#include <math.h>
#include <stdlib.h>

double hints_input_bytes(const struct msg_str_map *hints)
{
    char text[64], *end;
    for (size_t i = 0; i < hints->count; i++) {
        if (!str_equal(hints->items[i].key, str_of(HINT_INPUT_BYTES)))
            continue;
        if (!str_copy(text, sizeof text, hints->items[i].value))
            return NAN;
        double value = strtod(text, &end);
        return end != text && !*end && isfinite(value) && value >= 0 ? value : NAN;
    }
    return NAN;
}
