#!/bin/bash
# Tests the two examples of named arenas as they are used: the C++ producer and the Go consumer are strangers to each
# other, come in either order, and are killed half-way: test-arena-pair.sh GO
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/flags.sh

go=$1
export GOTOOLCHAIN=local
dir=$PWD/target/arena-pair
arena=
consumer=
producer=
rm -rf "$dir"
mkdir -p "$dir"
ln -sf libmp.so target/release/libmp.so.0
g++ "${cpp_flags[@]}" bindings/cpp/examples/produce.cpp -o "$dir/produce" "${shared[@]}"
"$go" -C bindings/go build -tags mp_tree -o "$dir" ./examples/consume

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# Of what a failed trial has started and made nothing stays.
clean() {
    local pid
    for pid in $consumer $producer; do
        kill -KILL "$pid" 2>/dev/null || true
    done
    [[ -z $arena ]] || "$dir/consume" -remove "$arena" 2>/dev/null || true
}
trap clean EXIT

begin() {
    arena=pair-$$-$1
    rm -f "$dir"/*.txt
    touch "$dir"/{before,out,acknowledged}.txt
}

end() {
    "$dir/consume" -remove "$arena"
    arena=
    echo "$1: ok"
}

# start_consumer FILE
start_consumer() {
    "$dir/consume" "$arena" >"$dir/$1" &
    consumer=$!
}

# produce LABEL N: puts "LABEL 1" to "LABEL N".
produce() {
    timeout 60 "$dir/produce" "$arena" < <(seq -f "$1 %.0f" "$2")
}

# start_producer LABEL: one that does not come to an end, and says in acknowledged.txt what is in the queue.
start_producer() {
    "$dir/produce" -v "$arena" < <(seq -f "$1 %.0f" 100000000) >"$dir/acknowledged.txt" &
    producer=$!
}

# until_lines FILE N: waits until the file has that many lines.
until_lines() {
    local deadline=$((SECONDS + 60))
    until (($(wc -l <"$dir/$1") >= $2)); do
        ((SECONDS < deadline)) || fail "$1 has $(wc -l <"$dir/$1") lines, not $2"
        sleep 0.01
    done
}

kill_producer() {
    kill -KILL "$producer"
    wait "$producer" 2>/dev/null || true
    producer=
}

kill_consumer() {
    kill -KILL "$consumer"
    wait "$consumer" 2>/dev/null || true
    consumer=
}

# A consumer that is asked to end says that all is well.
stop_consumer() {
    kill -TERM "$consumer"
    wait "$consumer" || fail "the consumer ended with $?"
    consumer=
}

# expect FILE WHAT: the file is what comes on the standard input.
expect() {
    diff "$dir/$1" - >"$dir/diff.txt" || {
        head "$dir/diff.txt"
        fail "$2"
    }
}

consumer_first() {
    begin consumer-first
    start_consumer out.txt
    produce line 5000
    until_lines out.txt 5000
    stop_consumer
    expect out.txt "not the lines that were put" < <(seq -f "line %.0f" 5000)
    end "consumer first"
}

producer_first() {
    begin producer-first
    produce line 900
    start_consumer out.txt
    until_lines out.txt 900
    stop_consumer
    expect out.txt "not the lines that were put" < <(seq -f "line %.0f" 900)
    end "producer first"
}

# Puts one more line, and waits until it has come: by then all others have.
await_last() {
    local deadline=$((SECONDS + 60))
    produce last 1
    until [[ $(tail -n 1 "$dir/$1") == "last 1" ]]; do
        ((SECONDS < deadline)) || fail "the last line has not come to $1"
        sleep 0.01
    done
}

# How many lines the killed producer had put, of which FILE has those after N: one more may be in the queue than it came
# to say.
put_by_the_dead() {
    local acknowledged arrived
    acknowledged=$(wc -l <"$dir/acknowledged.txt")
    arrived=$(($2 + $(grep -c first "$dir/$1")))
    ((arrived == acknowledged || arrived == acknowledged + 1)) ||
        fail "$acknowledged lines were put, and $arrived have arrived"
    echo "$arrived"
}

# Every line that is in the queue arrives, once and in its place.
producer_killed() {
    local first
    begin "producer-killed-$1"
    start_consumer out.txt
    start_producer first
    until_lines acknowledged.txt "$1"
    kill_producer
    produce second 3000
    await_last out.txt
    stop_consumer
    first=$(put_by_the_dead out.txt 0)
    expect out.txt "lines lost, doubled or out of order" < <(
        seq -f "first %.0f" "$first"
        seq -f "second %.0f" 3000
        echo "last 1"
    )
    end "producer killed after $first lines"
}

# What waits goes to the next consumer; at most the line in the hands of the one that was killed is gone.
consumer_killed() {
    local printed next first
    begin "consumer-killed-$1"
    start_producer first
    start_consumer before.txt
    until_lines before.txt "$1"
    kill_consumer
    start_consumer out.txt
    until_lines out.txt 2000
    kill_producer
    await_last out.txt
    stop_consumer
    printed=$(wc -l <"$dir/before.txt")
    read -r _ next <"$dir/out.txt"
    ((next == printed + 1 || next == printed + 2)) || fail "line $next followed line $printed"
    first=$(put_by_the_dead out.txt $((next - 1)))
    expect before.txt "lines lost or doubled before the death" < <(seq -f "first %.0f" "$printed")
    expect out.txt "lines lost or doubled after the death" < <(
        seq -f "first %.0f" "$next" "$first"
        echo "last 1"
    )
    end "consumer killed after $printed lines"
}

consumer_first
producer_first
for lines in 1 700 4000 15000; do
    producer_killed "$lines"
done
for lines in 1 500 9000; do
    consumer_killed "$lines"
done
