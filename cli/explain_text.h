/* The story of one execution for people, and the same as JSON. Pure. */
#ifndef FORESTALL_CLI_EXPLAIN_TEXT_H
#define FORESTALL_CLI_EXPLAIN_TEXT_H

#include <jansson.h>

#include "cli/execution.h"

/* Appends the text; the buffer's error is sticky. allocation: of the code, NULL when there is none. */
void explain_text(const struct execution *execution, const struct msg_allocation *allocation,
                  struct buffer *out);
/* The report with state, samples, risks, events, the dead letter's reason and the allocation. NULL: out of
 * memory. */
json_t *explain_json(const struct execution *execution, const struct msg_allocation *allocation);

#endif
