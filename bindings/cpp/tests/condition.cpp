// The condition, with each kind of lock, within a process and between processes.

#include "check.hpp"

#include <csignal>
#include <mutex>
#include <thread>

using namespace std::chrono_literals;

namespace {

/// Another thread finds the lock taken, or free.
bool taken(mp::condition &c) {
    bool free = false;
    std::thread([&] {
        free = c.try_lock();
        if (free)
            c.unlock();
    }).join();
    return !free;
}

void without_lock(mp::condition &c) {
    CHECK_FAILS(mp::status::not_owner, c.wait());
    CHECK(c.try_wait() == mp::status::not_owner);
    CHECK_FAILS(mp::status::not_owner, c.notify_one());
    CHECK_FAILS(mp::status::not_owner, c.notify_all());
    CHECK_FAILS(mp::status::not_owner, c.unlock());
}

void timeouts(mp::condition &c) {
    const std::unique_lock<mp::condition> held(c);
    CHECK(c.try_wait() == mp::status::timeout && taken(c));
    CHECK(c.try_wait(1ms) == mp::status::timeout && taken(c));
    CHECK(!c.wait_for(1ms, [] { return false; }));
    CHECK(!c.wait_until(std::chrono::steady_clock::now() + 1ms, [] { return false; }));
    CHECK(c.wait_for(mp::no_wait, [] { return true; }));
    CHECK(c.wait([] { return true; }) == mp::status::ok && taken(c));
}

void notifying(mp::condition &c) {
    int turn = 0;
    std::thread other([&] {
        const std::unique_lock<mp::condition> held(c);
        for (int i = 0; i < 100; ++i) {
            CHECK(c.wait_for(60s, [&] { return turn == 1; }));
            turn = 0;
            c.notify_one();
        }
    });
    {
        const std::unique_lock<mp::condition> held(c);
        for (int i = 0; i < 100; ++i) {
            turn = 1;
            c.notify_all();
            CHECK(c.wait([&] { return turn == 0; }) == mp::status::ok);
        }
    }
    other.join();
}

void every_lock() {
    mp::condition own;
    const mp::rlock recursive;
    const mp::mutex plain;
    mp::condition with_recursive(recursive);
    mp::condition with_plain(plain);
    for (mp::condition *c : {&own, &with_recursive, &with_plain}) {
        without_lock(*c);
        timeouts(*c);
        notifying(*c);
    }
    CHECK_FAILS(mp::status::invalid, mp::condition(mp::rlock(mp::adopt, nullptr)));
    CHECK_FAILS(mp::status::invalid, mp::condition(mp::mutex(mp::adopt, nullptr)));
}

/// The lock is the very one that the condition was made with, and waiting releases all its depth.
void depth() {
    mp::rlock lock;
    mp::condition c(lock);
    const std::lock_guard<mp::rlock> once(lock);
    const std::lock_guard<mp::condition> again(c);
    bool ready = false;
    std::thread other([&] {
        const std::lock_guard<mp::rlock> held(lock);
        ready = true;
        c.notify_one();
    });
    CHECK(c.wait([&] { return ready; }) == mp::status::ok);
    other.join();
    CHECK(taken(c));
}

void cancelling() {
    mp::condition c;
    const mp::cancel stop;
    std::thread waiter([&] {
        const mp::cancel_scope scope(stop);
        const std::lock_guard<mp::condition> held(c);
        CHECK_FAILS(mp::status::cancelled, c.wait());
        CHECK(taken(c));
    });
    std::this_thread::sleep_for(20ms);
    stop.fire();
    waiter.join();
}

/// Takes its turns at a number that lies in a queue of one message.
void take_turns(mp::token condition_token, mp::token cell_token, int me, int of, int turns) {
    mp::condition c = mp::condition::from_token(condition_token);
    mp::queue cell = mp::queue::from_token(cell_token);
    const auto number = [&] {
        const int n = cell.get<int>();
        cell.put(n);
        return n;
    };
    for (int i = 0; i < turns; ++i) {
        const std::lock_guard<mp::condition> held(c);
        c.wait([&] { return number() % of == me; });
        cell.put(cell.get<int>() + 1);
        c.notify_all();
    }
}

void between_processes(mp::start_method m) {
    const mp::condition c;
    mp::queue cell;
    cell.put(0);
    std::vector<mp::process> children;
    for (int me = 0; me < 3; ++me)
        children.push_back(check::start<&take_turns>(m, c.token(), cell.token(), me, 3, 50));
    for (mp::process &child : children) {
        child.join();
        CHECK(child.exitcode() == 0);
    }
    CHECK(cell.get<int>() == 150);
}

void notify_and_die(mp::token t) {
    mp::condition c = mp::condition::from_token(t);
    c.lock();
    c.notify_one();
    std::raise(SIGKILL);
}

/// Who is notified is told that the lock's owner died before the wait could return.
void owner_death(mp::start_method m) {
    mp::condition c;
    {
        const std::lock_guard<mp::condition> held(c);
        mp::process child = check::start<&notify_and_die>(m, c.token());
        CHECK(c.wait() == mp::status::owner_dead);
        child.join();
        CHECK(child.exitcode() == -SIGKILL);
    }
    CHECK(c.acquire() == mp::status::ok);
    c.unlock();
}

} // namespace

int main(int argc, char **argv) {
    check::begin(argc, argv);
    every_lock();
    depth();
    cancelling();
    check::each_start("between processes", between_processes);
    check::each_start("owner death", owner_death);
    return 0;
}
