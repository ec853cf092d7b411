/* SPDX-License-Identifier: ISC */
/*
 * The kernel's view of this process, read by code of the tests' own: what the library
 * says is held against it. Every function fails the test when /proc cannot be read.
 */
#ifndef TEST_VIEW_H
#define TEST_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct view {
    uintptr_t start, end;
    char permissions[5]; /* "rw-p" */
    char flags[128];     /* VmFlags, each with a space before and after */
    size_t resident_kb, locked_kb;
};

/* The mapping that holds address; false where there is none. */
bool view_at(const void *address, struct view *out);

/* Whether VmFlags has the two-letter flag. */
bool view_has(const struct view *view, const char *flag);

size_t view_locked_bytes(void); /* VmLck */
size_t view_mapped_bytes(void); /* VmSize */
size_t view_mappings(void);     /* lines of maps */
size_t view_descriptors(void);  /* entries of fd */
size_t view_page_size(void);

/* Whether this kernel has guard regions (Linux 6.13), by what one does. */
bool view_guard_regions_exist(void);

/* Whether a read of the byte at address would fault: asked of the kernel by write(2). */
bool view_readable(const void *address);

#endif
