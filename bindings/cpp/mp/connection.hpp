/// \file
/// The pipe: messages of any length between the processes at its two ends.

#ifndef MP_CONNECTION_HPP
#define MP_CONNECTION_HPP

#include "codec.hpp"
#include "core.hpp"

#include <utility>

namespace mp {

/// One end of a pipe. When no process has the other end any more, receives drain it and then answer `end`, and sends
/// answer `closed`. A forked child has copies of both ends: each process closes the one that it does not use.
class connection : public detail::owner<mp_connection, mp_connection_free> {
  public:
    using owner::owner;

    [[nodiscard]] static connection from_token(const mp::token &t) {
        return connection(adopt, detail::find(mp_connection_from_token, t));
    }

    [[nodiscard]] mp::token token() const { return detail::token_of(mp_connection_token, native()); }

    /// Sends a copy: text as its characters, anything else as its codec says. Waits while the pipe is full; when the
    /// timeout runs out, throws `timeout`.
    template <class T>
    void send(const T &value, timeout t = forever) {
        detail::check(send_slice(value, t));
    }

    /// `ok`, `timeout`, `closed` or another failure.
    template <class T>
    [[nodiscard]] mp::status try_send(const T &value, timeout t = no_wait) {
        return static_cast<mp::status>(send_slice(value, t));
    }

    /// Receives a message. When the timeout runs out, throws `timeout`; when there will never be one, `end`.
    [[nodiscard]] buffer recv(timeout t = forever) {
        return buffer(adopt, detail::make<mp_buffer>(
                                 [&](mp_buffer **out) { return mp_connection_recv(native(), t.count(), out); }));
    }

    /// The same as a value.
    template <class T>
    [[nodiscard]] T recv(timeout t = forever) {
        static_assert(!std::is_same_v<T, std::string_view> && !std::is_same_v<T, mp_slice>,
                      "a view would outlive its message: take a std::string or a buffer");
        const buffer message = recv(t);
        return codec<T>::decode(message.bytes());
    }

    /// `ok` and `out` set, `timeout`, `end` or another failure, and `out` empty.
    [[nodiscard]] mp::status try_recv(buffer &out, timeout t = no_wait) noexcept {
        mp_buffer *received = nullptr;
        const mp_status s = mp_connection_recv(native(), t.count(), &received);
        out = buffer(adopt, received);
        return static_cast<mp::status>(s);
    }

    /// Receives a message into memory of the caller's, and gives back its length. One that does not fit stays the next
    /// one: `too_large`.
    std::size_t recv_into(void *data, std::size_t capacity, timeout t = forever) {
        std::size_t len = 0;
        detail::check(mp_connection_recv_into(native(), data, capacity, &len, t.count()));
        return len;
    }

    /// The same as a status; after `too_large`, `len` says what the message needs.
    [[nodiscard]] mp::status try_recv_into(void *data, std::size_t capacity, std::size_t &len,
                                           timeout t = no_wait) noexcept {
        return static_cast<mp::status>(mp_connection_recv_into(native(), data, capacity, &len, t.count()));
    }

    /// Whether a receive would not wait, or would not after some waiting: a message is there, or the other end has
    /// gone.
    [[nodiscard]] bool poll(timeout t = no_wait) {
        bool ready = false;
        detail::check(mp_connection_poll(native(), t.count(), &ready));
        return ready;
    }

    /// A descriptor that is readable while a receive would not wait, for poll and the like; see `mp_connection_fd`. It
    /// is the library's.
    [[nodiscard]] int fd() { return detail::descriptor(mp_connection_fd, native()); }

    /// Closes this process's handle: calls of other threads end, and later ones fail, with `closed`. Twice is fine.
    void close() { detail::check(mp_connection_close(native())); }

  private:
    template <class T>
    mp_status send_slice(const T &value, timeout t) {
        detail::slices one;
        one.add(value);
        return mp_connection_send(native(), one.data()->data, one.data()->len, t.count());
    }
};

/// The two ends of a new pipe. If it is not duplex, the first only receives and the second only sends; the other
/// direction is `unsupported`.
[[nodiscard]] inline std::pair<connection, connection> pipe(bool duplex = true) {
    mp_connection *a = nullptr;
    mp_connection *b = nullptr;
    detail::check(mp_pipe(duplex, &a, &b));
    return {connection(adopt, a), connection(adopt, b)};
}

} // namespace mp

#endif
