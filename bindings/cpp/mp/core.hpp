/// \file
/// What everything else is made of: owners of C handles, timeouts, bytes, buffers and tokens.

#ifndef MP_CORE_HPP
#define MP_CORE_HPP

#include "error.hpp"

#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

namespace mp {

/// Borrowed bytes. Valid as long as what they were borrowed from.
using bytes = std::string_view;

/// Says that a constructor takes over a C handle: `mp::queue q(mp::adopt, handle)`.
struct adopt_t {
    explicit adopt_t() = default;
};
inline constexpr adopt_t adopt{};

namespace detail {

/// The owner of one C handle: moves, does not copy, frees on destruction.
template <class T, void (*Free)(T *)>
class owner {
  public:
    owner() noexcept = default;
    owner(adopt_t, T *handle) noexcept : handle_(handle) {}

    /// The C handle, lent: it is still freed here. NULL if there is none.
    [[nodiscard]] T *native() const noexcept { return handle_.get(); }

    /// The C handle, given up: the caller frees it.
    [[nodiscard]] T *release() noexcept { return handle_.release(); }

    explicit operator bool() const noexcept { return handle_ != nullptr; }

  private:
    struct deleter {
        void operator()(T *handle) const noexcept { Free(handle); }
    };
    std::unique_ptr<T, deleter> handle_;
};

/// Makes a handle with a C call whose last parameter is the output.
template <class T, class Call>
T *make(Call &&call) {
    T *out = nullptr;
    check(call(&out));
    return out;
}

/// A name as C takes it.
inline const char *c_name(const std::string &name) {
    if (name.find('\0') != std::string::npos)
        throw error(status::invalid, "a name has no NUL in it");
    return name.c_str();
}

inline mp_slice slice(bytes b) noexcept { return {b.data(), b.size()}; }

inline bytes view(const mp_slice &s) noexcept {
    return s.len == 0 ? bytes() : bytes(static_cast<const char *>(s.data), s.len);
}

} // namespace detail

/// How long to wait: made from any duration, rounded up to nanoseconds; what does not fit is for ever.
class timeout {
  public:
    template <class Rep, class Period>
    constexpr timeout(std::chrono::duration<Rep, Period> d) noexcept : ns_(convert(d)) {}

    /// In nanoseconds, as the C calls take it.
    [[nodiscard]] constexpr std::int64_t count() const noexcept { return ns_; }

    /// What is left of it, if it began at `start`.
    [[nodiscard]] timeout since(std::chrono::steady_clock::time_point start) const noexcept;

    [[nodiscard]] static constexpr timeout infinite() noexcept { return timeout(); }

  private:
    constexpr timeout() noexcept : ns_(MP_FOREVER) {}

    template <class Rep, class Period>
    static constexpr std::int64_t convert(std::chrono::duration<Rep, Period> d) noexcept {
        // In floating point, since hours::max() in integer nanoseconds would overflow.
        const long double ns = std::chrono::duration<long double, std::nano>(d).count();
        if (!(ns > 0))
            return 0;
        if (ns >= static_cast<long double>(std::numeric_limits<std::int64_t>::max()))
            return MP_FOREVER;
        const auto whole = static_cast<std::int64_t>(ns);
        return static_cast<long double>(whole) < ns ? whole + 1 : whole;
    }

    std::int64_t ns_;
};

inline timeout timeout::since(std::chrono::steady_clock::time_point start) const noexcept {
    if (ns_ == MP_FOREVER)
        return *this;
    return std::chrono::nanoseconds(ns_) - (std::chrono::steady_clock::now() - start);
}

/// Waits until it is done.
inline constexpr timeout forever = timeout::infinite();

/// Does not wait.
inline constexpr timeout no_wait = timeout(std::chrono::nanoseconds(0));

/// The name of a shared object, 32 plain bytes: send it anywhere, and make a handle there with `from_token`.
using token = mp_token;

/// Keeps the token's object alive without any handle, until `drop`.
inline void keep(const token &t) { detail::check(mp_token_keep(&t)); }

/// Ends a `keep`; any process may.
inline void drop(const token &t) { detail::check(mp_token_drop(&t)); }

namespace detail {

/// The handle's token, by its kind's C call.
template <class T>
token token_of(mp_status (*call)(const T *, mp_token *), const T *handle) {
    token t{};
    check(call(handle, &t));
    return t;
}

/// A handle of the object that the token names, by its kind's C call.
template <class T>
T *find(mp_status (*call)(const mp_token *, T **), const token &t) {
    return make<T>([&](T **out) { return call(&t, out); });
}

/// The handle's descriptor, by its kind's C call.
template <class T>
int descriptor(mp_status (*call)(T *, std::int32_t *), T *handle) {
    std::int32_t fd = -1;
    check(call(handle, &fd));
    return fd;
}

} // namespace detail

/// Owned bytes, in shared memory where they came from there. The owner may write them.
class buffer : public detail::owner<mp_buffer, mp_buffer_free> {
  public:
    using owner::owner;
    buffer() noexcept = default;

    /// `size` bytes, to be filled in.
    explicit buffer(std::size_t size)
        : owner(adopt, detail::make<mp_buffer>([&](mp_buffer **out) { return mp_buffer_new(size, out); })) {}

    [[nodiscard]] std::size_t size() const noexcept { return native() ? mp_buffer_len(native()) : 0; }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }

    [[nodiscard]] const char *data() const noexcept {
        return native() ? static_cast<const char *>(mp_buffer_data(native())) : nullptr;
    }
    [[nodiscard]] char *data() noexcept { return const_cast<char *>(static_cast<const buffer *>(this)->data()); }

    /// The bytes, borrowed; not from a temporary, whose bytes end with it.
    [[nodiscard]] mp::bytes bytes() const &noexcept { return {data(), size()}; }
    mp::bytes bytes() const && = delete;
};

} // namespace mp

#endif
