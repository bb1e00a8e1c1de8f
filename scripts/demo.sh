#!/bin/bash
# Runs csv_pool in both modes and compares what they counted: demo.sh PROGRAM CSV COLUMN
set -euo pipefail

program=$1 csv=$2 column=$3
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

worst=0
for mode in map stream; do
    printf '\n== %s %s --column %s --mode %s\n' "$program" "$csv" "$column" "$mode"
    code=0
    "$program" "$csv" --column "$column" --mode "$mode" >"$results/$mode" || code=$?
    head -n 15 "$results/$mode"
    lines=$(wc -l <"$results/$mode")
    if ((lines > 15)); then
        echo "... and $((lines - 15)) more"
    fi
    # 1 means that bad records were named and skipped; anything above is a failure.
    if ((code > 1)); then
        exit "$code"
    fi
    worst=$((code > worst ? code : worst))
done

if ! cmp -s "$results/map" "$results/stream"; then
    echo "demo: the two modes differ" >&2
    exit 1
fi
printf '\nBoth modes counted the same: %d values.\n' "$lines"
exit "$worst"
