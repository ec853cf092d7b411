/* SPDX-License-Identifier: ISC */
/*
 * Attack: freeze a process after a secret came in or went out, by each call of transfer.h,
 * and look for any 8 bytes in a row of it in the rest of its memory and in its registers;
 * and, for the environment and arguments, in /proc. Controls: getenv(3) and strdup(3),
 * fgets(3), and what /proc shows before.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks/scan.h"

#define KEY_BYTES  MARKER_BYTES
#define KEY_PIECES (KEY_BYTES - PIECE_BYTES + 1)

struct scenario {
    const char *name;
    void (*run)(void);
    size_t copies; /* in live secrets, as bytes */
    bool typed;    /* at a terminal */
};

static void tell(const void *secret)
{
    attack_require(secret != NULL, "the call");
    subject_tell(secret, securemem_size(secret));
}

static void read_fd(void)
{
    unsigned char *secret = securemem_alloc(KEY_BYTES);
    attack_require(securemem_read_fd(subject_descriptor(), secret, KEY_BYTES) == 0,
                   "securemem_read_fd");
    tell(secret);
    SUBJECT_FREEZE();
}

static void read_fd_too_much(void)
{
    int ends[2];
    unsigned char *secret = securemem_alloc(KEY_BYTES);
    attack_require(pipe(ends) == 0, "pipe");
    subject_receive(secret, KEY_BYTES);
    attack_require(securemem_write_fd(ends[1], secret, KEY_BYTES) == 0 &&
                       close(ends[1]) == 0,
                   "securemem_write_fd");
    securemem_free(secret);
    secret = securemem_alloc(2 * KEY_BYTES);
    attack_require(securemem_read_fd(ends[0], secret, 2 * KEY_BYTES) < 0, "the end");
    subject_tell(secret, 2 * KEY_BYTES);
    SUBJECT_FREEZE();
}

/* Through a file in memory, which is unlinked when it is read. */
static void read_file(void)
{
    char path[64];
    int file = memfd_create("key", 0);
    unsigned char *secret = securemem_alloc(KEY_BYTES);
    subject_receive(secret, KEY_BYTES);
    attack_require(file >= 0 && securemem_write_fd(file, secret, KEY_BYTES) == 0,
                   "securemem_write_fd");
    securemem_free(secret);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    tell(securemem_read_file(NULL, path, 1 << 16, NULL));
    SUBJECT_FREEZE();
}

/* Of unknown length, so that it has to grow. */
static void read_pipe(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", subject_descriptor());
    tell(securemem_read_file(NULL, path, 1 << 16, NULL));
    SUBJECT_FREEZE();
}

static void read_file_too_long(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", subject_descriptor());
    attack_require(securemem_read_file(NULL, path, KEY_BYTES - 1, NULL) == NULL,
                   "the limit");
    SUBJECT_FREEZE();
}

/* All of it is decoded but its last byte. */
static void decode_malformed(void)
{
    unsigned char *secret = securemem_alloc(KEY_BYTES);
    subject_receive(secret, KEY_BYTES);
    char *hex = securemem_to_hex(NULL, secret, KEY_BYTES);
    char *base64 = securemem_to_base64(NULL, secret, KEY_BYTES);
    attack_require(hex != NULL && base64 != NULL, "encoding");
    size_t hex_length = strlen(hex), base64_length = strlen(base64);
    hex[hex_length - 1] = 'x';
    base64[base64_length - 5] = '*';
    attack_require(securemem_from_hex(NULL, hex, hex_length) == NULL, "decoding");
    attack_require(securemem_from_base64(NULL, base64, base64_length) == NULL,
                   "decoding");
    securemem_free(secret);
    securemem_free(hex);
    securemem_free(base64);
    SUBJECT_FREEZE();
}

static void encode(void)
{
    unsigned char *secret = securemem_alloc(KEY_BYTES);
    subject_receive(secret, KEY_BYTES);
    char *hex = securemem_to_hex(NULL, secret, KEY_BYTES);
    char *base64 = securemem_to_base64(NULL, secret, KEY_BYTES);
    attack_require(hex != NULL && base64 != NULL, "encoding");
    tell(secret);
    tell(securemem_from_hex(NULL, hex, securemem_size(hex) - 1));
    tell(securemem_from_base64(NULL, base64, securemem_size(base64) - 1));
    securemem_free(hex);
    securemem_free(base64);
    SUBJECT_FREEZE();
}

static char *own_variable(void)
{
    static char variable[16 + KEY_BYTES + 1] = "ATTACKED_SECRET=";
    subject_receive(variable + 16, KEY_BYTES);
    attack_require(putenv(variable) == 0, "putenv");
    return variable + 16;
}

