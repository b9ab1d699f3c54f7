/* Whether a request can be run at all: queue asks before it admits, the agent before it starts. Pure. */
#ifndef FORESTALL_SCHEMAS_REQUEST_H
#define FORESTALL_SCHEMAS_REQUEST_H

#include "schemas/messages.h"

/* NULL, or what is wrong with a request to run, in words (a literal). */
const char *request_fault(const struct msg_execution_request *request);

#endif
