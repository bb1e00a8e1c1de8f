/// \file
/// Lock, recursive lock and semaphore.

#ifndef MP_SYNC_HPP
#define MP_SYNC_HPP

#include "core.hpp"

namespace mp {

namespace detail {

/// What all that is acquired and released has in common; `std::lock_guard` and `std::unique_lock` take it.
template <class T, void (*Free)(T *), mp_status (*Acquire)(T *, std::int64_t), mp_status (*Release)(T *)>
class lockable : public owner<T, Free> {
  public:
    using owner<T, Free>::owner;

    /// `ok`, or `owner_dead`.
    mp::status acquire() { return check(Acquire(this->native(), MP_FOREVER)); }

    /// `ok`, `owner_dead`, `timeout` or another failure.
    [[nodiscard]] mp::status try_acquire(timeout t = no_wait) noexcept {
        return static_cast<mp::status>(Acquire(this->native(), t.count()));
    }

    void unlock() { check(Release(this->native())); }

    // The standard's names for the same. They cannot tell of a dead owner: use acquire where that matters.
    void lock() { acquire(); }
    [[nodiscard]] bool try_lock() { return in_time(try_acquire()); }
    [[nodiscard]] bool try_lock_for(timeout t) { return in_time(try_acquire(t)); }
    template <class Clock, class Duration>
    [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Duration> &when) {
        return try_lock_for(when - Clock::now());
    }
};

} // namespace detail

/// A lock between processes, libmp's `mp_lock`. It belongs to the process that acquired it, any process may release it,
/// and it is not recursive. When its owner dies, the next one gets `owner_dead`: it holds the lock, but what the lock
/// guards may be half-written.
class mutex : public detail::lockable<mp_lock, mp_lock_free, mp_lock_acquire, mp_lock_release> {
  public:
    mutex() : lockable(adopt, detail::make<mp_lock>(mp_lock_new)) {}
    using lockable::lockable;

    [[nodiscard]] static mutex from_token(const mp::token &t) {
        return mutex(adopt, detail::find(mp_lock_from_token, t));
    }

    [[nodiscard]] mp::token token() const { return detail::token_of(mp_lock_token, native()); }

    /// The pid of the process that holds it; 0 if it is free.
    [[nodiscard]] int owner_pid() const {
        std::int32_t pid = 0;
        detail::check(mp_lock_owner(native(), &pid));
        return pid;
    }
};

/// libmp's own word for it. (The class has a method `lock`, so it can't be called so itself.)
using lock = mutex;

/// A recursive lock between processes. It belongs to the thread that acquired it, which may acquire it again and must
/// release it as often. When its owner's process dies, the next one gets `owner_dead`, as of a `mp::mutex`.
class rlock : public detail::lockable<mp_rlock, mp_rlock_free, mp_rlock_acquire, mp_rlock_release> {
  public:
    rlock() : lockable(adopt, detail::make<mp_rlock>(mp_rlock_new)) {}
    using lockable::lockable;

    [[nodiscard]] static rlock from_token(const mp::token &t) {
        return rlock(adopt, detail::find(mp_rlock_from_token, t));
    }

    [[nodiscard]] mp::token token() const { return detail::token_of(mp_rlock_token, native()); }

    // For what moves between threads, such as coroutines: the owner is a number, whichever thread of this process
    // calls with it.

    /// `ok`, or `owner_dead`.
    mp::status acquire_as(std::uint64_t who) { return detail::check(mp_rlock_acquire_as(native(), who, MP_FOREVER)); }

    /// `ok`, `owner_dead`, `timeout` or another failure.
    [[nodiscard]] mp::status try_acquire_as(std::uint64_t who, timeout t = no_wait) noexcept {
        return static_cast<mp::status>(mp_rlock_acquire_as(native(), who, t.count()));
    }

    void unlock_as(std::uint64_t who) { detail::check(mp_rlock_release_as(native(), who)); }
};

/// The standard's word for it.
using recursive_mutex = rlock;

/// Semaphore options with the library's defaults, to be changed and given to `mp::semaphore`. Never more than `max`
/// permits; 0 = no limit.
[[nodiscard]] inline mp_semaphore_options semaphore_options(std::uint32_t max = 0) noexcept {
    mp_semaphore_options o;
    mp_semaphore_options_init(&o);
    o.max = max;
    return o;
}

/// A counter of permits between processes. Those of a robust one belong to the process that acquired them, come back
/// when it dies, and can be given back by it alone: `not_owner`.
class semaphore : public detail::owner<mp_semaphore, mp_semaphore_free> {
  public:
    /// `initial` permits, and never more than `max`; 0 = no limit.
    explicit semaphore(std::uint32_t initial, std::uint32_t max = 0) : semaphore(initial, semaphore_options(max)) {}
    semaphore(std::uint32_t initial, const mp_semaphore_options &options)
        : owner(adopt, detail::make<mp_semaphore>(
                           [&](mp_semaphore **out) { return mp_semaphore_new(initial, &options, out); })) {}
    using owner::owner;

    /// `initial` permits; those of a dead process come back.
    [[nodiscard]] static semaphore robust(std::uint32_t initial, std::uint32_t max = 0) {
        mp_semaphore_options o = semaphore_options(max);
        o.robust = true;
        return semaphore(initial, o);
    }

    /// `initial` permits, and never more than those.
    [[nodiscard]] static semaphore bounded(std::uint32_t initial) {
        return semaphore(adopt, detail::make<mp_semaphore>(
                                    [&](mp_semaphore **out) { return mp_bounded_semaphore_new(initial, out); }));
    }

    [[nodiscard]] static semaphore from_token(const mp::token &t) {
        return semaphore(adopt, detail::find(mp_semaphore_from_token, t));
    }

    [[nodiscard]] mp::token token() const { return detail::token_of(mp_semaphore_token, native()); }

    void acquire() { detail::check(mp_semaphore_acquire(native(), MP_FOREVER)); }

    /// `ok`, `timeout` or another failure.
    [[nodiscard]] mp::status try_acquire(timeout t = no_wait) noexcept {
        return static_cast<mp::status>(mp_semaphore_acquire(native(), t.count()));
    }

    /// Gives back `n` permits, `mp_semaphore_release`. Above the maximum it throws `overflow` and changes nothing.
    void post(std::uint32_t n = 1) { detail::check(mp_semaphore_release(native(), n)); }

    [[nodiscard]] std::uint32_t value() const {
        std::uint32_t n = 0;
        detail::check(mp_semaphore_value(native(), &n));
        return n;
    }

    /// A descriptor that is readable while there are permits, for poll and the like; see `mp_semaphore_fd`. It is the
    /// library's.
    [[nodiscard]] int fd() { return detail::descriptor(mp_semaphore_fd, native()); }
};

} // namespace mp

#endif
