/// \file
/// The event.

#ifndef MP_EVENT_HPP
#define MP_EVENT_HPP

#include "core.hpp"

namespace mp {

/// Set or not; processes wait until it is set. It belongs to nobody.
class event : public detail::owner<mp_event, mp_event_free> {
  public:
    event() : owner(adopt, detail::make<mp_event>(mp_event_new)) {}
    using owner::owner;

    [[nodiscard]] static event from_token(const mp::token &t) {
        return event(adopt, detail::find(mp_event_from_token, t));
    }

    [[nodiscard]] mp::token token() const { return detail::token_of(mp_event_token, native()); }

    /// Sets it and wakes all who wait for it.
    void set() { detail::check(mp_event_set(native())); }

    /// The same as a status, and async-signal-safe.
    mp::status try_set() noexcept { return static_cast<mp::status>(mp_event_set(native())); }

    void clear() { detail::check(mp_event_clear(native())); }

    [[nodiscard]] bool is_set() const {
        bool set = false;
        detail::check(mp_event_is_set(native(), &set));
        return set;
    }

    void wait() { detail::check(mp_event_wait(native(), MP_FOREVER)); }

    /// Whether it was set in time.
    [[nodiscard]] bool wait_for(timeout t) { return detail::in_time(try_wait(t)); }
    template <class Clock, class Duration>
    [[nodiscard]] bool wait_until(const std::chrono::time_point<Clock, Duration> &when) {
        return wait_for(when - Clock::now());
    }

    /// `ok`, `timeout` or another failure.
    [[nodiscard]] mp::status try_wait(timeout t = no_wait) noexcept {
        return static_cast<mp::status>(mp_event_wait(native(), t.count()));
    }

    /// A descriptor that is readable while it is set, for poll and the like; see `mp_event_fd`. It is the library's.
    [[nodiscard]] int fd() { return detail::descriptor(mp_event_fd, native()); }
};

} // namespace mp

#endif
