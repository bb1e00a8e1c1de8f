// The pipe, within a process and between processes.

#include "check.hpp"

#include <poll.h>

#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

void messages() {
    auto [a, b] = mp::pipe();
    a.send("text");
    b.send(std::string("a\0b", 3));
    a.send(42);
    a.send(std::vector<short>{1, 2, 3});
    a.send("");
    const mp::buffer text = b.recv();
    CHECK(text.bytes() == "text");
    CHECK(a.recv<std::string>() == std::string("a\0b", 3));
    CHECK(b.recv<int>() == 42);
    CHECK((b.recv<std::vector<short>>() == std::vector<short>{1, 2, 3}));
    CHECK(b.recv().empty());
    const std::string large(5000000, 'x');
    a.send(large);
    CHECK(b.recv<std::string>() == large);
}

void one_way() {
    auto [in, out] = mp::pipe(false);
    mp::buffer buffer;
    out.send(1);
    CHECK(in.recv<int>() == 1);
    CHECK_FAILS(mp::status::unsupported, in.send(2));
    CHECK_FAILS(mp::status::unsupported, out.recv());
    CHECK(out.try_recv(buffer) == mp::status::unsupported && in.try_send(2) == mp::status::unsupported);
    CHECK_FAILS(mp::status::unsupported, out.poll());
}

void waiting() {
    auto [a, b] = mp::pipe();
    mp::buffer buffer;
    CHECK(!a.poll() && !a.poll(1ms));
    CHECK(a.try_recv(buffer) == mp::status::timeout && !buffer);
    CHECK_FAILS(mp::status::timeout, a.recv(1ms));
    CHECK(b.try_send(std::string(65 << 20, 'y')) == mp::status::ok);
    CHECK(b.try_send(1) == mp::status::timeout);
    CHECK_FAILS(mp::status::timeout, b.send(1, 1ms));
    CHECK(a.poll(mp::forever) && a.try_recv(buffer) == mp::status::ok && buffer.size() == 65 << 20);
}

void into() {
    auto [a, b] = mp::pipe();
    a.send("hello");
    char room[5];
    std::size_t len = 0;
    CHECK(b.try_recv_into(room, 3, len) == mp::status::too_large && len == 5 && b.poll());
    CHECK(b.recv_into(room, sizeof room) == 5 && std::string(room, 5) == "hello");
}

bool readable(int fd, int milliseconds) {
    pollfd p = {fd, POLLIN, 0};
    return poll(&p, 1, milliseconds) == 1;
}

void ends() {
    auto [a, b] = mp::pipe();
    CHECK(!readable(b.fd(), 0));
    a.send(1);
    a.close();
    a.close();
    CHECK_FAILS(mp::status::closed, a.send(2));
    CHECK_FAILS(mp::status::closed, a.recv());
    CHECK_FAILS(mp::status::closed, b.send(2));
    CHECK(readable(b.fd(), -1) && b.recv<int>() == 1);
    CHECK_FAILS(mp::status::end, b.recv());
    CHECK(b.poll());

    auto [c, d] = mp::pipe();
    std::thread waiter([&e = c] { CHECK_FAILS(mp::status::closed, e.recv()); });
    std::this_thread::sleep_for(20ms);
    c.close();
    waiter.join();
    mp::connection moved = std::move(d);
    CHECK(moved && !d);
    CHECK_FAILS(mp::status::end, moved.recv());
}

void among_others() {
    auto [a, b] = mp::pipe();
    mp::queue q;
    CHECK(mp::wait({a, q}, mp::no_wait).empty());
    b.send(1);
    CHECK((mp::wait({q, a}) == std::vector<std::size_t>{1}));
    CHECK(a.recv<int>() == 1);
    b.close();
    q.put(2);
    CHECK((mp::wait({q, a}) == std::vector<std::size_t>{0, 1}));
}

/// Answers each line with its length, until the other end goes.
void lengths(mp::token token) {
    mp::connection c = mp::connection::from_token(token);
    mp::buffer line;
    while (mp::succeeded(c.try_recv(line, mp::forever)))
        c.send(line.size());
    CHECK(c.try_recv(line) == mp::status::end);
}

void between_processes(mp::start_method m) {
    auto [a, b] = mp::pipe();
    mp::process child = check::start<&lengths>(m, b.token());
    for (std::size_t i = 0; i < 300; i++)
        a.send(std::string(i * 37, 'z'));
    for (std::size_t i = 0; i < 300; i++)
        CHECK(a.recv<std::size_t>() == i * 37);
    b.close();
    if (m == mp::start_method::fork)
        child.kill(); // it has a copy of this end
    else
        a.close();
    child.join();
    CHECK(child.exitcode() == (m == mp::start_method::fork ? -SIGKILL : 0));
    if (m == mp::start_method::fork)
        CHECK_FAILS(mp::status::end, a.recv());
}

} // namespace

int main(int argc, char **argv) {
    check::begin(argc, argv);
    messages();
    one_way();
    waiting();
    into();
    ends();
    among_others();
    check::each_start("between processes", between_processes);
    return 0;
}
