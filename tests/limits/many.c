/* SPDX-License-Identifier: ISC */
#include "limits/many.h"

#include <string.h>

#include "support/smaps.h"
#include "support/view.h"

static bool is_closed(const char *page)
{
    const struct smaps_entry *entry = smaps_at(page);
    return entry != NULL && strcmp(entry->permissions, "---p") == 0;
}

/* The page of the secret; one of size 0 lies on its trailing guard, and is not given. */
static char *page_of(void *secret)
{
    return (char *)secret - (uintptr_t)secret % view_page_size();
}

void many_look(void *const *secrets, size_t n, struct many *out)
{
    size_t page = view_page_size();
    *out = (struct many){0};
    smaps_read();
    for (size_t i = 0; i < n; i++) {
        char *data = page_of(secrets[i]);
        const struct smaps_entry *entry = smaps_at(data);
        if (entry == NULL)
            continue;
        out->locked += entry->locked;
        out->not_dumped += entry->not_dumped;
        out->wiped += entry->wiped;
        out->guarded += is_closed(data - 1) && is_closed(data + page);
    }
}

size_t many_probe_guards(void *const *secrets, size_t n)
{
    size_t page = view_page_size(), guarded = 0;
    for (size_t i = 0; i < n; i++) {
        char *data = page_of(secrets[i]);
        guarded += !view_readable(data - 1) && !view_readable(data + page);
    }
    return guarded;
}
