#!/bin/bash
# Compiles the C++ tests and examples with g++ and clang++, and runs them. A file is a program; so is a folder,
# of all its files.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
source scripts/flags.sh

out=target/tests-cpp
failed=0
rm -rf "$out"
mkdir -p "$out"
ln -sf libmp.so target/release/libmp.so.0
cpp_compilers=$(compilers g++ clang++)

shopt -s nullglob
programs=()
for compiler in $cpp_compilers; do
    for source in bindings/cpp/{tests,examples}/*; do
        case $source in
        *.cpp) files=("$source") ;;
        *.hpp) continue ;;
        *) files=("$source"/*.cpp) ;;
        esac
        program=$out/$(basename "$source" .cpp)-$compiler
        programs+=("$program")
        # Compiling takes longest: as many at a time as there are processors.
        while (($(jobs -rp | wc -l) >= $(nproc))); do
            wait -n
        done
        "$compiler" "${cpp_flags[@]}" "${files[@]}" -o "$program" "${shared[@]}" &
    done
done
wait
for program in "${programs[@]}"; do
    run_program "$(basename "$program")" 120 "$program" || failed=1
done
exit $failed
