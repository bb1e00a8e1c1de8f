/// \file
/// From a C++ function to an `mp_fn`: `mp::target<&f>` decodes the arguments, calls `f`, and encodes what it returns or
/// reports what it throws.

#ifndef MP_TARGET_HPP
#define MP_TARGET_HPP

#include "codec.hpp"
#include "core.hpp"

#include <exception>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace mp {

/// What a raw task function sees of its call; for those who write an `mp_fn` in C++ by hand.
class call {
  public:
    explicit call(mp_call *c) noexcept : call_(c) {}

    [[nodiscard]] mp_call *native() const noexcept { return call_; }
    [[nodiscard]] std::size_t size() const noexcept { return mp_call_argc(call_); }

    /// An argument's bytes, until the function returns.
    [[nodiscard]] bytes operator[](std::size_t i) const noexcept { return detail::view(mp_call_arg(call_, i)); }

    /// An argument as a value.
    template <class T>
    [[nodiscard]] T get(std::size_t i) const {
        return codec<T>::decode((*this)[i]);
    }

    /// Sets the result.
    template <class T>
    void result(const T &value) {
        detail::slices one;
        one.add(value);
        detail::check(mp_call_return(call_, one.data()->data, one.data()->len));
    }

    /// Reports a failure; the function should then return.
    void fail(int code, const char *message) noexcept { mp_call_fail(call_, code, message); }

  private:
    mp_call *call_;
};

/// Thrown in a task, it sets the failure's code beside its text. Any other exception has code 1.
class task_exit : public std::runtime_error {
  public:
    task_exit(int code, const std::string &message) : std::runtime_error(message), code_(code) {}
    [[nodiscard]] int code() const noexcept { return code_; }

  private:
    int code_;
};

namespace detail {

/// Reports the exception in flight as the failure of the call, and gives back its code.
inline std::int32_t fail_with_current(mp_call *c) noexcept {
    std::int32_t code = 1;
    try {
        throw;
    } catch (const task_exit &e) {
        code = e.code() != 0 ? e.code() : 1;
        mp_call_fail(c, code, e.what());
    } catch (const std::exception &e) {
        mp_call_fail(c, code, e.what());
    } catch (...) {
        mp_call_fail(c, code, "an exception that is not a std::exception");
    }
    return code;
}

template <class F>
struct signature;
template <class R, class... Params>
struct signature<R (*)(Params...)> {
    using result = plain<R>;
    using params = std::tuple<plain<Params>...>;
    static constexpr std::size_t arity = sizeof...(Params);
    static_assert(((!std::is_lvalue_reference_v<Params> || std::is_const_v<std::remove_reference_t<Params>>)&&...),
                  "a task can't write through its parameters: return the result");
    static_assert(!std::is_reference_v<R>, "a task's result must be a value");
};
template <class R, class... Params>
struct signature<R (*)(Params...) noexcept> : signature<R (*)(Params...)> {};

template <auto Fn>
using signature_of = signature<decltype(Fn)>;
template <auto Fn>
using result_of = typename signature_of<Fn>::result;
template <auto Fn, std::size_t I>
using param_of = std::tuple_element_t<I, typename signature_of<Fn>::params>;

template <auto Fn, std::size_t... I>
void invoke(call &c, std::index_sequence<I...>) {
    if (c.size() != sizeof...(I)) {
        throw error(status::invalid, "the function takes " + std::to_string(sizeof...(I)) + " arguments, not " +
                                         std::to_string(c.size()));
    }
    if constexpr (std::is_void_v<result_of<Fn>>) {
        Fn(c.template get<param_of<Fn, I>>(I)...);
    } else {
        c.result(Fn(c.template get<param_of<Fn, I>>(I)...));
    }
}

template <auto Fn>
std::int32_t trampoline(mp_call *native) noexcept {
    try {
        call c(native);
        invoke<Fn>(c, std::make_index_sequence<signature_of<Fn>::arity>());
        return 0;
    } catch (...) {
        return fail_with_current(native);
    }
}

/// The arguments of one call of `Fn`.
template <auto Fn, class... Args, std::size_t... I>
void add_arguments(slices &out, std::index_sequence<I...>, const Args &...args) {
    static_assert(sizeof...(Args) == signature_of<Fn>::arity, "wrong number of arguments for the function");
    (out.add_as<param_of<Fn, I>>(args), ...);
}

template <auto Fn, class... Args>
slices arguments(const Args &...args) {
    slices out;
    out.reserve(sizeof...(Args));
    add_arguments<Fn>(out, std::index_sequence_for<Args...>(), args...);
    return out;
}

} // namespace detail

/// The `mp_fn` that runs `Fn`, a function of values that travel.
template <auto Fn>
inline constexpr mp_fn target = &detail::trampoline<Fn>;

} // namespace mp

#endif
