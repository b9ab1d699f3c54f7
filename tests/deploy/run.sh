#!/bin/bash
# Brings deploy/compose.yaml up for real, in containers, and runs what stands in tests/deploy against it.
#
#   tests/deploy/run.sh [PYTEST-ARGUMENT]...        make test-compose
#
# Uses the machine's own engine when it answers and can have the public images; else, as root on Debian, an engine of its
# own from Debian 13's packages, with stand-ins for the public images (standins/), all kept in
# ${XDG_CACHE_HOME:-~/.cache}/forestall/compose. FORESTALL_COMPOSE_ENGINE=own|machine chooses. Where no engine can run it
# says so, and why, and ends with 0 and the word SKIPPED. The last line is `N passed, N failed`. Whatever happens, kill -9
# included, containers, networks, firewall rules, mounts and cgroups are gone in the end; leftovers are a failure. Built
# images stay for the next time; FORESTALL_COMPOSE_FRESH=1 builds everything anew.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
box=${XDG_CACHE_HOME:-$HOME/.cache}/forestall/compose
export COMPOSE_PROJECT_NAME=forestall-test FORESTALL_CGROUP=forestall-compose-test
scratch=$(mktemp -d)
report=$scratch/report
passed=0 failed=0
: >"$report"
exec 3>&1 4>&2 # a signal may come while a function's output goes elsewhere

say() {
    printf 'test-compose: %s\n' "$*"
}

skip() {
    printf '\n%s\n' '#####################################################################'
    say "SKIPPED: $*"
    skipped=yes
    printf '%s\n' '#####################################################################'
    exit 0
}

fail() {
    say "FAILED: $*"
    exit 1
}

# timed NAME COMMAND...: with the wall time into the report; the output only when it fails.
timed() {
    local name=$1 log started=$EPOCHREALTIME
    shift
    log=$scratch/output
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -40 "$log"
        return 1
    fi
    printf '%-34s %7.1f s\n' "$name" "$(bc_minus "$EPOCHREALTIME" "$started")" | tee -a "$report"
}

bc_minus() {
    awk -v a="$1" -v b="$2" 'BEGIN { print a - b }'
}

# --- what must be the same before and after -----------------------------------------------------------------------------

# Of iptables-save what somebody put there: a table that the first look made, with its own chains open and empty, is nothing.
rules() {
    awk '/^\*/ { table = substr($1, 2) } /^:/ && $2 != "ACCEPT" { print table, $1, $2 } /^-A/ { print table, $0 }'
}

picture() {
    echo "forward: $(sysctl -n net.ipv4.ip_forward 2>/dev/null)"
    iptables-save 2>/dev/null | rules
    ip -o link 2>/dev/null | awk -F': ' '{ print "link: " $2 }' | grep -E 'docker0|br-|veth'
    awk '{ print "mount: " $2 }' /proc/mounts | grep -E "$box|/docker" | sort
    find /sys/fs/cgroup -maxdepth 2 -type d \( -name 'forestall-compose-test*' -o -name 'forestall-test-engine' \) | sort
}

# --- which engine -------------------------------------------------------------------------------------------------------

machine_engine() {
    [ "${FORESTALL_COMPOSE_ENGINE:-}" != own ] || return 1
    docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1 || return 1
    local image
    for image in $(sed -n 's/^\(KAFKA\|REDIS\|REGISTRY\)_IMAGE=//p' "$root/deploy/.env") debian:trixie-slim; do
        docker image inspect "$image" >/dev/null 2>&1 || timeout 300 docker pull -q "$image" >/dev/null || return 1
    done
}

own_engine() {
    [ "${FORESTALL_COMPOSE_ENGINE:-}" != machine ] || skip 'the machine has no engine that answers and can have the images'
    [ "$(id -u)" -eq 0 ] || skip 'no engine answers here that can have the public images, and one of our own needs root'
    command -v apt-get >/dev/null || skip 'no engine answers here, and one of our own needs Debian'
    "$root/scripts/install-deps.sh" compose || skip 'packages for an engine of our own are missing, see above'
    mkdir -p "$box"
    [ -d "$box/data" ] || [ "$(df --output=avail -k "$box" | tail -1)" -gt 6000000 ] || skip "less than 6 GB are free in $box"
    [ -z "${FORESTALL_COMPOSE_FRESH-}" ] || { "$here/engine/engine.sh" down "$box"; rm -rf "$box/data" "$box/engine"; }
    [ -x "$box/engine/usr/sbin/dockerd" ] || timed 'engine: fetch' timeout 600 "$here/engine/fetch.sh" "$box/engine" ||
        skip "the engine's packages cannot be fetched, see above"
    timed 'engine: up' "$here/engine/engine.sh" up "$box" || skip "dockerd does not run here, see $box/dockerd.log"
    eval "$("$here/engine/engine.sh" env "$box")"
}

# --- images, where there is no hub --------------------------------------------------------------------------------------

missing() {
    ! docker image inspect "$1" >/dev/null 2>&1
}

kafka_standin() {
    local context=$box/standin-kafka
    rm -rf "$context" && cp -r "$here/standins/kafka" "$context" &&
        timeout 600 mvn -q -B -f "$context/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
            -DoutputDirectory="$context/libs" -DincludeScope=runtime && docker build -q -t "$1" "$context"
}

