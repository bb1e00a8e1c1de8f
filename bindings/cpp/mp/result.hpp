/// \file
/// Results of tasks, and the callbacks that announce them.

#ifndef MP_RESULT_HPP
#define MP_RESULT_HPP

#include "codec.hpp"
#include "core.hpp"

#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace mp {

/// A result as a callback sees it: borrowed, until the callback returns.
class result_view {
  public:
    explicit result_view(const mp_result *r) noexcept : result_(const_cast<mp_result *>(r)) {}

    [[nodiscard]] std::size_t size() const noexcept { return mp_result_count(result_); }

    /// The bytes that item `i` returned; throws the item's own error.
    [[nodiscard]] bytes operator[](std::size_t i) const {
        mp_slice s{};
        const mp_status own = mp_result_item(result_, i, &s);
        if (MP_FAILED(own))
            raise_item(i, own);
        return detail::view(s);
    }

    /// What is known of item `i`'s failure; throws `state` or `invalid` where there is none.
    [[nodiscard]] task_failure failure(std::size_t i) const {
        mp_task_error e{};
        e.size = sizeof e;
        detail::check(mp_result_error_at(result_, i, &e));
        return detail::to_failure(e);
    }

  private:
    [[noreturn]] void raise_item(std::size_t i, mp_status own) const {
        // The item's sentence first: the next failing call would take its place.
        const std::string text = mp_last_error();
        mp_task_error e{};
        e.size = sizeof e;
        if (MP_SUCCEEDED(mp_result_error_at(result_, i, &e)))
            throw task_error(detail::to_failure(e));
        throw error(static_cast<mp::status>(own), text);
    }

    mp_result *result_;
};

/// Called on the pool's service thread, one at a time: on_result or on_error once for each submission. They should be
/// quick, and must not wait for the same pool. What they throw comes out of the result's `get`.
struct callbacks {
    std::function<void(const result_view &)> on_result;
    std::function<void(const task_failure &)> on_error;
    std::function<void(std::size_t done, std::size_t total)> on_progress;
};

/// How to submit a task.
struct task_options {
    mp::callbacks callbacks;
    std::chrono::nanoseconds timeout{0}; ///< 0 = the pool's, -1 ns = none.
    std::int32_t retries = 0;            ///< 0 = the pool's, -1 = none.
};

namespace detail {

/// The callbacks of one submission, shared by the library, until it releases them, and the result.
class hooks {
  public:
    explicit hooks(callbacks functions) : functions_(std::move(functions)) {}

    /// The C options; `self` goes to the library as the user pointer.
    static mp_task_options options(const task_options &o, std::shared_ptr<hooks> *self) noexcept {
        mp_task_options out;
        mp_task_options_init(&out);
        out.timeout = o.timeout.count();
        out.retries = o.retries;
        if (self == nullptr)
            return out;
        out.user = self;
        out.release = [](void *user) { delete static_cast<std::shared_ptr<hooks> *>(user); };
        if (o.callbacks.on_result) {
            out.on_result = [](void *user, const mp_result *r) {
                of(user).run([&](hooks &h) { h.functions_.on_result(result_view(r)); });
            };
        }
        if (o.callbacks.on_error) {
            out.on_error = [](void *user, const mp_task_error *e) {
                of(user).run([&](hooks &h) { h.functions_.on_error(to_failure(*e)); });
            };
        }
        if (o.callbacks.on_progress) {
            out.on_progress = [](void *user, std::size_t done, std::size_t total) {
                of(user).run([&](hooks &h) { h.functions_.on_progress(done, total); });
            };
        }
        return out;
    }

    /// Throws what a callback threw, once.
    void rethrow() {
        std::exception_ptr thrown;
        {
            const std::lock_guard<std::mutex> guard(mutex_);
            std::swap(thrown, thrown_);
        }
        if (thrown)
            std::rethrow_exception(thrown);
    }

  private:
    static hooks &of(void *user) noexcept { return **static_cast<std::shared_ptr<hooks> *>(user); }

    template <class Body>
    void run(Body &&body) noexcept {
        try {
            body(*this);
        } catch (...) {
            const std::lock_guard<std::mutex> guard(mutex_);
            if (!thrown_)
                thrown_ = std::current_exception();
        }
    }

