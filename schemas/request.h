/* Whether a request can be run at all: queue asks before it admits, the agent before it starts. Pure. */
#ifndef FORESTALL_SCHEMAS_REQUEST_H
#define FORESTALL_SCHEMAS_REQUEST_H

#include "schemas/messages.h"

/* NULL, or what is wrong with a request to run, in words (a literal). */
const char *request_fault(const struct msg_execution_request *request);

#define INPUT_BYTES_MAX INT64_C(1000000000000000000) /* a hint above it is not believed */

/* What an execution is known by beside its code. A record that was cut down because it was too large for
 * Kafka even without its series has lost its hints and may have lost arguments: it is then known by what is
 * left. */
struct request_identity {
    int32_t command;     /* request_command; 0 = not known */
    int64_t input_bytes; /* the hint; 0 = not told */
};
struct request_identity request_identity(const struct msg_execution_request *request);

/* A number for what is run: the same for the same program with the same arguments (the first 64 and
 * their first 4 KiB), on every machine; others differ but by chance (2^-31). 0: there is no argv. */
int32_t request_command(const struct msg_execution_request *request);

#endif
