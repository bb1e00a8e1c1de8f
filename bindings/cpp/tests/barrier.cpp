// The barrier, within a process and between processes.

#include "check.hpp"

#include <csignal>
#include <set>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

void alone() {
    mp::barrier one(1);
    CHECK(one.parties() == 1 && one.waiting() == 0 && !one.broken());
    CHECK(one.wait() == 0 && one.wait(mp::no_wait) == 0);
    one.arrive_and_wait();
    CHECK_FAILS(mp::status::invalid, mp::barrier(0));
}

void rounds() {
    mp::barrier b(3);
    mp::queue numbers;
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            for (int round = 0; round < 100; ++round)
                numbers.put(b.wait());
        });
    }
    for (std::thread &t : threads)
        t.join();
    std::multiset<std::uint32_t> seen;
    while (numbers.size() > 0)
        seen.insert(numbers.get<std::uint32_t>());
    CHECK(seen.size() == 300 && seen.count(0) == 100 && seen.count(1) == 100 && seen.count(2) == 100);
}

void breaking() {
    mp::barrier b(2);
    CHECK_FAILS(mp::status::timeout, b.wait(1ms));
    CHECK(b.broken());
    CHECK_FAILS(mp::status::broken, b.wait());
    b.reset();
    CHECK(!b.broken());
    std::uint32_t index = 7;
    std::thread waiter([&] { CHECK(b.try_wait(index) == mp::status::broken && index == 7); });
    while (b.waiting() == 0)
        std::this_thread::sleep_for(1ms);
    b.abort();
    waiter.join();
    CHECK(b.try_wait(index) == mp::status::broken);
}

/// Comes to so many rounds, and then dies or ends.
void come(mp::token t, int rounds, bool die) {
    mp::barrier b = mp::barrier::from_token(t);
    for (int i = 0; i < rounds; ++i)
        b.wait();
    if (die)
        std::raise(SIGKILL);
}

void between_processes(mp::start_method m) {
    mp::barrier b(3);
    mp::process first = check::start<&come>(m, b.token(), 50, false);
    mp::process second = check::start<&come>(m, b.token(), 50, false);
    for (int i = 0; i < 50; ++i)
        b.wait();
    first.join();
    second.join();
    CHECK(first.exitcode() == 0 && second.exitcode() == 0);
}

void death(mp::start_method m) {
    mp::barrier b(2);
    mp::process child = check::start<&come>(m, b.token(), 1, true);
    b.wait();
    CHECK_FAILS(mp::status::broken, b.wait());
    child.join();
    CHECK(child.exitcode() == -SIGKILL);
}

} // namespace

int main(int argc, char **argv) {
    check::begin(argc, argv);
    alone();
    rounds();
    breaking();
    check::each_start("between processes", between_processes);
    check::each_start("death", death);
    return 0;
}
