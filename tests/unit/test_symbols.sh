#!/bin/sh
# SPDX-License-Identifier: ISC
# What the built libraries show to the linker, how the shared one is hardened, and that
# each public header stands alone.
#
#   test_symbols.sh ARCHIVE SHARED_LIBRARY SOURCE_DIRECTORY C_COMPILER
set -eu
archive=$1 shared=$2 source=$3 compiler=$4
checks=0 skips=0 failures=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The rest of the line is a sentence that is true where the last command succeeded.
holds() {
    if [ "$?" -eq 0 ]; then
        checks=$((checks + 1))
    else
        echo "FAILED: $*"
        failures=$((failures + 1))
    fi
}

# grep for what should not be there.
lacks() {
    if grep "$@"; then
        return 1
    fi
}

skip() {
    echo "SKIP: test_symbols: $*"
    skips=$((skips + 1))
}

# A sanitizer adds marks of its own (__odr_asan) to what it compiles.
archive_symbols() {
    nm --extern-only --defined-only --format=posix "$archive" |
        awk 'NF > 1 { print $1 }' | grep -vE '^(__odr_asan|DW\.ref\.)'
}

check_symbols() {
    archive_symbols >"$work/archive" || :
    grep -qx securemem_alloc "$work/archive"
    holds "the archive has securemem_alloc: nm was read"
    lacks -vE '^(securemem|smem)_' "$work/archive"
    holds "every external symbol of the archive begins with securemem_ or smem_"

    sed -n 's/^    \(securemem_[a-z0-9_]*\);$/\1/p' "$source/securemem/securemem.map" |
        sort >"$work/wanted"
    nm --dynamic --extern-only --defined-only --format=posix "$shared" |
        awk '{ print $1 }' | sed 's/@.*//' | grep -v '^SECUREMEM_' | sort >"$work/given"
    [ -s "$work/wanted" ] && diff "$work/wanted" "$work/given"
    holds "the shared library gives exactly the symbols of securemem.map"
    nm --dynamic --extern-only --defined-only --with-symbol-versions "$shared" |
        grep -q 'securemem_protection@@SECUREMEM_0'
    holds "symbols bear their version"
}

check_hardening() {
    readelf --wide --dynamic "$shared" >"$work/dynamic"
    readelf --wide --program-headers "$shared" >"$work/headers"
    grep -q 'FLAGS.*BIND_NOW' "$work/dynamic"
    holds "every symbol is bound when the library is loaded"
    grep -q 'FLAGS_1.*NODELETE' "$work/dynamic"
    holds "the library stays in memory once it is loaded"
    lacks 'FLAGS_1.*NOOPEN' "$work/dynamic"
    holds "the library may be loaded by dlopen"
    grep -q 'GNU_RELRO' "$work/headers"
    holds "relocations become read-only"
    grep -q 'GNU_STACK .* RW ' "$work/headers"
    holds "the stack is not executable"
    lacks TEXTREL "$work/dynamic"
    holds "the text has no relocations"
}

# Where a call looks for its thread's variables, and where guarded secrets end: at the same
# offset of a page they would drive each other out of the processor's first cache.
check_table_of_addresses() {
    if ! readelf --wide --sections "$shared" | grep -q ' \.got\.gap '; then
        skip "the linker leaves no room behind the table of addresses"
        return
    fi
    readelf --wide --relocs "$shared" | grep -E '_(TPOFF64|TLS_TPREL64|TLSDESC) ' \
        >"$work/threads"
    holds "the library asks where a thread's variables are"
    # The last 512 bytes of a page: e00 to fff.
    lacks -E '^[0-9a-f]*[ef][0-9a-f]{2} ' "$work/threads"
    holds "no such address stands where a page ends"
}

# Twice in one file: a header that lacks its include guard is found as well.
check_header() {
    printf '#include <%s>\n#include <%s>\nint unused;\n' "$3" "$3" >"$work/alone.$2"
    # shellcheck disable=SC2086 # a compiler with its options
    $1 -Wall -Wextra -Wpedantic -Werror -I "$source/include" -fsyntax-only \
        "$work/alone.$2"
    holds "$3 compiles alone by $1"
}

check_headers() {
    if ! command -v "$compiler" >/dev/null; then
        skip "no C compiler for the headers"
        return
    fi
    if command -v g++ >/dev/null; then
        cxx=g++
    else
        cxx=
        skip "no g++ for the headers as C++"
    fi
    for header in securemem.h "$source"/include/securemem/*.h; do
        header=${header#"$source/include/"}
        check_header "$compiler -std=c11" c "$header"
        [ -z "$cxx" ] || check_header "$cxx -std=c++11" cc "$header"
    done
}

# A condition that fails is counted by holds, so it may not end the script before.
set +e
if command -v nm >/dev/null && command -v readelf >/dev/null; then
    check_symbols
    check_hardening
    check_table_of_addresses
else
    skip "no binutils"
fi
check_headers

echo "$checks held, $failures failed, $skips skipped"
[ "$failures" -eq 0 ] || exit 1
[ "$checks" -gt 0 ] || exit 77
