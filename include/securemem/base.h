/* SPDX-License-Identifier: ISC */
/* What every chapter of securemem.h needs: visibility, attributes, version. */
#ifndef SECUREMEM_BASE_H
#define SECUREMEM_BASE_H

#include <stddef.h>
#include <stdint.h>

#define SECUREMEM_VERSION_MAJOR 0
#define SECUREMEM_VERSION_MINOR 1
#define SECUREMEM_VERSION_PATCH 0

#if defined(__GNUC__)
#define SECUREMEM_API        __attribute__((visibility("default")))
#define SECUREMEM_USE_RESULT __attribute__((warn_unused_result))
#else
#define SECUREMEM_API
#define SECUREMEM_USE_RESULT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library that is loaded, as "major.minor.patch". */
SECUREMEM_API const char *securemem_version(void);

#ifdef __cplusplus
}
#endif
#endif
