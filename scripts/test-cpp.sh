#!/bin/bash
# Compiles the C++ tests and examples with g++ and clang++, and runs them.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
source scripts/flags.sh

failed=0
ln -sf libmp.so target/release/libmp.so.0

for compiler in $(compilers g++ clang++); do
    out=target/tests-cpp/$compiler
    make --no-print-directory -s -j2 -C bindings/cpp all CXX="$compiler" OUT="$PWD/$out" || {
        failed=1
        continue
    }
    for program in "$out"/*; do
        run_program "$(basename "$program") ($compiler)" 120 "$program" || failed=1
    done
done
exit $failed