    callbacks functions_;
    std::mutex mutex_;
    std::exception_ptr thrown_;
};

} // namespace detail

/// The outcome of a map or an apply, one item or many. Belongs to the process that submitted it. Destroyed early, it
/// stops nothing: callbacks still come.
class result : public detail::owner<mp_result, mp_result_free> {
  public:
    result() noexcept = default;
    result(adopt_t, mp_result *handle, std::shared_ptr<detail::hooks> hooks = nullptr) noexcept
        : owner(adopt, handle), hooks_(std::move(hooks)) {}

    /// Waits; throws the first failure by index as `task_error`, or what a callback threw.
    void get(timeout t = forever) {
        const mp_status s = mp_result_get(native(), t.count());
        if (MP_FAILED(s))
            raise(s);
        if (hooks_)
            hooks_->rethrow();
    }

    /// Waits until it is ready, whatever the outcome.
    void wait() { detail::check(mp_result_wait(native(), MP_FOREVER)); }

    /// `ok`, `timeout` or another failure of the wait.
    [[nodiscard]] mp::status try_wait(timeout t = no_wait) noexcept {
        return static_cast<mp::status>(mp_result_wait(native(), t.count()));
    }

    [[nodiscard]] bool ready() const {
        bool yes = false;
        detail::check(mp_result_ready(native(), &yes));
        return yes;
    }

    /// Whether every item succeeded; throws `state` while not ready.
    [[nodiscard]] bool successful() const {
        bool yes = false;
        detail::check(mp_result_successful(native(), &yes));
        return yes;
    }

    /// How many items.
    [[nodiscard]] std::size_t size() const noexcept { return native() ? mp_result_count(native()) : 0; }

    /// The bytes that item `i` returned, as long as the result lives; throws the item's own error.
    [[nodiscard]] bytes operator[](std::size_t i) const & { return result_view(native())[i]; }
    bytes operator[](std::size_t i) const && = delete;

    /// Item `i` as a value.
    template <class T>
    [[nodiscard]] T item(std::size_t i) const {
        return codec<T>::decode(result_view(native())[i]);
    }

    /// What is known of item `i`'s failure.
    [[nodiscard]] task_failure failure(std::size_t i) const { return result_view(native()).failure(i); }

    /// How many items are done, and of how many.
    [[nodiscard]] std::pair<std::size_t, std::size_t> progress() const {
        std::size_t done = 0;
        std::size_t total = 0;
        detail::check(mp_result_progress(native(), &done, &total));
        return {done, total};
    }

  private:
    [[noreturn]] void raise(mp_status s) const {
        const std::string text = mp_last_error();
        mp_task_error e{};
        e.size = sizeof e;
        // Only a result that is ready has an error: otherwise it was the wait that failed.
        if (s != MP_ERR_TIMEOUT && MP_SUCCEEDED(mp_result_error(native(), &e)))
            throw task_error(detail::to_failure(e));
        throw error(static_cast<mp::status>(s), text.empty() ? mp_status_name(s) : text);
    }

    std::shared_ptr<detail::hooks> hooks_;
};

/// The outcome of one typed task.
template <class T>
class future {
  public:
    explicit future(mp::result r) noexcept : result_(std::move(r)) {}

    /// Waits; the value, or the failure as `task_error`.
    T get(timeout t = forever) {
        result_.get(t);
        if constexpr (!std::is_void_v<T>)
            return result_.template item<T>(0);
    }

    [[nodiscard]] mp::result &raw() noexcept { return result_; }

  private:
    mp::result result_;
};

/// The outcomes of a typed map.
template <class T>
class map_future {
  public:
    using element = std::conditional_t<std::is_void_v<T>, char, T>;
    using values = std::conditional_t<std::is_void_v<T>, void, std::vector<element>>;

    explicit map_future(mp::result r) noexcept : result_(std::move(r)) {}

    /// Waits; the values in the order of the items, or the first failure by index as `task_error`.
    values get(timeout t = forever) {
        result_.get(t);
        if constexpr (!std::is_void_v<T>) {
            values out;
            out.reserve(result_.size());
            for (std::size_t i = 0; i < result_.size(); ++i)
                out.push_back(result_.template item<T>(i));
            return out;
        }
    }

    [[nodiscard]] mp::result &raw() noexcept { return result_; }

  private:
    mp::result result_;
};

} // namespace mp

#endif
