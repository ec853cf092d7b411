/* SPDX-License-Identifier: ISC */
/* What ordinary programs do with a key. */
#include "attacks/residue.h"

static unsigned char *block_of(size_t size)
{
    unsigned char *block = malloc(size);
    attack_require(block != NULL, "malloc");
    return block;
}

static void just_free(const struct setting *setting)
{
    (void)setting;
    unsigned char *block = block_of(KEY_BYTES);
    subject_receive(block, KEY_BYTES);
    free(hidden(block));
    SUBJECT_FREEZE();
}

static void copy_by_memcpy(const struct setting *setting)
{
    (void)setting;
    void *(*volatile copy)(void *, const void *, size_t) = memcpy;
    unsigned char *from = block_of(KEY_BYTES), *to = block_of(KEY_BYTES);
    subject_receive(from, KEY_BYTES);
    copy(to, from, KEY_BYTES);
    for (size_t i = 0; i < KEY_BYTES; i++)
        ((volatile unsigned char *)from)[i] = ((volatile unsigned char *)to)[i] = 0;
    SUBJECT_FREEZE();
}

static void read_by_fread(const struct setting *setting)
{
    (void)setting;
    unsigned char *block = block_of(KEY_BYTES);
    FILE *file = fdopen(subject_descriptor(), "r");
    attack_require(file != NULL && fread(block, 1, KEY_BYTES, file) == KEY_BYTES,
                   "fread");
    securemem_wipe(block, KEY_BYTES);
    fclose(file);
    SUBJECT_FREEZE();
}

static void write_by_fwrite(const struct setting *setting)
{
    (void)setting;
    unsigned char *block = block_of(KEY_BYTES);
    subject_receive(block, KEY_BYTES);
    FILE *file = fopen("/dev/null", "we");
    attack_require(file != NULL && fwrite(block, 1, KEY_BYTES, file) == KEY_BYTES,
                   "fwrite");
    securemem_wipe(block, KEY_BYTES);
    fclose(file);
    SUBJECT_FREEZE();
}

static void move_by_realloc(const struct setting *setting)
{
    (void)setting;
    unsigned char *block = block_of(KEY_BYTES);
    (void)block_of(KEY_BYTES); /* stands in the way */
    subject_receive(block, KEY_BYTES);
    block = realloc(block, 100 * KEY_BYTES);
    attack_require(block != NULL, "realloc");
    securemem_wipe(block, KEY_BYTES);
    SUBJECT_FREEZE();
}

struct by_value {
    unsigned char bytes[KEY_BYTES];
};

__attribute__((noinline)) static void take(struct by_value key)
{
    (void)hidden(&key);
}

static void pass_by_value(const struct setting *setting)
{
    (void)setting;
    struct by_value *key = hidden(block_of(sizeof *key));
    subject_receive(key, sizeof *key);
    take(*key);
    securemem_wipe(key, sizeof *key);
    SUBJECT_FREEZE();
}

#if defined(__x86_64__)
void residue_load_into_registers(const struct setting *setting)
{
    (void)setting;
    static unsigned char key[KEY_BYTES];
    subject_receive(key, KEY_BYTES);
    __asm__ volatile("movdqu (%0), %%xmm9\n\t"
                     "mov 24(%0), %%r11\n\t"
                     "movq $64, %%rcx\n\t"
                     "mov %0, %%rdi\n\t"
                     "xor %%eax, %%eax\n\t"
                     "rep stosb\n\t"
                     "int3"
                     :
                     : "r"(key)
                     : "memory", "rax", "rcx", "rdi", "r11", "xmm9", "cc");
}
#else
void residue_load_into_registers(const struct setting *setting)
{
    just_free(setting);
}
#endif

const struct scenario residue_controls[] = {
    {"malloc and free", just_free, 0},
    {"memcpy", copy_by_memcpy, 0},
    {"fread", read_by_fread, 0},
    {"fwrite", write_by_fwrite, 0},
    {"realloc of malloc", move_by_realloc, 0},
    {"a struct by value", pass_by_value, 0},
    {"registers", residue_load_into_registers, 0},
};

const size_t residue_controls_count = COUNT(residue_controls);
