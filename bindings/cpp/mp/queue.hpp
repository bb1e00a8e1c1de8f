/// \file
/// The queue: messages of any length between any number of processes.

#ifndef MP_QUEUE_HPP
#define MP_QUEUE_HPP

#include "codec.hpp"
#include "core.hpp"

#include <memory>
#include <vector>

namespace mp {

/// In which order a queue gives its messages out.
enum class queue_kind : std::int32_t {
    fifo = MP_QUEUE_FIFO,         ///< First in, first out.
    lifo = MP_QUEUE_LIFO,         ///< Last in, first out.
    priority = MP_QUEUE_PRIORITY, ///< Lowest priority number first; equals in the order in which they were put.
};

/// What a put into a full queue does.
enum class overflow_policy : std::int32_t {
    wait = MP_OVERFLOW_WAIT,               ///< It waits.
    fail = MP_OVERFLOW_FAIL,               ///< `full` at once, whatever its timeout.
    drop_oldest = MP_OVERFLOW_DROP_OLDEST, ///< It drops what was put first, which then counts as done.
};

/// Queue options with the library's defaults, to be changed and given to `mp::queue`: at most `maxsize` messages at a
/// time, 0 and less: no limit. Of the other fields, `max_bytes` bounds what all messages together have, and with
/// `redeliver` a message comes back whose taker died before it acknowledged it, see `queue::ack`.
[[nodiscard]] inline mp_queue_options queue_options(std::int64_t maxsize = 0, queue_kind kind = queue_kind::fifo,
                                                    overflow_policy overflow = overflow_policy::wait) noexcept {
    mp_queue_options o;
    mp_queue_options_init(&o);
    o.maxsize = maxsize;
    o.kind = static_cast<std::int32_t>(kind);
    o.overflow = static_cast<std::int32_t>(overflow);
    return o;
}

namespace detail {

inline void abandon(mp_reservation *r) noexcept { mp_queue_abandon(r); }

} // namespace detail

/// Room for one message, which is written in place: its getter's buffer is this memory, if it is longer than a
/// kilobyte. Moves, and does not copy; what was not committed is given back on destruction. It outlives the `mp::queue`
/// that it came from, and belongs to the process that made it: in a forked child a commit is `state`. One thread at a
/// time may use it.
class reservation : public detail::owner<mp_reservation, detail::abandon> {
  public:
    reservation() noexcept = default;

    /// Takes over what `mp_queue_reserve` gave, `size` bytes at `data`.
    reservation(adopt_t, mp_reservation *handle, void *data, std::size_t size) noexcept
        : owner(adopt, handle), data_(static_cast<char *>(data)), size_(size) {}

    /// The message to be written: aligned to 16 bytes, undefined at first; NULL and 0 bytes once it has ended.
    [[nodiscard]] char *data() const noexcept { return native() ? data_ : nullptr; }
    [[nodiscard]] std::size_t size() const noexcept { return native() ? size_ : 0; }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] char *begin() const noexcept { return data(); }
    [[nodiscard]] char *end() const noexcept { return data() + size(); }
    [[nodiscard]] char &operator[](std::size_t i) const noexcept { return data_[i]; }

    /// Puts the whole message. Throws `closed` if the queue was closed meanwhile; then nothing was put. The reservation
    /// has ended in any case.
    void commit() { detail::check(mp_queue_commit(release())); }

    /// Puts the first `len` bytes; more than were reserved are `invalid`. The reservation has ended in any case.
    void commit(std::size_t len) { detail::check(mp_queue_commit_len(release(), len)); }

    /// `ok`, `closed` or another failure; it has ended in any case.
    [[nodiscard]] mp::status try_commit() noexcept { return static_cast<mp::status>(mp_queue_commit(release())); }
    [[nodiscard]] mp::status try_commit(std::size_t len) noexcept {
        return static_cast<mp::status>(mp_queue_commit_len(release(), len));
    }

    /// Gives it back at once. Twice is fine.
    void abandon() { detail::check(mp_queue_abandon(release())); }

