/// \file
/// The queue: messages of any length between any number of processes.

#ifndef MP_QUEUE_HPP
#define MP_QUEUE_HPP

#include "codec.hpp"
#include "core.hpp"

namespace mp {

/// Queue options with the library's defaults, to be changed and given to `mp::queue`. At most `maxsize` messages at a
/// time; 0 and less: no limit.
[[nodiscard]] inline mp_queue_options queue_options(std::int64_t maxsize = 0) noexcept {
    mp_queue_options o;
    mp_queue_options_init(&o);
    o.maxsize = maxsize;
    return o;
}

/// Many producers, many consumers. After `close`, puts answer `closed` at once; gets drain the queue and then answer
/// it.
class queue : public detail::owner<mp_queue, mp_queue_free> {
  public:
    /// At most `maxsize` messages at a time; 0 and less: no limit.
    explicit queue(std::int64_t maxsize = 0) : queue(queue_options(maxsize)) {}
    explicit queue(const mp_queue_options &options)
        : owner(adopt, detail::make<mp_queue>([&](mp_queue **out) { return mp_queue_new(&options, out); })) {}
    using owner::owner;

    [[nodiscard]] static queue from_token(const mp::token &t) {
        return queue(adopt, detail::find(mp_queue_from_token, t));
    }

    [[nodiscard]] mp::token token() const { return detail::token_of(mp_queue_token, native()); }

    /// Copies a message in: text as its characters, anything else as its codec says. Waits while the queue is full;
    /// when the timeout runs out, throws `full`.
    template <class T>
    void put(const T &value, timeout t = forever) {
        detail::slices one;
        one.add(value);
        detail::check(put_slice(*one.data(), t));
    }

    /// `ok`, `full`, `closed` or another failure.
    template <class T>
    [[nodiscard]] mp::status try_put(const T &value, timeout t = no_wait) {
        detail::slices one;
        one.add(value);
        return static_cast<mp::status>(put_slice(*one.data(), t));
    }

    /// Takes a message out. Waits while the queue is empty; when the timeout runs out, throws `empty`.
    [[nodiscard]] buffer get(timeout t = forever) {
        return buffer(adopt,
                      detail::make<mp_buffer>([&](mp_buffer **out) { return mp_queue_get(native(), t.count(), out); }));
    }

    /// The same as a value.
    template <class T>
    [[nodiscard]] T get(timeout t = forever) {
        static_assert(!std::is_same_v<T, std::string_view> && !std::is_same_v<T, mp_slice>,
                      "a view would outlive its message: take a std::string or a buffer");
        const buffer message = get(t);
        return codec<T>::decode(message.bytes());
    }

    /// `ok` and `out` set, `empty`, `closed` or another failure, and `out` empty.
    [[nodiscard]] mp::status try_get(buffer &out, timeout t = no_wait) noexcept {
        mp_buffer *taken = nullptr;
        const mp_status s = mp_queue_get(native(), t.count(), &taken);
        out = buffer(adopt, taken);
        return static_cast<mp::status>(s);
    }

    /// Takes a message into memory of the caller's, and gives back its length. A message that does not fit stays in the
    /// queue: `too_large`.
    std::size_t get_into(void *data, std::size_t capacity, timeout t = forever) {
        std::size_t len = 0;
        detail::check(mp_queue_get_into(native(), data, capacity, &len, t.count()));
        return len;
    }

    /// The same as a status; after `too_large`, `len` says what the message needs.
    [[nodiscard]] mp::status try_get_into(void *data, std::size_t capacity, std::size_t &len,
                                          timeout t = no_wait) noexcept {
        return static_cast<mp::status>(mp_queue_get_into(native(), data, capacity, &len, t.count()));
    }

    /// How many messages it holds at this moment.
    [[nodiscard]] std::size_t size() const {
        std::size_t n = 0;
        detail::check(mp_queue_size(native(), &n));
        return n;
    }

    /// A descriptor that is readable while a get may succeed, or fail for good, for poll and the like; see
    /// `mp_queue_fd`. It is the library's.
    [[nodiscard]] int fd() { return detail::descriptor(mp_queue_fd, native()); }

    /// The same for `put`.
    [[nodiscard]] int put_fd() { return detail::descriptor(mp_queue_put_fd, native()); }

    /// For all processes; twice is fine.
    void close() { detail::check(mp_queue_close(native())); }

  private:
    mp_status put_slice(const mp_slice &s, timeout t) noexcept {
        return mp_queue_put(native(), s.data, s.len, t.count());
    }
};

} // namespace mp

#endif
