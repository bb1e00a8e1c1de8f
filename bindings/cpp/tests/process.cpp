// The process.

#include "check.hpp"

#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

using namespace std::chrono_literals;

extern "C" {
static int32_t exit_with_length(mp_call *c) { return static_cast<int32_t>(mp::call(c)[0].size()); }
}

namespace {

void check_arguments(int number, std::string_view text, const std::vector<double> &list) {
    if (number != 7 || text != "seven" || list.size() != 2 || list[1] != 2.5)
        throw std::runtime_error("wrong");
}

void throw_exit(int code) { throw mp::task_exit(code, "asked to"); }

void sleep_long() { std::this_thread::sleep_for(10min); }

mp::process_options by(mp::start_method m, const char *name = "") {
    mp::process_options o;
    o.method = m;
    o.name = name;
    return o;
}

void life(mp::start_method m) {
    mp::process p(exit_with_length, {"12345"}, by(m, "counter"));
    CHECK(p.name() == "counter");
    CHECK(check::contains(p.repr(), "counter, initial"));
    CHECK(!p.exitcode().has_value());
    CHECK_FAILS(mp::status::state, p.join());
    p.start();
    CHECK(p.pid() > 0);
    CHECK_FAILS(mp::status::state, p.start());
    p.join();
    CHECK(!p.is_alive() && p.exitcode() == 5);
    p.close();
}

void typed(mp::start_method m) {
    mp::process p = mp::process::with<&check_arguments>(by(m), 7, "seven", std::vector<double>{1, 2.5});
    p.start();
    p.join();
    CHECK(p.exitcode() == 0);
    mp::process thrown = mp::process::with<&throw_exit>(by(m), 9);
    thrown.start();
    thrown.join();
    CHECK(thrown.exitcode() == 9);
}

void ending(mp::start_method m) {
    mp::process p = mp::process::with<&sleep_long>(by(m));
    p.start();
    CHECK(p.is_alive() && p.try_join(1ms) == mp::status::timeout);
    CHECK_FAILS(mp::status::state, p.close());
    p.terminate();
    p.join();
    CHECK(p.exitcode() == -SIGTERM);
    p.terminate();
    mp::process killed = mp::process::with<&sleep_long>(by(m));
    killed.start();
    killed.kill();
    killed.join();
    CHECK(killed.exitcode() == -SIGKILL);
}

} // namespace

int main(int argc, char **argv) {
    check::begin(argc, argv);
    check::each_start("life", life);
    check::each_start("typed", typed);
    check::each_start("ending", ending);
    return 0;
}
