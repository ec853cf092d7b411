#!/bin/sh
# SPDX-License-Identifier: ISC
# fetch.sh CACHE: Debian's cloud kernels 5.10, 6.1 and 6.12 and a qemu for x86-64, unpacked
# in the folder CACHE, which keeps them. Debian's packages come by an apt of its own: the
# system's sources, lists and packages are read, and left alone.
#
# Exits with 77 where that cannot be had here, and says why.
set -eu
cache=$1
mirror=${SECUREMEM_MIRROR:-http://deb.debian.org}
keys=/usr/share/keyrings/debian-archive-keyring.gpg

skip() {
    rm -rf "$cache"
    echo "SKIP: vm: $1"
    exit 77
}

[ ! -e "$cache/complete" ] || exit 0
[ "$(uname -m)" = x86_64 ] || skip "the machines are x86-64, and so are the test programs"
for tool in apt-get apt-cache dpkg; do
    command -v "$tool" >/dev/null || skip "there is no $tool here"
done
[ -e "$keys" ] || skip "there are no keys of Debian's archive here"

apt=$cache/apt
rm -rf "$cache"
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/etc/preferences.d" "$cache/debs"
for suite in "debian bookworm" "debian bookworm-backports" "debian bullseye" \
    "debian-security bullseye-security"; do
    echo "deb [signed-by=$keys] $mirror/${suite% *} ${suite#* } main"
done >"$apt/etc/sources.list"

# shellcheck disable=SC2089,SC2090 # paths without quotes in them
options="-o Dir::Etc=$apt/etc -o Dir::Etc::sourcelist=$apt/etc/sources.list
    -o Dir::Etc::sourceparts=/dev/null -o Dir::State=$apt -o Dir::State::lists=$apt/lists
    -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache=$apt/cache
    -o APT::Architecture=amd64 -o Debug::NoLocking=1 -o Acquire::Languages=none
    -o APT::Sandbox::User="
ask() {
    tool=$1
    shift
    # shellcheck disable=SC2086 # a list of words
    "$tool" $options "$@"
}

ask apt-get update -o APT::Update::Error-Mode=any >"$cache/log" 2>&1 || skip "Debian's archive cannot be reached"

# The newest of a version that the mirror still has.
fetch_kernel() {
    ask apt-cache search "^linux-image-$1[.][0-9.]*.*-cloud-amd64-unsigned\$" |
        sed 's/ .*//' | grep -v 'deb11' | sort -Vr >"$cache/names"
    while read -r name; do
        if (cd "$cache/debs" && ask apt-get download "$name") >>"$cache/log" 2>&1; then
            mkdir "$cache/linux-$1"
            dpkg -x "$cache/debs/$name"_*.deb "$cache/linux-$1"
            mv "$cache/linux-$1"/boot/vmlinuz-* "$cache/vmlinuz-$1"
            rm -rf "$cache/linux-$1"
            return 0
        fi
    done <"$cache/names"
    skip "the archive has no cloud kernel $1 any more"
}

for version in 5.10 6.1 6.12; do
    fetch_kernel "$version"
done

# The one of the backports boots 6.12 every time, that of the release does not.
ask apt-get -y --download-only --no-install-recommends \
    -t bookworm-backports install qemu-system-x86 >>"$cache/log" 2>&1 ||
    skip "the archive has no qemu that fits this system"
for package in "$apt"/cache/archives/*.deb; do
    case $package in
    */qemu-user*) ;;
    *) dpkg -x "$package" "$cache/qemu" ;;
    esac
done
rm -rf "$apt" "$cache/debs" "$cache/names" "$cache/log"
touch "$cache/complete"
