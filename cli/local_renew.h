/* What an instance learned, fitted to a new embedded broker. Its topics begin at offset 0 again, so "counted
 * through offset n" of an Allocation or a CodeProfile would make the services pass over the next n records.
 */
#ifndef FORESTALL_CLI_LOCAL_RENEW_H
#define FORESTALL_CLI_LOCAL_RENEW_H

#include "common/base.h"

struct local_renew;

/* NULL when out of memory. */
struct local_renew *local_renew_create(void);
void local_renew_destroy(struct local_renew *renew);
/* An embedded_broker_renew_fn, context a struct local_renew: the value without what it says about offsets.
 * What is of another topic, or cannot be read (written by another version), stays as it is. */
struct str local_renew_value(void *context, const char *topic, struct str value);

#endif
