/*
 * The owner of a lock is killed by SIGKILL while another process waits for the lock: how long until the waiter has
 * it, and knows of the death? A robust mutex, for which the kernel itself does this, shows what the machine allows.
 */
#include "bench.h"

#include <pthread.h>

struct page {
    pthread_mutex_t robust;
    /* The number of the turn in which each of these has happened. */
    atomic_uint held, waiting, taken;
    uint64_t when;
};

static struct page *page;
static mp_lock *lock;

static void take_lock(void) {
    if (ok(mp_lock_acquire(lock, LONGEST), "the owner's acquire") != MP_OK) {
        errno = 0;
        fail("the owner was told of a death");
    }
}

static void wait_lock(void) {
    mp_status status = ok(mp_lock_acquire(lock, LONGEST), "the waiter's acquire");
    page->when = now_ns();
    if (status != MP_OWNER_DEAD) {
        errno = 0;
        fail("the waiter was not told of the death");
    }
    ok(mp_lock_release(lock), "release");
}

static void take_robust(void) {
    if (pthread_mutex_lock(&page->robust) != 0) {
        fail("the owner's lock");
    }
}

static void wait_robust(void) {
    int error = pthread_mutex_lock(&page->robust);
    page->when = now_ns();
    if (error != EOWNERDEAD) {
        errno = error;
        fail("the waiter was not told of the death");
    }
    pthread_mutex_consistent(&page->robust);
    pthread_mutex_unlock(&page->robust);
}

static const struct way {
    const char *peer;
    bool by_libmp; /* the processes are started by libmp, as opposed to the program's own fork */
    void (*take)(void);
    void (*wait)(void);
    uint64_t patience; /* the waiter sleeps for up to so long before the owner dies, in ns */
} ways[] = {
    {"libmp, its children", true, take_lock, wait_lock, 20000000},
    {"libmp, the program's own forks", false, take_lock, wait_lock, 60000000},
    {"pthread robust mutex", false, take_robust, wait_robust, 20000000},
};
enum { WAYS = sizeof ways / sizeof *ways };

static const struct way *way;
static unsigned turn;

static int32_t owner(mp_call *call) {
    (void)call;
    way->take();
    atomic_store(&page->held, turn);
    while (pause() < 0) {
    }
    return 0;
}

static int32_t waiter(mp_call *call) {
    (void)call;
    atomic_store(&page->waiting, turn);
    way->wait();
    atomic_store(&page->taken, turn);
    return 0;
}

struct child {
    mp_process *process;
    pid_t pid;
};

static struct child start(mp_fn function) {
    struct child child = {NULL, 0};
    if (way->by_libmp) {
        mp_process_options options;
        int32_t pid = 0;
        ok(mp_process_options_init(&options), "options");
        options.daemon = true;
        options.start_method = MP_START_FORK;
        ok(mp_process_new(function, NULL, 0, &options, &child.process), "process");
        ok(mp_process_start(child.process), "start");
        ok(mp_process_pid(child.process, &pid), "pid");
        child.pid = pid;
    } else if ((child.pid = helper()) == 0) {
        function(NULL);
        _exit(0);
    }
    return child;
}

static void end(const struct child *child) {
    if (child->process != NULL) {
        ok(mp_process_join(child->process, LONGEST), "join");
        mp_process_free(child->process);
    } else {
        reap(child->pid);
    }
}

/* Until a word has the number of this turn. It sleeps: the processors are for the two that are measured. */
static void await(const atomic_uint *word, const char *what) {
    uint64_t limit = now_ns() + 2 * LONGEST;
    while (atomic_load(word) != turn) {
        sleep_ns(200000);
        if (now_ns() > limit) {
            errno = ETIMEDOUT;
            fail(what);
        }
    }
}

static double one_death(void) {
    turn++;
    struct child first = start(owner);
    await(&page->held, "the owner");
    struct child second = start(waiter);
    await(&page->waiting, "the waiter");
    /* At a random time, since whoever looks now and then must not be met in step. */
    sleep_ns(2000000 + (uint64_t)random() % way->patience);
    uint64_t killed = now_ns();
    kill(first.pid, SIGKILL);
    await(&page->taken, "the waiter's acquire");
    double took = (double)(page->when - killed) / 1e6;
    end(&first);
    end(&second);
    return took;
}

int main(int argc, char **argv) {
    int times = percent(argc, argv) * 40 / 100;
    page = shared_page();
    srandom((unsigned)now_ns());
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&page->robust, &attributes);
    ok(mp_lock_new(&lock), "lock");
    static struct samples samples[WAYS];
    for (int i = 0; i < times; i++) {
        for (int w = 0; w < WAYS; w++) {
            way = &ways[w];
            add(&samples[w], one_death());
        }
    }
    for (int w = 0; w < WAYS; w++) {
        tell("death", ways[w].peer, &samples[w]);
    }
    mp_lock_free(lock);
    return 0;
}
