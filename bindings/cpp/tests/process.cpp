// The process.

#include "check.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <vector>

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

std::string shout(std::string_view text) { return std::string(text) + "!"; }

std::string who() { return mp::current_process_name() + " of " + std::to_string(mp::parent_pid()); }

void results(mp::start_method m) {
    mp::process p = mp::process::with<&shout>(by(m), std::string(5000, 'x'));
    CHECK_FAILS(mp::status::state, static_cast<void>(p.result()));
    p.start();
    p.join();
    CHECK(p.result<std::string>() == std::string(5000, 'x') + "!");
    CHECK(p.result().size() >= 5001);
    CHECK(p.usage().max_resident > 0 && p.usage().user >= 0);
    mp::process failed = mp::process::with<&throw_exit>(by(m), 9);
    failed.start();
    failed.join();
    try {
        static_cast<void>(failed.result());
        CHECK(false);
    } catch (const mp::error &e) {
        CHECK(e.status() == mp::status::task_failed && check::contains(e.what(), "asked to"));
    }
    mp::process named = mp::process::with<&who>(by(m, "someone"));
    named.start();
    named.join();
    CHECK(named.result<std::string>() == "someone of " + std::to_string(getpid()));
    CHECK(mp::current_process_name() == "MainProcess" && mp::parent_pid() == 0);
}

void gentle_and_thorough(mp::start_method m) {
    CHECK(mp::active_children().empty());
    std::vector<mp::process> many;
    for (int i = 0; i < 20; i++) {
        many.push_back(mp::process::with<&sleep_long>(by(m)));
        many.back().start();
    }
    const std::vector<int> children = mp::active_children();
    CHECK(children.size() == many.size());
    CHECK(std::count(children.begin(), children.end(), many[7].pid()) == 1);
    many[0].interrupt();
    many[0].join();
    CHECK(many[0].exitcode() == -SIGINT);
    CHECK_FAILS(mp::status::worker_died, static_cast<void>(many[0].result()));
    many[1].stop(10s);
    CHECK(many[1].exitcode() == -SIGTERM);
    for (mp::process &p : many)
        p.kill_tree();
    CHECK(many[19].exitcode() == -SIGKILL);
    CHECK(mp::active_children().empty());
    CHECK_FAILS(mp::status::not_found, mp::set_executable("/nowhere"));
    mp::set_executable("");
}

} // namespace

int main(int argc, char **argv) {
    check::begin(argc, argv);
    check::each_start("life", life);
    check::each_start("typed", typed);
    check::each_start("ending", ending);
    check::each_start("results", results);
    check::each_start("gentle and thorough", gentle_and_thorough);
    return 0;
}
