// Lock and semaphore, within a process and between processes.

#include "check.hpp"

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <mutex>
#include <thread>

using namespace std::chrono_literals;

namespace {

/// Increments a number that only the lock guards: it lies in a queue of one message.
void count_up(mp::token lock_token, mp::token cell_token, int times) {
    mp::lock lock = mp::lock::from_token(lock_token);
    mp::queue cell = mp::queue::from_token(cell_token);
    for (int i = 0; i < times; ++i) {
        const std::lock_guard<mp::lock> guard(lock);
        cell.put(cell.get<int>() + 1);
    }
}

void exclusion(mp::start_method m) {
    const mp::lock lock;
    const mp::lock &shared = lock;
    mp::queue cell;
    cell.put(0);
    std::vector<mp::process> children;
    for (int i = 0; i < 3; ++i) {
        children.push_back(check::start<&count_up>(m, shared.token(), cell.token(), 200));
    }
    for (mp::process &child : children) {
        child.join();
        CHECK(child.exitcode() == 0);
    }
    CHECK(cell.get<int>() == 600);
}

void die_holding(mp::token t) {
    mp::lock lock = mp::lock::from_token(t);
    lock.acquire();
    std::raise(SIGKILL);
}

void owner_death(mp::start_method m) {
    mp::lock lock;
    mp::process child = check::start<&die_holding>(m, lock.token());
    child.join();
    CHECK(child.exitcode() == -SIGKILL);
    CHECK(lock.acquire() == mp::status::owner_dead);
    lock.unlock();
    CHECK(lock.acquire() == mp::status::ok);
    lock.unlock();
}

void locking() {
    mp::lock lock;
    CHECK(lock.owner_pid() == 0);
    CHECK(lock.acquire() == mp::status::ok);
    CHECK(lock.owner_pid() == getpid());
    CHECK(!lock.try_lock() && !lock.try_lock_for(1ms));
    CHECK(!lock.try_lock_until(std::chrono::steady_clock::now() + 1ms));
    CHECK(lock.try_acquire(-1s) == mp::status::timeout);
    lock.unlock();
    CHECK_FAILS(mp::status::overflow, lock.unlock());
    const std::unique_lock<mp::lock> held(lock, 1s);
    CHECK(held.owns_lock());
}

void cancelling() {
    mp::lock lock;
    lock.acquire();
    const mp::cancel stop;
    std::thread waiter([&] {
        const mp::cancel_scope scope(stop);
        CHECK(lock.try_acquire(mp::forever) == mp::status::cancelled);
        CHECK_FAILS(mp::status::cancelled, lock.acquire());
    });
    std::this_thread::sleep_for(20ms);
    stop.fire();
    waiter.join();
    lock.unlock();
}

void release_one(mp::token t) { mp::semaphore::from_token(t).post(); }

void semaphores(mp::start_method m) {
    mp::semaphore s(0);
    CHECK(s.try_acquire() == mp::status::timeout);
    mp::process child = check::start<&release_one>(m, s.token());
    s.acquire();
    child.join();
    CHECK(s.value() == 0);
    mp::semaphore bounded(1, 2);
    bounded.post();
    CHECK_FAILS(mp::status::overflow, bounded.post());
    CHECK(bounded.value() == 2);
}

void tokens() {
    mp::token t{};
    {
        mp::lock lock;
        t = lock.token();
        mp::lock same = mp::lock::from_token(t);
        lock.acquire();
        CHECK(same.try_acquire() == mp::status::timeout);
        same.unlock();
        mp::keep(t);
    }
    mp::lock::from_token(t).acquire();
    mp::drop(t);
    CHECK_FAILS(mp::status::stale, mp::lock::from_token(t));
}

} // namespace

int main(int argc, char **argv) {
    check::begin(argc, argv);
    locking();
    cancelling();
    tokens();
    check::each_start("exclusion", exclusion);
    check::each_start("owner death", owner_death);
    check::each_start("semaphores", semaphores);
    return 0;
}
