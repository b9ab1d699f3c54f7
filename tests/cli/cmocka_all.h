/* cmocka with what it needs before it. */
#ifndef FORESTALL_TESTS_CLI_CMOCKA_ALL_H
#define FORESTALL_TESTS_CLI_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#endif
