#!/bin/bash
# Compiles the C++ tests and examples with g++ and clang++, and runs them.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
source scripts/flags.sh

out=target/tests-cpp
failed=0
mkdir -p "$out"
ln -sf libmp.so target/release/libmp.so.0
cpp_compilers=$(compilers g++ clang++)

shopt -s nullglob
for file in bindings/cpp/{tests,examples}/*.cpp; do
    name=$(basename "$file" .cpp)
    for compiler in $cpp_compilers; do
        "$compiler" "${cpp_flags[@]}" "$file" -o "$out/$name-$compiler" "${shared[@]}" &&
            run_program "$name ($compiler)" 120 "$out/$name-$compiler" || failed=1
    done
done
exit $failed
