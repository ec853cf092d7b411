/* SPDX-License-Identifier: ISC */
/* Whole files as secrets, and credentials of a service. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/unit.h"

#define SIZE 5000

static unsigned char wanted[SIZE];

static void draw(void)
{
    for (size_t i = 0; i < SIZE; i++)
        wanted[i] = (unsigned char)(i * 2654435761U >> 5);
}

static char directory[] = "/tmp/securemem-transfer-XXXXXX";
static char path[64];

static void write_file(size_t size, mode_t mode)
{
    unlink(path); /* one that may not be written is no hindrance */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, wanted, size), size);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void a_file_is_a_secret_of_its_size(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 32, 4095, 4096, 4097, SIZE};
    size_t descriptors = view_descriptors();
    for (size_t i = 0; i < COUNT(sizes); i++) {
        write_file(sizes[i], 0600);
        for (size_t limit = sizes[i]; limit <= sizes[i] + 1; limit++) {
            unsigned char *secret = securemem_read_file(NULL, path, limit, NULL);
            assert_non_null(secret);
            assert_int_equal(securemem_size(secret), sizes[i]);
            assert_memory_equal(secret, wanted, sizes[i]);
            securemem_free(secret);
        }
        if (sizes[i] > 0) {
            assert_null(securemem_read_file(NULL, path, sizes[i] - 1, NULL));
            assert_int_equal(errno, EFBIG);
        }
    }
    assert_int_equal(view_descriptors(), descriptors);
}

static void files_that_are_none_are_told_apart(void **state)
{
    (void)state;
    assert_null(securemem_read_file(NULL, NULL, 1, NULL));
    assert_int_equal(errno, EINVAL);
    assert_null(securemem_read_file(NULL, "/nonexistent/file", 1, NULL));
    assert_int_equal(errno, ENOENT);
    assert_non_null(strstr(securemem_last_error()->message, "/nonexistent/file"));
    assert_null(securemem_read_file(NULL, "/tmp", 1, NULL));
    assert_int_equal(errno, EISDIR);
    assert_null(securemem_read_file(NULL, "/proc/self/stat/file", 1, NULL));
    assert_int_equal(errno, ENOENT);
}

/* A file of /proc says that it has no bytes; a pipe says nothing; one grows meanwhile. */
static void what_does_not_know_its_size_is_read_to_its_end(void **state)
{
    (void)state;
    char proc[64];
    snprintf(proc, sizeof proc, "/proc/self/status");
    char *status = securemem_read_file(NULL, proc, 1 << 20, NULL);
    assert_non_null(status);
    assert_non_null(memmem(status, securemem_size(status), "VmLck:", 6));
    securemem_free(status);

    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        for (size_t i = 0; i < 20; i++)
            NEED(write(fd, wanted, SIZE) == SIZE);
        _exit(0);
    }
    securemem_file_report report;
    unsigned char *secret = securemem_read_file(NULL, path, 20 * SIZE, &report);
    assert_non_null(secret);
    assert_int_equal(securemem_size(secret), 20 * SIZE);
    for (size_t i = 0; i < 20; i++)
        assert_memory_equal(secret + i * SIZE, wanted, SIZE);
    assert_int_equal(report.flaws, SECUREMEM_FILE_SPECIAL);
    securemem_free(secret);
    int ended;
    assert_int_equal(waitpid(pid, &ended, 0), pid);
    assert_int_equal(ended, 0);
    unlink(path);
}

/* Gives what there is of a file, in a thread that writes to it or cuts it meanwhile. */
struct change {
    atomic_bool ended;
    bool grows;
};

static void *change(void *argument)
{
    struct change *c = argument;
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    NEED(fd >= 0);
    for (size_t i = 0; !atomic_load(&c->ended); i++)
        if (c->grows)
            NEED(write(fd, wanted + i % SIZE, 1) == 1);
        else
            NEED(ftruncate(fd, (off_t)((i * 7919) % SIZE)) == 0);
    close(fd);
    return NULL;
}

/* Whatever fstat(2) said: a part of what was there, as long as the secret is. */
static void a_file_that_changes_meanwhile_is_what_was_read_of_it(void **state)
{
    (void)state;
    for (int grows = 0; grows < 2; grows++) {
        struct change c = {.grows = grows};
        pthread_t thread;
        size_t sizes = 0, last = 0;
        write_file(grows ? 0 : SIZE, 0600);
        assert_int_equal(pthread_create(&thread, NULL, change, &c), 0);
        for (int i = 0; i < 300 || (sizes < 3 && i < 100000); i++) {
            unsigned char *secret = securemem_read_file(NULL, path, 1 << 20, NULL);
            if (secret == NULL) {
                assert_int_equal(errno, EFBIG); /* it has grown that much */
                break;
            }
            size_t size = securemem_size(secret);
            sizes += size != last;
            last = size;
            for (size_t j = 0; j < size; j++)
                if (secret[j] != wanted[j % SIZE] && (grows || secret[j] != 0))
                    fail_msg("byte %zu of %zu is not the file's", j, size);
            securemem_free(secret);
        }
        atomic_store(&c.ended, true);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_true(sizes >= 3); /* it did change */
    }
    unlink(path);
}

