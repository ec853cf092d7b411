/* SPDX-License-Identifier: ISC */
#include "harden.h"

#include <securemem.h>

#define WANTED                                                                           \
    (SECUREMEM_HARDEN_NO_CORE_DUMPS | SECUREMEM_HARDEN_NOT_DUMPABLE |                    \
     SECUREMEM_HARDEN_NO_NEW_PRIVS)

const char *harden(void)
{
    if (securemem_process_harden(WANTED, NULL) != 0)
        return securemem_last_error()->message;
    return NULL;
}
