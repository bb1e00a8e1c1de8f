// The process.

#include "check.hpp"

#include <atomic>
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

// What is special about threads: they share this process's memory, and can't be ended from outside.
std::atomic<int> counter{0};
std::atomic<bool> open{false};

void count_when_open(int n) {
    while (!open)
        std::this_thread::sleep_for(1ms);
    counter += n;
}

void threads() {
    mp::set_start_method(mp::start_method::thread);
    CHECK(mp::get_start_method() == mp::start_method::thread);
    mp::process p = mp::process::of<&count_when_open>(3);
    p.start();
    CHECK(p.pid() == getpid() && p.is_alive() && p.try_join(1ms) == mp::status::timeout);
    CHECK_FAILS(mp::status::unsupported, p.terminate());
    CHECK_FAILS(mp::status::unsupported, p.kill());
    open = true;
    p.join();
    CHECK(p.exitcode() == 0 && counter == 3);
    mp::set_start_method(mp::start_method::automatic);
}

// What a fork server has warmed up, its children find.
std::string warmed;

void warm(const std::string &text) {
    if (text.empty())
        throw std::runtime_error("nothing to warm");
    warmed = text;
}

void expect_warmth(const std::string &text) { CHECK(warmed == text); }

void served() {
    mp::forkserver_stop();
    mp::forkserver_start<&warm>("warm");
    CHECK_FAILS(mp::status::state, mp::forkserver_start<&warm>("again"));
    mp::process_options options;
    options.method = mp::start_method::forkserver;
    mp::process p = mp::process::with<&expect_warmth>(options, "warm");
    p.start();
    p.join();
    CHECK(p.exitcode() == 0 && warmed.empty());
    mp::forkserver_stop();
    CHECK_FAILS(mp::status::task_failed, mp::forkserver_start<&warm>(""));
}

} // namespace

int main(int argc, char **argv) {
    check::begin(argc, argv);
    check::each_start_and_thread("life", life);
    check::each_start_and_thread("typed", typed);
    check::each_start("ending", ending);
    threads();
    served();
    return 0;
}