registry_standin() {
    local context=$box/standin-registry version=${1##*:}
    rm -rf "$context" && cp -r "$here/standins/registry" "$context" && mkdir "$context/app" &&
        timeout 600 mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -DoutputDirectory="$context" \
            -Dartifact="io.apicurio:apicurio-registry-app:$version:tar.gz:all" &&
        tar xzf "$context"/apicurio-registry-app-*.tar.gz -C "$context/app" && rm "$context"/*.tar.gz &&
        docker build -q -t "$1" "$context"
}

standins() {
    local kafka redis registry
    kafka=$(sed -n 's/^KAFKA_IMAGE=//p' "$root/deploy/.env")
    redis=$(sed -n 's/^REDIS_IMAGE=//p' "$root/deploy/.env")
    registry=$(sed -n 's/^REGISTRY_IMAGE=//p' "$root/deploy/.env")
    for suite in trixie bookworm; do
        ! missing "debian:$suite-slim" ||
            timed "stand-in: debian:$suite-slim" timeout 600 "$here/engine/base_image.sh" "$suite" "debian:$suite-slim" || return 1
    done
    ! missing "$kafka" || timed "stand-in: $kafka" kafka_standin "$kafka" || return 1
    ! missing "$redis" || timed "stand-in: $redis" docker build -q -t "$redis" "$here/standins/redis" || return 1
    ! missing "$registry" || timed "stand-in: $registry" registry_standin "$registry" || return 1
    rm -rf "$box"/standin-*
}

# What the machine may forbid in ways that only a container shows: to start one, and to reach Debian's packages from it.
containers_work() {
    timed 'container: starts' docker run --rm debian:trixie-slim true ||
        skip 'dockerd runs, but no container starts here, see above'
    ! missing forestall/cli:0.1.0 || timed "container: reaches Debian's packages" docker run --rm debian:trixie-slim \
        apt-get -o Acquire::Retries=3 -o APT::Update::Error-Mode=any update ||
        skip "no container reaches Debian's packages, of which images are made, see above"
}

# count_results: from pytest's own account into passed and failed.
count_results() {
    local suite
    suite=$(grep -o '<testsuite [^>]*>' "$scratch/results.xml" 2>/dev/null) || return 0
    number() { sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" <<<"$suite"; }
    failed=$(($(number failures) + $(number errors)))
    passed=$(($(number tests) - failed - $(number skipped)))
}

# --- the end ------------------------------------------------------------------------------------------------------------

# Bounded, because it cleans up: an engine that hangs is ended all the same.
compose() {
    timeout 90 docker compose --project-directory "$root/deploy" -f "$root/deploy/compose.yaml" --profile registry --profile cli "$@"
}

# Also called by the guardian below, when this script was killed.
clean_up() {
    compose down -v --remove-orphans -t 1 >/dev/null 2>&1
    timeout 10 docker ps -aq --filter name=forestall-test | xargs -r timeout 30 docker rm -fv >/dev/null 2>&1
    for kind in network volume; do
        timeout 10 docker "$kind" ls -q --filter name=forestall-test | xargs -r timeout 30 docker "$kind" rm >/dev/null 2>&1
    done
    [ "$engine" = machine ] || "$here/engine/engine.sh" down "$box"
    for group in $(find /sys/fs/cgroup -maxdepth 2 -type d -name "$FORESTALL_CGROUP*"); do
        find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null | xargs -r kill -9 2>/dev/null
        for _ in 1 2 3 4 5; do
            find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
            [ -d "$group" ] || break
            sleep .2
        done
    done
    rm -rf "$scratch"
}

guard() {
    export -f clean_up compose
    export engine here root box scratch
    setsid bash -c 'tail --pid="$1" -f /dev/null; [ ! -e "$2" ] || clean_up' guard $$ "$scratch" </dev/null >/dev/null 2>&1 &
    guardian=$!
}

finish() {
    local status=$?
    exec >&3 2>&4
    trap - EXIT INT TERM HUP
    [ -z "${tests-}" ] || ! kill "$tests" 2>/dev/null || wait "$tests"
    local figures
    figures=$(cat "$report")
    count_results
    [ -z "${engine-}" ] || { say 'cleaning up'; clean_up; }
    rm -rf "$scratch"
    [ -z "${guardian-}" ] || kill "$guardian" 2>/dev/null
    if [ -n "${before-}" ]; then
        local after
        after=$(picture)
        if [ "$before" != "$after" ]; then
            say 'FAILED: left behind (< before, > after):'
            diff <(echo "$before") <(echo "$after")
            status=1
        else
            say 'nothing is left behind: containers, networks, firewall rules, mounts, cgroups'
        fi
        printf '\n=== test-compose: figures\n'
        printf '%s\n' "$figures"
    fi
    # what failed outside the tests is one failure
    [ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
    [ "$status" -eq 0 ] || say "FAILED ($status)"
    echo "$passed passed, $failed failed"
    exit "$status"
}

trap 'exit 130' INT TERM HUP
command -v iptables-save >/dev/null || [ "$(id -u)" -ne 0 ] || "$root/scripts/install-deps.sh" compose || true
before=$(picture)
trap finish EXIT
if machine_engine; then
    engine=machine
    guard
    say "the machine's own engine, $(docker version --format '{{.Server.Version}}')"
else
    engine=own
    guard
    own_engine
    standins || skip 'stand-ins for the public images cannot be made or fetched, see above'
    containers_work
fi

export FORESTALL_BIN=${FORESTALL_BIN:-$root/build/release/bin} FORESTALL_COMPOSE_REPORT=$report
# in the background, because the shell answers a signal only between commands
"$root/tests/support/pytest.sh" "$here/test_compose.py" -x -v --junitxml="$scratch/results.xml" "$@" </dev/null &
tests=$!
wait "$tests"
