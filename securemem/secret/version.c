/* SPDX-License-Identifier: ISC */
#include <securemem/base.h>

#define TEXT_OF(number) #number
#define TEXT(number)    TEXT_OF(number)

const char *securemem_version(void)
{
    return TEXT(SECUREMEM_VERSION_MAJOR) "." TEXT(SECUREMEM_VERSION_MINOR) "." TEXT(
        SECUREMEM_VERSION_PATCH);
}
