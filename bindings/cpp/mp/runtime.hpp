/// \file
/// The program's own calls: start-up, start methods, names of functions, cancelling.

#ifndef MP_RUNTIME_HPP
#define MP_RUNTIME_HPP

#include "core.hpp"

namespace mp {

/// How a process comes to be. `automatic` is the program's default, set with `set_start_method`; `forkserver`
/// forks a clean server process, see `forkserver_start`; `thread` makes a thread of this process.
enum class start_method : std::int32_t {
    automatic = MP_START_DEFAULT,
    fork = MP_START_FORK,
    forkserver = MP_START_FORKSERVER,
    spawn = MP_START_SPAWN,
    thread = MP_START_THREAD,
};

/// First in `main`. In a spawned child, and in the fork server, it runs what the child was started for and does not
/// return.
inline void main_init(int argc, char **argv) { detail::check(mp_main_init(argc, argv)); }

inline void set_start_method(start_method m) { detail::check(mp_set_start_method(static_cast<std::int32_t>(m))); }

[[nodiscard]] inline start_method get_start_method() noexcept {
    return static_cast<start_method>(mp_get_start_method());
}

/// Names the program that spawned children run, for a plug-in whose host has no `main_init`: see `mp_set_executable`.
/// An empty path sets it back to this program.
inline void set_executable(const std::string &path) {
    detail::check(mp_set_executable(path.empty() ? nullptr : path.c_str()));
}

/// Gives `fn` a name by which other processes find it; needed only where a pointer can't travel.
inline void register_function(const char *name, mp_fn fn) { detail::check(mp_register(name, fn)); }

/// The processors this process may use: affinity and cgroup quota counted.
[[nodiscard]] inline unsigned cpu_count() noexcept {
    const std::int32_t n = mp_cpu_count();
    return n > 0 ? static_cast<unsigned>(n) : 1U;
}

[[nodiscard]] inline const char *version() noexcept { return mp_version(); }

/// Ends blocking calls from outside: every thread that uses it then gets status `cancelled`.
class cancel : public detail::owner<mp_cancel, mp_cancel_free> {
  public:
    cancel() : owner(adopt, detail::make<mp_cancel>(mp_cancel_new)) {}

    /// Async-signal-safe.
    void fire() const noexcept { mp_cancel_fire(native()); }

    void reset() { detail::check(mp_cancel_reset(native())); }
};

/// While it lives, this thread's blocking calls obey a `cancel`, which must outlive it. Scopes nest.
class cancel_scope {
  public:
    explicit cancel_scope(const cancel &c) : outer_(current()) {
        detail::check(mp_cancel_use(c.native()));
        current() = c.native();
    }
    ~cancel_scope() {
        mp_cancel_use(outer_);
        current() = outer_;
    }
    cancel_scope(const cancel_scope &) = delete;
    cancel_scope &operator=(const cancel_scope &) = delete;

  private:
    static mp_cancel *&current() noexcept {
        static thread_local mp_cancel *used = nullptr;
        return used;
    }
    mp_cancel *outer_;
};

} // namespace mp

#endif
