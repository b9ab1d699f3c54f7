/* What the files of resolve.h share: a rewriting under way, and what defaults are written with. */
#ifndef FORESTALL_SCHEMAS_RESOLVE_INTERNAL_H
#define FORESTALL_SCHEMAS_RESOLVE_INTERNAL_H

#include "common/buffer.h"
#include "schemas/schema_tree.h"
#include "schemas/wire.h"

struct resolve {
    const struct schema_names *writer_names, *reader_names;
    struct wire_reader in;
    struct buffer out;
    int depth;
    size_t steps_left;
};

/* Makes the whole rewriting fail with -EBADMSG. */
void resolve_fail(struct resolve *resolve);
/* One value deeper; false, and failed, when that is too deep or the steps are used up. Back: depth--. */
bool resolve_enter(struct resolve *resolve);

void resolve_put_long(struct buffer *out, int64_t value);
void resolve_put_float(struct buffer *out, float value);
void resolve_put_double(struct buffer *out, double value);
void resolve_put_text(struct buffer *out, const char *text, size_t size);

/* resolve_default.c: writes a reader's default. It stands in the schema as JSON; of a union it is a value of
 * the first branch. Without a default (NULL): not resolvable. */
void resolve_put_default(struct resolve *resolve, const json_t *schema, const json_t *value);

#endif
