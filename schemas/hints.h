/* What a submitter tells about an execution beside its limits, read from the map that carries it. Pure. */
#ifndef FORESTALL_SCHEMAS_HINTS_H
#define FORESTALL_SCHEMAS_HINTS_H

#include "schemas/messages.h"

#define HINT_INPUT_BYTES "input_bytes"
/* Among an attempt's gauges (Counters.custom) those that its agent measures. Bytes that it has read, where
 * the size of its input is known; it stands still once that much was read. */
#define GAUGE_INPUT_READ "input_read_bytes"
/* Private writable memory that its processes have asked for, whether they use it yet or not. */
#define GAUGE_DATA "data_bytes"
/* Below it an input is a program or settings: a byte more is another one, and libraries are the larger part
 * of what is read. */
#define INPUT_SMALL_BYTES 65536

/* The value of input_bytes: a number of bytes, not negative. NAN when it is not told or no such number. */
double hints_input_bytes(const struct msg_str_map *hints);

#endif
