/// \file
/// Value, array and shared memory.

#ifndef MP_SHARED_HPP
#define MP_SHARED_HPP

#include "core.hpp"
#include "sync.hpp"

#include <string>
#include <type_traits>

namespace mp {

/// Which lock a value or an array has.
enum class lock_kind : std::int32_t {
    recursive = MP_LOCK_RECURSIVE, ///< Belongs to a thread, which may acquire it again.
    plain = MP_LOCK_PLAIN,         ///< Belongs to a process, as `mp::mutex`.
    none = MP_LOCK_NONE,           ///< None: acquiring it throws `unsupported`.
};

/// Array options with the library's defaults, to be changed and given to `mp::array`.
[[nodiscard]] inline mp_array_options array_options(lock_kind kind = lock_kind::recursive) noexcept {
    mp_array_options o;
    mp_array_options_init(&o);
    o.lock = static_cast<std::int32_t>(kind);
    return o;
}

namespace detail {

/// Whether bytes are all there is to a T, wherever they lie. (A pointer would mean nothing in another process.)
template <class T>
inline constexpr bool is_shareable =
    std::is_trivially_copyable_v<T> &&std::is_trivially_destructible_v<T> && !std::is_pointer_v<T> &&
    !std::is_member_pointer_v<T> && !std::is_reference_v<T> && !std::is_const_v<T>;

/// A pointer that goes when its owner is moved from.
template <class T>
class moving_pointer {
  public:
    moving_pointer() noexcept = default;
    explicit moving_pointer(T *p) noexcept : p_(p) {}
    moving_pointer(moving_pointer &&other) noexcept : p_(other.release()) {}
    moving_pointer &operator=(moving_pointer &&other) noexcept {
        p_ = other.release();
        return *this;
    }
    ~moving_pointer() = default;

    T *get() const {
        if (p_ == nullptr)
            throw error(status::invalid, "this owner is empty: it was moved from");
        return p_;
    }
    T *release() noexcept {
        T *p = p_;
        p_ = nullptr;
        return p;
    }

  private:
    T *p_ = nullptr;
};

/// What a C getter answered, which is NULL if something was wrong.
template <class T>
T *found(void *data) {
    if (data == nullptr)
        raise(MP_ERR_INVALID);
    return static_cast<T *>(data);
}

/// The integers of mp.h that stand for a T, and their atomic operations.
template <bool Wide, bool Signed>
struct atomics;

#define MP_ATOMICS(wide, is_signed, suffix, type)                                                                      \
    template <>                                                                                                        \
    struct atomics<wide, is_signed> {                                                                                  \
        using word = type;                                                                                             \
        static constexpr auto load = mp_value_load_##suffix;                                                           \
        static constexpr auto store = mp_value_store_##suffix;                                                         \
        static constexpr auto exchange = mp_value_exchange_##suffix;                                                   \
        static constexpr auto compare_exchange = mp_value_compare_exchange_##suffix;                                   \
        static constexpr auto fetch_add = mp_value_fetch_add_##suffix;                                                 \
        static constexpr auto fetch_sub = mp_value_fetch_sub_##suffix;                                                 \
        static constexpr auto fetch_and = mp_value_fetch_and_##suffix;                                                 \
        static constexpr auto fetch_or = mp_value_fetch_or_##suffix;                                                   \
    };
MP_ATOMICS(true, true, i64, std::int64_t)
MP_ATOMICS(true, false, u64, std::uint64_t)
MP_ATOMICS(false, true, i32, std::int32_t)
MP_ATOMICS(false, false, u32, std::uint32_t)
#undef MP_ATOMICS

} // namespace detail

/// A T that processes share, and its lock. `*v` and `v->member` are plain memory, as are `get` and `set`: hold the
/// lock, `std::lock_guard guard(v)`. When the lock's owner dies, the next one gets `owner_dead` from `acquire`: the
/// value may be half-written. An integer of 4 or 8 bytes also has atomic operations, which need no lock:
///
///     mp::value<std::int64_t> counter(0, mp::lock_kind::none);
///     counter.fetch_add(1);
template <class T>
class value : public detail::lockable<mp_value, mp_value_free, mp_value_acquire, mp_value_release> {
    static_assert(detail::is_shareable<T>, "a shared value is plain bytes: trivially copyable, and no pointer");
    static_assert(alignof(T) <= 16 || (alignof(T) <= 64 && sizeof(T) > 48),
                  "values are aligned to 16 bytes, those beyond 48 bytes to 64");
    using base = detail::lockable<mp_value, mp_value_free, mp_value_acquire, mp_value_release>;

