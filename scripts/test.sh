#!/bin/bash
# Runs every test, or only the named groups: test.sh [lint|rust|c|examples|install|cpp|go|bench]...
# Each step has a watchdog. What cannot run here is skipped and named at the end; with CI=true that is an error.
set -uo pipefail
# Each step is a process group of its own, so that Ctrl-C and the watchdog end all of it.
set -m
cd "$(dirname "$0")/.." || exit
export CARGO_TARGET_DIR=$PWD/target
export CARGO_TERM_PROGRESS_WHEN=never

groups=("$@")
failed=()
step=
# What is skipped, a line each; the scripts of the steps add theirs.
MP_SKIPPED=$(mktemp)
export MP_SKIPPED
# What the steps that failed have printed: a file each.
printed=$(mktemp -d)
trap 'rm -rf "$MP_SKIPPED" "$printed"' EXIT
trap '[[ -n $step ]] && kill -TERM -- "-$step" 2>/dev/null; exit 130' INT TERM

# wanted GROUP: whether this run includes it.
wanted() {
    ((${#groups[@]} == 0)) || [[ " ${groups[*]} " == *" $1 "* ]]
}

# have PROGRAM...: whether all are there.
have() {
    command -v "$@" >/dev/null 2>&1 && (($(command -v "$@" | wc -l) == $#))
}

# run NAME SECONDS COMMAND...
run() {
    local name=$1 limit=$2 code=0 start=$SECONDS output copy
    shift 2
    printf '\n=== %s\n' "$name"
    exec {output}> >(exec tee "$printed/$name")
    copy=$!
    timeout -k 10 "$limit" "$@" </dev/null >&"$output" 2>&1 {output}>&- &
    step=$!
    exec {output}>&-
    wait "$step" || code=$?
    step=
    # Until all is printed; no longer, for who may have inherited the pipe.
    timeout 5 tail --pid="$copy" -f /dev/null || :
    ((code == 124)) && echo "$name: not done after $limit s"
    if ((code)); then failed+=("$name"); else rm -f "$printed/$name"; fi
    printf -- '--- %s: %s, %d s\n' "$name" "$( ((code)) && echo "FAILED ($code)" || echo ok)" $((SECONDS - start))
}

# run_with PROGRAM NAME SECONDS COMMAND...: skipped if the program is not there.
run_with() {
    local program=$1
    shift
    if have "$program"; then
        run "$@"
    else
        skip "$1" "$program is not installed"
    fi
}

skip() {
    printf '\n=== %s: SKIPPED: %s\n' "$1" "$2"
    echo "$1: $2" >>"$MP_SKIPPED"
}

changes() {
    git status --porcelain 2>/dev/null
}

lint() {
    local c_files
    # Those that people write, as opposed to the generated header.
    mapfile -t c_files < <(find examples-c tests bindings benches \( -name '*.[ch]' -o -name '*.[ch]pp' \) 2>/dev/null)
    run "rustfmt" 60 cargo fmt --check
    run "rustfmt of the benchmarks" 60 rustfmt --check --edition 2021 benches/rust/std.rs benches/rust-peers/src/main.rs
    run "clippy" 600 cargo clippy --all-targets --features fault --locked -- -D warnings
    run_with shellcheck "shellcheck" 60 shellcheck scripts/*.sh .ci/run
    run_with clang-format "clang-format" 60 clang-format --dry-run -Werror "${c_files[@]}"
}

rust() {
    # The library with fault points lies in target/debug; the C tests that need it use it from there.
    run "build with fault points" 600 cargo build --features fault --locked
    run "cargo test" 900 cargo test --features fault --locked
    # Only what the models run is optimised: the rest is not run, and would take long to compile.
    local optimised=() crate
    for crate in mp loom generator; do
        optimised+=(--config "profile.test.package.$crate.opt-level=2")
    done
    run "loom" 900 env RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR=target/loom LOOM_MAX_PREEMPTIONS=2 \
        cargo test --lib --test 'loom*' --locked "${optimised[@]}"
}

installed() {
    run_with cmake "installed tree" 600 scripts/test-install.sh
}

go_tests() {
    local go
    [[ -d bindings/go ]] || return 0
    if go=$(scripts/find-go.sh); then
        run "go" 900 scripts/test-go.sh "$go"
        run "strangers in C++ and Go" 300 scripts/test-arena-pair.sh "$go"
    else
        skip "go" "no Go 1.24 or newer, and none could be installed"
    fi
}

before=$(changes)
run "setup" 1200 scripts/setup.sh
wanted lint && lint
wanted rust && rust
[[ ${groups[*]} == lint ]] || run "build" 900 make --no-print-directory build
wanted c && run "C" 900 scripts/test-c.sh
wanted examples && run "examples" 600 scripts/test-examples.sh
wanted install && installed
wanted cpp && [[ -d bindings/cpp ]] && run "C++" 600 scripts/test-cpp.sh
wanted go && go_tests
wanted bench && [[ -x benches/run ]] && run_with python3 "bench" 300 scripts/test-bench.sh
if [[ $(changes) != "$before" ]]; then
    echo "the tests have changed files of the repository:"
    diff <(echo "$before") <(changes)
    failed+=("no file changes")
fi

echo
sort -u "$MP_SKIPPED" | sed 's/^/SKIPPED /'
for line in ${failed[@]+"${failed[@]}"}; do
    echo "FAILED $line"
    # Again what it ended with: of a long log often only the end is at hand.
    [[ -f $printed/$line ]] && tail -n 40 "$printed/$line" | sed 's/^/    /'
done
if ((${#failed[@]})); then
    exit 1
fi
if [[ -s $MP_SKIPPED && ${CI:-} == true ]]; then
    echo "something was skipped, which in CI is an error"
    exit 1
fi
echo "all tests passed in $SECONDS s"
