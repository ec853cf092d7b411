/* SPDX-License-Identifier: ISC */
#include "kernel/perf.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel/answer.h"
#include "kernel/kernel.h"

#define GROUP_MOST 4U

static uint64_t config_of(enum smem_perf_event event)
{
    switch (event) {
    case SMEM_PERF_MINOR:
        return PERF_COUNT_SW_PAGE_FAULTS_MIN;
    case SMEM_PERF_MAJOR:
        return PERF_COUNT_SW_PAGE_FAULTS_MAJ;
    case SMEM_PERF_KERNEL:
    case SMEM_PERF_TRAP:
        break;
    }
    return PERF_COUNT_SW_PAGE_FAULTS;
}

int smem_kernel_perf_open(enum smem_perf_event event, int leader)
{
    bool counts_only = event == SMEM_PERF_KERNEL;
    struct perf_event_attr attributes = {
        .type = PERF_TYPE_SOFTWARE,
        .size = sizeof attributes,
        .config = config_of(event),
        .sample_period = counts_only ? 0 : 1,
        .sample_type = PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID |
                       PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR,
        .read_format = PERF_FORMAT_GROUP,
        .disabled = event == SMEM_PERF_TRAP,
        .exclude_kernel = event != SMEM_PERF_KERNEL,
        .exclude_user = event == SMEM_PERF_KERNEL,
        .exclude_hv = 1,
        .use_clockid = 1,
        .clockid = CLOCK_MONOTONIC,
        .sigtrap = event == SMEM_PERF_TRAP,
        .remove_on_exec = event == SMEM_PERF_TRAP,
    };
    int before = errno;
    return (int)smem_answer(before, syscall(SYS_perf_event_open, &attributes, 0, -1,
                                            leader, PERF_FLAG_FD_CLOEXEC));
}

int smem_kernel_perf_enable(int descriptor, bool enable)
{
    int before = errno;
    return (int)smem_answer(
        before,
        ioctl(descriptor, enable ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE, 0));
}

int smem_kernel_perf_join(int descriptor, int ring)
{
    int before = errno;
    return (int)smem_answer(before, ioctl(descriptor, PERF_EVENT_IOC_SET_OUTPUT, ring));
}

int smem_kernel_perf_id(int descriptor, uint64_t *out)
{
    int before = errno;
    return (int)smem_answer(before, ioctl(descriptor, PERF_EVENT_IOC_ID, out));
}

int smem_kernel_perf_map(int descriptor, size_t pages, void **out)
{
    size_t length = (pages + 1) * smem_kernel_page_size();
    int before = errno;
    void *start = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                       descriptor, 0);
    int result = (int)smem_answer(before, start == MAP_FAILED ? -1 : 0);
    if (result == 0)
        *out = start;
    return result;
}

int smem_kernel_perf_counts(int descriptor, uint64_t *counts, size_t count)
{
    uint64_t values[1 + GROUP_MOST] = {0};
    long bytes = smem_kernel_read(descriptor, values, (1 + count) * sizeof *values);
    if (bytes < 0)
        return (int)bytes;
    if (values[0] != count)
        return -EIO;
    memcpy(counts, values + 1, count * sizeof *counts);
    return 0;
}

const volatile uint64_t *smem_perf_head(const void *ring)
{
    const struct perf_event_mmap_page *control = ring;
    return (const volatile uint64_t *)&control->data_head;
}

/* A record may go over the ring's end. */
static void copy_out(const void *ring, size_t bytes, uint64_t at, void *out,
                     size_t length)
{
    const char *data = (const char *)ring + smem_kernel_page_size();
    size_t offset = (size_t)at & (bytes - 1);
    size_t first = length < bytes - offset ? length : bytes - offset;
    memcpy(out, data + offset, first);
    memcpy((char *)out + first, data, length - first);
}

int smem_perf_next(const void *ring, size_t pages, uint64_t *tail,
                   struct smem_perf_fault *out)
{
    size_t bytes = pages * smem_kernel_page_size();
    struct perf_event_header header;
    copy_out(ring, bytes, *tail, &header, sizeof header);
    uint64_t at = *tail + sizeof header;
    *tail += header.size;
    if (header.type != PERF_RECORD_SAMPLE)
        return 0;
    copy_out(ring, bytes, at, out, sizeof *out);
    return 1;
}

void smem_perf_forget(void *ring, uint64_t tail)
{
    struct perf_event_mmap_page *control = ring;
    __atomic_store_n(&control->data_tail, tail, __ATOMIC_RELEASE);
}

void smem_perf_pretend(void *page, uint64_t head)
{
    struct perf_event_mmap_page *control = page;
    control->data_head = control->data_tail = head;
}
