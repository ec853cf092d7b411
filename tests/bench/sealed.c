/* SPDX-License-Identifier: ISC */
#include "sealed.h"

#include <pthread.h>
#include <securemem.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "work.h"

#define MOST    101
#define LARGEST 65536
#define PAGE    4096UL /* of x86-64; where pages are larger, it is refused and not shown */

static unsigned char *plain, *out;
static unsigned char cipher[LARGEST], tag[32], nonce[32];
static crypto_aead_aes256gcm_state *expanded;
static unsigned char raw[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
static bool is_gcm, is_aegis;
static securemem_arena *arena;
static securemem_sealed *idle;
static char *page;
static void *closed[3]; /* by kind of guard */

static bool bare(size_t size)
{
    sodium_increment(nonce, 12);
#ifdef crypto_aead_aegis128l_KEYBYTES
    if (is_aegis)
        return crypto_aead_aegis128l_encrypt_detached(cipher, tag, NULL, plain, size,
                                                      NULL, 0, NULL, nonce, raw) == 0 &&
               crypto_aead_aegis128l_decrypt_detached(out, NULL, cipher, size, tag, NULL,
                                                      0, nonce, raw) == 0;
#endif
    if (!is_gcm)
        return crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
                   cipher, tag, NULL, plain, size, NULL, 0, NULL, nonce, raw) == 0 &&
               crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
                   out, NULL, cipher, size, tag, NULL, 0, nonce, raw) == 0;
    return crypto_aead_aes256gcm_encrypt_detached_afternm(
               cipher, tag, NULL, plain, size, NULL, 0, NULL, nonce, expanded) == 0 &&
           crypto_aead_aes256gcm_decrypt_detached_afternm(out, NULL, cipher, size, tag,
                                                          NULL, 0, nonce, expanded) == 0;
}

static bool seal(size_t size, unsigned flags)
{
    securemem_sealed *sealed = securemem_seal(plain, size, flags);
    void *secret = securemem_unseal(sealed, arena);
    securemem_free(secret);
    securemem_sealed_free(sealed);
    return secret != NULL;
}

static bool seal_plainly(size_t size)
{
    return seal(size, 0);
}

static bool seal_shielded(size_t size)
{
    return seal(size, SECUREMEM_SEAL_SHIELDED);
}

static bool protect(size_t size)
{
    return mprotect(page, size, PROT_READ | PROT_WRITE) == 0 &&
           mprotect(page, size, PROT_NONE) == 0;
}

/* The same two calls on the page of such a secret, behind the library's back. */
static bool protect_secret(size_t kind)
{
    char *start = (char *)((uintptr_t)closed[kind] / PAGE * PAGE);
    return mprotect(start, PAGE, PROT_READ | PROT_WRITE) == 0 &&
           mprotect(start, PAGE, PROT_NONE) == 0;
}

static bool open_secret(size_t kind)
{
    return securemem_open(closed[kind], SECUREMEM_WRITE) == 0 &&
           securemem_close(closed[kind]) == 0;
}

/* The same while another thread runs, which the processor has to be told of. */
static atomic_bool running;

static void *run(void *argument)
{
    while (atomic_load_explicit(&running, memory_order_relaxed))
        continue;
    return argument;
}

static bool open_sealed(size_t size)
{
    (void)size;
    return securemem_sealed_open(idle, SECUREMEM_READ) != NULL &&
           securemem_sealed_close(idle) == 0;
}

/* What is measured, and which row it is held against. */
struct row {
    const char *name;
    bool (*act)(size_t size);
    size_t size;
    int against; /* -1: none */
};

enum {
    BARE_32,
    SEAL_32,
    BARE_4K,
    SEAL_4K,
    BARE_64K,
    SEAL_64K,
    PROTECT,
    SEAL_32_AGAIN,
    SHIELDED,
    PROTECT_ITS_PAGE,
    OPEN,
    PROTECT_MIDDLE,
    OPEN_MIDDLE,
    PROTECT_RUNNING,
    SEAL_RUNNING,
    SCOPE,
    NESTED,
    NESTED_OPEN,
    NESTED_SEALED,
    ROWS
};