  public:
    explicit value(const T &init = T(), lock_kind kind = lock_kind::recursive)
        : value(adopt, detail::make<mp_value>([&](mp_value **out) {
                    return mp_value_new(sizeof(T), &init, static_cast<std::int32_t>(kind), out);
                })) {}

    /// Takes over a C handle; throws `invalid`, and frees it, if its value has not the size of a T.
    value(adopt_t, mp_value *handle)
        : base(adopt, handle), data_(detail::found<T>(mp_value_data_as(handle, sizeof(T)))) {}

    [[nodiscard]] static value from_token(const mp::token &t) {
        return value(adopt, detail::find(mp_value_from_token, t));
    }

    [[nodiscard]] mp::token token() const { return detail::token_of(mp_value_token, this->native()); }

    [[nodiscard]] T *data() const { return data_.get(); }
    [[nodiscard]] T &operator*() const { return *data(); }
    [[nodiscard]] T *operator->() const { return data(); }

    [[nodiscard]] T get() const { return *data(); }
    void set(const T &x) { *data() = x; }

    // Atomic and sequentially consistent, between processes too.

    [[nodiscard]] T load() const {
        word<> was{};
        detail::check(ops<>::load(this->native(), &was));
        return static_cast<T>(was);
    }
    void store(T x) { detail::check(ops<>::store(this->native(), static_cast<word<>>(x))); }
    T exchange(T x) { return changed(ops<>::exchange, x); }
    T fetch_add(T x) { return changed(ops<>::fetch_add, x); }
    T fetch_sub(T x) { return changed(ops<>::fetch_sub, x); }
    T fetch_and(T x) { return changed(ops<>::fetch_and, x); }
    T fetch_or(T x) { return changed(ops<>::fetch_or, x); }

    /// Makes it `desired` if it is `expected`; otherwise `expected` becomes what it is.
    bool compare_exchange(T &expected, T desired) {
        auto wanted = static_cast<word<>>(expected);
        bool done = false;
        detail::check(ops<>::compare_exchange(this->native(), &wanted, static_cast<word<>>(desired), &done));
        expected = static_cast<T>(wanted);
        return done;
    }

  private:
    // Looked up only where an atomic operation is used.
    template <class U = T>
    using ops =
        std::enable_if_t<std::is_integral_v<U> && !std::is_same_v<U, bool> && (sizeof(U) == 4 || sizeof(U) == 8),
                         detail::atomics<sizeof(U) == 8, std::is_signed_v<U>>>;
    template <class U = T>
    using word = typename ops<U>::word;

    template <class Operation, class U>
    T changed(Operation operation, U x) {
        word<U> was{};
        detail::check(operation(this->native(), static_cast<word<U>>(x), &was));
        return static_cast<T>(was);
    }

    detail::moving_pointer<T> data_;
};

/// A fixed number of Ts that processes share, and their lock, as of a `mp::value`. The elements are plain memory, on a
/// cache line of their own; `[i]` is not checked, `at` is.
template <class T>
class array : public detail::lockable<mp_array, mp_array_free, mp_array_acquire, mp_array_release> {
    static_assert(detail::is_shareable<T>, "shared elements are plain bytes: trivially copyable, and no pointers");
    static_assert(alignof(T) <= 64, "arrays are aligned to 64 bytes");
    using base = detail::lockable<mp_array, mp_array_free, mp_array_acquire, mp_array_release>;

  public:
    using value_type = T;
    using size_type = std::size_t;
    using iterator = T *;

    /// `size` elements of zero bytes.
    explicit array(std::size_t size, lock_kind kind = lock_kind::recursive) : array(size, array_options(kind)) {}
    array(std::size_t size, const mp_array_options &options) : array(nullptr, size, options) {}

