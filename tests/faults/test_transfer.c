/* SPDX-License-Identifier: ISC */
/*
 * Secrets in and out while every call to the kernel fails in turn: they come whole or not
 * at all, a refusal says why, and neither a descriptor, a secret, a signal handler nor a
 * terminal without echo is left behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <securemem.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "faults/trials.h"
#include "support/need.h"
#include "support/view.h"

#define BYTES 5000
#define LINE  "open sesame"

static struct fault_plan plan; /* of this trial */
static unsigned char wanted[BYTES];
static char path[] = "/tmp/securemem-faults-XXXXXX/secret";

static size_t secrets_now(void)
{
    securemem_budget_report report;
    NEED(securemem_budget(&report) == 0);
    return report.secrets;
}

/* A refusal, of the set that the headers list, with its record. */
static void need_refusal(int code)
{
    const int codes[] = {ENOMEM, EPERM, ENOTSUP, EAGAIN,  ENOENT, EACCES, EISDIR, EBADF,
                         EFAULT, EPIPE, EFBIG,   ENODATA, EIO,    ENOTTY, EINTR};
    bool known = false;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        known = known || codes[i] == code;
    NEED(known);
    NEED(securemem_last_error()->code == code);
    NEED(strlen(securemem_last_error()->message) > 20);
}

/* What a call gave is whole; a read that the plan cuts short may end there. */
static void need_whole(unsigned char *secret, size_t size, int code)
{
    if (secret == NULL) {
        need_refusal(code);
        return;
    }
    size_t got = securemem_size(secret);
    bool cut = plan.function == FAULT_READ && plan.result == 0;
    NEED(got == size || (cut && got < size));
    NEED(memcmp(secret, wanted, got) == 0);
    securemem_free(secret);
}

static int read_descriptor(void)
{
    int ends[2];
    unsigned char *secret = securemem_alloc(BYTES);
    NEED(secret != NULL && pipe2(ends, O_NONBLOCK) == 0);
    memset(secret, 0xee, BYTES);
    NEED(write(ends[1], wanted, BYTES) == BYTES);
    fault_arm(&plan);
    int result = securemem_read_fd(ends[0], secret, BYTES);
    fault_disarm();
    if (result == 0) {
        NEED(memcmp(secret, wanted, BYTES) == 0);
    } else {
        need_refusal(-result);
        for (size_t i = 0; i < BYTES; i++) /* what came, what did not */
            NEED(secret[i] == 0 || secret[i] == 0xee);
    }
    close(ends[0]);
    close(ends[1]);
    securemem_free(secret);
    return 0;
}

static int write_descriptor(void)
{
    int ends[2];
    unsigned char *secret = securemem_alloc(BYTES), got[BYTES];
    NEED(secret != NULL && pipe2(ends, O_NONBLOCK) == 0);
    memcpy(secret, wanted, BYTES);
    fault_arm(&plan);
    int result = securemem_write_fd(ends[1], secret, BYTES);
    fault_disarm();
    ssize_t there = read(ends[0], got, BYTES);
    if (result == 0)
        NEED(there == BYTES && memcmp(got, wanted, BYTES) == 0);
    else
        need_refusal(-result);
    close(ends[0]);
    close(ends[1]);
    securemem_free(secret);
    return 0;
}

static int read_whole_file(void)
{
    securemem_file_report report;
    fault_arm(&plan);
    errno = 0;
    unsigned char *secret = securemem_read_file(NULL, path, BYTES, &report);
    int code = errno;
    fault_disarm();
    need_whole(secret, BYTES, code);
    return 0;
}

/* Of unknown length, so that it grows. */
static int read_pipe(void)
{
    int ends[2];
    char name[64];
    NEED(pipe(ends) == 0 && write(ends[1], wanted, BYTES) == BYTES);
    close(ends[1]);
    snprintf(name, sizeof name, "/proc/self/fd/%d", ends[0]);
    fault_arm(&plan);
    errno = 0;
    unsigned char *secret = securemem_read_file(NULL, name, BYTES, NULL);
    int code = errno;
    fault_disarm();
    need_whole(secret, BYTES, code);
    close(ends[0]);
    return 0;
}

static int read_credential(void)
{
    char directory[sizeof path];
    memcpy(directory, path, sizeof path);
    *strrchr(directory, '/') = '\0';
    NEED(setenv("CREDENTIALS_DIRECTORY", directory, 1) == 0);
    fault_arm(&plan);
    errno = 0;
    unsigned char *secret = securemem_read_credential(NULL, "secret", BYTES);
    int code = errno;
    fault_disarm();
    need_whole(secret, BYTES, code);
    return 0;
}

