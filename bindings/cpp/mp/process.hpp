/// \file
/// The process.

#ifndef MP_PROCESS_HPP
#define MP_PROCESS_HPP

#include "codec.hpp"
#include "runtime.hpp"
#include "target.hpp"

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace mp {

/// How to make a process.
struct process_options {
    std::string name;    ///< Empty: "Process-1" and so on.
    bool daemon = false; ///< Ends with its parent.
    start_method method = start_method::automatic;
};

/// A process that runs one function. Destroying it while it runs does not end it: it is joined at exit, unless it is a
/// daemon.
class process : public detail::owner<mp_process, mp_process_free> {
  public:
    /// `fn`, with bytes as its arguments; what it returns is the exit code.
    explicit process(mp_fn fn, std::initializer_list<bytes> args = {}, const process_options &options = {})
        : owner(adopt, create(fn, detail::to_slices<void>(args), options)) {}

    using owner::owner;

    /// A process of a C++ function: `mp::process::of<&work>(1, "two")`. An exception gives exit code 1.
    template <auto Fn, class... Args>
    [[nodiscard]] static process of(const Args &...args) {
        return with<Fn>(process_options(), args...);
    }

    /// The same with options.
    template <auto Fn, class... Args>
    [[nodiscard]] static process with(const process_options &options, const Args &...args) {
        return process(adopt, create(target<Fn>, detail::arguments<Fn>(args...), options));
    }

    void start() { detail::check(mp_process_start(native())); }

    void join() { detail::check(mp_process_join(native(), MP_FOREVER)); }

    /// `ok`, `timeout` or another failure.
    [[nodiscard]] mp::status try_join(timeout t = no_wait) noexcept {
        return static_cast<mp::status>(mp_process_join(native(), t.count()));
    }

    /// SIGTERM. No error if it has already ended.
    void terminate() { detail::check(mp_process_terminate(native())); }

    /// SIGKILL.
    void kill() { detail::check(mp_process_kill(native())); }

    /// SIGINT, as Ctrl-C sends it.
    void interrupt() { detail::check(mp_process_interrupt(native())); }

    /// SIGTERM, and SIGKILL if it has not ended after `grace`. Returns when it has ended.
    void stop(timeout grace) { detail::check(mp_process_stop(native(), grace.count())); }

    /// Kills it and all that descends from it, and waits until they have ended: see `mp_process_kill_tree`.
    void kill_tree() { detail::check(mp_process_kill_tree(native())); }

    /// What the function gave, once it has ended. Throws `task_failed` with its message if it failed, `worker_died` if
    /// it did not come to its end, `state` while it runs.
    [[nodiscard]] buffer result() const {
        return buffer(adopt,
                      detail::make<mp_buffer>([this](mp_buffer **out) { return mp_process_result(native(), out); }));
    }

    /// The same as a value.
    template <class T>
    [[nodiscard]] T result() const {
        static_assert(!std::is_same_v<T, std::string_view> && !std::is_same_v<T, mp_slice>,
                      "a view would outlive its bytes: take a std::string or a buffer");
        const buffer given = result();
        return codec<T>::decode(given.bytes());
    }

    /// What it has used of the machine, once it has ended.
    [[nodiscard]] mp_usage usage() const {
        mp_usage used{};
        used.size = sizeof used;
        detail::check(mp_process_usage(native(), &used));
        return used;
    }

    /// Drops what it holds in the system; `state` while it runs.
    void close() { detail::check(mp_process_close(native())); }

    [[nodiscard]] bool is_alive() const {
        bool alive = false;
        detail::check(mp_process_is_alive(native(), &alive));
        return alive;
    }

    [[nodiscard]] int pid() const {
        std::int32_t pid = 0;
        detail::check(mp_process_pid(native(), &pid));
        return pid;
    }

    /// The exit code; -N = killed by signal N, MP_EXIT_UNKNOWN = someone else reaped it; none while it runs.
    [[nodiscard]] std::optional<int> exitcode() const {
        std::int32_t code = 0;
        const mp_status s = mp_process_exitcode(native(), &code);
        if (s == MP_ERR_STATE)
            return std::nullopt;
        detail::check(s);
        return code;
    }

    /// A descriptor that is readable when it has ended, for poll and the like; see `mp_process_sentinel`. It is the
    /// library's.
    [[nodiscard]] int sentinel() { return detail::descriptor(mp_process_sentinel, native()); }

    [[nodiscard]] std::string name() const {
        const char *name = mp_process_name(native());
        return name != nullptr ? name : "";
    }

    /// `<Process(Process-1, started)>`
    [[nodiscard]] std::string repr() const {
        std::string text(256, '\0');
        mp_status s = mp_process_repr(native(), text.data(), text.size());
        while (s == MP_ERR_TOO_LARGE) {
            text.resize(text.size() * 2);
            s = mp_process_repr(native(), text.data(), text.size());
        }
        detail::check(s);
        text.resize(text.find('\0'));
        return text;
    }

  private:
    static mp_process *create(mp_fn fn, const detail::slices &args, const process_options &options) {
        mp_process_options o;
        mp_process_options_init(&o);
        if (!options.name.empty())
            o.name = options.name.c_str();
        o.daemon = options.daemon;
        o.start_method = static_cast<std::int32_t>(options.method);
        return detail::make<mp_process>(
            [&](mp_process **out) { return mp_process_new(fn, args.data(), args.size(), &o, out); });
    }
};

/// What this process is called: `MainProcess` in one that libmp did not start.
[[nodiscard]] inline std::string current_process_name() { return mp_current_process_name(); }

/// The process that has made this one by libmp; 0 if none has.
[[nodiscard]] inline int parent_pid() noexcept { return mp_parent_pid(); }

/// This process's running children that were made by `mp::process`.
[[nodiscard]] inline std::vector<int> active_children() {
    std::vector<int> pids(16);
    std::size_t n = 0;
    mp_status s = mp_active_children(pids.data(), pids.size(), &n);
    while (s == MP_ERR_TOO_LARGE) {
        pids.resize(n);
        s = mp_active_children(pids.data(), pids.size(), &n);
    }
    detail::check(s);
    pids.resize(n);
    return pids;
}

} // namespace mp

#endif
