/// \file
/// Statuses and errors: `mp::status`, its category, `mp::error` and `mp::task_error`.

#ifndef MP_ERROR_HPP
#define MP_ERROR_HPP

#include <mp.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>

namespace mp {

/// The statuses of mp.h, by the same numbers. A newer library may answer numbers that are not listed here.
enum class status : std::int32_t {
    ok = MP_OK,
    owner_dead = MP_OWNER_DEAD,
    invalid = MP_ERR_INVALID,
    state = MP_ERR_STATE,
    timeout = MP_ERR_TIMEOUT,
    full = MP_ERR_FULL,
    empty = MP_ERR_EMPTY,
    closed = MP_ERR_CLOSED,
    end = MP_ERR_END,
    not_owner = MP_ERR_NOT_OWNER,
    overflow = MP_ERR_OVERFLOW,
    broken = MP_ERR_BROKEN,
    no_memory = MP_ERR_NO_MEMORY,
    too_large = MP_ERR_TOO_LARGE,
    stale = MP_ERR_STALE,
    task_failed = MP_ERR_TASK_FAILED,
    task_timeout = MP_ERR_TASK_TIMEOUT,
    worker_died = MP_ERR_WORKER_DIED,
    cancelled = MP_ERR_CANCELLED,
    bootstrap = MP_ERR_BOOTSTRAP,
    unsupported = MP_ERR_UNSUPPORTED,
    not_found = MP_ERR_NOT_FOUND,
    exists = MP_ERR_EXISTS,
    access = MP_ERR_ACCESS,
    auth = MP_ERR_AUTH,
    system = MP_ERR_SYSTEM,
    internal = MP_ERR_INTERNAL,
};

/// Whether the call was done, perhaps with a notice.
[[nodiscard]] constexpr bool succeeded(status s) noexcept { return MP_SUCCEEDED(static_cast<std::int32_t>(s)); }

/// Whether the call was not done.
[[nodiscard]] constexpr bool failed(status s) noexcept { return !succeeded(s); }

/// The name as C programs write it: "MP_ERR_FULL".
[[nodiscard]] inline const char *status_name(status s) noexcept { return mp_status_name(static_cast<mp_status>(s)); }

/// This thread's last failure, in a sentence; valid until its next failing call.
[[nodiscard]] inline const char *last_error() noexcept { return mp_last_error(); }

namespace detail {

class status_category final : public std::error_category {
  public:
    [[nodiscard]] const char *name() const noexcept override { return "mp"; }

    [[nodiscard]] std::string message(int value) const override { return mp_status_name(value); }

    /// Maps what the standard has a word for, so that `e.code() == std::errc::timed_out` works.
    [[nodiscard]] std::error_condition default_error_condition(int value) const noexcept override {
        switch (value) {
        case MP_ERR_INVALID:
            return std::errc::invalid_argument;
        case MP_ERR_TIMEOUT:
        case MP_ERR_TASK_TIMEOUT:
            return std::errc::timed_out;
        case MP_ERR_FULL:
        case MP_ERR_EMPTY:
            return std::errc::resource_unavailable_try_again;
        case MP_ERR_NOT_OWNER:
            return std::errc::operation_not_permitted;
        case MP_ERR_NO_MEMORY:
            return std::errc::not_enough_memory;
        case MP_ERR_TOO_LARGE:
            return std::errc::message_size;
        case MP_ERR_CANCELLED:
            return std::errc::operation_canceled;
        case MP_ERR_UNSUPPORTED:
            return std::errc::not_supported;
        case MP_ERR_EXISTS:
            return std::errc::file_exists;
        case MP_ERR_ACCESS:
            return std::errc::permission_denied;
        default:
            return {value, *this};
        }
    }
};

} // namespace detail

/// The category of every libmp status.
[[nodiscard]] inline const std::error_category &category() noexcept {
    static const detail::status_category instance;
    return instance;
}

/// Lets `std::error_code` be made from a status.
[[nodiscard]] inline std::error_code make_error_code(status s) noexcept { return {static_cast<int>(s), category()}; }

} // namespace mp

template <>
struct std::is_error_code_enum<mp::status> : std::true_type {};

namespace mp {

/// A failed call: its status in `code()`, and a sentence that says what failed, which and why in `what()`.
class error : public std::system_error {
  public:
    error(mp::status s, const std::string &text)
        : std::system_error(make_error_code(s)), text_(std::make_shared<const std::string>(text)) {}

    /// The sentence alone, without the category's message behind it.
    [[nodiscard]] const char *what() const noexcept override { return text_->c_str(); }

    /// The same as a string.
    [[nodiscard]] const std::string &text() const noexcept { return *text_; }

    [[nodiscard]] mp::status status() const noexcept { return static_cast<mp::status>(code().value()); }

  private:
    std::shared_ptr<const std::string> text_; // shared: copying an exception must not throw
};

/// What is known of a task or an item that failed.
struct task_failure {
    std::size_t index = 0;                    ///< Which item of a map; 0 for apply.
    mp::status status = mp::status::internal; ///< task_failed, worker_died, task_timeout, cancelled, ...
    int code = 0;                             ///< The task's error code, or its worker's exit code.
    int pid = 0;                              ///< The process that had the task in its hands; 0 if none had.
    int signal = 0;                           ///< The signal that killed it; 0 if none did.
    std::chrono::nanoseconds elapsed{0};      ///< How long the task ran.
    std::string message;                      ///< The task's text.
};

/// A failed task.
class task_error : public error {
  public:
    explicit task_error(const task_failure &f)
        : error(f.status, f.message), failure_(std::make_shared<const task_failure>(f)) {}

    [[nodiscard]] const task_failure &failure() const noexcept { return *failure_; }
    [[nodiscard]] std::size_t index() const noexcept { return failure_->index; }
    [[nodiscard]] int task_code() const noexcept { return failure_->code; }
    [[nodiscard]] int pid() const noexcept { return failure_->pid; }
    [[nodiscard]] int signal() const noexcept { return failure_->signal; }

  private:
    std::shared_ptr<const task_failure> failure_;
};

namespace detail {

[[noreturn]] inline void raise(mp_status s) {
    const char *text = mp_last_error();
    throw error(static_cast<mp::status>(s), text != nullptr && *text != '\0' ? text : mp_status_name(s));
}

/// Throws on failure; gives back success and notices.
inline mp::status check(mp_status s) {
    if (MP_FAILED(s))
        raise(s);
    return static_cast<mp::status>(s);
}

/// Whether a wait was done in time; throws on any other failure.
inline bool in_time(mp::status s) {
    if (s == mp::status::timeout)
        return false;
    return succeeded(check(static_cast<mp_status>(s)));
}

inline task_failure to_failure(const mp_task_error &e) {
    task_failure f;
    f.index = e.index;
    f.status = static_cast<mp::status>(e.status);
    f.code = e.code;
    f.pid = e.pid;
    f.signal = e.signal;
    f.elapsed = std::chrono::nanoseconds(e.elapsed);
    f.message = e.message != nullptr ? e.message : mp_status_name(e.status);
    return f;
}

} // namespace detail
} // namespace mp

#endif
