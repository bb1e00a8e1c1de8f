/// \file
/// The process.

#ifndef MP_PROCESS_HPP
#define MP_PROCESS_HPP

#include "codec.hpp"
#include "runtime.hpp"
#include "target.hpp"

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace mp {

/// No limit, for `resource_limit`.
inline constexpr std::uint64_t no_limit = MP_NO_LIMIT;

/// For `process_options::fds`: /dev/null, and no file at all.
inline constexpr int null_fd = MP_FD_NULL;
inline constexpr int closed_fd = MP_FD_CLOSED;

/// A limit as for setrlimit.
struct resource_limit {
    int resource; ///< RLIMIT_NOFILE or another.
    std::uint64_t soft;
    std::uint64_t hard;
};

/// How to make a process. Where nothing is said it begins as this one is; what can't be had fails its start. See
/// `mp_process_options`.
struct process_options {
    std::string name;    ///< Empty: "Process-1" and so on.
    bool daemon = false; ///< Ends with its parent; a thread is just not waited for.
    start_method method = start_method::automatic;
    /// Variables that differ from this process's: with a value they are set, without one removed.
    std::map<std::string, std::optional<std::string>> env;
    std::string cwd;                     ///< Its working directory; empty: this process's.
    int nice = 0;                        ///< Added to its nice value.
    std::vector<int> cpus;               ///< The CPUs that it may run on; empty: those of this process.
    std::vector<resource_limit> rlimits; ///< Its limits.
    /// Its descriptors by their numbers in the child, 0 to 2 among them: which of this process's, or `null_fd`, or
    /// `closed_fd`. They are looked up at the start, and stay the caller's.
    std::map<int, int> fds;
};

namespace detail {

/// The options for C, which point into this.
class c_process_options {
  public:
    explicit c_process_options(const process_options &from) : cpus_(from.cpus.begin(), from.cpus.end()) {
        for (const auto &[name, value] : from.env)
            texts_.push_back(value ? name + "=" + *value : name);
        for (const std::string &text : texts_)
            env_.push_back(text.c_str());
        for (const resource_limit &limit : from.rlimits)
            rlimits_.push_back({limit.resource, limit.soft, limit.hard});
        for (const auto &[as, fd] : from.fds)
            fds_.push_back({fd, as});
        mp_process_options_init(&options_);
        options_.name = from.name.empty() ? nullptr : from.name.c_str();
        options_.daemon = from.daemon;
        options_.start_method = static_cast<std::int32_t>(from.method);
        options_.env = env_.data();
        options_.nenv = env_.size();
        options_.cwd = from.cwd.empty() ? nullptr : from.cwd.c_str();
        options_.nice = from.nice;
        options_.cpus = cpus_.data();
        options_.ncpus = cpus_.size();
        options_.rlimits = rlimits_.data();
        options_.nrlimits = rlimits_.size();
        options_.fds = fds_.data();
        options_.nfds = fds_.size();
    }
    c_process_options(const c_process_options &) = delete;
    c_process_options &operator=(const c_process_options &) = delete;

    [[nodiscard]] const mp_process_options *get() const noexcept { return &options_; }

  private:
    mp_process_options options_;
    std::vector<std::string> texts_;
    std::vector<const char *> env_;
    std::vector<std::int32_t> cpus_;
    std::vector<mp_rlimit> rlimits_;
    std::vector<mp_fd_map> fds_;
};

} // namespace detail

/// Starts this process's fork server, which first calls `warm_up`: what that loads and computes is in the memory of all
/// its children. See `mp_forkserver_start`.
inline void forkserver_start(mp_fn warm_up, std::initializer_list<bytes> args = {}) {
    const detail::slices slices = detail::to_slices<void>(args);
    detail::check(mp_forkserver_start(warm_up, slices.data(), slices.size()));
}

/// The same with a C++ function: `mp::forkserver_start<&load>("model.bin")`. An exception fails the start.
template <auto Fn, class... Args>
void forkserver_start(const Args &...args) {
    const detail::slices slices = detail::arguments<Fn>(args...);
    detail::check(mp_forkserver_start(target<Fn>, slices.data(), slices.size()));
}

/// Ends the fork server; its children go on.
inline void forkserver_stop() { detail::check(mp_forkserver_stop()); }

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

    /// SIGTERM. No error if it has already ended; `unsupported` for a thread.
    void terminate() { detail::check(mp_process_terminate(native())); }

    /// SIGKILL; `unsupported` for a thread.
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
        const detail::c_process_options o(options);
        return detail::make<mp_process>(
            [&](mp_process **out) { return mp_process_new(fn, args.data(), args.size(), o.get(), out); });
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
