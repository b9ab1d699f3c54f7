#!/bin/bash
# engine.sh up|down|env DIRECTORY: a private dockerd of the engine unpacked in DIRECTORY/engine (fetch.sh): its own socket,
# data, networks and bridge. `env` prints what to eval for its client. One at a time on a machine.
#
# dockerd sets the FORWARD policy to DROP and switches forwarding on; `down` puts back what was there, removes its rules,
# bridge and cgroups, and works after a kill -9 of everything too. Images stay in DIRECTORY/data.
set -eu
[ $# -eq 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
box=$2
engine=$box/engine
socket=unix://$box/docker.sock
parent=forestall-test-engine # cgroup of its containers
export PATH=$engine/usr/sbin:$engine/usr/bin:$PATH DOCKER_HOST=$socket DOCKER_CONFIG=$engine/config
unset DOCKER_CONTEXT

answers() {
    timeout 5 docker info >/dev/null 2>&1
}

up() {
    mkdir -p "$box"
    answers && return 0
    [ -e "$box/before" ] && down
    echo "$(sysctl -n net.ipv4.ip_forward) $(iptables -S FORWARD | sed -n 's/^-P FORWARD //p')" >"$box/before"
    setsid nohup dockerd --host "$socket" --data-root "$box/data" --exec-root "$box/exec" --pidfile "$box/pid" \
        --storage-driver overlay2 --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "$parent" \
        --bip 10.213.0.1/24 --default-address-pool base=10.214.0.0/16,size=24 >"$box/dockerd.log" 2>&1 </dev/null &
    echo $! >"$box/started"
    for _ in $(seq 300); do
        answers && return 0
        kill -0 "$(cat "$box/started")" 2>/dev/null || break
        sleep .1
    done
    grep -E 'level=(error|fatal)|^failed' "$box/dockerd.log" | tail -3 >&2
    down
    return 1
}

stop_daemon() {
    local pid
    for pid in $(cat "$box/pid" 2>/dev/null) $(cat "$box/started" 2>/dev/null); do
        # the number may be another process's by now
        [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$(realpath "$engine/usr/sbin/dockerd")" ] || continue
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 300); do
            kill -0 "$pid" 2>/dev/null || break
            sleep .1
        done
        kill -9 "$pid" 2>/dev/null || true
    done
    # what a killed dockerd leaves: its containerd, shims and containers
    for pid in $(ls /proc | grep -E '^[0-9]+$'); do
        case $(readlink "/proc/$pid/exe" 2>/dev/null) in
        "$(realpath -m "$engine")"/usr/bin/containerd*) kill -9 "$pid" 2>/dev/null || true ;;
        esac
    done
    find_cgroups -mindepth 1 -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u | xargs -r kill -9 2>/dev/null || true
}

# find_cgroups EXPRESSION...: below the engine's own cgroup, in every hierarchy.
find_cgroups() {
    local root
    for root in "/sys/fs/cgroup/$parent" /sys/fs/cgroup/*/"$parent"; do
        [ ! -d "$root" ] || find "$root" "$@"
    done
}

restore_network() {
    local table rule chain forward policy
    read -r forward policy <"$box/before" || return 0
    for link in $(ip -o link show type bridge | sed -n 's/^[0-9]*: \(docker0\|br-[0-9a-f]\{12\}\)[:@].*/\1/p'); do
        ip -4 -o address show dev "$link" | grep -qE ' 10\.21[34]\.' && ip link del "$link"
    done
    for table in filter nat; do
        iptables-save -t $table 2>/dev/null |
            grep -E '^-A (FORWARD|PREROUTING|INPUT|OUTPUT|POSTROUTING) .*(DOCKER|docker0|br-[0-9a-f]{12}|10\.21[34]\.)' |
            sed 's/^-A/-D/' | while read -r rule; do eval "iptables -t $table $rule"; done
        for chain in $(iptables-save -t $table 2>/dev/null | sed -n 's/^:\(DOCKER[^ ]*\) .*/\1/p'); do
            iptables -t $table -F "$chain"
        done
        for chain in $(iptables-save -t $table 2>/dev/null | sed -n 's/^:\(DOCKER[^ ]*\) .*/\1/p'); do
            iptables -t $table -X "$chain"
        done
    done
    iptables -P FORWARD "${policy:-ACCEPT}"
    sysctl -qw net.ipv4.ip_forward="$forward"
}

remove_rest() {
    local place
    grep -E " $box/(data|exec)[/ ]" /proc/mounts | awk '{ print $2 }' | sort -r | while read -r place; do
        umount -l "$place" 2>/dev/null || true
    done
    for _ in 1 2 3 4 5; do # killed processes need a moment to leave
        find_cgroups -depth -type d -exec rmdir {} \; 2>/dev/null || true
        [ -z "$(find_cgroups -maxdepth 0)" ] && break
        sleep .2
    done
    rm -rf "$box/exec"
}

down() {
    [ -e "$box/before" ] || return 0
    if answers; then
        timeout 10 docker ps -aq | xargs -r timeout 30 docker rm -fv >/dev/null 2>&1 || true
    fi
    stop_daemon
    restore_network
    remove_rest
    rm -f "$box/before" "$box/pid" "$box/started" "$box/docker.sock"
}

case $1 in
env) echo "export PATH=$engine/usr/bin:\$PATH DOCKER_HOST=$socket DOCKER_CONFIG=$engine/config; unset DOCKER_CONTEXT" ;;
up) up ;;
down) down ;;
*) exit 2 ;;
esac
