#!/bin/bash
# Installs into an empty prefix, moves it, and builds and runs programs against it by CMake and by pkg-config.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/flags.sh
trap 'echo "test-install.sh: line $LINENO failed" >&2' ERR

work=target/tests-install
rm -rf "$work"
mkdir -p "$work"
make --no-print-directory install PREFIX=/opt/mp DESTDIR="$PWD/$work/root" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}
# Elsewhere than it was installed to: nothing may know the old place.
prefix=$PWD/$work/moved
mv "$work/root/opt/mp" "$prefix"
if grep -rIl "opt/mp" "$prefix"; then
    echo "these files know where they were installed" >&2
    exit 1
fi

[[ $(readlink "$prefix/lib/libmp.so") == libmp.so.0 ]]
[[ $(readlink "$prefix/lib/libmp.so.0") == libmp.so.*.*.* ]]
cmp include/mp.h "$prefix/include/mp.h"

if ! { cmake -S tests/install -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" &&
    cmake --build "$work/cmake"; } >"$work/log"; then
    cat "$work/log"
    exit 1
fi
for program in "$work"/cmake/consumer_*; do
    run_program "$(basename "$program") (CMake)" 60 "$program"
done
# Not `ldd | grep -q`: that ends at the first match, and ldd would die of the closed pipe.
needed=$(ldd "$work/cmake/consumer_mp")
if [[ $needed != *"$prefix/lib/libmp.so.0"* ]]; then
    echo "the shared consumer does not use the library installed: $needed" >&2
    exit 1
fi
if ldd "$work/cmake/consumer_mp_static" | grep libmp; then
    echo "the static consumer needs the shared library" >&2
    exit 1
fi

if command -v pkg-config >/dev/null; then
    export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
    # shellcheck disable=SC2046 # flags are words
    gcc -std=c11 -Wall -Wextra -Werror tests/install/consumer.c -o "$work/consumer" $(pkg-config --cflags --libs mp)
    run_program "consumer (pkg-config)" 60 env LD_LIBRARY_PATH="$prefix/lib" "$work/consumer"
else
    skip "pkg-config: not installed"
fi