  private:
    char *data_ = nullptr;
    std::size_t size_ = 0;
};

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

    /// Hands a buffer on, without a copy where that can be: see `mp_queue_put_buffer`. It is moved from if it was put;
    /// on failure it stays the caller's.
    void put(buffer &&message, timeout t = forever) { detail::check(put_moved(message, t)); }
    [[nodiscard]] mp::status try_put(buffer &&message, timeout t = no_wait) noexcept {
        return static_cast<mp::status>(put_moved(message, t));
    }

    // A buffer that is not to be moved has `bytes()` to be copied.
    void put(const buffer &message, timeout t = forever) = delete;
    mp::status try_put(const buffer &message, timeout t = no_wait) = delete;

    /// `put` with a priority, in a queue of that kind; in any other, `unsupported`.
    template <class T>
    void put_priority(std::int64_t priority, const T &value, timeout t = forever) {
        detail::slices one;
        one.add(value);
        detail::check(put_slice(priority, *one.data(), t));
    }

    /// `try_put` with a priority.
    template <class T>
    [[nodiscard]] mp::status try_put_priority(std::int64_t priority, const T &value, timeout t = no_wait) {
        detail::slices one;
        one.add(value);
        return static_cast<mp::status>(put_slice(priority, *one.data(), t));
    }

    /// Puts the items of a range, in their order: much cheaper for each than `put`. The timeout is for all together;
    /// when it runs out, throws `full`, and the first ones are in the queue: `try_put_many` says how many.
    template <class Range>
    void put_many(const Range &items, timeout t = forever) {
        std::size_t done = 0;
        detail::check(put_slices(detail::to_slices<void>(items), done, t));
    }

    /// The same as a status; the first `done` items are in the queue, whatever it is.
    template <class Range>
    [[nodiscard]] mp::status try_put_many(const Range &items, std::size_t &done, timeout t = no_wait) {
        return static_cast<mp::status>(put_slices(detail::to_slices<void>(items), done, t));
    }

    /// Reserves room for a message of `len` bytes, to be written in place and committed. Waits as `put` does; when the
    /// timeout runs out, throws `full`.
    [[nodiscard]] reservation reserve(std::size_t len, timeout t = forever) {
        reservation out;
        detail::check(reserve_into(out, len, t));
        return out;
    }

    /// `ok` and `out` set, `full`, `closed` or another failure, and `out` empty.
    [[nodiscard]] mp::status try_reserve(reservation &out, std::size_t len, timeout t = no_wait) noexcept {
        return static_cast<mp::status>(reserve_into(out, len, t));
    }

    /// Takes a message out. Waits while the queue is empty; when the timeout runs out, throws `empty`.
    [[nodiscard]] buffer get(timeout t = forever) {
        return buffer(adopt,
                      detail::make<mp_buffer>([&](mp_buffer **out) { return mp_queue_get(native(), t.count(), out); }));
    }

    /// The same as a value. Where messages are acknowledged take a buffer: it is what `ack` needs.
    template <class T>
    [[nodiscard]] T get(timeout t = forever) {
        static_assert(outlives_message<T>, "a view would outlive its message: take a std::string or a buffer");
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

    /// Waits for a message as `get` does, then takes what is there: at most `most`, for which memory is made first.
    [[nodiscard]] std::vector<buffer> get_many(std::size_t most, timeout t = forever) {
        std::vector<buffer> out;
        detail::check(take_many(out, most, t));
        return out;
    }

    /// The same as values. If one of them can't be decoded, all that were taken are lost.
    template <class T>
    [[nodiscard]] std::vector<T> get_many(std::size_t most, timeout t = forever) {
        static_assert(outlives_message<T>, "a view would outlive its message: take a std::string or a buffer");
        const std::vector<buffer> messages = get_many(most, t);
        std::vector<T> out;
        out.reserve(messages.size());
        for (const buffer &message : messages)
            out.push_back(codec<T>::decode(message.bytes()));
        return out;
    }

    /// `ok`, `empty`, `closed` or another failure; `out` is what was taken, and nothing else. Its memory is used again.
    [[nodiscard]] mp::status try_get_many(std::vector<buffer> &out, std::size_t most, timeout t = no_wait) {
        return static_cast<mp::status>(take_many(out, most, t));
    }

    /// Waits for a message as `get` does, then takes what is there into memory of the caller's, one message directly
    /// behind the other: at most `most`, and as many as fit. The answer says where each is. If not even the first fits,
    /// it stays in the queue: `too_large`.
    [[nodiscard]] std::vector<bytes> get_many_into(void *data, std::size_t capacity, std::size_t most,
                                                   timeout t = forever) {
        std::vector<bytes> out;
        out.reserve(most);
        const std::unique_ptr<mp_slice[]> places(new mp_slice[most]);
        std::size_t n = 0;
        detail::check(mp_queue_get_many_into(native(), data, capacity, places.get(), most, t.count(), &n));
        for (std::size_t i = 0; i < n; ++i)
            out.push_back(detail::view(places[i]));
        return out;
    }

    /// The same as a status, without memory of its own: `places` has room for `most`, of which the first `n` are set.
    /// After `too_large`, `places[0].len` says what the first message needs.
    [[nodiscard]] mp::status try_get_many_into(void *data, std::size_t capacity, mp_slice *places, std::size_t most,
                                               std::size_t &n, timeout t = no_wait) noexcept {
        return static_cast<mp::status>(mp_queue_get_many_into(native(), data, capacity, places, most, t.count(), &n));
    }

    /// Tells that one of the messages that were taken is done, for `join`; of more than were put, throws `overflow`.
    void task_done() { detail::check(mp_queue_task_done(native())); }

    /// Acknowledges a message that this process got from a queue made with `redeliver`: it is done, and does not come
    /// back. Throws `unsupported` in another queue, `invalid` for a buffer not got from this one, and `state` if it was
    /// acknowledged before. A buffer that goes without this lets its message come back when this process has ended.
    void ack(const buffer &message) { detail::check(mp_queue_ack(native(), message.native())); }

    /// Waits until all that was put is done: told by `task_done` or `ack`, dropped, or taken by a process that has
    /// died, unless the queue redelivers. When the timeout runs out, throws `timeout`.
    void join(timeout t = forever) { detail::check(mp_queue_join(native(), t.count())); }

    /// `ok`, `timeout` or another failure.
    [[nodiscard]] mp::status try_join(timeout t = no_wait) noexcept {
        return static_cast<mp::status>(mp_queue_join(native(), t.count()));
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
    template <class T>
    static constexpr bool outlives_message = !std::is_same_v<T, std::string_view> && !std::is_same_v<T, mp_slice>;

    mp_status put_slice(const mp_slice &s, timeout t) noexcept {
        return mp_queue_put(native(), s.data, s.len, t.count());
    }

    mp_status put_slice(std::int64_t priority, const mp_slice &s, timeout t) noexcept {
        return mp_queue_put_priority(native(), priority, s.data, s.len, t.count());
    }

    mp_status put_slices(const detail::slices &s, std::size_t &done, timeout t) noexcept {
        done = 0;
        return mp_queue_put_many(native(), s.data(), s.size(), t.count(), &done);
    }

    mp_status put_moved(buffer &message, timeout t) noexcept {
        const mp_status s = mp_queue_put_buffer(native(), message.native(), t.count());
        if (MP_SUCCEEDED(s))
            static_cast<void>(message.release());
        return s;
    }

    mp_status reserve_into(reservation &out, std::size_t len, timeout t) noexcept {
        // First: what `out` had may be the room that is waited for.
        out = reservation();
        void *data = nullptr;
        mp_reservation *made = nullptr;
        const mp_status s = mp_queue_reserve(native(), len, t.count(), &data, &made);
        if (made != nullptr)
            out = reservation(adopt, made, data, len);
        return s;
    }

    mp_status take_many(std::vector<buffer> &out, std::size_t most, timeout t) {
        // All memory first: what has been taken must not be lost for want of it.
        out.clear();
        out.reserve(most);
        const std::unique_ptr<mp_buffer *[]> taken(new mp_buffer *[most]);
        std::size_t n = 0;
        const mp_status s = mp_queue_get_many(native(), taken.get(), most, t.count(), &n);
        for (std::size_t i = 0; i < n; ++i)
            out.emplace_back(adopt, taken[i]);
        return s;
    }
};

} // namespace mp

#endif