static void who_else_may_read_is_reported(void **state)
{
    (void)state;
    const struct {
        mode_t mode;
        unsigned flaws;
    } modes[] = {
        {0600, 0},
        {0400, 0},
        {0640, SECUREMEM_FILE_READABLE},
        {0604, SECUREMEM_FILE_READABLE},
        {0620, SECUREMEM_FILE_WRITABLE},
        {0666, SECUREMEM_FILE_READABLE | SECUREMEM_FILE_WRITABLE},
    };
    securemem_file_report report;
    for (size_t i = 0; i < COUNT(modes); i++) {
        write_file(10, modes[i].mode);
        memset(&report, 0xff, sizeof report);
        void *secret = securemem_read_file(NULL, path, 10, &report);
        assert_non_null(secret);
        assert_int_equal(report.flaws, modes[i].flaws);
        assert_int_equal(report.mode, modes[i].mode);
        assert_int_equal(report.owner, geteuid());
        securemem_free(secret);
    }
    if (geteuid() == 0 && chown(path, 12345, 0) == 0) {
        securemem_free(securemem_read_file(NULL, path, 10, &report));
        assert_true((report.flaws & SECUREMEM_FILE_FOREIGN) != 0);
    }
    unlink(path);
}

/* Root may read everything anyhow. */
static int read_as_ordinary(void *argument)
{
    (void)argument;
    securemem_file_report report;
    if (!child_become_ordinary(1 << 20))
        return SKIP_EXIT;
    void *secret = securemem_read_file(NULL, "/etc/passwd", 1 << 20, &report);
    NEED(secret != NULL && report.owner == 0 && geteuid() != 0);
    NEED(report.flaws == SECUREMEM_FILE_READABLE);
    return 0;
}

static void a_file_of_root_is_not_foreign(void **state)
{
    (void)state;
    CHILD_PASSES(read_as_ordinary, NULL);
}

#define DESCRIPTORS 64

/* The reader's descriptor of the pipe, looked at while the reader waits. */
static void *read_pipe(void *argument)
{
    (void)argument;
    return securemem_read_file(NULL, path, 16, NULL);
}

static bool is_pipe(int fd, const struct stat *pipe)
{
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_ino == pipe->st_ino &&
           status.st_dev == pipe->st_dev && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
}

static void a_file_that_is_read_is_not_open_in_other_programs(void **state)
{
    (void)state;
    struct stat pipe;
    pthread_t thread;
    void *secret;
    int found = 0;
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(pthread_create(&thread, NULL, read_pipe, NULL), 0);
    int writer = open(path, O_WRONLY | O_CLOEXEC); /* waits for the reader's open(2) */
    assert_true(writer >= 0 && fstat(writer, &pipe) == 0);
    while (found == 0) /* its open(2) has begun, and may give the number later */
        for (int fd = 0; fd < DESCRIPTORS; fd++)
            if (is_pipe(fd, &pipe)) {
                found++;
                assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
            }
    assert_int_equal(found, 1);
    close(writer);
    pthread_join(thread, &secret);
    assert_non_null(secret);
    securemem_free(secret);
    unlink(path);
}

static void a_credential_is_a_plain_file_of_its_directory(void **state)
{
    (void)state;
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_null(securemem_read_credential(NULL, "secret", 100));
    assert_int_equal(errno, ENOENT);
    setenv("CREDENTIALS_DIRECTORY", "tmp", 1);
    assert_null(securemem_read_credential(NULL, "secret", 100));
    assert_int_equal(errno, EINVAL);
    setenv("CREDENTIALS_DIRECTORY", directory, 1);
    const char *names[] = {"", ".", "..", "../secret", "a/b", NULL};
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_null(securemem_read_credential(NULL, names[i], 100));
        assert_int_equal(errno, EINVAL);
    }
    write_file(30, 0400);
    char link[64];
    snprintf(link, sizeof link, "%s/link", directory);
    assert_int_equal(symlink(path, link), 0);
    assert_null(securemem_read_credential(NULL, "link", 100));
    assert_int_equal(errno, EIO);
    assert_int_equal(securemem_last_error()->kernel_code, ELOOP);
    assert_null(securemem_read_credential(NULL, "none", 100));
    assert_int_equal(errno, ENOENT);
    unsigned char *secret = securemem_read_credential(NULL, "secret", 100);
    assert_non_null(secret);
    assert_int_equal(securemem_size(secret), 30);
    assert_memory_equal(secret, wanted, 30);
    securemem_free(secret);
    unlink(link);
    unlink(path);
    unsetenv("CREDENTIALS_DIRECTORY");
}

static int prepare(void **state)
{
    (void)state;
    draw();
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/secret", directory);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_a_secret_of_its_size),
        cmocka_unit_test(files_that_are_none_are_told_apart),
        cmocka_unit_test(what_does_not_know_its_size_is_read_to_its_end),
        cmocka_unit_test(a_file_that_changes_meanwhile_is_what_was_read_of_it),
        cmocka_unit_test(who_else_may_read_is_reported),
        cmocka_unit_test(a_file_of_root_is_not_foreign),
        cmocka_unit_test(a_file_that_is_read_is_not_open_in_other_programs),
        cmocka_unit_test(a_credential_is_a_plain_file_of_its_directory),
    };
    return skip_status(cmocka_run_group_tests(tests, prepare, clean),
                       sizeof(tests) / sizeof *(tests));
}
