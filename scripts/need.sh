#!/bin/sh
# Says how to get the programs that are not there: need.sh PROGRAM...

for program in "$@"; do
    if ! command -v "$program" >/dev/null 2>&1; then
        case $program in
        cargo) how="see https://rustup.rs, or apt-get install cargo (Rust 1.82 or newer)" ;;
        gcc) how="apt-get install gcc" ;;
        *) how="apt-get install $program" ;;
        esac
        echo "$program is needed and was not found: $how" >&2
        missing=1
    fi
done
[ -z "${missing:-}" ]
