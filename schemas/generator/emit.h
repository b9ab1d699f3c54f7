/* Writes messages.h and messages.c. What the generated code looks like is described in docs/design/codecs.md.
 */
#ifndef FORESTALL_SCHEMAS_GENERATOR_EMIT_H
#define FORESTALL_SCHEMAS_GENERATOR_EMIT_H

#include <stdio.h>

#include "schemas/generator/model.h"

void emit_header(FILE *out, const struct model *model);
void emit_source(FILE *out, const struct model *model);

#endif
