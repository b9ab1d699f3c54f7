#!/bin/bash
# Static checks of the tracked files; prints every finding, ends with a count, exits 1 when there is one.
#
#   scripts/lint.sh [--changed]      --changed: only what differs from the upstream branch (or is not committed)
#
# Formatting (clang-format), faults (clang-tidy with .clang-tidy), scripts that parse, and paths of the machine the
# author sits at. The layout that .clang-format describes is that of Debian 12's clang-format 14.
set -u
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
JOBS=${JOBS:-$(nproc)}
findings=0

headline() {
    printf '=== %s\n' "$*"
}

# tracked PATTERN...: the files to check, one a line.
tracked() {
    if [ -n "$base" ]; then
        { git diff --name-only --diff-filter=d "$base" -- "$@"; git ls-files --others --exclude-standard -- "$@"; }
    else
        git ls-files -- "$@"
    fi | sort -u | while read -r file; do [ -f "$file" ] && printf '%s\n' "$file"; done
}

check_format() {
    local files
    headline "clang-format"
    mapfile -t files < <(tracked '*.c' '*.h')
    [ ${#files[@]} -eq 0 ] && return
    clang-format --dry-run -Werror "${files[@]}" || findings=$((findings + 1))
}

# A file of the tree is analysed with its own compile command; generated headers must exist, so the tree is built.
check_faults() {
    local files=() file
    headline "clang-tidy"
    cmake --preset clang -B "$BUILD/clang" -DFORESTALL_TESTS=ON >"$BUILD/clang-configure.log" 2>&1 ||
        { cat "$BUILD/clang-configure.log"; findings=$((findings + 1)); return; }
    cmake --build "$BUILD/clang" -j "$JOBS" >"$BUILD/clang-build.log" 2>&1 ||
        { tail -50 "$BUILD/clang-build.log"; findings=$((findings + 1)); return; }
    while read -r file; do
        grep -qF "\"$PWD/$file\"" "$BUILD/clang/compile_commands.json" && files+=("$file")
    done < <(tracked '*.c')
    [ ${#files[@]} -eq 0 ] && return
    printf '%s\0' "${files[@]}" | xargs -0 -n 4 -P "$JOBS" clang-tidy --quiet -p "$BUILD/clang" 2>/dev/null ||
        findings=$((findings + 1))
}

check_scripts() {
    local file
    headline "scripts"
    while read -r file; do
        bash -n "$file" || findings=$((findings + 1))
    done < <(tracked '*.sh' .ci/run)
    while read -r file; do
        python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$file" ||
            findings=$((findings + 1))
    done < <(tracked '*.py')
}

# The checkout's own place, the directories above it and the home directory have no business in a tracked file.
check_paths() {
    local place places=("$HOME")
    headline "paths of this machine"
    place=$PWD
    while [ "$place" != / ]; do
        places+=("$place")
        place=$(dirname "$place")
    done
    for place in "${places[@]}"; do
        case $place in / | /home | /tmp | /opt | /srv | /usr | /var | /mnt | /usr/src | /var/tmp) continue ;; esac
        if git grep -nIE "(^|[^A-Za-z0-9_.$}/-])$(sed 's/[.[\*^$()+?{|]/\\&/g' <<<"$place")(/|[^A-Za-z0-9_.-]|$)"; then
            findings=$((findings + 1))
        fi
    done
    git grep -nIE '(^|[^A-Za-z0-9_.$}/-])/home/[a-z]' && findings=$((findings + 1))
    return 0
}

base=
case ${1-} in
'') ;;
--changed) base=$(git merge-base HEAD '@{upstream}' 2>/dev/null || git rev-parse HEAD) ;;
*) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
mkdir -p "$BUILD"
check_paths
check_scripts
check_format
check_faults
headline "$findings kinds of findings"
[ "$findings" -eq 0 ]
