/* SPDX-License-Identifier: ISC */
/*
 * Attack: read the image that a machine writes to disk when it hibernates. What is alive
 * and locked is in it; what was freed is not; and while secret memory exists the kernel
 * does not hibernate. The host looks at the disk when the machine is off.
 */
#include <errno.h>
#include <fcntl.h>
#include <securemem.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/sysmacros.h>

#include "vm/marks.h"

#define DISK "/dev/nvme0n1"

static securemem_arena *arena;

static void *take_secret(size_t size)
{
    return securemem_arena_alloc(arena, size);
}

static void *take_locked(size_t size)
{
    void *pages =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED || mlock(pages, size) != 0 ? NULL : pages;
}

/* The errno with which a write to a file of /sys is refused; 0: it is not. */
static int put(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return errno;
    int refused = write(file, text, strlen(text)) < 0 ? errno : 0;
    close(file);
    return refused;
}

/* The header of mkswap(8), version 1, and the disk as what to resume from. */
static bool set_up_swap(void)
{
    static unsigned char header[4096];
    static const char magic[] = "SWAPSPACE2";
    struct stat status;
    char number[32];
    int disk = open(DISK, O_RDWR | O_CLOEXEC);
    off_t length = disk < 0 ? -1 : lseek(disk, 0, SEEK_END);
    if (length <= 0 || fstat(disk, &status) != 0)
        return false;
    const uint32_t version = 1, last = (uint32_t)(length / (off_t)sizeof header - 1);
    memcpy(header + 1024, &version, sizeof version);
    memcpy(header + 1028, &last, sizeof last);
    memcpy(header + sizeof header - strlen(magic), magic, strlen(magic));
    bool written = pwrite(disk, header, sizeof header, 0) == sizeof header;
    close(disk);
    snprintf(number, sizeof number, "%u:%u", major(status.st_rdev),
             minor(status.st_rdev));
    return written && put("/sys/power/resume", number) == 0 && swapon(DISK, 0) == 0;
}

static int hibernate(void)
{
    return put("/sys/power/state", "disk");
}

static int fail(const char *what)
{
    printf("%s: %s; %s\n", what, strerror(errno), securemem_last_error()->message);
    return 1;
}

int main(void)
{
    struct mark plain, alive, freed, secret;
    struct places places, kept, gone, hidden;
    struct mark *marks[] = {&plain, &alive, &freed, &secret};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        mark_draw(marks[i]);
    if (!set_up_swap())
        return fail("swap on " DISK);
    (void)put("/sys/power/disk", "shutdown");

    arena = securemem_default_arena();
    if (!places_fill(&places, take_locked, &plain) ||
        !places_fill(&kept, take_secret, &alive) ||
        !places_fill(&gone, take_secret, &freed))
        return fail("locked memory");
    places_free(&gone, securemem_free);

    arena = securemem_arena_create(&(securemem_arena_options){
        .secret_memory = SECUREMEM_REQUIRED, .fork = SECUREMEM_FORK_DROP});
    if (arena == NULL || !places_fill(&hidden, take_secret, &secret))
        return fail("secret memory");
    int refused = hibernate();
    if (refused != EPERM) {
        printf("with secret memory: hibernation gave %d\n", refused);
        return 1;
    }
    printf("NOTE: hibernation: refused while secret memory exists\n");
    places_free(&hidden, securemem_free);

    mark_tell("image", "locked-by-mlock", COPIES, COPIES, &plain);
    mark_tell("image", "secrets-alive", COPIES, COPIES, &alive);
    mark_tell("image", "secrets-freed", 0, 0, &freed);
    mark_tell("image", "secret-memory-freed", 0, 0, &secret);
    refused = hibernate(); /* comes back only where the image is not written */
    printf("without secret memory: hibernation gave %d\n", refused);
    return 1;
}
