/* SPDX-License-Identifier: ISC */
/*
 * Attack: examples/agent, the program itself, after clients gave it keys and had it sign with
 * each: its memory and registers by ptrace(2), and the most that a debugger dumps of it
 * (gcore -a). No piece of a private key may be there, of Ed25519 seeds and scalars, of an
 * ECDSA number, of RSA's exponent and factors, in either order of bytes, nor of the
 * passphrase that it was locked with. Control: the same program and steps, with malloc in the
 * place of the library (agent_ordinary.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/dial.h"
#include "attacks/guardian.h"
#include "attacks/scan.h"

#define ED25519_KEYS     10U
#define SEED_BYTES       32U
#define RSA_BITS         2048U
#define NUMBER_MOST      (RSA_BITS / 8 + 1)
#define RSA_SHA2_512     4U
#define PASSPHRASE_BYTES 40U

/* What must not be found: up to 64 bytes of each private value. */
struct value {
    const char *name;
    bool sent; /* in this form: the control has to show it */
    unsigned char bytes[MARKER_BYTES];
    size_t length;
};
static struct value values[2 * ED25519_KEYS + 2 * 4 + 1];
static size_t values_count;

static struct reply frames[ED25519_KEYS + 2]; /* that add a key, */
static struct reply blobs[ED25519_KEYS + 2];  /* and its public half */
static size_t keys_count;

static void keep(const char *name, bool sent, const unsigned char *bytes, size_t length)
{
    assert_true(values_count < COUNT(values));
    struct value *value = &values[values_count++];
    value->name = name;
    value->sent = sent;
    value->length = length < MARKER_BYTES ? length : MARKER_BYTES;
    memcpy(value->bytes, bytes, value->length);
}

/* As it is sent, and as libcrypto has it: the least significant byte first. */
static void keep_both(const char *name, const unsigned char *bytes, size_t length)
{
    unsigned char turned[MARKER_BYTES];
    length = length < MARKER_BYTES ? length : MARKER_BYTES;
    for (size_t i = 0; i < length; i++)
        turned[i] = bytes[length - 1 - i];
    keep(name, true, bytes, length);
    keep(name, false, turned, length);
}

static void begin_key(const char *name, struct reply **frame, struct reply **blob)
{
    *frame = &frames[keys_count];
    *blob = &blobs[keys_count++];
    dial_begin(*frame, DIAL_ADD);
    reply_text(*frame, name);
    reply_clear(*blob);
    reply_text(*blob, name);
}

static void end_key(struct reply *frame)
{
    reply_text(frame, "a key");
    reply_end(frame, 0);
}

static void make_ed25519(void)
{
    struct reply *frame, *blob;
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
    unsigned char secret_key[crypto_sign_SECRETKEYBYTES];
    unsigned char expanded[crypto_hash_sha512_BYTES];
    assert_int_equal(crypto_sign_keypair(public_key, secret_key), 0);
    begin_key("ssh-ed25519", &frame, &blob);
    reply_string(frame, (struct span){public_key, sizeof public_key});
    reply_string(frame, (struct span){secret_key, sizeof secret_key});
    reply_string(blob, (struct span){public_key, sizeof public_key});
    end_key(frame);
    keep("seed", true, secret_key, SEED_BYTES);
    crypto_hash_sha512(expanded, secret_key, SEED_BYTES);
    expanded[0] &= 248; /* RFC 8032, 5.1.5 */
    expanded[31] = (unsigned char)((expanded[31] & 127) | 64);
    keep("scalar", false, expanded, sizeof expanded);
}

/* A number of a key, as bytes; appended to what adds it, and to its public half. */
static void put(EVP_PKEY *key, const char *name, const char *secret, struct reply *frame,
                struct reply *blob)
{
    unsigned char bytes[NUMBER_MOST];
    BIGNUM *number = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &number), 1);
    int length = BN_bn2bin(number, bytes);
    BN_clear_free(number);
    assert_true(length > 0);
    struct span span = {bytes, (size_t)length};
    if (frame != NULL)
        reply_positive(frame, span);
    if (blob != NULL)
        reply_positive(blob, span);
    if (secret != NULL)
        keep_both(secret, bytes, (size_t)length);
}

