/* SPDX-License-Identifier: ISC */
#include "attacks/corefile.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attacks/attack.h"

/* The first character of the machine's pattern; 0 where it cannot be read. */
static char core_pattern(void)
{
    FILE *file = fopen("/proc/sys/kernel/core_pattern", "re");
    int first = file == NULL ? EOF : fgetc(file);
    if (file != NULL)
        fclose(file);
    return first == EOF ? '\0' : (char)first;
}

static bool core_limit_is_zero(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_max == 0;
}

const char *corefile_reason_for_none(void)
{
    char pattern = core_pattern();
    if (pattern == '|')
        return "kernel.core_pattern pipes cores to a program";
    if (pattern == '/' || pattern == '@' || pattern == '\0')
        return "kernel.core_pattern names no file in the working directory";
    if (core_limit_is_zero())
        return "the hard limit of RLIMIT_CORE is 0";
    return NULL;
}

void corefile_allow(const char *directory)
{
    struct rlimit limit;
    attack_require(getrlimit(RLIMIT_CORE, &limit) == 0, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    attack_require(setrlimit(RLIMIT_CORE, &limit) == 0, "setrlimit");
    attack_require(chdir(directory) == 0, "chdir");
}

static size_t look_at(int file,
                      void (*look)(void *context, const void *bytes, size_t length),
                      void *context)
{
    struct stat status;
    if (fstat(file, &status) != 0 || status.st_size == 0)
        return 0;
    size_t length = (size_t)status.st_size;
    void *bytes = mmap(NULL, length, PROT_READ, MAP_PRIVATE, file, 0);
    if (bytes == MAP_FAILED)
        return 0;
    look(context, bytes, length);
    munmap(bytes, length);
    return 1;
}

/* Whatever the core's name is. */
size_t corefile_each(const char *path,
                     void (*look)(void *context, const void *bytes, size_t length),
                     void *context)
{
    size_t count = 0;
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        int file = openat(dirfd(directory), entry->d_name, O_RDONLY | O_CLOEXEC);
        if (file < 0)
            continue;
        count += look_at(file, look, context);
        close(file);
    }
    closedir(directory);
    return count;
}

int corefile_remove(const void *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return 1;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
    return rmdir(path) == 0 ? 0 : 1;
}