static void take_env(void)
{
    (void)own_variable();
    tell(securemem_take_env(NULL, "ATTACKED_SECRET"));
    attack_require(getenv("ATTACKED_SECRET") == NULL, "unsetting");
    SUBJECT_FREEZE();
}

static void take_arg(void)
{
    static char argument[KEY_BYTES + 1];
    subject_receive(argument, KEY_BYTES);
    tell(securemem_take_arg(NULL, argument));
    SUBJECT_FREEZE();
}

static int terminal = -1; /* the slave of one that the test types at */

static void read_passphrase(void)
{
    attack_require(setsid() >= 0 && ioctl(terminal, TIOCSCTTY, 0) == 0, "a terminal");
    tell(securemem_read_passphrase(NULL, "?", 2 * KEY_BYTES));
    SUBJECT_FREEZE();
}

static void read_passphrase_too_long(void)
{
    attack_require(setsid() >= 0 && ioctl(terminal, TIOCSCTTY, 0) == 0, "a terminal");
    attack_require(securemem_read_passphrase(NULL, "?", KEY_BYTES - 1) == NULL,
                   "the limit");
    SUBJECT_FREEZE();
}

/* Controls: as most programs do it, wiping the copies that they know of. */
static void copy_variable(void)
{
    (void)own_variable();
    char *copy = strdup(getenv("ATTACKED_SECRET"));
    attack_require(copy != NULL, "strdup");
    securemem_wipe(copy, KEY_BYTES);
    free(copy);
    unsetenv("ATTACKED_SECRET");
    SUBJECT_FREEZE();
}

static void read_by_fread(void)
{
    FILE *file = fdopen(subject_descriptor(), "r");
    unsigned char *secret = securemem_alloc(KEY_BYTES);
    attack_require(file != NULL && fread(secret, 1, KEY_BYTES, file) == KEY_BYTES,
                   "fread");
    securemem_free(secret);
    fclose(file);
    SUBJECT_FREEZE();
}

static void read_by_fgets(void)
{
    char *secret = securemem_alloc(2 * KEY_BYTES);
    attack_require(setsid() >= 0 && ioctl(terminal, TIOCSCTTY, 0) == 0, "a terminal");
    FILE *file = fdopen(terminal, "r");
    attack_require(file != NULL && fgets(secret, 2 * KEY_BYTES, file) != NULL, "fgets");
    securemem_free(secret);
    fclose(file);
    SUBJECT_FREEZE();
}

static const struct scenario scenarios[] = {
    {"read_fd", read_fd, 1, false},
    {"read_fd of what ends early", read_fd_too_much, 0, false},
    {"write_fd, read_file", read_file, 1, false},
    {"read_file of a pipe", read_pipe, 1, false},
    {"to and from hex and base64", encode, 3, false},
    {"read_file of what is too long", read_file_too_long, 0, false},
    {"from malformed hex and base64", decode_malformed, 0, false},
    {"take_env", take_env, 1, false},
    {"take_arg", take_arg, 1, false},
    {"read_passphrase", read_passphrase, 1, true},
    {"read_passphrase of what is too long", read_passphrase_too_long, 0, true},
};

static const struct scenario controls[] = {
    {"getenv and strdup", copy_variable, 0, false},
    {"fread", read_by_fread, 0, false},
    {"fgets of a terminal", read_by_fgets, 0, true},
};

static void run(const void *argument)
{
    const struct scenario *scenario = argument;
    scenario->run();
}

/* Characters of a key that can be typed. */
static void draw_text(unsigned char key[KEY_BYTES])
{
    marker_draw(key);
    for (size_t i = 0; i < KEY_BYTES; i++)
        key[i] = (unsigned char)('!' + key[i] % 90);
}

static int open_terminal(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0);
    return master;
}

/* Types when the prompt is there, or at once where there is none. */
static void type(int master, const unsigned char key[KEY_BYTES], bool prompt)
{
    char shown = 0;
    while (prompt && shown != '?')
        assert_int_equal(read(master, &shown, 1), 1);
    assert_int_equal(write(master, key, KEY_BYTES), KEY_BYTES);
    assert_int_equal(write(master, "\n", 1), 1);
}

