/// \file
/// The pool of worker processes.

#ifndef MP_POOL_HPP
#define MP_POOL_HPP

#include "codec.hpp"
#include "core.hpp"
#include "result.hpp"
#include "target.hpp"

#include <initializer_list>
#include <utility>

namespace mp {

/// Pool options with the library's defaults, to be changed and given to `mp::pool`.
[[nodiscard]] inline mp_pool_options pool_options() noexcept {
    mp_pool_options o;
    mp_pool_options_init(&o);
    return o;
}

/// A pool of worker processes, or of threads. A worker that dies fails only the task in its hands, and is replaced.
/// Destroying the pool terminates it. It belongs to the process that made it.
///
/// Where a method takes items, any range will do: strings, string views, `mp_slice`s, or values that travel.
/// `chunksize` 0 lets the library choose.
class pool : public detail::owner<mp_pool, mp_pool_free> {
  public:
    /// 0 processes: as many as `mp::cpu_count()`.
    explicit pool(unsigned processes = 0) : pool(with_processes(processes)) {}
    explicit pool(const mp_pool_options &options)
        : owner(adopt, detail::make<mp_pool>([&](mp_pool **out) { return mp_pool_new(&options, out); })) {}
    using owner::owner;

    /// Runs `fn` on every item and waits for all: `out[i]` has the bytes that item `i` gave. Throws the first failure
    /// by index as `task_error`.
    template <class Range>
    [[nodiscard]] result map(mp_fn fn, const Range &items, std::size_t chunksize = 0) {
        const detail::slices in = detail::to_slices<void>(items);
        mp_result *out = nullptr;
        const mp_status s = mp_pool_map(native(), fn, in.data(), in.size(), chunksize, &out);
        if (out == nullptr)
            detail::check(s);
        result r(adopt, out);
        r.get();
        return r;
    }
    [[nodiscard]] result map(mp_fn fn, std::initializer_list<bytes> items, std::size_t chunksize = 0) {
        return map<std::initializer_list<bytes>>(fn, items, chunksize);
    }

    /// The same, but gives back the first failure's status; `out` then has the items that succeeded, and each failure.
    template <class Range>
    [[nodiscard]] mp::status try_map(mp_fn fn, const Range &items, result &out, std::size_t chunksize = 0) {
        const detail::slices in = detail::to_slices<void>(items);
        mp_result *made = nullptr;
        const mp_status s = mp_pool_map(native(), fn, in.data(), in.size(), chunksize, &made);
        out = result(adopt, made);
        return static_cast<mp::status>(s);
    }

    /// The same without waiting.
    template <class Range>
    [[nodiscard]] result map_async(mp_fn fn, const Range &items, const task_options &options = {},
                                   std::size_t chunksize = 0) {
        return submit_map(fn, detail::to_slices<void>(items), options, chunksize);
    }

    /// Runs `fn` once with bytes as its arguments, and waits: `out[0]` has what it gave.
    [[nodiscard]] result apply(mp_fn fn, std::initializer_list<bytes> args = {}) {
        result r = apply_async(fn, args);
        r.get();
        return r;
    }
    [[nodiscard]] result apply_async(mp_fn fn, std::initializer_list<bytes> args = {},
                                     const task_options &options = {}) {
        return submit_apply(fn, detail::to_slices<void>(args), options);
    }

    /// Typed: `std::vector<int> out = pool.map<&square>(items)`.
    template <auto Fn, class Range>
    auto map(const Range &items, std::size_t chunksize = 0) {
        return map_async<Fn>(items, {}, chunksize).get();
    }
    template <auto Fn, class Range>
    [[nodiscard]] auto map_async(const Range &items, const task_options &options = {}, std::size_t chunksize = 0) {
        static_assert(detail::signature_of<Fn>::arity == 1, "map needs a function of one parameter");
        using param = detail::param_of<Fn, 0>;
        return map_future<detail::result_of<Fn>>(
            submit_map(target<Fn>, detail::to_slices<param>(items), options, chunksize));
    }

    /// Typed: `int sum = pool.apply<&add>(1, 2)`.
    template <auto Fn, class... Args>
    auto apply(const Args &...args) {
        return apply_async<Fn>(args...).get();
    }
    template <auto Fn, class... Args>
    [[nodiscard]] auto apply_async(const Args &...args) {
        return apply_with<Fn>(task_options(), args...);
    }
    template <auto Fn, class... Args>
    [[nodiscard]] auto apply_with(const task_options &options, const Args &...args) {
        return future<detail::result_of<Fn>>(submit_apply(target<Fn>, detail::arguments<Fn>(args...), options));
    }

    /// No more tasks; those submitted are finished. Twice is fine.
    void close() { detail::check(mp_pool_close(native())); }

    /// Ends the workers; what was not finished fails. Threads leave after the task in their hands. Twice is fine.
    void terminate() { detail::check(mp_pool_terminate(native())); }

    /// Waits until the workers have gone; throws `state` before `close` or `terminate`.
    void join() { detail::check(mp_pool_join(native(), MP_FOREVER)); }

    /// `ok`, `timeout` or another failure.
    [[nodiscard]] mp::status try_join(timeout t = no_wait) noexcept {
        return static_cast<mp::status>(mp_pool_join(native(), t.count()));
    }

  private:
    static mp_pool_options with_processes(unsigned processes) noexcept {
        mp_pool_options o = pool_options();
        o.processes = processes;
        return o;
    }

    result submit_map(mp_fn fn, const detail::slices &in, const task_options &options, std::size_t chunksize) {
        return submit(options, [&](const mp_task_options *o, mp_result **out) {
            return mp_pool_map_async(native(), fn, in.data(), in.size(), chunksize, o, out);
        });
    }

    result submit_apply(mp_fn fn, const detail::slices &in, const task_options &options) {
        return submit(options, [&](const mp_task_options *o, mp_result **out) {
            return mp_pool_apply_async(native(), fn, in.data(), in.size(), o, out);
        });
    }

    template <class Call>
    static result submit(const task_options &options, Call &&call) {
        const bool wanted = options.callbacks.on_result || options.callbacks.on_error || options.callbacks.on_progress;
        std::shared_ptr<detail::hooks> hooks;
        std::unique_ptr<std::shared_ptr<detail::hooks>> user;
        if (wanted) {
            hooks = std::make_shared<detail::hooks>(options.callbacks);
            user = std::make_unique<std::shared_ptr<detail::hooks>>(hooks);
        }
        const mp_task_options o = detail::hooks::options(options, user.get());
        mp_result *out = nullptr;
        detail::check(call(&o, &out));
        // Accepted: the library releases it. A refused submission has no callbacks and no release.
        static_cast<void>(user.release());
        return result(adopt, out, std::move(hooks));
    }
};

} // namespace mp

#endif
