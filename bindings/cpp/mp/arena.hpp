/// \file
/// The named arena, in which unrelated programs find each other's objects.

#ifndef MP_ARENA_HPP
#define MP_ARENA_HPP

#include "barrier.hpp"
#include "condition.hpp"
#include "core.hpp"
#include "event.hpp"
#include "queue.hpp"
#include "shared.hpp"
#include "sync.hpp"

#include <string>

namespace mp {

/// Arena options with the library's defaults, to be changed and given to `mp::arena`.
[[nodiscard]] inline mp_arena_options arena_options() noexcept {
    mp_arena_options o;
    mp_arena_options_init(&o);
    return o;
}

/// Takes the arena's name away. Who has it open goes on with it; who opens the name from now on makes a new one.
inline void unlink_arena(const std::string &name) { detail::check(mp_arena_unlink(detail::c_name(name))); }

/// Shared memory with a name: who opens the same name finds the same objects in it, again by their names. Whoever comes
/// first makes them. The arena stays until `unlink_arena`, an object until `remove`, whoever lives or dies meanwhile.
///
/// An object that is there with other options, or of another kind, throws `exists`. The objects that the methods give
/// outlive the `mp::arena`.
class arena : public detail::owner<mp_arena, mp_arena_free> {
  public:
    /// Opens the arena of this name, and makes it if there is none.
    explicit arena(const std::string &name, const mp_arena_options &options = arena_options())
        : owner(adopt, detail::make<mp_arena>(
                           [&](mp_arena **out) { return mp_arena_open(detail::c_name(name), &options, out); })) {}
    using owner::owner;

    /// The queue of this name; `not_found` if there is none.
    [[nodiscard]] mp::queue queue(const std::string &name) const { return find_queue(name, nullptr); }

    /// The queue of this name, made with these options if there is none.
    [[nodiscard]] mp::queue queue(const std::string &name, const mp_queue_options &options) const {
        return find_queue(name, &options);
    }

    /// The same for a queue of at most `maxsize` messages; 0 and less: no limit.
    [[nodiscard]] mp::queue queue(const std::string &name, std::int64_t maxsize) const {
        return queue(name, queue_options(maxsize));
    }

    /// The lock of this name, made if there is none.
    [[nodiscard]] mp::mutex lock(const std::string &name) const {
        return mp::mutex(adopt, detail::make<mp_lock>(
                                    [&](mp_lock **out) { return mp_arena_lock(native(), detail::c_name(name), out); }));
    }

    /// The recursive lock of this name, made if there is none.
    [[nodiscard]] mp::rlock rlock(const std::string &name) const {
        return mp::rlock(adopt, detail::make<mp_rlock>([&](mp_rlock **out) {
                             return mp_arena_rlock(native(), detail::c_name(name), out);
                         }));
    }

    /// The semaphore of this name, made with `initial` permits, and never more than `max`, if there is none.
    [[nodiscard]] mp::semaphore semaphore(const std::string &name, std::uint32_t initial, std::uint32_t max = 0) const {
        return semaphore(name, initial, semaphore_options(max));
    }
    [[nodiscard]] mp::semaphore semaphore(const std::string &name, std::uint32_t initial,
                                          const mp_semaphore_options &options) const {
        return mp::semaphore(adopt, detail::make<mp_semaphore>([&](mp_semaphore **out) {
                                 return mp_arena_semaphore(native(), detail::c_name(name), initial, &options, out);
                             }));
    }

    /// The value of this name, made with `init` and this kind of lock if there is none.
    template <class T>
    [[nodiscard]] mp::value<T> value(const std::string &name, const T &init = T(),
                                     lock_kind kind = lock_kind::recursive) const {
        return mp::value<T>(adopt, detail::make<mp_value>([&](mp_value **out) {
                                return mp_arena_value(native(), detail::c_name(name), sizeof(T), &init,
                                                      static_cast<std::int32_t>(kind), out);
                            }));
    }

    /// The array of this name, made with `size` elements of zero bytes and this kind of lock if there is none.
    template <class T>
    [[nodiscard]] mp::array<T> array(const std::string &name, std::size_t size,
                                     lock_kind kind = lock_kind::recursive) const {
        return mp::array<T>(adopt, detail::make<mp_array>([&](mp_array **out) {
                                return mp_arena_array(native(), detail::c_name(name), sizeof(T), size, nullptr,
                                                      static_cast<std::int32_t>(kind), out);
                            }));
    }

    /// The condition of this name, made with a recursive lock of its own if there is none.
    [[nodiscard]] mp::condition condition(const std::string &name) const { return find_condition(name, nullptr); }

    /// The condition of this name, made with this lock, which is another object of the arena, if there is none.
    [[nodiscard]] mp::condition condition(const std::string &name, const mp::rlock &with) const {
        return find_condition(name, detail::live(with));
    }
    [[nodiscard]] mp::condition condition(const std::string &name, const mp::mutex &with) const {
        return mp::condition(adopt, detail::make<mp_condition>([&](mp_condition **out) {
                                 return mp_arena_condition_with_lock(native(), detail::c_name(name), with.native(),
                                                                     out);
                             }));
    }

    /// The barrier of this name, made for so many threads if there is none.
    [[nodiscard]] mp::barrier barrier(const std::string &name, std::uint32_t parties) const {
        return mp::barrier(adopt, detail::make<mp_barrier>([&](mp_barrier **out) {
                               return mp_arena_barrier(native(), detail::c_name(name), parties, out);
                           }));
    }

    /// The event of this name, made if there is none.
    [[nodiscard]] mp::event event(const std::string &name) const {
        return mp::event(adopt, detail::make<mp_event>([&](mp_event **out) {
                             return mp_arena_event(native(), detail::c_name(name), out);
                         }));
    }

    /// Takes the name away from its object, which goes with its last handle. The name is free again at once.
    void remove(const std::string &name) { detail::check(mp_arena_remove(native(), detail::c_name(name))); }

  private:
    [[nodiscard]] mp::condition find_condition(const std::string &name, mp_rlock *with) const {
        return mp::condition(adopt, detail::make<mp_condition>([&](mp_condition **out) {
                                 return mp_arena_condition(native(), detail::c_name(name), with, out);
                             }));
    }

    [[nodiscard]] mp::queue find_queue(const std::string &name, const mp_queue_options *options) const {
        return mp::queue(adopt, detail::make<mp_queue>([&](mp_queue **out) {
                             return mp_arena_queue(native(), detail::c_name(name), options, out);
                         }));
    }
};

} // namespace mp

#endif
