// Buffers handed on, many messages at once, and messages written in place.

#include "check.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <list>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

mp::buffer filled(std::string_view text) {
    mp::buffer b(text.size());
    std::memcpy(b.data(), text.data(), text.size());
    return b;
}

/// A buffer is moved from if it was put, and only then.
void buffers_handed_on() {
    mp::queue q(1);
    const std::string large(100000, 'x');
    for (const std::string &text : {std::string(), std::string("small"), large}) {
        mp::buffer b = filled(text);
        q.put(std::move(b));
        CHECK(!b);
        mp::buffer more = filled("more");
        CHECK(q.try_put(std::move(more)) == mp::status::full && more.bytes() == "more");
        CHECK_FAILS(mp::status::full, q.put(std::move(more), 1ms));
        CHECK(more.bytes() == "more");
        // What was got is handed on as what was made.
        mp::queue next;
        next.put(q.get());
        CHECK(next.get<std::string>() == text);
    }
    CHECK_FAILS(mp::status::invalid, q.put(mp::buffer()));
    mp::queue narrow([] {
        mp_queue_options o = mp::queue_options();
        o.max_bytes = 4;
        return o;
    }());
    mp::buffer b = filled("12345");
    CHECK(narrow.try_put(std::move(b)) == mp::status::too_large && b.size() == 5);
    narrow.close();
    b = filled("1");
    CHECK_FAILS(mp::status::closed, narrow.put(std::move(b)));
    CHECK(b.bytes() == "1");
}

void many() {
    mp::queue q;
    q.put_many(std::vector<std::string>());
    CHECK(q.size() == 0);
    // Any range: of text, of values, of what it makes as it goes.
    q.put_many(std::list<std::string>{"one", "", std::string(30000, 'l')});
    q.put_many(std::vector<std::string_view>{"two"});
    const int numbers[] = {1, 2, 3};
    q.put_many(numbers);
    q.put_many(std::vector<bool>{true, false});
    CHECK(q.size() == 9);
    CHECK((q.get_many<std::string>(3) == std::vector<std::string>{"one", "", std::string(30000, 'l')}));
    const std::vector<mp::buffer> two = q.get_many(1);
    CHECK(two.size() == 1 && two[0].bytes() == "two");
    CHECK((q.get_many<int>(3) == std::vector<int>{1, 2, 3}));
    CHECK((q.get_many<bool>(100) == std::vector<bool>{true, false}));
    CHECK_FAILS(mp::status::empty, q.get_many(5, 1ms));
    CHECK_FAILS(mp::status::invalid, q.get_many(0));
    std::vector<mp::buffer> out(3);
    CHECK(q.try_get_many(out, 5) == mp::status::empty && out.empty());
    q.put_many(numbers);
    CHECK(q.try_get_many(out, 2) == mp::status::ok && out.size() == 2 && q.size() == 1);
    q.close();
    CHECK_FAILS(mp::status::closed, q.put_many(numbers));
    CHECK(q.try_get_many(out, 2) == mp::status::ok && out.size() == 1);
    CHECK(q.try_get_many(out, 2) == mp::status::closed && out.empty());
}

/// Of those that do not all find room the first ones are there, and it is told how many.
void many_with_a_limit() {
    mp::queue q(3);
    std::vector<int> numbers(5);
    std::iota(numbers.begin(), numbers.end(), 0);
    std::size_t done = 77;
    CHECK(q.try_put_many(numbers, done) == mp::status::full && done == 3);
    CHECK(q.try_put_many(numbers, done, 1ms) == mp::status::full && done == 0);
    CHECK_FAILS(mp::status::full, q.put_many(numbers, 1ms));
    CHECK((q.get_many<int>(10) == std::vector<int>{0, 1, 2}));
    numbers.resize(2);
    CHECK(q.try_put_many(numbers, done) == mp::status::ok && done == 2);
}

void many_into() {
    mp::queue q;
    q.put_many(std::vector<std::string>{"first", "", "third", "does not fit"});
    char room[16];
    const std::vector<mp::bytes> got = q.get_many_into(room, sizeof room, 10);
    CHECK((got == std::vector<mp::bytes>{"first", "", "third"}));
    CHECK(got[0].data() == room && got[2].data() == room + 5);
    mp_slice places[2] = {};
    std::size_t n = 77;
    CHECK(q.try_get_many_into(room, 3, places, 2, n) == mp::status::too_large && n == 0);
    CHECK(places[0].len == 12 && places[0].data == nullptr && q.size() == 1);
    CHECK_FAILS(mp::status::too_large, q.get_many_into(room, 3, 2));
    CHECK(q.try_get_many_into(room, sizeof room, places, 2, n) == mp::status::ok && n == 1);
    CHECK(q.try_get_many_into(room, sizeof room, places, 2, n) == mp::status::empty && n == 0);
    CHECK_FAILS(mp::status::invalid, q.get_many_into(room, sizeof room, 0));
    // Messages of one size are an array of values.
    std::vector<long> numbers(50);
    std::iota(numbers.begin(), numbers.end(), 1);
    q.put_many(numbers);
    std::vector<long> back(50);
    CHECK(q.get_many_into(back.data(), back.size() * sizeof(long), back.size()).size() == back.size());
    CHECK(back == numbers);
}

