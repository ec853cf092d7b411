/* SPDX-License-Identifier: ISC */
#include "attacks/scan.h"

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

/* AMX, the largest there is, needs 11 KiB. */
#define REGISTERS_BYTES (32U << 10)

/* No scan goes through more of one mapping: none of a subject is as large. */
#define MAPPING_MOST ((size_t)1 << 28)

#if defined(__x86_64__)
static const int register_sets[] = {NT_PRSTATUS, NT_X86_XSTATE};

bool scan_is_known(void)
{
    return true;
}
#else
static const int register_sets[] = {NT_PRSTATUS, NT_FPREGSET};

bool scan_is_known(void)
{
    return false;
}
#endif

static size_t in_registers(const struct subject *subject, const struct pieces *pieces)
{
    static unsigned char bytes[REGISTERS_BYTES];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(register_sets); i++) {
        struct iovec set = {bytes, sizeof bytes};
        if (ptrace(PTRACE_GETREGSET, subject->pid, (void *)(long)register_sets[i],
                   &set) != 0)
            fail_msg("the registers %#x cannot be read", (unsigned)register_sets[i]);
        assert_true(set.iov_len > 0 && set.iov_len < sizeof bytes);
        count += pieces_count(pieces, bytes, set.iov_len);
    }
    memset(bytes, 0, sizeof bytes);
    return count;
}

/* Pages that cannot be read, the guards, are zeros: offsets stay right. */
static void read_mapping(const struct subject *subject, uintptr_t start, char *bytes,
                         size_t length)
{
    size_t page = view_page_size();
    for (size_t done = 0; done < length; done += page) {
        size_t got = subject_peek(subject, (void *)(start + done), bytes + done, page);
        memset(bytes + done + got, 0, page - got);
    }
}

static bool is_told(const struct subject *subject, uintptr_t address)
{
    for (size_t i = 0; i < subject->page->count; i++) {
        uintptr_t start = (uintptr_t)subject->page->told[i].address;
        if (address >= start && address < start + subject->page->told[i].length)
            return true;
    }
    return false;
}

static void scan_mapping(const struct subject *subject, const struct pieces *pieces,
                         uintptr_t start, size_t length, const char *line,
                         struct scan *scan)
{
    char *bytes = malloc(length);
    assert_non_null(bytes);
    read_mapping(subject, start, bytes, length);
    size_t elsewhere = 0;
    if (pieces_count(pieces, bytes, length) > 0)
        for (size_t i = 0; i + PIECE_BYTES <= length; i++) {
            if (pieces_count(pieces, bytes + i, PIECE_BYTES) == 0)
                continue;
            if (is_told(subject, start + i))
                scan->in_place++;
            else
                elsewhere++;
        }
    free(bytes);
    scan->elsewhere += elsewhere;
    size_t used = strlen(scan->where);
    if (elsewhere > 0)
        snprintf(scan->where + used, sizeof scan->where - used, "%zu in %.200s",
                 elsewhere, line);
}

/* The kernel's own pages, of which the last cannot be read through mem. */
static bool is_kernels(const char *line)
{
    return strstr(line, "[vvar") != NULL || strstr(line, "[vsyscall]") != NULL;
}

struct scan scan_subject(const struct subject *subject, const struct pieces *pieces)
{
    struct scan scan = {.registers = in_registers(subject, pieces)};
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%ld/maps", (long)subject->pid);
    FILE *maps = fopen(path, "re");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx", &start, &end) != 2 || is_kernels(line))
            continue;
        assert_true(end - start <= MAPPING_MOST);
        scan_mapping(subject, pieces, start, end - start, line, &scan);
    }
    fclose(maps);
    return scan;
}
