/* What a submitter tells about an execution beside its limits, read from the map that carries it. Pure. */
#ifndef FORESTALL_SCHEMAS_HINTS_H
#define FORESTALL_SCHEMAS_HINTS_H

#include "schemas/messages.h"

#define HINT_INPUT_BYTES "input_bytes"

/* The value of input_bytes: a number of bytes, not negative. NAN when it is not told or no such number. */
double hints_input_bytes(const struct msg_str_map *hints);

#endif
