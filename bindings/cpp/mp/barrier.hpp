/// \file
/// The barrier.

#ifndef MP_BARRIER_HPP
#define MP_BARRIER_HPP

#include "core.hpp"

namespace mp {

/// Threads of any processes wait in it until all have come, and then go on together, round after round. It breaks when
/// a process dies on which it depends, see `mp_barrier_new`, and when a wait times out or is cancelled, and then stays
/// broken until `reset`.
class barrier : public detail::owner<mp_barrier, mp_barrier_free> {
  public:
    /// For so many threads.
    explicit barrier(std::uint32_t parties)
        : owner(adopt, detail::make<mp_barrier>([&](mp_barrier **out) { return mp_barrier_new(parties, out); })) {}
    using owner::owner;

    [[nodiscard]] static barrier from_token(const mp::token &t) {
        return barrier(adopt, detail::find(mp_barrier_from_token, t));
    }

    [[nodiscard]] mp::token token() const { return detail::token_of(mp_barrier_token, native()); }

    /// Waits for the others. The answer is this one's number in the round: 0 for the first that came. Throws `broken`;
    /// when the timeout runs out, breaks the barrier and throws `timeout`.
    std::uint32_t wait(timeout t = forever) {
        std::uint32_t index = 0;
        detail::check(mp_barrier_wait(native(), t.count(), &index));
        return index;
    }

    /// The same as a status; `index` is set with `ok`.
    [[nodiscard]] mp::status try_wait(std::uint32_t &index, timeout t = forever) noexcept {
        return static_cast<mp::status>(mp_barrier_wait(native(), t.count(), &index));
    }

    /// The standard's name for it.
    void arrive_and_wait() { wait(); }

    /// As new: whoever waits in it gets `broken`.
    void reset() { detail::check(mp_barrier_reset(native())); }

    /// Breaks it.
    void abort() { detail::check(mp_barrier_abort(native())); }

    [[nodiscard]] std::uint32_t parties() const {
        std::uint32_t n = 0;
        detail::check(mp_barrier_parties(native(), &n));
        return n;
    }

    /// How many wait in it at this moment.
    [[nodiscard]] std::uint32_t waiting() const {
        std::uint32_t n = 0;
        detail::check(mp_barrier_waiting(native(), &n));
        return n;
    }

    [[nodiscard]] bool broken() const {
        bool broken = false;
        detail::check(mp_barrier_broken(native(), &broken));
        return broken;
    }
};

} // namespace mp

#endif
