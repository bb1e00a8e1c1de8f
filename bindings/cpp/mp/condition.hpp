/// \file
/// The condition.

#ifndef MP_CONDITION_HPP
#define MP_CONDITION_HPP

#include "sync.hpp"

namespace mp {

namespace detail {

/// A condition's lock: NULL would mean one of its own.
inline mp_rlock *live(const mp::rlock &given) {
    if (!given)
        throw error(status::invalid, "the lock of a condition is empty");
    return given.native();
}

} // namespace detail

/// A condition together with its lock, which its `lock`, `acquire`, `unlock` and so on mean: `std::unique_lock` takes
/// the condition. To wait and to notify, hold the lock.
///
///     std::unique_lock<mp::condition> held(changed);
///     changed.wait([&] { return ready(); });
///
/// Every wait comes back with the lock, an exception of one too, unless it is `not_owner`. A notification whose taker
/// dies passes to the next who waited.
class condition : public detail::lockable<mp_condition, mp_condition_free, mp_condition_acquire, mp_condition_release> {
  public:
    /// With a recursive lock of its own.
    condition()
        : lockable(adopt,
                   detail::make<mp_condition>([](mp_condition **out) { return mp_condition_new(nullptr, out); })) {}

    /// With this lock, which may go before the condition does.
    explicit condition(const mp::rlock &lock)
        : lockable(adopt, detail::make<mp_condition>(
                              [&](mp_condition **out) { return mp_condition_new(detail::live(lock), out); })) {}
    explicit condition(const mp::mutex &lock)
        : lockable(adopt, detail::make<mp_condition>(
                              [&](mp_condition **out) { return mp_condition_new_with_lock(lock.native(), out); })) {}
    using lockable::lockable;

    [[nodiscard]] static condition from_token(const mp::token &t) {
        return condition(adopt, detail::find(mp_condition_from_token, t));
    }

    [[nodiscard]] mp::token token() const { return detail::token_of(mp_condition_token, native()); }

    /// `ok`, or `owner_dead`: who had the lock meanwhile died with it. It may come back although nothing has changed.
    mp::status wait() { return detail::check(mp_condition_wait(native(), MP_FOREVER)); }

    /// Waits until the predicate holds. `owner_dead` if one of the waits was told so.
    template <class Predicate>
    mp::status wait(Predicate holds) {
        mp::status told = mp::status::ok;
        while (!holds()) {
            if (wait() == mp::status::owner_dead)
                told = mp::status::owner_dead;
        }
        return told;
    }

    /// `ok`, `owner_dead`, `timeout` or another failure.
    [[nodiscard]] mp::status try_wait(timeout t = no_wait) noexcept {
        return static_cast<mp::status>(mp_condition_wait(native(), t.count()));
    }

    /// Waits until the predicate holds, and says whether it does in the end. It can't tell of a dead owner: use
    /// try_wait where that matters.
    template <class Predicate>
    [[nodiscard]] bool wait_for(timeout t, Predicate holds) {
        const auto start = std::chrono::steady_clock::now();
        while (!holds()) {
            if (!detail::in_time(try_wait(t.since(start))))
                return holds();
        }
        return true;
    }
    template <class Clock, class Duration, class Predicate>
    [[nodiscard]] bool wait_until(const std::chrono::time_point<Clock, Duration> &when, Predicate holds) {
        while (!holds()) {
            if (!detail::in_time(try_wait(when - Clock::now())))
                return holds();
        }
        return true;
    }

    void notify_one() { notify(1); }

    /// Notifies the `n` who have waited longest, or as many as wait.
    void notify(std::uint32_t n) { detail::check(mp_condition_notify(native(), n)); }

    void notify_all() { detail::check(mp_condition_notify_all(native())); }
};

/// The standard's word for it.
using condition_variable = condition;

} // namespace mp

#endif
