/* The demo's page: self-contained HTML with one chart per execution and every decision in words. */
#ifndef FORESTALL_DEMO_REPORT_H
#define FORESTALL_DEMO_REPORT_H

#include "demo/present.h"

/* Written whole or not at all. 0, or negative errno. */
FS_MUST_CHECK int report_write(const char *path, const struct result *results, size_t count,
                               const struct order *order);

#endif