static const struct row rows[ROWS] = {
    [BARE_32] = {"the bare cipher, both ways, 32 B", bare, 32, -1},
    [SEAL_32] = {"seal and unseal, 32 B", seal_plainly, 32, BARE_32},
    [BARE_4K] = {"the bare cipher, 4 KiB", bare, 4096, -1},
    [SEAL_4K] = {"seal and unseal, 4 KiB", seal_plainly, 4096, BARE_4K},
    [BARE_64K] = {"the bare cipher, 64 KiB", bare, LARGEST, -1},
    [SEAL_64K] = {"seal and unseal, 64 KiB", seal_plainly, LARGEST, BARE_64K},
    [PROTECT] = {"mprotect, both ways, a locked page", protect, 4096, -1},
    [SEAL_32_AGAIN] = {"seal and unseal, 32 B, beside it", seal_plainly, 32, PROTECT},
    [SHIELDED] = {"seal and unseal, 32 B, shielded", seal_shielded, 32, PROTECT},
    [PROTECT_ITS_PAGE] = {"mprotect of a secret, guards of PROT_NONE", protect_secret,
                          SECUREMEM_GUARDS_PROT_NONE, -1},
    [OPEN] = {"open and close, guards of PROT_NONE", open_secret,
              SECUREMEM_GUARDS_PROT_NONE, PROTECT_ITS_PAGE},
    [PROTECT_MIDDLE] = {"mprotect of a secret, guard regions", protect_secret,
                        SECUREMEM_GUARDS_REGION, -1},
    [OPEN_MIDDLE] = {"open and close, guard regions", open_secret,
                     SECUREMEM_GUARDS_REGION, PROTECT_MIDDLE},
    [PROTECT_RUNNING] = {"mprotect, both ways, a second thread runs", protect, 4096, -1},
    [SEAL_RUNNING] = {"seal and unseal, 32 B, beside it", seal_plainly, 32,
                      PROTECT_RUNNING},
    [SCOPE] = {"open and close a sealed secret, 32 B", open_sealed, 0, PROTECT},
    [NESTED] = {"open and close a secret that is open", open_secret,
                SECUREMEM_GUARDS_PROT_NONE, -1},
    [NESTED_OPEN] = {"the open alone", open_secret, SECUREMEM_GUARDS_PROT_NONE, -1},
    [NESTED_SEALED] = {"the same of a sealed secret", open_sealed, 0, -1},
};

/* Nanoseconds a time; 0 where it fails. */
static double time_of(const struct row *row, double milliseconds)
{
    double start = work_now(), end = start + milliseconds * 1e6, now;
    size_t count = 0;
    do {
        for (unsigned i = 0; i < 16; i++)
            if (!row->act(row->size))
                return 0;
        count += 16;
        now = work_now();
    } while (now < end);
    return (now - start) / (double)count;
}

/* Scopes are opened by the thousand, and closed while the clock stands still. */
#define SCOPES 10000

static double time_of_opens(void *secret, double milliseconds)
{
    double spent = 0, start, limit = work_now() + milliseconds * 1e6;
    size_t count = 0;
    do {
        start = work_now();
        for (size_t i = 0; i < SCOPES; i++)
            if (securemem_open(secret, SECUREMEM_WRITE) != 0)
                return 0;
        spent += work_now() - start;
        count += SCOPES;
        for (size_t i = 0; i < SCOPES; i++)
            securemem_close(secret);
    } while (start < limit);
    return spent / (double)count;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

/* Among others of its kind. */
static bool make_closed(securemem_guard_kind kind)
{
    securemem_arena *of =
        securemem_arena_create(&(securemem_arena_options){.guard_kind = kind});
    for (unsigned i = 0; of != NULL && i < 3; i++) {
        void *secret = securemem_arena_alloc(of, 32);
        if (secret == NULL)
            return false;
        if (i == 1)
            closed[kind] = secret;
    }
    return of != NULL && securemem_set_access(closed[kind], SECUREMEM_NONE) == 0;
}

static bool begin(void)
{
    arena = securemem_arena_create(&(securemem_arena_options){.idle = SIZE_MAX});
    plain = securemem_alloc(LARGEST);
    out = securemem_alloc(LARGEST);
    expanded = securemem_alloc(sizeof *expanded);
    page = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == NULL || plain == NULL || out == NULL || expanded == NULL ||
        page == MAP_FAILED)
        return false;
    page +=
        PAGE; /* alone between two guards, and locked as a secret: mprotect(2) fills it */
    if (mprotect(page, PAGE, PROT_READ | PROT_WRITE) != 0 || mlock(page, PAGE) != 0)
        return false;
    for (int kind = SECUREMEM_GUARDS_PROT_NONE; kind <= SECUREMEM_GUARDS_REGION; kind++)
        if (!make_closed((securemem_guard_kind)kind))
            return false;
    randombytes_buf(raw, sizeof raw);
    is_aegis = strcmp(securemem_sealed_cipher(), "aegis128l") == 0;
    is_gcm = strcmp(securemem_sealed_cipher(), "aes256gcm") == 0;
    if (is_gcm)
        crypto_aead_aes256gcm_beforenm(expanded, raw);
    idle = securemem_seal(plain, 32, 0);
    return idle != NULL;
}

