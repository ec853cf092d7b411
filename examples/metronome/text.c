/* SPDX-License-Identifier: ISC */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>

void text_add(struct text *text, const char *format, ...)
{
    size_t left = TEXT_BYTES - text->length;
    va_list arguments;
    va_start(arguments, format);
    int added = vsnprintf(text->bytes + text->length, left, format, arguments);
    va_end(arguments);
    if (added > 0 && (size_t)added < left)
        text->length += (size_t)added;
}
