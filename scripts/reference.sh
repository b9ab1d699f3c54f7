#!/bin/bash
# The reference page of every setting, from the tables that parse them.
#
#   scripts/reference.sh [--check] [BIN]      BIN: directory of the programs, default build/release/bin
#
# Prints the page; --check compares it with docs/reference.md instead and exits 1 when that is out of date.
set -eu
cd "$(dirname "$0")/.."
check=
[ "${1-}" = --check ] && { check=yes; shift; }
bin=${1:-build/release/bin}

# forestall-retrain asks for a command first.
arguments() {
    [ "$1" != retrain ] || echo train
}

page() {
    printf '# Settings\n\n'
    printf 'One INI file for all services, a section each; every setting is also the environment variable `FORESTALL_SECTION_KEY`\n'
    printf 'and the option `--section.key`. `[kafka]` is passed to librdkafka. `--print-config` prints what a program would run with; a password,\n'
    printf 'the user and password in an address and whatever is under `[kafka]` are `(set)` there. Made by `scripts/reference.sh`.\n'
    for program in ingest predict allocate queue agent retrain record; do
        printf '\n'
        "$bin/forestall-$program" $(arguments "$program") --reference | sed 's/^# /## /'
    done
}

if [ -z "$check" ]; then
    page
elif ! diff <(page) docs/reference.md; then
    echo 'docs/reference.md is out of date: scripts/reference.sh > docs/reference.md' >&2
    exit 1
fi
