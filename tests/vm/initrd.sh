#!/bin/sh
# SPDX-License-Identifier: ISC
# initrd.sh INIT PROGRAMS OUT: an initial file system of the static program INIT, the
# programs that the file PROGRAMS names, a command each line, with the libraries they need,
# at the paths they have here, and what tests call: a shell, true and grep.
set -eu
init=$1 programs=$2 out=$3
root=$(mktemp -d)
chmod 755 "$root" # an ordinary user's / as well
trap 'rm -rf "$root"' EXIT

add() {
    [ ! -e "$root$1" ] || return 0
    mkdir -p "$root$(dirname "$1")"
    cp -L "$1" "$root$1"
}

add_with_libraries() {
    add "$1"
    ldd "$1" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' |
        while read -r library; do
            add "$library"
        done
}

cp "$init" "$root/init"
cp "$programs" "$root/programs"
tr ' ' '\n' <"$programs" | grep '^/' | while read -r file; do
    add_with_libraries "$file"
done
for tool in sh true grep; do
    path=$(command -v "$tool")
    case $path in
    /*) ;;
    *) path=/bin/$tool ;;
    esac
    add_with_libraries "$path"
    mkdir -p "$root/bin"
    [ -e "$root/bin/$tool" ] || cp "$root$path" "$root/bin/$tool"
done
# pthread_exit(3) loads it when it is first called.
for library in /lib/x86_64-linux-gnu/libgcc_s.so.1 /lib64/libgcc_s.so.1; do
    [ ! -e "$library" ] || add "$library"
done
mkdir -p "$root/etc"
echo "root:x:0:0:root:/:/bin/sh" >"$root/etc/passwd"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$out"
