/* Whether a request can be run at all. Pure. */
#ifndef FORESTALL_QUEUE_REQUEST_H
#define FORESTALL_QUEUE_REQUEST_H

#include "schemas/messages.h"

#define REQUEST_NAME_MAX 128 /* bytes of a code and of a pool */

/* True for 1..128 bytes of [A-Za-z0-9._:+@/-]. */
bool request_good_name(struct str name);
/* NULL, or what is wrong with a request to run, in words (a literal). */
const char *request_fault(const struct msg_execution_request *request);

#endif