static int take_and_encode(void)
{
    char variable[] = "FAULTED=" LINE;
    NEED(putenv(variable) == 0);
    fault_arm(&plan);
    errno = 0;
    char *secret = securemem_take_env(NULL, "FAULTED");
    int code = errno;
    fault_disarm();
    if (secret == NULL) {
        need_refusal(code);
        NEED(strcmp(getenv("FAULTED"), LINE) == 0); /* nothing is lost */
        return 0;
    }
    NEED(strcmp(secret, LINE) == 0 && getenv("FAULTED") == NULL);
    securemem_free(secret);
    return 0;
}

static int decode(void)
{
    fault_arm(&plan);
    errno = 0;
    unsigned char *secret = securemem_from_base64(NULL, "b3BlbiBzZXNhbWU=", 16);
    int code = errno;
    fault_disarm();
    if (secret == NULL)
        need_refusal(code);
    else
        NEED(securemem_size(secret) == strlen(LINE) &&
             memcmp(secret, LINE, strlen(LINE)) == 0);
    securemem_free(secret);
    return 0;
}

static int type_passphrase(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    struct termios now;
    struct sigaction action;
    NEED(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    NEED(setsid() >= 0);
    int slave = open(ptsname(master), O_RDWR);
    NEED(slave >= 0 && ioctl(slave, TIOCSCTTY, 0) == 0);
    pid_t typist = fork();
    if (typist == 0) {
        while (tcgetattr(master, &now) == 0 && (now.c_lflag & ECHO) != 0)
            usleep(200); /* what is typed before is discarded */
        NEED(write(master, LINE "\n", strlen(LINE) + 1) == (ssize_t)strlen(LINE) + 1);
        _exit(0);
    }
    fault_arm(&plan);
    errno = 0;
    char *secret = securemem_read_passphrase(NULL, "?", 64);
    int code = errno;
    fault_disarm();
    kill(typist, SIGKILL);
    NEED(waitpid(typist, NULL, 0) == typist);
    if (secret == NULL)
        need_refusal(code);
    else
        NEED(strcmp(secret, LINE) == 0 ||
             (plan.function == FAULT_READ && plan.result == 0));
    securemem_free(secret);
    NEED(tcgetattr(slave, &now) == 0 && (now.c_lflag & ECHO) != 0);
    NEED(sigaction(SIGINT, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    NEED(signal(SIGHUP, SIG_IGN) == SIG_DFL); /* that its terminal goes */
    close(slave);
    close(master);
    return 0;
}

struct act {
    const char *name;
    int (*act)(void);
};

static const struct act acts[] = {
    {"read_fd", read_descriptor},
    {"write_fd", write_descriptor},
    {"read_file", read_whole_file},
    {"read_file of a pipe", read_pipe},
    {"read_credential", read_credential},
    {"take_env", take_and_encode},
    {"from_base64", decode},
    {"read_passphrase", type_passphrase},
};

struct trial {
    const struct act *act;
    const struct fault_plan *plan;
};

static int try_one(void *argument)
{
    const struct trial *trial = argument;
    plan = *trial->plan;
    alarm(20);
    /* A prompt that a signal cannot reach is not answered either. */
    securemem_free(securemem_alloc(1));
    size_t descriptors = view_descriptors(), secrets = secrets_now();
    int result = trial->act->act();
    NEED(view_descriptors() == descriptors);
    NEED(secrets_now() == secrets);
    return result;
}

static void try_all(const struct act *act)
{
    struct trial trial = {.act = act, .plan = trials_plan()};
    struct trials trials = {.run = try_one, .argument = &trial, .thorough = false};
    snprintf(trials.name, sizeof trials.name, "%s", act->name);
    assert_true(trials_run(&trials));
}

static void secrets_come_and_go_whole_or_not_at_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < BYTES; i++)
        wanted[i] = (unsigned char)(i * 2654435761U >> 5);
    char *name = strrchr(path, '/');
    *name = '\0';
    assert_non_null(mkdtemp(path));
    *name = '/';
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(file, wanted, BYTES), BYTES);
    close(file);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        try_all(&acts[i]);
    unlink(path);
    *name = '\0';
    rmdir(path);
    trials_end(200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_come_and_go_whole_or_not_at_all),
    };
    return RUN_GROUP(tests);
}
