// The conditions under which a process begins.

#include "check.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <iostream>
#include <string>

namespace {

std::string variable(const char *name) {
    const char *value = std::getenv(name);
    return value != nullptr ? value : "(none)";
}

void find_everything(int nice, int cpu) {
    CHECK(variable("MP_T_SET") == "a=b" && variable("MP_T_EMPTY").empty() && variable("MP_T_GONE") == "(none)");
    std::array<char, 100> path{};
    CHECK(getcwd(path.data(), path.size()) != nullptr && std::string(path.data()) == "/");
    CHECK(getpriority(PRIO_PROCESS, 0) == nice);
    cpu_set_t cpus;
    CHECK(sched_getaffinity(0, sizeof cpus, &cpus) == 0);
    CHECK(CPU_COUNT(&cpus) == 1 && CPU_ISSET(static_cast<std::size_t>(cpu), &cpus));
    rlimit files{}, core{};
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur == 50 && files.rlim_max == 60);
    CHECK(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0);
}

void everything(mp::start_method m) {
    setenv("MP_T_GONE", "here", 1);
    cpu_set_t now;
    CHECK(sched_getaffinity(0, sizeof now, &now) == 0);
    int cpu = 0;
    while (!CPU_ISSET(static_cast<std::size_t>(cpu), &now))
        cpu++;
    mp::process_options o;
    o.method = m;
    o.env = {{"MP_T_SET", "a=b"}, {"MP_T_EMPTY", ""}, {"MP_T_GONE", std::nullopt}};
    o.cwd = "/";
    o.nice = 19;
    o.cpus = {cpu};
    o.rlimits = {{RLIMIT_NOFILE, 50, 60}, {RLIMIT_CORE, 0, 0}};
    mp::process p = mp::process::with<&find_everything>(o, 19, cpu);
    p.start();
    p.join();
    CHECK(p.exitcode() == 0);
    CHECK(variable("MP_T_GONE") == "here");
}

// What it reads from stdin goes to stdout and, by its number, to another pipe; stderr is closed.
void copy_a_word(int fd) {
    std::string word;
    std::cin >> word;
    std::cout << "out " << word << std::endl;
    CHECK(write(fd, word.data(), word.size()) == static_cast<ssize_t>(word.size()));
    CHECK(write(STDERR_FILENO, "x", 1) < 0);
}

std::string text_of(int fd) {
    std::array<char, 100> text{};
    const ssize_t n = read(fd, text.data(), text.size());
    return std::string(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
}

void descriptors(mp::start_method m) {
    std::array<int, 2> in{}, out{}, more{};
    CHECK(pipe(in.data()) == 0 && pipe(out.data()) == 0 && pipe(more.data()) == 0);
    CHECK(write(in[1], "hello\n", 6) == 6);
    mp::process_options o;
    o.method = m;
    o.fds = {{0, in[0]}, {1, out[1]}, {2, mp::closed_fd}, {3, more[1]}, {4, mp::null_fd}};
    mp::process p = mp::process::with<&copy_a_word>(o, 3);
    p.start();
    p.join();
    CHECK(p.exitcode() == 0);
    CHECK(text_of(out[0]) == "out hello\n");
    CHECK(text_of(more[0]) == "hello");
    for (const std::array<int, 2> &ends : {in, out, more})
        CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

void nothing() {}

void refused(mp::start_method m, mp::status status, const mp::process_options &o) {
    mp::process_options by = o;
    by.method = m;
    mp::process p = mp::process::with<&nothing>(by);
    CHECK_FAILS(status, p.start());
    CHECK(!p.is_alive());
}

void errors(mp::start_method m) {
    mp::process_options o;
    o.cwd = "/no/such";
    refused(m, mp::status::not_found, o);
    o = {};
    o.cpus = {8191};
    refused(m, mp::status::invalid, o);
    o = {};
    o.rlimits = {{RLIMIT_NOFILE, 50, mp::no_limit}};
    refused(m, mp::status::access, o);
    o = {};
    o.fds = {{1, 399}};
    refused(m, mp::status::invalid, o);
    o = {};
    o.env = {{"MP_CHILD", "1"}};
    CHECK_FAILS(mp::status::invalid, mp::process::with<&nothing>(o));
}

} // namespace

int main(int argc, char **argv) {
    check::begin(argc, argv);
    check::each_start("everything", everything);
    check::each_start("descriptors", descriptors);
    check::each_start("errors", errors);
    return 0;
}
