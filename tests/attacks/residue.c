/* SPDX-License-Identifier: ISC */
/*
 * Attack: freeze a process after an operation on a secret, and look for any 8 bytes in a
 * row of the secret in the rest of its memory and in its registers. Controls: the ways in
 * which ordinary programs leave them.
 */
#include <signal.h>

#include "attacks/residue.h"
#include "attacks/scan.h"
#include "support/pace.h"

#define KEY_PIECES (KEY_BYTES - PIECE_BYTES + 1)

struct frozen {
    const struct scenario *scenario;
    const struct setting *setting;
};

/* A secret with the key at its start and, where it is large enough, at its end. */
static unsigned char *received(securemem_arena *arena, const struct setting *setting)
{
    unsigned char *secret = securemem_arena_alloc(arena, setting->size);
    attack_require(secret != NULL, "securemem_arena_alloc");
    subject_receive(secret, KEY_BYTES);
    if (setting->size >= 2 * KEY_BYTES)
        subject_receive(secret + setting->size - KEY_BYTES, KEY_BYTES);
    return secret;
}

static securemem_arena *arena_for(const struct setting *setting)
{
    securemem_arena *arena = securemem_arena_create(
        &(securemem_arena_options){.guard_kind = setting->kind, .idle = setting->idle});
    attack_require(arena != NULL, "securemem_arena_create");
    return arena;
}

static void receive(const struct setting *setting)
{
    subject_tell(received(arena_for(setting), setting), setting->size);
    SUBJECT_FREEZE();
}

static void open_and_close(const struct setting *setting)
{
    void *secret = received(arena_for(setting), setting);
    attack_require(securemem_set_access(secret, SECUREMEM_NONE) == 0 &&
                       securemem_open(secret, SECUREMEM_READ) == 0 &&
                       securemem_open(secret, SECUREMEM_WRITE) == 0 &&
                       securemem_close(secret) == 0 && securemem_close(secret) == 0,
                   "access");
    subject_tell(secret, setting->size);
    SUBJECT_FREEZE();
}

static void ask(const struct setting *setting)
{
    void *secret = received(arena_for(setting), setting);
    securemem_protection report;
    securemem_budget_report budget;
    attack_require(securemem_protection(secret, &report) == 0 &&
                       securemem_budget(&budget) == 0 &&
                       securemem_size(secret) == setting->size,
                   "reports");
    subject_tell(secret, setting->size);
    SUBJECT_FREEZE();
}

static void enlarge(const struct setting *setting)
{
    void *secret =
        securemem_realloc(received(arena_for(setting), setting), 3 * setting->size + 5);
    attack_require(secret != NULL, "securemem_realloc");
    subject_tell(secret, 3 * setting->size + 5);
    SUBJECT_FREEZE();
}

static void shrink(const struct setting *setting)
{
    void *secret = securemem_realloc(received(arena_for(setting), setting), KEY_BYTES);
    attack_require(secret != NULL, "securemem_realloc");
    subject_tell(secret, KEY_BYTES);
    SUBJECT_FREEZE();
}

static void duplicate_closed(const struct setting *setting)
{
    void *secret = received(arena_for(setting), setting);
    attack_require(securemem_set_access(secret, SECUREMEM_NONE) == 0, "closing");
    void *copy = securemem_dup(secret);
    attack_require(copy != NULL, "securemem_dup");
    subject_tell(secret, setting->size);
    subject_tell(copy, setting->size);
    SUBJECT_FREEZE();
}

static void compare(const struct setting *setting)
{
    void *secret = received(arena_for(setting), setting);
    void *copy = securemem_dup(secret);
    attack_require(copy != NULL && securemem_equal(secret, copy, setting->size) == 1,
                   "securemem_equal");
    subject_tell(secret, setting->size);
    subject_tell(copy, setting->size);
    SUBJECT_FREEZE();
}

static void wipe(const struct setting *setting)
{
    securemem_wipe(received(arena_for(setting), setting), setting->size);
    SUBJECT_FREEZE();
}

static void wipe_all(const struct setting *setting)
{
    void *secret = received(arena_for(setting), setting);
    attack_require(securemem_set_access(secret, SECUREMEM_NONE) == 0 &&
                       securemem_wipe_all() == 0,
                   "securemem_wipe_all");
    SUBJECT_FREEZE();
}

static void free_it(const struct setting *setting)
{
    securemem_free(received(arena_for(setting), setting));
    SUBJECT_FREEZE();
}

static void free_among_others(const struct setting *setting)
{
    securemem_arena *arena = arena_for(setting);
    void *before = securemem_arena_alloc(arena, setting->size);
    void *secret = received(arena, setting);
    void *behind = securemem_dup(secret);
    attack_require(before != NULL && behind != NULL, "neighbours");
    securemem_free(behind);
    securemem_free(secret);
    SUBJECT_FREEZE();
}

