/* An Allocation as the fields of its Redis hash: the names of docs/reference and decimal numbers. Pure. */
#ifndef FORESTALL_ALLOCATE_FIELDS_H
#define FORESTALL_ALLOCATE_FIELDS_H

#include "common/knots.h"
#include "common/store.h"
#include "schemas/messages.h"

#define FIELDS_MAX 32
#define FIELDS_TEXT_MAX 32

/* What the fields borrow from. */
struct fields {
    struct store_field items[FIELDS_MAX];
    size_t count;
    char texts[FIELDS_MAX][FIELDS_TEXT_MAX];
    char raised[64];
    char by_input[KNOTS_TEXT_MAX];
};

/* `revision` is not among them: the store writes it. The reason borrows from the allocation. Beside the
 * limits stands `before_...` for each amount: held-out attempts start with that. */
void fields_fill(struct fields *fields, const struct msg_allocation *allocation);

#endif