static void make_rsa(void)
{
    struct reply *frame, *blob;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)RSA_BITS);
    assert_non_null(key);
    begin_key("ssh-rsa", &frame, &blob);
    put(key, OSSL_PKEY_PARAM_RSA_E, NULL, NULL, blob);
    put(key, OSSL_PKEY_PARAM_RSA_N, NULL, frame, blob);
    put(key, OSSL_PKEY_PARAM_RSA_E, NULL, frame, NULL);
    put(key, OSSL_PKEY_PARAM_RSA_D, "exponent", frame, NULL);
    put(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, NULL, frame, NULL);
    put(key, OSSL_PKEY_PARAM_RSA_FACTOR1, "first factor", frame, NULL);
    put(key, OSSL_PKEY_PARAM_RSA_FACTOR2, "second factor", frame, NULL);
    end_key(frame);
    EVP_PKEY_free(key);
}

static void make_ecdsa(void)
{
    struct reply *frame, *blob;
    unsigned char point[2 * 32 + 1];
    size_t length = 0;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    assert_non_null(key);
    assert_int_equal(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point,
                                                     sizeof point, &length),
                     1);
    begin_key("ecdsa-sha2-nistp256", &frame, &blob);
    reply_text(frame, "nistp256");
    reply_string(frame, (struct span){point, length});
    reply_text(blob, "nistp256");
    reply_string(blob, (struct span){point, length});
    put(key, OSSL_PKEY_PARAM_PRIV_KEY, "number", frame, NULL);
    end_key(frame);
    EVP_PKEY_free(key);
}

static unsigned char passphrase[PASSPHRASE_BYTES];

static void make_passphrase(void)
{
    randombytes_buf(passphrase, sizeof passphrase);
    keep("passphrase", true, passphrase, sizeof passphrase);
}

static void make_keys(void)
{
    values_count = keys_count = 0;
    for (unsigned i = 0; i < ED25519_KEYS; i++)
        make_ed25519();
    make_rsa();
    make_ecdsa();
    make_passphrase();
}

struct plan {
    char directory[64], socket[80];
    bool ordinary;
};

static void become_the_agent(const void *argument)
{
    const struct plan *plan = argument;
    char *argv[] = {(char *)(uintptr_t)AGENT, (char *)(uintptr_t) "-D",
                    (char *)(uintptr_t) "-a", (char *)(uintptr_t)plan->socket, NULL};
    attack_require(!plan->ordinary || setenv("LD_PRELOAD", AGENT_ORDINARY, 1) == 0,
                   "setenv");
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    attack_require(null >= 0 && dup2(null, STDOUT_FILENO) >= 0, "/dev/null");
    execv(AGENT, argv);
    attack_require(false, "execv");
}

/* Until it listens there: its socket has a name before that. */
static void await_agent(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path));
    bool there = false;
    for (unsigned i = 0; i < 1000 && !there; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        there = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
        close(fd);
        if (!there)
            usleep(10000);
    }
}

static pid_t driven; /* the agent, in the process of its clients */

/* Also where a client fails: the test waits for that. */
static void stop_agent(void)
{
    kill(driven, SIGSTOP);
}

/*
 * The clients, who lock and unlock it at the end, are a process of their own: the test waits
 * for the agent meanwhile.
 */
static void drive(const struct plan *plan, pid_t agent)
{
    static const unsigned char data[] = "what everyone may read";
    struct reply sign = {0};
    driven = agent;
    if (atexit(stop_agent) != 0)
        abort();
    await_agent(plan->socket);
    int fd = dial(plan->socket);
    for (size_t i = 0; i < keys_count; i++) {
        (void)dial_ask(fd, &frames[i], DIAL_SUCCESS);
        dial_begin(&sign, DIAL_SIGN);
        reply_string(&sign, reply_span(&blobs[i]));
        reply_string(&sign, (struct span){data, sizeof data});
        reply_u32(&sign, RSA_SHA2_512);
        reply_end(&sign, 0);
        (void)dial_ask(fd, &sign, DIAL_SIGNED);
        (void)dial_ask(fd, &sign, DIAL_SIGNED);
    }
    for (unsigned i = 0; i < 2; i++) {
        dial_begin(&sign, i == 0 ? DIAL_LOCK : DIAL_UNLOCK);
        reply_string(&sign, (struct span){passphrase, sizeof passphrase});
        reply_end(&sign, 0);
        (void)dial_ask(fd, &sign, DIAL_SUCCESS);
    }
    usleep(50000); /* it waits for what comes next */
    exit(0);
}

