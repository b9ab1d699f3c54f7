#!/bin/bash
# Builds and runs the tests, one leg after the other, and sums them up.
#
#   scripts/test.sh LEG...
#     release   gcc, as installed: every test, those with root and the end-to-end ones included
#     asan      AddressSanitizer and UBSan: the unit tests
#     clang     clang, warnings are errors: the unit tests
#     tsan      ThreadSanitizer: the tests of what uses threads
#
# A leg that does not build counts as one failed test and the next leg goes on. An end-to-end test that fails is run once
# more; when it passes then, it is listed as UNSTEADY. The last line is `N passed, N failed`, summed over the legs; a
# skipped test says why in the list above it. Environment: BUILD (directory of the build trees, default build), JOBS
# (default: one per core).
set -u
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
JOBS=${JOBS:-$(nproc)}

# A finding of a sanitizer ends the test.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}
export CMOCKA_MESSAGE_OUTPUT=stdout

passed=0 failed=0 skipped=0
summary=()
failures=()
unsteady=()
skips=()

headline() {
    printf '\n=== %s\n' "$*"
}

# count_results FILE STATUS LEG: adds one ctest run to the sums of its leg. A test whose program is missing is listed as
# skipped by ctest; here it counts as failed.
count_results() {
    local junit=$1 status=$2 leg=$3 cases bad not_run name
    cases=$(grep -A1 '<testcase ' "$junit" 2>/dev/null | tr -d '\n' | sed 's/<testcase /\n&/g' | grep '<testcase ')
    bad=$(grep -E 'status="fail"|Unable to find executable' <<<"$cases" | sed 's/.*<testcase name="\([^"]*\)".*/\1/')
    not_run=$(grep -cE 'status="(notrun|disabled)"' <<<"$cases")
    not_run=$((not_run - $(grep -c 'Unable to find executable' <<<"$cases")))
    if [ "$status" -ne 0 ] && [ -z "$bad" ]; then
        bad="ctest-status-$status"
        cases="$cases"$'\n'"<testcase >"
    fi
    for name in $bad; do
        leg_failed=$((leg_failed + 1))
        leg_passed=$((leg_passed - 1))
        failures+=("$leg: $name")
    done
    leg_skipped=$((leg_skipped + not_run))
    leg_passed=$((leg_passed + $(grep -c '<testcase ' <<<"$cases") - not_run))
}

# try_again LEG: the end-to-end tests that failed once more, alone: they share their machine, and a pause of seconds may
# be nobody's fault. What passes now counts as passed and is told as unsteady: to be looked into, not to stop others.
try_again() {
    local leg=$1 junit name left=()
    junit=$(realpath -m "$BUILD/$leg")/results-again.xml
    [ ${#failures[@]} -gt 0 ] || return 0
    headline "$leg: once more, what failed"
    rm -f "$junit"
    ctest --test-dir "$BUILD/$leg" --rerun-failed --output-on-failure --timeout 300 --output-junit "$junit" -j 1 </dev/null
    for name in "${failures[@]}"; do
        if [[ $name == "$leg: "* ]] &&
            grep -q "<testcase name=\"${name#"$leg: "}\".*status=\"run\"" <(tr -d '\n' <"$junit" | sed 's/<testcase /\n&/g'); then
            leg_failed=$((leg_failed - 1)) leg_passed=$((leg_passed + 1))
            unsteady+=("$name")
        else
            left+=("$name")
        fi
    done
    failures=("${left[@]}")
}

# run_ctest LEG NAME SELECTION...: one ctest run of a built tree.
run_ctest() {
    local leg=$1 name=$2 junit launcher=()
    shift 2
    junit=$(realpath -m "$BUILD/$leg")/results-$name.xml
    rm -f "$junit"
    # gcc's ThreadSanitizer cannot map its shadow where newer kernels put the program
    [ "$leg" = tsan ] && setarch -R true 2>/dev/null && launcher=(setarch -R)
    headline "$leg: $name"
    "${launcher[@]}" ctest --test-dir "$BUILD/$leg" --output-on-failure --no-tests=ignore --timeout 300 \
        --output-junit "$junit" "$@" </dev/null
    count_results "$junit" $? "$leg"
    [ "$name" = system ] && try_again "$leg"
    while read -r line; do
        skips+=("$leg: $line")
    done < <(grep -hE '^\[  SKIPPED \] |^SKIPPED \[[0-9]+\] ' "$BUILD/$leg/Testing/Temporary/LastTest.log" 2>/dev/null |
        sort -u)
}

build_leg() {
    local leg=$1 target=all
    [ "$leg" != tsan ] || target=threads_tests
    headline "$leg: build"
    cmake --preset "$leg" -B "$BUILD/$leg" -DFORESTALL_TESTS=ON </dev/null >"$BUILD/$leg-configure.log" 2>&1 ||
        { cat "$BUILD/$leg-configure.log"; return 1; }
    cmake --build "$BUILD/$leg" -j "$JOBS" --target "$target" </dev/null
}

# What the end-to-end tests need, fetched outside any test's time limit.
prepare_support() {
    local python
    python=$(tests/support/venv.sh) && "$python" tests/support/kafka_broker.py fetch
}

run_leg() {
    local leg=$1
    build_leg "$leg" || { failures+=("$leg: does not build"); leg_failed=1; return; }
    case $leg in
    release)
        run_ctest release unit -L '^unit$' -j $((2 * JOBS)) # several of them wait most of the time
        if prepare_support; then
            run_ctest release system -LE '^unit$' -j $((JOBS + 1)) # they wait most of the time; what measures the machine is alone
        else
            leg_failed=$((leg_failed + 1))
            failures+=("$leg: end-to-end tests not run: no broker or Python clients, see above")
            run_ctest release root -LE '^(unit|system)$' -j 1
        fi
        ;;
    tsan) run_ctest tsan threads -L '^threads$' -LE '^(root|system)$' -j "$JOBS" ;;
    *) run_ctest "$leg" unit -L '^unit$' -j $((2 * JOBS)) ;;
    esac
}

[ $# -gt 0 ] || { sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 2; }
mkdir -p "$BUILD"
for leg in "$@"; do
    case $leg in release | asan | clang | tsan) ;; *) echo "test.sh: no leg named $leg" >&2; exit 2 ;; esac
done
for leg in "$@"; do
    leg_passed=0 leg_failed=0 leg_skipped=0
    started=$SECONDS
    run_leg "$leg"
    summary+=("$(printf '%-8s %4d passed %4d failed %4d skipped %5d s' \
        "$leg" $leg_passed $leg_failed $leg_skipped $((SECONDS - started)))")
    passed=$((passed + leg_passed)) failed=$((failed + leg_failed)) skipped=$((skipped + leg_skipped))
done

headline summary
printf '%s\n' "${summary[@]}"
[ ${#skips[@]} -eq 0 ] || printf 'skipped %s\n' "${skips[@]}"
[ ${#unsteady[@]} -eq 0 ] || printf 'UNSTEADY %s: failed, and passed when run once more\n' "${unsteady[@]}"
[ ${#failures[@]} -eq 0 ] || printf 'FAILED %s\n' "${failures[@]}"
if [ $((passed + failed)) -eq 0 ]; then
    echo 'no test ran'
    exit 1
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
