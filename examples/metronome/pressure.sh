# SPDX-License-Identifier: ISC
# Memory pressure that is real: a swap file of its own, and a memory control group with less
# than is wanted in it. Sourced.
#
#   pressure_start DIR    0, or 1 with the reason in $pressure_refused
#   pressure_in COMMAND   becomes the command, in the group
#   pressure_stop         puts all back; may be called at any time, and twice. Processes of
#                         the group have ended by then. Not 0: something is left, and said
# shellcheck shell=sh disable=SC2034 # pressure_refused is for who sources this

pressure_refused=''
pressure_swap='' pressure_group=''
PRESSURE_LIMIT=$((128 << 20)) # bytes, of the group
PRESSURE_SWAP=384             # MiB: all that is in the group would fit

# Where a memory control group can be made, and what its limit is called.
pressure_find_groups() {
    if [ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]; then
        parent=/sys/fs/cgroup/memory limit=memory.limit_in_bytes
    elif grep -qw memory /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null; then
        parent=/sys/fs/cgroup limit=memory.max
    else
        pressure_refused="there is no control group for memory here"
        return 1
    fi
}

pressure_make_group() {
    pressure_find_groups || return 1
    pressure_refused="no control group can be made in $parent"
    mkdir "$parent/securemem-metronome-$$" 2>/dev/null || return 1
    pressure_group=$parent/securemem-metronome-$$
    pressure_refused="the control group takes no limit"
    echo "$PRESSURE_LIMIT" 2>/dev/null >"$pressure_group/$limit" || return 1
    # Version 1 alone has it; elsewhere it is as the machine's.
    echo 100 2>/dev/null >"$pressure_group/memory.swappiness" || :
}

pressure_make_swap() {
    if [ "$(cat /sys/module/zswap/parameters/enabled 2>/dev/null)" = Y ]; then
        pressure_refused="zswap keeps in memory what would go to the swap file"
        return 1
    fi
    # Written in full: a file with holes is no swap file.
    pressure_refused="a swap file of $PRESSURE_SWAP MiB cannot be written in $1"
    (umask 077 && dd if=/dev/zero of="$1/swap" bs=1M count="$PRESSURE_SWAP" 2>/dev/null &&
        mkswap "$1/swap" >/dev/null 2>&1) || return 1
    pressure_refused="swapon(2) is refused here"
    swapon --priority 32767 "$1/swap" 2>/dev/null || return 1
    pressure_swap=$1/swap
}

pressure_start() {
    pressure_refused="swapon(2) and control groups need root"
    [ "$(id -u)" -eq 0 ] && pressure_make_swap "$1" && pressure_make_group ||
        return 1
    pressure_refused=''
}

pressure_in() {
    # shellcheck disable=SC2016 # the inner shell's own
    exec sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' sh "$pressure_group" "$@"
}

pressure_stop() {
    left=0
    if [ -n "$pressure_group" ]; then
        tries=30 # it is busy for a moment after its last process has ended
        until rmdir "$pressure_group" 2>/dev/null; do
            tries=$((tries - 1))
            if [ "$tries" -eq 0 ]; then
                echo "metronome: $pressure_group cannot be removed" >&2
                left=1
                break
            fi
            sleep 0.1
        done
        pressure_group=''
    fi
    if [ -n "$pressure_swap" ]; then
        swapoff "$pressure_swap" || {
            echo "metronome: $pressure_swap is still in use" >&2
            left=1
        }
        pressure_swap=''
    fi
    return "$left"
}
