// Statuses, errors and the codec, which need no other process.

#include "check.hpp"

#include <array>
#include <chrono>
#include <stdexcept>
#include <type_traits>

struct point {
    int x, y;
};

struct name {
    std::string first, last;
};

template <>
struct mp::codec<name> {
    static std::string encode(const name &n) { return n.first + "\n" + n.last; }
    static name decode(mp::bytes b) {
        const std::size_t cut = b.find('\n');
        if (cut == mp::bytes::npos)
            throw std::invalid_argument("not a name");
        return {std::string(b.substr(0, cut)), std::string(b.substr(cut + 1))};
    }
};

namespace {

template <class T>
T round_trip(const T &value) {
    mp::detail::slices one;
    one.add(value);
    return mp::codec<T>::decode(mp::detail::view(*one.data()));
}

void statuses() {
    CHECK(mp::succeeded(mp::status::ok) && mp::succeeded(mp::status::owner_dead));
    CHECK(mp::failed(mp::status::timeout));
    CHECK(std::string(mp::status_name(mp::status::full)) == "MP_ERR_FULL");
    CHECK(std::string(mp::category().name()) == "mp");
    const std::error_code code = mp::status::timeout;
    CHECK(code == mp::status::timeout && code != mp::status::full && code == std::errc::timed_out);
    CHECK(code.message() == "MP_ERR_TIMEOUT");
    CHECK(std::error_code(mp::status::cancelled) == std::errc::operation_canceled);
    CHECK(std::error_code(mp::status::stale) != std::errc::timed_out);
}

void errors() {
    mp::task_failure f;
    f.index = 7;
    f.status = mp::status::worker_died;
    f.pid = 4711;
    f.signal = 9;
    f.message = "killed";
    try {
        throw mp::task_error(f);
    } catch (const std::system_error &e) {
        CHECK(e.code() == mp::status::worker_died);
        CHECK(std::string(e.what()) == "killed");
        const auto &task = dynamic_cast<const mp::task_error &>(e);
        CHECK(task.index() == 7 && task.pid() == 4711 && task.signal() == 9);
        CHECK(task.status() == mp::status::worker_died);
    }
    static_assert(std::is_nothrow_copy_constructible_v<mp::error>);
    // A handle that was moved from is an error, not a crash.
    mp::queue q;
    const mp::queue moved = std::move(q);
    CHECK(!q && moved);
    CHECK_FAILS(mp::status::invalid, q.size());
    CHECK(q.try_put("x") == mp::status::invalid);
}

void timeouts() {
    using namespace std::chrono_literals;
    CHECK(mp::timeout(1500ms).count() == 1500000000);
    CHECK(mp::timeout(-1s).count() == 0 && mp::no_wait.count() == 0);
    CHECK(mp::timeout(std::chrono::hours::max()).count() == MP_FOREVER && mp::forever.count() == MP_FOREVER);
    CHECK(mp::timeout(std::chrono::nanoseconds::max()).count() == MP_FOREVER);
    CHECK(mp::timeout(std::chrono::duration<double, std::nano>(1.5)).count() == 2);
    CHECK(mp::timeout(std::chrono::duration<double>(std::numeric_limits<double>::infinity())).count() == MP_FOREVER);
}

void codecs() {
    CHECK(round_trip(42) == 42);
    CHECK(round_trip(2.5) == 2.5);
    CHECK(round_trip(std::string("a\0b", 3)) == std::string("a\0b", 3));
    CHECK(round_trip(std::string()).empty());
    CHECK((round_trip(std::vector<double>{1, 2, 3}) == std::vector<double>{1, 2, 3}));
    CHECK(round_trip(std::vector<int>()).empty());
    CHECK((round_trip(std::array<int, 3>{1, 2, 3}) == std::array<int, 3>{1, 2, 3}));
    const point p = round_trip(point{3, 4});
    CHECK(p.x == 3 && p.y == 4);
    const name n = round_trip(name{"Ada", "Lovelace"});
    CHECK(n.first == "Ada" && n.last == "Lovelace");
    CHECK_FAILS(mp::status::invalid, mp::codec<int>::decode("abc"));
    CHECK_FAILS(mp::status::invalid, mp::codec<std::vector<int>>::decode("abcde"));
    static_assert(!mp::detail::travels_as_bytes<int *> && !mp::detail::travels_as_bytes<std::string>);
}

void buffers() {
    mp::buffer b(5);
    CHECK(b.size() == 5 && !b.empty());
    std::copy_n("hello", 5, b.data());
    CHECK(b.bytes() == "hello");
    mp::buffer other = std::move(b);
    CHECK(other.bytes() == "hello" && !b && b.size() == 0);
    mp_buffer *raw = other.release();
    CHECK(!other && mp_buffer_len(raw) == 5);
    mp_buffer_free(raw);
}

} // namespace

int main(int argc, char **argv) {
    check::begin(argc, argv);
    statuses();
    errors();
    timeouts();
    codecs();
    buffers();
    CHECK(mp::cpu_count() >= 1 && *mp::version() != '\0');
    return 0;
}