/* False where the machine cannot run the attack. */
static bool attack(const struct scenario *scenario, struct scan *scan)
{
    struct subject subject;
    int master = open_terminal();
    if (!scan_is_known() || !subject_start(&subject, true, run, scenario))
        return false;
    unsigned char key[KEY_BYTES];
    struct pieces pieces;
    draw_text(key);
    pieces_of(&pieces, key, sizeof key);
    if (!scenario->typed) {
        subject_send(&subject, key, sizeof key);
        close(subject.secrets); /* a pipe ends where nobody can write to it */
        subject.secrets = open("/dev/null", O_WRONLY | O_CLOEXEC);
        subject_run(&subject);
    } else {
        /* It waits for what is typed, so somebody else has to do that. */
        pid_t typist = fork();
        if (typist == 0) {
            type(master, key, scenario->run != read_by_fgets);
            _exit(0);
        }
        assert_true(typist > 0);
        subject_run(&subject);
        assert_int_equal(waitpid(typist, NULL, 0), typist);
    }
    int stop = subject.stop;
    if (stop == SIGTRAP)
        *scan = scan_subject(&subject, &pieces);
    char words[512];
    subject_end(&subject, words, sizeof words);
    close(master);
    close(terminal);
    if (stop != SIGTRAP)
        fail_msg("%s: stopped by %d: %s", scenario->name, stop, words);
    return true;
}

static void no_piece_is_left_on_the_way_in_or_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(scenarios); i++) {
        struct scan scan;
        if (!attack(&scenarios[i], &scan))
            SKIP("registers are known on x86-64, where ptrace(2) is allowed");
        if (scan.elsewhere + scan.registers > 0 ||
            scan.in_place != scenarios[i].copies * KEY_PIECES)
            fail_msg("%s: %zu pieces in memory, %zu in registers, %zu in place\n%s",
                     scenarios[i].name, scan.elsewhere, scan.registers, scan.in_place,
                     scan.where);
    }
    NOTE("0 pieces outside the secrets in %zu scenarios", COUNT(scenarios));
}

static void ordinary_ways_leave_pieces_that_this_attack_finds(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(controls); i++) {
        struct scan scan;
        if (!attack(&controls[i], &scan))
            SKIP("registers are known on x86-64, where ptrace(2) is allowed");
        NOTE("%s: %zu pieces in memory, %zu in registers", controls[i].name,
             scan.elsewhere, scan.registers);
        assert_true(scan.elsewhere + scan.registers >= 1);
    }
}

/* A program that is started with a secret in its environment and as an argument. */
static int started_with_it(char **argv)
{
    int fd = atoi(argv[2]); /* where the test waits between the two looks */
    char *secret = securemem_take_arg(NULL, argv[3]);
    char *other = securemem_take_env(NULL, "ATTACKED_SECRET");
    attack_require(secret != NULL && other != NULL, "taking them");
    attack_require(strcmp(secret, other) == 0, "the same");
    attack_require(write(fd, "", 1) == 1, "telling");
    pause();
    return 0;
}

static size_t count_in_proc(pid_t pid, const char *name, const unsigned char *key)
{
    char path[64];
    static unsigned char bytes[1 << 20];
    size_t length = 0;
    snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    for (ssize_t got; (got = read(file, bytes + length, sizeof bytes - length)) > 0;)
        length += (size_t)got;
    close(file);
    return marker_count(key, bytes, length);
}

static void proc_shows_what_was_taken_no_more(void **state)
{
    (void)state;
    unsigned char key[KEY_BYTES];
    char text[KEY_BYTES + 1] = {0}, variable[32 + KEY_BYTES], number[16];
    int ends[2];
    draw_text(key);
    memcpy(text, key, KEY_BYTES);
    snprintf(variable, sizeof variable, "ATTACKED_SECRET=%s", text);
    for (int taken = 0; taken < 2; taken++) {
        assert_int_equal(pipe(ends), 0);
        snprintf(number, sizeof number, "%d", ends[1]);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            /* The control does nothing but wait. */
            char *const arguments[] = {(char[]){"transfer"},
                                       taken ? (char[]){"--take"} : (char[]){"--wait"},
                                       number, text, NULL};
            char *const environment[] = {variable, NULL};
            execve("/proc/self/exe", arguments, environment);
            _exit(127);
        }
        char byte;
        close(ends[1]);
        assert_int_equal(read(ends[0], &byte, 1), 1);
        size_t in_arguments = count_in_proc(pid, "cmdline", key);
        size_t in_environment = count_in_proc(pid, "environ", key);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        close(ends[0]);
        assert_int_equal(in_arguments, taken ? 0 : 1);
        assert_int_equal(in_environment, taken ? 0 : 1);
    }
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--take") == 0)
        return started_with_it(argv);
    if (argc == 4 && strcmp(argv[1], "--wait") == 0)
        return write(atoi(argv[2]), "", 1) == 1 ? pause() : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_ways_leave_pieces_that_this_attack_finds),
        cmocka_unit_test(no_piece_is_left_on_the_way_in_or_out),
        cmocka_unit_test(proc_shows_what_was_taken_no_more),
    };
    return RUN_GROUP(tests);
}