/* What is nested is open already, and the second thread runs. */
static double time_prepared(int row, double milliseconds)
{
    const struct row *it = &rows[row];
    double time = 0;
    pthread_t thread;
    switch (row) {
    case NESTED:
    case NESTED_OPEN:
        if (securemem_open(closed[it->size], SECUREMEM_WRITE) == 0) {
            time = row == NESTED ? time_of(it, milliseconds)
                                 : time_of_opens(closed[it->size], milliseconds);
            securemem_close(closed[it->size]);
        }
        return time;
    case NESTED_SEALED:
        if (securemem_sealed_open(idle, SECUREMEM_READ) != NULL) {
            time = time_of(it, milliseconds);
            securemem_sealed_close(idle);
        }
        return time;
    case PROTECT_RUNNING:
    case SEAL_RUNNING:
        atomic_store(&running, true);
        if (pthread_create(&thread, NULL, run, NULL) != 0)
            return 0;
        time = time_of(it, milliseconds);
        atomic_store(&running, false);
        pthread_join(thread, NULL);
        return time;
    default:
        return time_of(it, milliseconds);
    }
}

static size_t locked_kib(void)
{
    size_t kib = 0;
    char line[256];
    FILE *status = fopen("/proc/self/status", "re");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "VmLck: %zu", &kib) == 1)
            break;
    if (status != NULL)
        fclose(status);
    return kib;
}

static void print_many(size_t many)
{
    securemem_sealed **all = calloc(many, sizeof *all);
    if (all == NULL)
        return;
    size_t before = locked_kib(), made = 0;
    double start = work_now();
    while (made < many && (all[made] = securemem_seal(plain, 32, 0)) != NULL)
        made++;
    double each = (work_now() - start) / (double)(made > 0 ? made : 1);
    printf("%-44s%12zu, %.0f ns each, %zu KiB locked for them\n", "sealed at once", made,
           each, locked_kib() - before);
    for (size_t i = 0; i < made; i++)
        securemem_sealed_free(all[i]);
    free(all);
}

void sealed_print(size_t rounds, double milliseconds, size_t many)
{
    static double times[ROWS][MOST];
    rounds = rounds < MOST ? rounds : MOST;
    printf("\nSealed secrets (%s)\n\n", securemem_sealed_cipher());
    if (!begin()) {
        printf("not measured: %s\n", securemem_last_error()->message);
        return;
    }
    for (size_t r = 0; r < rounds; r++)
        for (int i = 0; i < ROWS; i++)
            times[i][r] = time_prepared(i, milliseconds);
    for (int i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        double ratios[MOST];
        for (size_t r = 0; row->against >= 0 && r < rounds; r++)
            ratios[r] = times[i][r] / times[row->against][r];
        double ratio = row->against >= 0 ? median(ratios, rounds) : 0;
        printf("%-44s%12.1f ns", row->name, median(times[i], rounds));
        if (row->against >= 0)
            printf("%8.2f x %s", ratio, rows[row->against].name);
        printf("\n");
    }
    print_many(many);
}
