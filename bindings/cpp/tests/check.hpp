// What the tests share: checks that say where they failed, and a watchdog.

#ifndef MP_TESTS_CHECK_HPP
#define MP_TESTS_CHECK_HPP

#include <mp.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            check::fail(__FILE__, __LINE__, #condition);                                                               \
    } while (0)

#define FAIL(text) check::fail(__FILE__, __LINE__, text)

// The expression throws an mp::error of this status.
#define CHECK_FAILS(wanted, ...)                                                                                       \
    do {                                                                                                               \
        bool thrown_ = false;                                                                                          \
        try {                                                                                                          \
            static_cast<void>(__VA_ARGS__);                                                                            \
        } catch (const mp::error &e_) {                                                                                \
            thrown_ = true;                                                                                            \
            if (e_.code() != (wanted))                                                                                 \
                check::fail(__FILE__, __LINE__, e_.what());                                                            \
            if (*e_.what() == '\0')                                                                                    \
                check::fail(__FILE__, __LINE__, "an error without a sentence");                                        \
        }                                                                                                              \
        if (!thrown_)                                                                                                  \
            check::fail(__FILE__, __LINE__, "did not throw: " #__VA_ARGS__);                                           \
    } while (0)

namespace check {

[[noreturn]] inline void fail(const char *file, int line, const char *what) {
    std::fprintf(stderr, "%s:%d: pid %d: %s (last error: %s)\n", file, line, static_cast<int>(getpid()), what,
                 mp::last_error());
    std::_Exit(1);
}

inline bool contains(const std::string &text, const char *part) { return text.find(part) != std::string::npos; }

/// Starts the program: a spawned child does not return. A test that hangs is ended by SIGALRM.
inline void begin(int argc, char **argv) {
    mp::main_init(argc, argv);
    alarm(120);
}

inline const char *name_of(mp::start_method m) {
    static const char *const names[] = {"automatic", "fork", "forkserver", "spawn", "thread"};
    return names[static_cast<int>(m)];
}

template <class Test>
void each_of(std::initializer_list<mp::start_method> methods, const char *name, Test &&test) {
    for (const mp::start_method m : methods) {
        std::printf("%s, %s\n", name, name_of(m));
        std::fflush(stdout);
        test(m);
    }
}

/// Runs a test under every start method that makes a process.
template <class Test>
void each_start(const char *name, Test &&test) {
    each_of({mp::start_method::fork, mp::start_method::forkserver, mp::start_method::spawn}, name, test);
}

/// The same, and as threads: for what kills nobody.
template <class Test>
void each_start_and_thread(const char *name, Test &&test) {
    each_start(name, test);
    each_of({mp::start_method::thread}, name, test);
}

/// A running process of that function.
template <auto Fn, class... Args>
mp::process start(mp::start_method m, const Args &...args) {
    mp::process_options options;
    options.method = m;
    mp::process p = mp::process::with<Fn>(options, args...);
    p.start();
    return p;
}

} // namespace check

#endif
