// Puts the lines of its standard input into a queue that other programs find by name. Its other half is a Go program,
// bindings/go/examples/consume, which prints them. Build both against an installed libmp,
//
//     c++ -std=c++17 bindings/cpp/examples/produce.cpp -o produce $(pkg-config --cflags --libs mp)
//     go -C bindings/go build -o "$PWD" ./examples/consume
//
// and start each in a terminal of its own, in either order:
//
//     $ ./produce demo                   $ ./consume demo
//     hello                              hello
//     world                              world
//
// Both open the arena "demo" and in it the queue "lines"; whoever comes first makes them. They know nothing else of
// each other: any number of either may run, and end or be killed and start again, at any time. A line is in the queue
// once `put` has returned, whatever happens to its producer then, and it waits there until a consumer takes it, if need
// be for one that is started tomorrow. Where 1000 lines wait, `put` waits too. `consume -remove demo` takes all away.
//
//     produce [-v] ARENA     until the end of the input; -v prints each line that is in the queue
//     produce                shows the same alone: with its own arena, and a child process as the consumer
//
// Exit codes: 0 fine, 1 something failed, 2 usage.

#include <mp.hpp>

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>

namespace {

/// All who open the queue must say the same.
constexpr std::int64_t most_waiting = 1000;

mp::queue open_lines(const std::string &arena) { return mp::arena(arena).queue("lines", most_waiting); }

void produce(const std::string &arena, bool verbose) {
    mp::queue lines = open_lines(arena);
    std::string line;
    while (std::getline(std::cin, line)) {
        lines.put(line);
        if (verbose)
            std::cout << line << std::endl;
    }
}

/// What the child does, which is given the name and nothing else.
void consume(const std::string &arena, int count) {
    mp::queue lines = open_lines(arena);
    for (int i = 0; i < count; ++i)
        std::cout << lines.get<std::string>() << std::endl;
}

int alone() {
    const std::string arena = "produce-" + std::to_string(getpid());
    const int count = 3;
    mp::process consumer = mp::process::of<&consume>(arena, count);
    consumer.start();
    mp::queue lines = open_lines(arena);
    for (int i = 1; i <= count; ++i)
        lines.put("line " + std::to_string(i) + " from process " + std::to_string(getpid()));
    consumer.join();
    mp::unlink_arena(arena);
    return consumer.exitcode() == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char **argv) try {
    mp::main_init(argc, argv);
    const bool verbose = argc > 1 && argv[1] == std::string("-v");
    const int names = argc - 1 - verbose;
    if (argc == 1)
        return alone();
    if (names != 1 || argv[argc - 1][0] == '-') {
        std::fprintf(stderr, "usage: %s [[-v] ARENA]\n", argv[0]);
        return 2;
    }
    produce(argv[argc - 1], verbose);
    return 0;
} catch (const std::exception &e) {
    std::fprintf(stderr, "produce: %s\n", e.what());
    return 1;
}
