/// \file
/// Waiting for any of many.

#ifndef MP_WAIT_HPP
#define MP_WAIT_HPP

#include "connection.hpp"
#include "core.hpp"
#include "event.hpp"
#include "process.hpp"
#include "queue.hpp"
#include "result.hpp"
#include "sync.hpp"

#include <cstddef>
#include <initializer_list>
#include <vector>

namespace mp {

/// What `mp::wait` waits for: a queue with a message, or closed; a connection with a message, or whose other end has
/// gone; an event that is set; a semaphore with a permit; the end of a process; a result that is ready; a descriptor
/// that is readable. It refers to the object, which must live.
class waitable {
  public:
    waitable(const queue &q) noexcept : waitable(MP_WAIT_QUEUE, q.native()) {}
    waitable(const connection &c) noexcept : waitable(MP_WAIT_CONNECTION, c.native()) {}
    waitable(const event &e) noexcept : waitable(MP_WAIT_EVENT, e.native()) {}
    waitable(const semaphore &s) noexcept : waitable(MP_WAIT_SEMAPHORE, s.native()) {}
    waitable(const process &p) noexcept : waitable(MP_WAIT_PROCESS, p.native()) {}
    waitable(const result &r) noexcept : waitable(MP_WAIT_RESULT, r.native()) {}
    template <class T>
    waitable(future<T> &f) noexcept : waitable(f.raw()) {}
    template <class T>
    waitable(map_future<T> &f) noexcept : waitable(f.raw()) {}
    waitable(int fd) noexcept : waitable(MP_WAIT_FD, nullptr, fd) {}

    /// As C takes it.
    [[nodiscard]] const mp_waitable &native() const noexcept { return native_; }

  private:
    waitable(std::int32_t kind, void *handle, int fd = -1) noexcept : native_{kind, fd, handle, false} {}

    mp_waitable native_;
};

namespace detail {

inline std::vector<std::size_t> wait(const waitable *items, std::size_t n, timeout t) {
    std::vector<mp_waitable> all;
    std::vector<std::size_t> ready;
    all.reserve(n);
    for (std::size_t i = 0; i < n; ++i)
        all.push_back(items[i].native());
    if (!in_time(static_cast<mp::status>(mp_wait(all.data(), n, t.count()))))
        return ready;
    for (std::size_t i = 0; i < n; ++i)
        if (all[i].ready)
            ready.push_back(i);
    return ready;
}

} // namespace detail

/// Waits until at least one is ready, and gives the places of all that are, in order; none when the timeout runs out.
/// It takes nothing: others may be faster, so go on with a `try_` form. See `mp_wait`.
[[nodiscard]] inline std::vector<std::size_t> wait(std::initializer_list<waitable> items, timeout t = forever) {
    return detail::wait(items.begin(), items.size(), t);
}

/// The same.
[[nodiscard]] inline std::vector<std::size_t> wait(const std::vector<waitable> &items, timeout t = forever) {
    return detail::wait(items.data(), items.size(), t);
}

} // namespace mp

#endif
