// The event, and descriptors that follow events and semaphores.

#include "check.hpp"

#include <poll.h>

#include <cerrno>
#include <csignal>
#include <thread>

using namespace std::chrono_literals;

namespace {

void setting() {
    mp::event e;
    CHECK(!e.is_set() && e.try_wait() == mp::status::timeout && !e.wait_for(1ms));
    CHECK(!e.wait_until(std::chrono::steady_clock::now() + 1ms));
    std::thread waiter([&] { e.wait(); });
    e.set();
    e.set();
    waiter.join();
    CHECK(e.is_set() && e.try_wait() == mp::status::ok && e.wait_for(mp::no_wait));
    e.clear();
    CHECK(!e.is_set());
    mp::event empty(mp::adopt, nullptr);
    CHECK(empty.try_set() == mp::status::invalid);
    CHECK_FAILS(mp::status::invalid, empty.set());
}

/// The handler of a signal may set an event.
mp::event *from_handler = nullptr;

void handler(int) { from_handler->try_set(); }

void in_a_handler() {
    mp::event e;
    from_handler = &e;
    std::signal(SIGUSR1, handler);
    errno = 1234;
    std::raise(SIGUSR1);
    CHECK(errno == 1234 && e.is_set());
    std::signal(SIGUSR1, SIG_DFL);
}

bool readable(int fd, int milliseconds) {
    pollfd p = {fd, POLLIN, 0};
    return poll(&p, 1, milliseconds) == 1;
}

/// Waits until the descriptor says so: it may be late.
void becomes(int fd, bool wanted) {
    while (readable(fd, 0) != wanted)
        std::this_thread::sleep_for(1ms);
}

void descriptors() {
    mp::event e;
    CHECK(!readable(e.fd(), 0) && e.fd() == e.fd());
    e.set();
    becomes(e.fd(), true);
    e.clear();
    becomes(e.fd(), false);
    mp::semaphore s(0);
    CHECK(!readable(s.fd(), 0));
    s.post();
    becomes(s.fd(), true);
    s.acquire();
    becomes(s.fd(), false);
}

void set_other(mp::token wait_token, mp::token set_token) {
    mp::event::from_token(wait_token).wait();
    mp::event::from_token(set_token).set();
}

void between_processes(mp::start_method m) {
    mp::event go;
    mp::event gone;
    mp::process child = check::start<&set_other>(m, go.token(), gone.token());
    CHECK(gone.try_wait(1ms) == mp::status::timeout);
    go.set();
    CHECK(readable(gone.fd(), -1));
    gone.wait();
    child.join();
    CHECK(child.exitcode() == 0);
}

void die_with_permits(mp::token t) {
    mp::semaphore s = mp::semaphore::from_token(t);
    s.acquire();
    s.acquire();
    std::raise(SIGKILL);
}

/// The permits of the dead come back, those of who goes on do not.
void robust(mp::start_method m) {
    mp::semaphore s = mp::semaphore::robust(3);
    s.acquire();
    mp::process child = check::start<&die_with_permits>(m, s.token());
    child.join();
    CHECK(child.exitcode() == -SIGKILL);
    s.acquire();
    s.acquire();
    CHECK(s.try_acquire() == mp::status::timeout);
    s.post(3);
    CHECK_FAILS(mp::status::not_owner, s.post());
    CHECK(s.value() == 3);
}

} // namespace

int main(int argc, char **argv) {
    check::begin(argc, argv);
    setting();
    in_a_handler();
    descriptors();
    check::each_start("between processes", between_processes);
    check::each_start("robust semaphore", robust);
    return 0;
}
