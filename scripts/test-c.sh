#!/bin/bash
# Compiles the header alone and the C tests with gcc and clang, and runs the tests, as many at a time as there are CPUs
# (MP_TEST_JOBS): test-c.sh [TEST...]
set -uo pipefail
cd "$(dirname "$0")/.." || exit
source scripts/flags.sh

out=target/tests-c
failed=0
mkdir -p "$out"
ln -sf libmp.so target/release/libmp.so.0
[[ -e target/debug/libmp.so ]] && ln -sf libmp.so target/debug/libmp.so.0
c_compilers=$(compilers gcc clang)
cpp_compilers=$(compilers g++ clang++)

# The header is included twice, in C and in C++, with more warnings than the tests.
printf '#include <mp.h>\n#include <mp.h>\nint main(void) { return MP_OK; }\n' >"$out/header.c"
for compiler in $c_compilers; do
    for standard in c11 c17; do
        "$compiler" "${c_flags[@]}" -std=$standard -Wconversion -c "$out/header.c" -o "$out/header.o" || failed=1
    done
done
for compiler in $cpp_compilers; do
    for standard in c++17 c++20; do
        "$compiler" "${cpp_flags[@]}" -std=$standard -Wconversion -x c++ -c "$out/header.c" -o "$out/header.o" ||
            failed=1
    done
done

# marked FILE WORDS: whether the test asks for it (see tests/c/check.h).
marked() {
    grep -q "check: $2" "$1"
}

sanitizers=("-fsanitize=address,undefined" -fno-sanitize-recover=all -fno-omit-frame-pointer)
valgrind=(valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite)

# A test that includes a header of the examples is linked with what belongs to it.
partners() {
    sed -n 's|^#include "../../\(examples-c/.*\)\.h".*|\1.c|p' "$1"
}

# What a test finds in a folder of its own, made of the folder of its name in tests/c/parts: libraries lib_*.so, of which
# those called lib_bare_* have no build id and lib_linked.so is linked with the test, and programs.
parts() {
    local name=$1 from=tests/c/parts/$1 folder=$out/$1.parts file part
    mkdir -p "$folder"
    for file in "$from"/lib_*.c; do
        part=$(basename "$file" .c)
        local flags=(-shared -fPIC "-Wl,-soname,$part.so")
        [[ $part == lib_bare_* ]] && flags+=("-Wl,--build-id=none")
        gcc "${c_flags[@]}" "${flags[@]}" "$file" -o "$folder/$part.so" "${shared[@]}" || return 1
    done
    for file in "$from"/*.c; do
        part=$(basename "$file" .c)
        [[ $part == lib_* ]] && continue
        gcc "${c_flags[@]}" -Itests/c "$file" "$folder/lib_linked.so" -o "$folder/$part" \
            "-Wl,-rpath,$PWD/$folder" "${shared[@]}" || return 1
    done
}

test_one() {
    local file=$1 name first link sources
    name=$(basename "$file" .c)
    mapfile -t sources < <(echo "$file" && partners "$file")
    if [[ -d tests/c/parts/$name ]]; then
        parts "$name" || return 1
        sources+=("$out/$name.parts/lib_linked.so" "-Wl,-rpath,$PWD/$out/$name.parts" -ldl)
    fi
    first=("${shared[@]}")
    [[ $name == fault_* ]] && first=("${fault[@]}")
    for compiler in $c_compilers; do
        link=("${first[@]}")
        # The second run covers the second compiler and the second library.
        [[ $compiler == clang && $name != fault_* ]] && link=("${static[@]}")
        "$compiler" "${c_flags[@]}" -Itests/c "${sources[@]}" -o "$out/$name-$compiler" "${link[@]}" || return 1
        if [[ $compiler == gcc ]] || ! marked "$file" once; then
            run_program "$name ($compiler)" 120 "$out/$name-$compiler" || return 1
        fi
    done
    if [[ $name != fault_* ]] && ! marked "$file" unsanitized; then
        gcc "${c_flags[@]}" "${sanitizers[@]}" -Itests/c "${sources[@]}" -o "$out/$name-asan" "${shared[@]}" || return 1
        # Handles are in mapped memory: leaks are valgrind's to find, with handles from malloc.
        run_program "$name (ASan, UBSan)" 120 env ASAN_OPTIONS=detect_leaks=0 "$out/$name-asan" || return 1
    fi
    if ! marked "$file" valgrind && ! marked "$file" leaks; then
        return 0
    elif ! command -v valgrind >/dev/null; then
        skip "$name under valgrind: not installed"
        return 0
    fi
    if marked "$file" valgrind; then
        run_program "$name (valgrind)" 120 "${valgrind[@]}" "$out/$name-gcc" || return 1
    fi
    # Leaked handles are seen only if they come from malloc, and stale ones then are not refused.
    if marked "$file" leaks; then
        run_program "$name (leaks)" 120 env MP_HANDLES=malloc "${valgrind[@]}" "$out/$name-gcc" || return 1
    fi
}

# Runs a test and prints at its end, whole, what it has printed.
report_one() {
    local log
    log=$out/$(basename "$1" .c).log
    test_one "$1" >"$log" 2>&1 || touch "$out/failed"
    flock "$out/lock" cat "$log"
}

if (($# == 0)); then
    set -- tests/c/*.c
fi
rm -f "$out/failed"
jobs=${MP_TEST_JOBS:-$(nproc)}
alone=()
for file in "$@"; do
    if marked "$file" alone; then
        alone+=("$file")
        continue
    fi
    while (($(jobs -rp | wc -l) >= jobs)); do
        wait -n
    done
    report_one "$file" &
done
wait
for file in ${alone[@]+"${alone[@]}"}; do
    report_one "$file"
done
[[ -e $out/failed ]] && failed=1
exit $failed
