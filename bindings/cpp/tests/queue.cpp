// The queue, within a process and between processes.

#include "check.hpp"

#include <chrono>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

void messages() {
    mp::queue q;
    q.put("text");
    q.put(std::string("a\0b", 3));
    q.put(42);
    q.put(std::vector<short>{1, 2, 3});
    q.put("");
    CHECK(q.size() == 5);
    mp::buffer text = q.get();
    CHECK(text.bytes() == "text");
    CHECK(q.get<std::string>() == std::string("a\0b", 3));
    CHECK(q.get<int>() == 42);
    CHECK((q.get<std::vector<short>>() == std::vector<short>{1, 2, 3}));
    CHECK(q.get().empty());
    const std::string large(5000000, 'x');
    q.put(large);
    CHECK(q.get<std::string>() == large);
}

void limits() {
    mp::queue q(2);
    mp::buffer b;
    CHECK(q.try_get(b) == mp::status::empty && !b);
    CHECK_FAILS(mp::status::empty, q.get(1ms));
    q.put(1);
    q.put(2);
    CHECK(q.try_put(3) == mp::status::full && q.try_put(3, 1ms) == mp::status::full);
    CHECK_FAILS(mp::status::full, q.put(3, 1ms));
    CHECK(q.try_get(b) == mp::status::ok && mp::codec<int>::decode(b.bytes()) == 1);
}

void into() {
    mp::queue q;
    q.put("hello");
    char room[5];
    std::size_t len = 0;
    CHECK(q.try_get_into(room, 3, len) == mp::status::too_large && len == 5 && q.size() == 1);
    CHECK(q.get_into(room, sizeof room) == 5 && std::string(room, 5) == "hello");
}

void closing() {
    mp::queue q;
    q.put(1);
    q.close();
    q.close();
    CHECK_FAILS(mp::status::closed, q.put(2));
    CHECK(q.get<int>() == 1);
    CHECK_FAILS(mp::status::closed, q.get());
    mp::queue waited;
    std::thread waiter([&] { CHECK_FAILS(mp::status::closed, waited.get()); });
    std::this_thread::sleep_for(20ms);
    waited.close();
    waiter.join();
}

/// Reads lines until the queue is closed, and answers each with its length.
void lengths(mp::token in_token, mp::token out_token) {
    mp::queue in = mp::queue::from_token(in_token);
    mp::queue out = mp::queue::from_token(out_token);
    mp::buffer line;
    while (mp::succeeded(in.try_get(line, mp::forever)))
        out.put(line.size());
    out.close();
}

void between_processes(mp::start_method m) {
    mp::queue in(4);
    mp::queue out;
    mp::process child = check::start<&lengths>(m, in.token(), out.token());
    for (std::size_t n = 0; n < 300; ++n)
        in.put(std::string(n * 37, 'l'));
    in.close();
    for (std::size_t n = 0; n < 300; ++n)
        CHECK(out.get<std::size_t>() == n * 37);
    CHECK_FAILS(mp::status::closed, out.get());
    child.join();
    CHECK(child.exitcode() == 0);
}

} // namespace

int main(int argc, char **argv) {
    check::begin(argc, argv);
    messages();
    limits();
    into();
    closing();
    check::each_start("between processes", between_processes);
    return 0;
}
