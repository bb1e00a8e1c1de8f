/// \file
/// How values travel: trivially copyable types as their bytes, strings and vectors of trivially copyable elements as
/// their contents. Anything else travels once `mp::codec` is specialised for it:
///
///     template <> struct mp::codec<point> {
///         static std::string encode(const point &p);
///         static point decode(mp::bytes b);
///     };
///
/// Pointers are refused: they mean nothing in another process.

#ifndef MP_CODEC_HPP
#define MP_CODEC_HPP

#include "core.hpp"

#include <cstring>
#include <deque>
#include <iterator>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace mp {

/// The translation of one type. A specialisation has `decode`, and either `encode`, which makes bytes, or `view`,
/// which borrows the value's own. A decoder throws when the bytes can't be such a value.
template <class T, class = void>
struct codec;

namespace detail {

template <class T>
using plain = std::remove_cv_t<std::remove_reference_t<T>>;

template <class T>
inline constexpr bool travels_as_bytes =
    std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> && !std::is_member_pointer_v<T> && !std::is_array_v<T> &&
    !std::is_null_pointer_v<T>;

[[noreturn]] inline void refuse_size(std::size_t got, std::size_t wanted) {
    throw error(status::invalid,
                "a value of " + std::to_string(wanted) + " bytes can't be read from " + std::to_string(got) + " bytes");
}

template <class T, class = void>
inline constexpr bool has_view = false;
template <class T>
inline constexpr bool has_view<T, std::void_t<decltype(codec<T>::view(std::declval<const T &>()))>> = true;

} // namespace detail

template <class T>
struct codec<T, std::enable_if_t<detail::travels_as_bytes<T>>> {
    static bytes view(const T &value) noexcept { return {reinterpret_cast<const char *>(&value), sizeof value}; }
    static T decode(bytes b) {
        if (b.size() != sizeof(T))
            detail::refuse_size(b.size(), sizeof(T));
        // Storage without a constructor's run: a trivially copyable type need not have a default constructor.
        alignas(T) unsigned char storage[sizeof(T)];
        std::memcpy(storage, b.data(), sizeof(T));
        return *std::launder(reinterpret_cast<T *>(storage));
    }
};

template <>
struct codec<std::string> {
    static bytes view(const std::string &value) noexcept { return value; }
    static std::string decode(bytes b) { return std::string(b); }
};

/// As a parameter of a task: the argument's own bytes, not copied, until the function returns.
template <>
struct codec<std::string_view> {
    static bytes view(std::string_view value) noexcept { return value; }
    static std::string_view decode(bytes b) noexcept { return b; }
};

template <>
struct codec<mp_slice> {
    static bytes view(const mp_slice &value) noexcept { return detail::view(value); }
    static mp_slice decode(bytes b) noexcept { return detail::slice(b); }
};

template <class T>
struct codec<std::vector<T>, std::enable_if_t<detail::travels_as_bytes<T> && !std::is_same_v<T, bool>>> {
    static bytes view(const std::vector<T> &value) noexcept {
        return {reinterpret_cast<const char *>(value.data()), value.size() * sizeof(T)};
    }
    static std::vector<T> decode(bytes b) {
        if (b.size() % sizeof(T) != 0)
            detail::refuse_size(b.size(), sizeof(T));
        const std::size_t n = b.size() / sizeof(T);
        std::vector<T> out;
        out.reserve(n);
        for (std::size_t i = 0; i < n; ++i)
            out.push_back(codec<T>::decode(b.substr(i * sizeof(T), sizeof(T))));
        return out;
    }
};

namespace detail {

template <class T>
inline constexpr bool is_text = std::is_convertible_v<const T &, std::string_view> && !std::is_same_v<T, mp_slice>;

/// Slices for the C calls, with storage for those whose bytes lie nowhere else.
class slices {
  public:
    void reserve(std::size_t n) { slices_.reserve(n); }

    /// Borrows where it can: `value` must live as long as this.
    template <class T>
    void add(const T &value) {
        if constexpr (is_text<T>) {
            slices_.push_back(slice(std::string_view(value)));
        } else if constexpr (has_view<T>) {
            slices_.push_back(slice(codec<T>::view(value)));
        } else {
            keep(codec<T>::encode(value));
        }
    }

    /// The same for a value that ends before this does.
    template <class T>
    void add_copy(const T &value) {
        if constexpr (is_text<T>) {
            keep(std::string(std::string_view(value)));
        } else if constexpr (has_view<T>) {
            keep(std::string(codec<T>::view(value)));
        } else {
            keep(codec<T>::encode(value));
        }
    }

    /// `value` as a function's parameter `Param` wants it.
    template <class Param, class T>
    void add_as(const T &value) {
        if constexpr (std::is_same_v<Param, T> || (is_text<Param> && is_text<T>)) {
            add(value);
        } else {
            static_assert(std::is_convertible_v<const T &, Param>, "the value does not fit the function's parameter");
            add_copy<Param>(static_cast<Param>(value));
        }
    }

    [[nodiscard]] const mp_slice *data() const noexcept { return slices_.data(); }
    [[nodiscard]] std::size_t size() const noexcept { return slices_.size(); }

  private:
    void keep(std::string &&s) { slices_.push_back(slice(storage_.emplace_back(std::move(s)))); }

    std::vector<mp_slice> slices_;
    std::deque<std::string> storage_; // a deque: the slices point into its strings, which must stay put
};

/// The items of a range as slices, for a parameter of type `Param`; `void` takes them as they are.
template <class Param, class Range>
slices to_slices(const Range &items) {
    slices out;
    out.reserve(static_cast<std::size_t>(std::distance(std::begin(items), std::end(items))));
    using reference = decltype(*std::begin(items));
    using value = plain<reference>;
    for (auto &&item : items) {
        if constexpr (!std::is_lvalue_reference_v<reference>) {
            // The range makes its items as it goes (vector<bool>, views): they end with this turn.
            using target = std::conditional_t<std::is_void_v<Param>, value, Param>;
            out.template add_copy<target>(static_cast<target>(item));
        } else if constexpr (std::is_void_v<Param>) {
            out.add(item);
        } else {
            out.template add_as<Param>(item);
        }
    }
    return out;
}

} // namespace detail
} // namespace mp

#endif
