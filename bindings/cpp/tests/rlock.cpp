// The recursive lock: its owner is a thread, or whoever the caller names.

#include "check.hpp"

#include <csignal>
#include <mutex>
#include <thread>

using namespace std::chrono_literals;

namespace {

template <class Function>
void elsewhere(Function &&f) {
    std::thread(std::forward<Function>(f)).join();
}

void counting() {
    mp::rlock lock;
    CHECK(lock.acquire() == mp::status::ok);
    CHECK(lock.try_lock() && lock.try_lock_for(1ms));
    elsewhere([&] {
        CHECK(!lock.try_lock() && !lock.try_lock_for(1ms));
        CHECK(lock.try_acquire(-1s) == mp::status::timeout);
        CHECK_FAILS(mp::status::not_owner, lock.unlock());
    });
    lock.unlock();
    lock.unlock();
    elsewhere([&] { CHECK(!lock.try_lock()); });
    lock.unlock();
    CHECK_FAILS(mp::status::not_owner, lock.unlock());
    elsewhere([&] {
        const std::lock_guard<mp::recursive_mutex> outer(lock);
        const std::unique_lock<mp::rlock> inner(lock, 1s);
        CHECK(inner.owns_lock());
    });
    CHECK(lock.try_lock());
    lock.unlock();
}

/// An owner with a name is the same on every thread, and is no thread.
void named_owners() {
    mp::rlock lock;
    CHECK(lock.acquire_as(1) == mp::status::ok);
    elsewhere([&] {
        CHECK(lock.try_acquire_as(1) == mp::status::ok);
        CHECK(lock.try_acquire_as(2) == mp::status::timeout);
        lock.unlock_as(1);
    });
    CHECK(lock.try_acquire() == mp::status::timeout);
    CHECK_FAILS(mp::status::not_owner, lock.unlock_as(2));
    CHECK_FAILS(mp::status::not_owner, lock.unlock());
    lock.unlock_as(1);
    CHECK_FAILS(mp::status::not_owner, lock.unlock_as(1));
}

/// Increments a number that only the lock guards: it lies in a queue of one message.
void count_up(mp::token lock_token, mp::token cell_token, int times) {
    mp::rlock lock = mp::rlock::from_token(lock_token);
    mp::queue cell = mp::queue::from_token(cell_token);
    for (int i = 0; i < times; ++i) {
        const std::lock_guard<mp::rlock> guard(lock);
        const std::lock_guard<mp::rlock> again(lock);
        cell.put(cell.get<int>() + 1);
    }
}

void exclusion(mp::start_method m) {
    const mp::rlock lock;
    mp::queue cell;
    cell.put(0);
    std::vector<mp::process> children;
    for (int i = 0; i < 3; ++i)
        children.push_back(check::start<&count_up>(m, lock.token(), cell.token(), 200));
    for (mp::process &child : children) {
        child.join();
        CHECK(child.exitcode() == 0);
    }
    CHECK(cell.get<int>() == 600);
}

void die_holding(mp::token t) {
    mp::rlock lock = mp::rlock::from_token(t);
    lock.lock();
    lock.lock();
    std::raise(SIGKILL);
}

void owner_death(mp::start_method m) {
    mp::rlock lock;
    mp::process child = check::start<&die_holding>(m, lock.token());
    child.join();
    CHECK(child.exitcode() == -SIGKILL);
    // The heir holds it once.
    CHECK(lock.acquire() == mp::status::owner_dead);
    CHECK(lock.acquire() == mp::status::ok);
    lock.unlock();
    lock.unlock();
    elsewhere([&] {
        CHECK(lock.acquire() == mp::status::ok);
        lock.unlock();
    });
}

} // namespace

int main(int argc, char **argv) {
    check::begin(argc, argv);
    counting();
    named_owners();
    check::each_start("exclusion", exclusion);
    check::each_start("owner death", owner_death);
    return 0;
}
