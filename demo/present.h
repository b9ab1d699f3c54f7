/* What the demo found, for people and for programs. */
#ifndef FORESTALL_DEMO_PRESENT_H
#define FORESTALL_DEMO_PRESENT_H

#include <stdio.h>

#include "demo/order.h"
#include "demo/trial.h"

struct result {
    const struct demo_case *what;
    struct trial trials[TRIAL_KINDS];
};

#define FAULT_MAX 256

/* What is not as the demo promises, or "" when all is well. */
void present_fault(const struct result *result, char out[FAULT_MAX]);
/* One JSON object and a line end. */
void present_json(FILE *out, const struct result *result);
void present_table(FILE *out, const struct result *results, size_t count, const struct order *order);
/* "96.0 MiB", "-" for 0. */
const char *present_bytes(char out[32], int64_t bytes);

#endif