static void use_all_and_free(const struct setting *setting)
{
    securemem_arena *arena = arena_for(setting);
    void *secret = received(arena, setting);
    void *copy = securemem_dup(secret);
    attack_require(copy != NULL && securemem_equal(secret, copy, setting->size) == 1 &&
                       securemem_set_access(copy, SECUREMEM_READ) == 0,
                   "use");
    secret = securemem_realloc(secret, 2 * setting->size);
    copy = securemem_realloc(copy, setting->size + 1);
    attack_require(secret != NULL && copy != NULL, "securemem_realloc");
    securemem_free(secret);
    securemem_free(copy);
    attack_require(securemem_arena_trim(arena) == 0, "securemem_arena_trim");
    SUBJECT_FREEZE();
}

static void destroy(const struct setting *setting)
{
    securemem_arena *arena = arena_for(setting);
    attack_require(securemem_dup(received(arena, setting)) != NULL, "securemem_dup");
    securemem_arena_destroy(arena);
    SUBJECT_FREEZE();
}

static const struct scenario scenarios[] = {
    {"alloc and read(2)", receive, 1},
    {"set_access, open, close", open_and_close, 1},
    {"protection, budget, size", ask, 1},
    {"realloc, larger", enlarge, 1},
    {"realloc, smaller", shrink, 0}, /* one copy, whatever the size was */
    {"dup of a closed secret", duplicate_closed, 2},
    {"equal", compare, 2},
    {"wipe", wipe, 0},
    {"wipe_all", wipe_all, 0},
    {"free", free_it, 0},
    {"free among others", free_among_others, 0},
    {"dup, equal, realloc, free, trim", use_all_and_free, 0},
    {"arena_destroy", destroy, 0},
};

static void run_frozen(const void *argument)
{
    const struct frozen *frozen = argument;
    frozen->scenario->run(frozen->setting);
}

/* False where the machine cannot run the attack. */
static bool attack(const struct scenario *scenario, const struct setting *setting,
                   struct scan *scan)
{
    struct frozen frozen = {scenario, setting};
    struct subject subject;
    if (!scan_is_known() || !subject_start(&subject, true, run_frozen, &frozen))
        return false;
    unsigned char key[KEY_BYTES];
    struct pieces pieces;
    marker_draw(key);
    pieces_of(&pieces, key, sizeof key);
    subject_send(&subject, key, sizeof key);
    subject_send(&subject, key, sizeof key);
    subject_run(&subject);
    if (subject.stop == SIGTRAP)
        *scan = scan_subject(&subject, &pieces);
    int stop = subject.stop;
    char words[512];
    subject_end(&subject, words, sizeof words);
    if (stop != SIGTRAP)
        fail_msg("%s: stopped by %d: %s", scenario->name, stop, words);
    return true;
}

static void library_operations_leave_no_piece_of_a_secret(void **state)
{
    (void)state;
    size_t page = view_page_size();
    /* Alone, filling a page, and with canaries shorter than a vector on either side. */
    const size_t sizes[] = {KEY_BYTES, page, page - 24, 2 * page - 9};
    securemem_guard_kind kinds[2];
    size_t count = attack_guard_kinds(kinds), runs = 0;
    for (size_t i = 0; i < COUNT(scenarios); i++)
        for (size_t j = 0; j < (pace() > 1 ? 1 : COUNT(sizes)) * count; j++) {
            struct setting setting = {.kind = kinds[j % count],
                                      .idle = (i + j / count) % 2 == 0 ? 0 : SIZE_MAX,
                                      .size = sizes[j / count]};
            struct scan scan;
            if (!attack(&scenarios[i], &setting, &scan))
                SKIP("registers are known on x86-64, where ptrace(2) is allowed");
            size_t ends = setting.size >= 2 * KEY_BYTES ? 2 : 1;
            size_t in_place = scenarios[i].run == shrink
                                  ? KEY_PIECES
                                  : scenarios[i].copies * ends * KEY_PIECES;
            if (scan.elsewhere + scan.registers > 0 || scan.in_place != in_place)
                fail_msg("%s of %zu bytes, idle %zu, guards %d: %zu pieces in memory, "
                         "%zu in registers, %zu of %zu in place\n%s",
                         scenarios[i].name, setting.size, setting.idle, setting.kind,
                         scan.elsewhere, scan.registers, scan.in_place, in_place,
                         scan.where);
            runs++;
        }
    NOTE("0 pieces outside the secrets in %zu runs of %zu scenarios", runs,
         COUNT(scenarios));
    SAY_WHICH_KINDS(count);
}

static void ordinary_programs_leave_pieces_that_this_attack_finds(void **state)
{
    (void)state;
    for (size_t i = 0; i < residue_controls_count; i++) {
        struct setting setting = {.size = KEY_BYTES};
        struct scan scan;
        if (!attack(&residue_controls[i], &setting, &scan))
            SKIP("registers are known on x86-64, where ptrace(2) is allowed");
        NOTE("%s: %zu pieces in memory, %zu in registers", residue_controls[i].name,
             scan.elsewhere, scan.registers);
        assert_true(scan.elsewhere + scan.registers >= 1);
        if (residue_controls[i].run == residue_load_into_registers)
            assert_true(scan.registers >= PIECES_IN_REGISTERS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_programs_leave_pieces_that_this_attack_finds),
        cmocka_unit_test(library_operations_leave_no_piece_of_a_secret),
    };
    return RUN_GROUP(tests);
}
