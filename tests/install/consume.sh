#!/bin/sh
# SPDX-License-Identifier: ISC
# consume.sh BUILD SOURCE: installs BUILD into a prefix of its own, takes the program out of
# README.md, and builds and runs it with CMake and with pkg-config, shared and static.
set -eu
build=$1 source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if grep -q '^SECUREMEM_SANITIZE:STRING=..*' "$build/CMakeCache.txt"; then
    echo "SKIP: consumer: a sanitized library is not for installing"
    exit 77
fi

cmake --install "$build" --prefix "$work/prefix" >"$work/log" || { cat "$work/log"; exit 1; }

mkdir "$work/program"
awk '/^```c$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' \
    "$source/README.md" >"$work/program/program.c"
[ -s "$work/program/program.c" ] || { echo "README.md has no program"; exit 1; }

cat >"$work/program/CMakeLists.txt" <<'EOF'
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C)
find_package(securemem 0.1 REQUIRED)
add_executable(with_shared program.c)
target_link_libraries(with_shared PRIVATE securemem::securemem)
add_executable(with_static program.c)
target_link_libraries(with_static PRIVATE securemem::securemem_static)
EOF
if ! { cmake -S "$work/program" -B "$work/out" -DCMAKE_PREFIX_PATH="$work/prefix" \
    -DCMAKE_C_FLAGS=-Werror && cmake --build "$work/out"; } >"$work/log" 2>&1; then
    cat "$work/log"
    exit 1
fi

# check NAME PROGRAM: it runs, and is linked the way its name says.
check() {
    "$2" >"$work/said" || { echo "$1: failed"; cat "$work/said"; exit 1; }
    linked=$(ldd "$2" | grep -c libsecuremem || :)
    case $1 in
    *shared) [ "$linked" -eq 1 ] ;;
    *static) [ "$linked" -eq 0 ] ;;
    esac || { echo "$1: linked the wrong way"; exit 1; }
    echo "$1: $(cat "$work/said")"
}
check cmake-shared "$work/out/with_shared"
check cmake-static "$work/out/with_static"

PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name securemem.pc)")
export PKG_CONFIG_PATH
# As README.md says; the prefix is another than the build was configured for.
flags() { pkg-config "$@" securemem; }
library=$(flags --variable=libdir)
# shellcheck disable=SC2046 # lists of words
cc -Werror "$work/program/program.c" $(flags --cflags --libs) -Wl,-rpath,"$library" \
    -o "$work/pc-shared"
# shellcheck disable=SC2046
cc -Werror "$work/program/program.c" $(flags --cflags) "$library/libsecuremem.a" \
    $(pkg-config --libs libsodium) -pthread -o "$work/pc-static"
check pkg-config-shared "$work/pc-shared"
for program in "$work/pc-shared" "$work/out/with_shared" "$work/out/with_static"; do
    readelf --wide --dynamic "$program" | grep -qE 'BIND_NOW|NOW' ||
        { echo "$program is bound lazily"; exit 1; }
done
check pkg-config-static "$work/pc-static"
