/* The number type of the network. Single precision; compiled a second time in double by the gradient check,
 * so that the very code that trains is held against finite differences. */
#ifndef FORESTALL_MODEL_REAL_H
#define FORESTALL_MODEL_REAL_H

#include <cblas.h>
#include <stddef.h>

#ifdef FORESTALL_MODEL_DOUBLE
typedef double real;
#define real_gemm cblas_dgemm
#define real_axpy cblas_daxpy
#else
typedef float real;
#define real_gemm cblas_sgemm
#define real_axpy cblas_saxpy
#endif

#endif
