// The process.

#include "check.hpp"

#include <algorithm>
#include <atomic>
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
    check::each_start_and_thread("life", life);
    check::each_start_and_thread("typed", typed);
    check::each_start("ending", ending);
    threads();
    served();
    check::each_start("results", results);
    check::each_start("gentle and thorough", gentle_and_thorough);
    return 0;
}