void reservations() {
    mp::queue q;
    for (const std::size_t size : {std::size_t(0), std::size_t(10), std::size_t(100000)}) {
        mp::reservation r = q.reserve(size);
        CHECK(r && r.size() == size && r.empty() == (size == 0) && r.data() != nullptr);
        std::fill(r.begin(), r.end(), 'r');
        CHECK(q.size() == 0);
        r.commit();
        CHECK(!r && r.data() == nullptr && r.begin() == r.end());
        CHECK(q.get<std::string>() == std::string(size, 'r'));
        CHECK_FAILS(mp::status::invalid, r.commit());
    }
    // Less than was reserved; more than that puts nothing.
    mp::reservation r = q.reserve(5000);
    std::memcpy(r.data(), "short", 5);
    r[0] = 'S';
    r.commit(5);
    CHECK(q.get<std::string>() == "Short");
    r = q.reserve(10);
    CHECK_FAILS(mp::status::invalid, r.commit(11));
    CHECK(!r && q.size() == 0);
    // The order is that of the commits.
    mp::reservation first = q.reserve(1), second = q.reserve(1);
    first[0] = '1';
    second[0] = '2';
    second.commit();
    CHECK(first.try_commit() == mp::status::ok);
    CHECK(q.get<std::string>() == "2" && q.get<std::string>() == "1");
    // A queue that is closed meanwhile takes nothing more.
    mp::reservation late = q.reserve(1), later = q.reserve(1);
    q.close();
    CHECK(late.try_commit(1) == mp::status::closed && !late);
    CHECK_FAILS(mp::status::closed, later.commit());
    CHECK_FAILS(mp::status::closed, q.reserve(1));
}

/// A reservation takes up room until it has ended in one way or the other.
void reservations_have_room() {
    mp::queue q(1);
    mp::reservation r = q.reserve(8);
    mp::reservation other;
    const auto is_full = [&] { return q.try_put(1) == mp::status::full; };
    CHECK(is_full() && q.try_reserve(other, 1) == mp::status::full && !other);
    CHECK_FAILS(mp::status::full, q.reserve(1, 1ms));
    // It moves, and only once.
    mp::reservation moved = std::move(r);
    CHECK(!r && r.data() == nullptr && r.size() == 0 && moved.size() == 8 && is_full());
    moved.abandon();
    moved.abandon();
    CHECK(!moved && q.size() == 0);
    CHECK(q.try_reserve(other, 8) == mp::status::ok && is_full());
    // What `other` has gives way to what it gets.
    CHECK(q.try_reserve(other, 3) == mp::status::ok && other.size() == 3 && is_full());
    {
        const mp::reservation gone = std::move(other);
        CHECK(is_full());
    }
    q.put(1);
    CHECK(q.get<int>() == 1);
    // It lives longer than the handle that it came from.
    mp::reservation left;
    const mp::token token = q.token();
    mp::keep(token);
    {
        mp::queue brief = std::move(q);
        left = brief.reserve(4);
    }
    std::memcpy(left.data(), "left", 4);
    left.commit();
    CHECK(mp::queue::from_token(token).get<std::string>() == "left");
    mp::drop(token);
}

/// Squares that are written in place, handed back as what came.
void square(mp::token in_token, mp::token out_token) {
    mp::queue in = mp::queue::from_token(in_token);
    mp::queue out = mp::queue::from_token(out_token);
    std::vector<mp::buffer> messages;
    while (mp::succeeded(in.try_get_many(messages, 7, mp::forever)))
        for (mp::buffer &message : messages) {
            for (std::size_t i = 0; i < message.size() / sizeof(long); ++i) {
                long n = 0;
                std::memcpy(&n, message.data() + i * sizeof n, sizeof n);
                n *= n;
                std::memcpy(message.data() + i * sizeof n, &n, sizeof n);
            }
            out.put(std::move(message));
        }
    out.close();
}

void between_processes(mp::start_method m) {
    mp::queue in(4);
    mp::queue out;
    mp::process child = check::start<&square>(m, in.token(), out.token());
    std::vector<long> numbers(1000);
    std::iota(numbers.begin(), numbers.end(), 0);
    for (std::size_t n = 0; n < 100; ++n) {
        mp::reservation r = in.reserve(numbers.size() * sizeof(long));
        std::memcpy(r.data(), numbers.data(), r.size());
        r.commit(n * 10 * sizeof(long));
    }
    in.close();
    for (std::size_t n = 0; n < 100; ++n) {
        const std::vector<long> squares = out.get<std::vector<long>>();
        CHECK(squares.size() == n * 10);
        for (std::size_t i = 0; i < squares.size(); ++i)
            CHECK(squares[i] == numbers[i] * numbers[i]);
    }
    CHECK_FAILS(mp::status::closed, out.get());
    child.join();
    CHECK(child.exitcode() == 0);
}

void reserve_and_die(mp::token token) {
    const mp::reservation r = mp::queue::from_token(token).reserve(100000);
    std::memset(r.data(), 'd', r.size());
    std::raise(SIGKILL);
}

/// The room that a dead process had reserved comes back.
void a_dead_process_has_no_room(mp::start_method m) {
    mp::queue q(1);
    mp::process child = check::start<&reserve_and_die>(m, q.token());
    child.join();
    CHECK(child.exitcode() == -SIGKILL);
    q.put("room");
    CHECK(q.get<std::string>() == "room");
}

} // namespace

int main(int argc, char **argv) {
    check::begin(argc, argv);
    buffers_handed_on();
    many();
    many_with_a_limit();
    many_into();
    reservations();
    reservations_have_room();
    check::each_start("between processes", between_processes);
    check::each_start("a dead process has no room", a_dead_process_has_no_room);
    return 0;
}
