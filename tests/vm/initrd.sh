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

# Files, with the libraries they need.
add() {
    cp -L --parents "$@" "$root"
    ldd "$@" 2>/dev/null |
        sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | sort -u |
        xargs cp -L --parents --target-directory="$root"
}

cp "$init" "$root/init"
cp "$programs" "$root/programs"
# shellcheck disable=SC2046 # their paths have no spaces
add $(tr ' ' '\n' <"$programs" | grep '^/')
for tool in sh true grep; do
    path=$(command -v "$tool")
    case $path in
    /*) ;;
    *) path=/bin/$tool ;;
    esac
    add "$path"
    mkdir -p "$root/bin"
    [ -e "$root/bin/$tool" ] || cp "$root$path" "$root/bin/$tool"
done
# pthread_exit(3) loads it when it is first called.
for library in /lib/x86_64-linux-gnu/libgcc_s.so.1 /lib64/libgcc_s.so.1; do
    [ ! -e "$library" ] || cp -L --parents "$library" "$root"
done
mkdir -p "$root/etc"
echo "root:x:0:0:root:/:/bin/sh" >"$root/etc/passwd"
# As it is: to unpack it is dear where that is emulated.
(cd "$root" && find . | cpio -o -H newc --quiet) >"$out"
