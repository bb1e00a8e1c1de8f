#!/bin/bash
# Checks and tests bindings/go against an installed tree: test-go.sh GO
set -euo pipefail
cd "$(dirname "$0")/.."

go=$1
export GOTOOLCHAIN=local GOFLAGS=-count=1
# The wrapper finds libmp as any program does: by pkg-config, and by the loader.
prefix=$PWD/target/prefix-go
make --no-print-directory install PREFIX="$prefix" DESTDIR= >/dev/null
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib
cd bindings/go

unformatted=$("$("$go" env GOROOT)/bin/gofmt" -l .)
if [[ -n $unformatted ]]; then
    echo "not formatted by gofmt: $unformatted" >&2
    exit 1
fi
"$go" vet ./...
timeout -k 5 300 "$go" test -timeout 250s ./...
# With a collection at every use of a handle, an object that is not kept alive long enough goes in every test.
GOGC=1 timeout -k 5 300 "$go" test -timeout 250s -tags mp_gc ./...
shopt -s nullglob
for example in examples/*/; do
    timeout -k 5 120 "$go" run "./$example"
done
