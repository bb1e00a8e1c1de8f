/*
 * Who waits for a lock beside threads of the owner's own process, or beside a dead watchman, learns of the owner's
 * death like everybody else: not after a second. No time is asserted, but so many rounds take longer than the watchdog
 * allows if each waits out a whole second. check: once
 */
#include "check.h"
#include <pthread.h>
#include <sys/mman.h>

enum { ROUNDS = 40 };

static mp_lock *lock;
static volatile int *ready;

static void await_ready(int value) {
    while (__atomic_load_n(ready, __ATOMIC_ACQUIRE) != value)
        check_sleep(CHECK_SECOND / 5000);
}

static void *wait_beside(void *unused) {
    (void)unused;
    __atomic_add_fetch(ready, 1, __ATOMIC_ACQ_REL);
    mp_lock_acquire(lock, MP_FOREVER);
    return NULL;
}

static void inherit(void) {
    CHECK_STATUS(MP_OWNER_DEAD, mp_lock_acquire(lock, MP_FOREVER));
    CHECK_OK(mp_lock_release(lock));
}

/* The owner's process waits too, with another thread, and so keeps the watch over itself. */
static pid_t owner_with_a_waiting_thread(void) {
    __atomic_store_n(ready, 0, __ATOMIC_RELEASE);
    pid_t owner = fork();
    if (owner == 0) {
        pthread_t thread;
        CHECK(MP_SUCCEEDED(mp_lock_acquire(lock, MP_FOREVER)));
        CHECK_EQ(0, pthread_create(&thread, NULL, wait_beside, NULL));
        for (;;)
            check_sleep(CHECK_SECOND);
    }
    await_ready(1);
    check_sleep(CHECK_SECOND / 100);
    return owner;
}

static void end(pid_t child) { CHECK_EQ(0, kill(child, SIGKILL)); }

static void comes_after_the_death(void) {
    for (int i = 0; i < ROUNDS; i++) {
        pid_t owner = owner_with_a_waiting_thread();
        end(owner);
        inherit();
        CHECK_EQ(-SIGKILL, check_wait(owner));
    }
}

static void has_slept_for_long(void) {
    for (int i = 0; i < ROUNDS; i++) {
        pid_t owner = owner_with_a_waiting_thread();
        pid_t waiter = fork();
        if (waiter == 0) {
            inherit();
            _exit(0);
        }
        check_sleep(CHECK_SECOND / 5);
        end(owner);
        CHECK_EQ(0, check_wait(waiter));
        CHECK_EQ(-SIGKILL, check_wait(owner));
    }
}

/* First the watchman dies, then the owner. */
static void watchman_is_dead(void) {
    for (int i = 0; i < ROUNDS; i++) {
        pid_t both[2];
        for (int j = 0; j < 2; j++) {
            __atomic_store_n(ready, 0, __ATOMIC_RELEASE);
            both[j] = fork();
            if (both[j] == 0) {
                __atomic_store_n(ready, j, __ATOMIC_RELEASE);
                CHECK(MP_SUCCEEDED(mp_lock_acquire(lock, MP_FOREVER)));
                __atomic_store_n(ready, 1, __ATOMIC_RELEASE);
                for (;;)
                    check_sleep(CHECK_SECOND);
            }
            await_ready(1);
        }
        check_sleep(CHECK_SECOND / 100);
        end(both[1]);
        end(both[0]);
        inherit();
        CHECK_EQ(-SIGKILL, check_wait(both[0]));
        CHECK_EQ(-SIGKILL, check_wait(both[1]));
    }
}

int main(void) {
    check_begin();
    check_watchdog(30);
    ready = mmap(NULL, sizeof *ready, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(ready != MAP_FAILED);
    CHECK_OK(mp_lock_new(&lock));
    comes_after_the_death();
    check_watchdog(30);
    has_slept_for_long();
    check_watchdog(30);
    watchman_is_dead();
    mp_lock_free(lock);
    return 0;
}