    /// Copies of the `size` elements from `init` on.
    array(const T *init, std::size_t size, lock_kind kind = lock_kind::recursive)
        : array(init, size, array_options(kind)) {}
    array(const T *init, std::size_t size, const mp_array_options &options)
        : array(adopt, detail::make<mp_array>(
                           [&](mp_array **out) { return mp_array_new_with(sizeof(T), size, init, &options, out); })) {}

    /// Takes over a C handle; throws `invalid`, and frees it, if its elements have not the size of a T.
    array(adopt_t, mp_array *handle)
        : base(adopt, handle), data_(detail::found<T>(mp_array_data_as(handle, sizeof(T)))),
          size_(mp_array_len(handle)) {}

    [[nodiscard]] static array from_token(const mp::token &t) {
        return array(adopt, detail::find(mp_array_from_token, t));
    }

    [[nodiscard]] mp::token token() const { return detail::token_of(mp_array_token, this->native()); }

    [[nodiscard]] T *data() const { return data_.get(); }
    [[nodiscard]] std::size_t size() const noexcept { return this->native() ? size_ : 0; }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }

    [[nodiscard]] T &operator[](std::size_t i) const { return data()[i]; }

    /// Throws `invalid` if there is no such element.
    [[nodiscard]] T &at(std::size_t i) const {
        if (i >= size())
            throw error(status::invalid, "there is no element " + std::to_string(i) + ": the array has " +
                                             std::to_string(size()) + " of them");
        return data()[i];
    }

    [[nodiscard]] T *begin() const { return data(); }
    [[nodiscard]] T *end() const { return data() + size_; }

  private:
    detail::moving_pointer<T> data_;
    std::size_t size_ = 0;
};

/// Plain memory that processes share, without a lock. With a name it is a file that unrelated programs, `shm_open` and
/// Python's `SharedMemory` find too, and that stays until `unlink_shared_memory`.
class shared_memory : public detail::owner<mp_shared_memory, mp_shared_memory_free> {
  public:
    /// `size` zero bytes without a name.
    explicit shared_memory(std::size_t size) : owner(adopt, create(nullptr, size)) {}

    /// `size` zero bytes under a new name; throws `exists` if it is taken.
    shared_memory(const std::string &name, std::size_t size) : owner(adopt, create(detail::c_name(name), size)) {}
    using owner::owner;

    /// The memory of this name; throws `not_found` if there is none.
    [[nodiscard]] static shared_memory open(const std::string &name) {
        return shared_memory(adopt, detail::make<mp_shared_memory>([&](mp_shared_memory **out) {
                                 return mp_shared_memory_open(detail::c_name(name), out);
                             }));
    }

    [[nodiscard]] static shared_memory from_token(const mp::token &t) {
        return shared_memory(adopt, detail::find(mp_shared_memory_from_token, t));
    }

    [[nodiscard]] mp::token token() const { return detail::token_of(mp_shared_memory_token, native()); }

    [[nodiscard]] void *data() const { return detail::found<void>(mp_shared_memory_data(native())); }
    [[nodiscard]] std::size_t size() const noexcept { return native() ? mp_shared_memory_size(native()) : 0; }

    /// The memory as a T at its beginning; throws `too_large` if there is no room for one.
    template <class T>
    [[nodiscard]] T *as() const {
        static_assert(detail::is_shareable<T>,
                      "what lies in shared memory is plain bytes: trivially copyable, and no pointer");
        static_assert(alignof(T) <= 64, "shared memory is aligned to 64 bytes");
        if (size() < sizeof(T))
            throw error(status::too_large, "shared memory of " + std::to_string(size()) + " bytes has no room for " +
                                               std::to_string(sizeof(T)));
        return static_cast<T *>(data());
    }

    /// The name; empty without one.
    [[nodiscard]] std::string name() const {
        const char *text = mp_shared_memory_name(native());
        if (text == nullptr)
            detail::raise(MP_ERR_INVALID);
        return text;
    }

  private:
    static mp_shared_memory *create(const char *name, std::size_t size) {
        return detail::make<mp_shared_memory>(
            [&](mp_shared_memory **out) { return mp_shared_memory_create(name, size, out); });
    }
};

/// Takes a name away; who has the memory keeps it. Throws `not_found` if there is none.
inline void unlink_shared_memory(const std::string &name) {
    detail::check(mp_shared_memory_unlink(detail::c_name(name)));
}

} // namespace mp

#endif
