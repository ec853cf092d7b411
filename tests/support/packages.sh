# SPDX-License-Identifier: ISC
# need_packages WHAT:PACKAGE ...: installs the Debian packages whose WHAT, a command, a
# system header, a library or a pkg-config file, is missing. Says what it installs; does
# nothing where all is there.
# shellcheck shell=sh

has() {
    case $1 in
    *.h) [ -e "/usr/include/$1" ] ;;
    *.so.*) /sbin/ldconfig -p | grep -F "$1" >/dev/null ;;
    *.pc) command -v pkg-config >/dev/null && pkg-config --exists "${1%.pc}" ;;
    *) command -v "$1" >/dev/null || [ -x "/sbin/$1" ] || [ -x "/usr/sbin/$1" ] ;;
    esac
}

need_packages() {
    missing=
    for need; do
        has "${need%%:*}" || missing="$missing ${need#*:}"
    done
    [ -n "$missing" ] || return 0
    echo "installing with apt:$missing"
    if ! command -v apt-get >/dev/null; then
        echo "this machine has no apt; install by hand what is named above" >&2
        exit 1
    fi
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            echo "installing needs root or sudo" >&2
            exit 1
        }
        as_root=sudo
    fi
    # shellcheck disable=SC2086 # a list of words
    { $as_root apt-get update &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y \
            --no-install-recommends $missing; } >/dev/null || {
        echo "apt could not install:$missing" >&2
        exit 1
    }
}
