#!/bin/bash
# Builds the C examples, runs those that need no arguments, and tests csv_pool against Python's csv module.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
source scripts/flags.sh

failed=0
make --no-print-directory compile-examples || exit 1
shopt -s nullglob
for program in target/examples-c/*; do
    name=$(basename "$program")
    if [[ $name != csv_pool ]]; then
        run_program "$name" 120 "$program" || failed=1
    fi
done
# The program in the README is what people copy first.
if grep -q mp_pool_map include/mp.h; then
    # shellcheck disable=SC2016 # those are backticks
    sed -n '/^```c$/,/^```$/{/^```/d;p}' README.md >target/readme.c
    gcc "${c_flags[@]}" target/readme.c -o target/readme "${shared[@]}" &&
        run_program "the README's program" 60 bash -c "diff <(target/readme) <(printf '%s\n' 1 4 9 16 25)" || failed=1
fi
if [[ -x target/examples-c/csv_pool && -e tests/csv_pool.py ]]; then
    timeout -k 5 500 python3 tests/csv_pool.py --big target/examples-c/csv_pool || failed=1
fi
exit $failed
