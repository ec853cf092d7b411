/* SPDX-License-Identifier: ISC */
/* What the residue attack does to the library, and to ordinary programs as controls. */
#ifndef ATTACK_RESIDUE_H
#define ATTACK_RESIDUE_H

#include "attacks/subject.h"

#define KEY_BYTES MARKER_BYTES

struct setting {
    securemem_guard_kind kind;
    size_t idle, size;
};

struct scenario {
    const char *name;
    void (*run)(const struct setting *setting); /* in a subject, which it freezes */
    size_t copies; /* that the secret's own places hold in the end */
};

/* Each leaves pieces of the key, though it wipes the copies that it knows of. */
extern const struct scenario residue_controls[];
extern const size_t residue_controls_count;

/* The last control, which leaves them in registers alone: 16 bytes and 8. */
void residue_load_into_registers(const struct setting *setting);
#define PIECES_IN_REGISTERS (16 - PIECE_BYTES + 1 + 1)

#endif