/* Leaves the agent stopped, idle, with all keys. False: the machine refuses the attack. */
static bool bring_to_idle(struct subject *subject, struct plan *plan, bool traced)
{
    char path[64];
    snprintf(plan->socket, sizeof plan->socket, "%s/agent", plan->directory);
    unlink(plan->socket);
    if (!subject_start(subject, traced, become_the_agent, plan))
        return false;
    make_keys();
    fflush(NULL);
    if (traced) {
        subject_run(subject); /* to the first instruction of the program */
        assert_int_equal(subject->stop, SIGTRAP);
        close(subject->memory);
        snprintf(path, sizeof path, "/proc/%ld/mem", (long)subject->pid);
        subject->memory = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(subject->memory >= 0);
    }
    pid_t clients = fork();
    assert_true(clients >= 0);
    if (clients == 0)
        drive(plan, subject->pid);
    subject_run(subject);
    int status = 0;
    assert_int_equal(waitpid(clients, &status, 0), clients);
    if (subject->stop != SIGSTOP || status != 0) {
        char words[512];
        int stop = subject->stop;
        subject_end(subject, words, sizeof words);
        fail_msg("the agent was stopped by %d, its clients ended with %#x: %s", stop,
                 (unsigned)status, words);
    }
    return true;
}

static int remove_directory(const void *path)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", (const char *)path);
    return system(command);
}

static size_t scan_agent(const struct subject *subject, bool shows)
{
    size_t total = 0;
    for (size_t i = 0; i < values_count; i++) {
        struct pieces pieces;
        pieces_of(&pieces, values[i].bytes, values[i].length);
        struct scan scan = scan_subject(subject, &pieces);
        size_t found = scan.elsewhere + scan.registers;
        if (found > 0 && !shows)
            print_message("%s: %zu in registers, %s", values[i].name, scan.registers,
                          scan.where);
        total += found;
        if (shows && values[i].sent && found == 0)
            fail_msg("the control does not show a %s", values[i].name);
    }
    return total;
}

static size_t scan_file(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    assert_true(file >= 0 && fstat(file, &info) == 0 && info.st_size > 0);
    size_t length = (size_t)info.st_size, total = 0;
    void *bytes = mmap(NULL, length, PROT_READ, MAP_PRIVATE, file, 0);
    assert_ptr_not_equal(bytes, MAP_FAILED);
    for (size_t i = 0; i < values_count; i++) {
        struct pieces pieces;
        pieces_of(&pieces, values[i].bytes, values[i].length);
        total += pieces_count(&pieces, bytes, length);
    }
    munmap(bytes, length);
    close(file);
    return total;
}

/* Pieces of keys that a scan, or a core, of the idle agent shows. */
struct found {
    size_t scanned, dumped;
};

static struct found attack(struct plan *plan)
{
    struct found found = {0};
    struct subject subject;
    char words[512], command[256], path[128];
    if (!bring_to_idle(&subject, plan, true))
        SKIP("ptrace(2) is forbidden");
    found.scanned = scan_agent(&subject, plan->ordinary);
    subject_end(&subject, words, sizeof words);

    assert_true(bring_to_idle(&subject, plan, false));
    snprintf(path, sizeof path, "%s/core.%ld", plan->directory, (long)subject.pid);
    snprintf(command, sizeof command, "gcore -a -o %s/core %ld >/dev/null 2>&1",
             plan->directory, (long)subject.pid);
    bool wrote = system(command) == 0;
    if (wrote)
        found.dumped = scan_file(path);
    subject_end(&subject, words, sizeof words);
    unlink(path);
    assert_true(wrote); /* a dump that was not made proves nothing */
    return found;
}

static void an_idle_agent_holds_no_piece_of_its_keys(void **state)
{
    (void)state;
    assert_true(sodium_init() >= 0);
    if (!scan_is_known())
        SKIP("registers are known on x86-64");
    if (system("command -v gcore >/dev/null 2>&1") != 0)
        SKIP("there is no gcore here (the package gdb)");
    struct plan plan = {.directory = "/tmp/securemem-agent-XXXXXX", .ordinary = true};
    assert_non_null(mkdtemp(plan.directory));
    struct guardian guardian;
    guardian_start(&guardian, remove_directory, plan.directory);
    struct found control = attack(&plan);
    plan.ordinary = false;
    struct found found = attack(&plan);
    assert_int_equal(guardian_finish(&guardian), 0);

    NOTE(
        "%zu keys, each of which has signed: %zu pieces of them in memory and registers, "
        "%zu in a core of gcore -a; with malloc %zu and %zu",
        keys_count, found.scanned, found.dumped, control.scanned, control.dumped);
    assert_true(control.dumped >= ED25519_KEYS * (SEED_BYTES - PIECE_BYTES + 1));
    assert_int_equal(found.scanned, 0);
    assert_int_equal(found.dumped, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_agent_holds_no_piece_of_its_keys),
    };
    return RUN_GROUP(tests);
}
