# What C and C++ programs of the tests are compiled with; sourced by the scripts.
# shellcheck shell=bash disable=SC2034

warnings=(-Wall -Wextra -Wpedantic -Werror -O1 -g)
c_flags=(-std=c11 -D_GNU_SOURCE "${warnings[@]}" -Iinclude)
cpp_flags=(-std=c++17 "${warnings[@]}" -Wshadow -Wconversion -Iinclude -Ibindings/cpp)
# In the build tree, as opposed to what an installed libmp tells by pkg-config.
shared=(-Ltarget/release -lmp -pthread "-Wl,-rpath,$PWD/target/release")
fault=(-Ltarget/debug -lmp -pthread "-Wl,-rpath,$PWD/target/debug")
static=(target/release/libmp.a -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc)

# skip TEXT: said at the end of scripts/test.sh.
skip() {
    echo "$1" >>"${MP_SKIPPED:-/dev/stderr}"
}

# compilers PROGRAM...: those that are there.
compilers() {
    local compiler
    for compiler in "$@"; do
        if command -v "$compiler" >/dev/null; then
            echo "$compiler"
        else
            skip "$compiler: not installed"
        fi
    done
}

# run_program NAME SECONDS COMMAND...: its output is shown only if it fails.
run_program() {
    local name=$1 limit=$2 code=0 start=$SECONDS log=target/log.$BASHPID
    shift 2
    timeout -k 5 "$limit" "$@" >"$log" 2>&1 </dev/null || code=$?
    printf '%-44s %s (%d s)\n' "$name" "$( ((code)) && echo "FAILED ($code)" || echo ok)" $((SECONDS - start))
    ((code == 0)) || cat "$log"
    rm -f "$log"
    return $((code != 0))
}
