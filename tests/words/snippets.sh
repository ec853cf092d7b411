#!/bin/sh
# SPDX-License-Identifier: ISC
# snippets.sh SOURCE COMPILER: what README.md shows in passing compiles, too.
set -eu
source=$1 compiler=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{
    cat <<'EOF'
#include <err.h>
#include <securemem.h>
#include <stdio.h>
extern unsigned char key[32];
extern const char message[];
void sign(const void *key, const char *message);
void sign_with(void *key);
void answer(void);
EOF
    awk '/^```/ { if (open) { if (plain) print "}"; open = 0; next }
                  open = 1; plain = $0 == "```"
                  if (plain) print "void snippet" ++n "(void)\n{"
                  next }
         open && plain' "$source/README.md"
} >"$work/snippets.c"
count=$(grep -c '^void snippet' "$work/snippets.c")
[ "$count" -ge 6 ] || { echo "README.md has $count snippets only"; exit 1; }
"$compiler" -std=gnu11 -fsyntax-only -Wall -Wextra -Werror -Wno-unused-variable -Wno-shadow \
    -I "$source/include" "$work/snippets.c"
