/* A lock and its release: by one thread alone, and by two processes that both want it. */
#include "bench.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/time.h>

struct page {
    _Alignas(64) atomic_uint word;
    _Alignas(64) pthread_mutex_t mutex;
    _Alignas(64) pthread_mutex_t robust;
    _Alignas(64) sem_t semaphore;
    /* Changed by whoever holds the lock, and by nobody else. */
    _Alignas(64) volatile uint64_t counter;
    _Alignas(64) atomic_uint go;
    _Alignas(64) atomic_uint stop;
    uint64_t others;
};

static struct page *page;
static mp_lock *lock;
static mp_semaphore *semaphore;

/* Two atomic changes: what every lock with sleeping waiters has to pay. */
static void cas_lock(void) {
    unsigned expected = 0;
    while (
        !atomic_compare_exchange_weak_explicit(&page->word, &expected, 1, memory_order_acquire, memory_order_relaxed)) {
        expected = 0;
    }
}

static void cas_unlock(void) {
    unsigned expected = 1;
    atomic_compare_exchange_strong_explicit(&page->word, &expected, 0, memory_order_release, memory_order_relaxed);
}

static void libmp_lock(void) { ok(mp_lock_acquire(lock, MP_FOREVER), "acquire"); }
static void libmp_unlock(void) { ok(mp_lock_release(lock), "release"); }
static void libmp_wait(void) { ok(mp_semaphore_acquire(semaphore, MP_FOREVER), "acquire"); }
static void libmp_post(void) { ok(mp_semaphore_release(semaphore, 1), "release"); }
static void mutex_lock(void) { pthread_mutex_lock(&page->mutex); }
static void mutex_unlock(void) { pthread_mutex_unlock(&page->mutex); }
static void robust_lock(void) { pthread_mutex_lock(&page->robust); }
static void robust_unlock(void) { pthread_mutex_unlock(&page->robust); }
static void posix_wait(void) {
    while (sem_wait(&page->semaphore) != 0) {
    }
}
static void posix_post(void) { sem_post(&page->semaphore); }

static const struct peer {
    const char *name;
    void (*take)(void);
    void (*give)(void);
    bool contended;
} peers[] = {
    {"libmp", libmp_lock, libmp_unlock, true},
    {"libmp semaphore", libmp_wait, libmp_post, true},
    {"bare CAS pair", cas_lock, cas_unlock, false},
    {"pthread mutex", mutex_lock, mutex_unlock, true},
    {"pthread robust mutex", robust_lock, robust_unlock, true},
    {"sem_t", posix_wait, posix_post, true},
};
enum { PEERS = sizeof peers / sizeof *peers };

static void init_mutex(pthread_mutex_t *mutex, int robust) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, robust);
    if (pthread_mutex_init(mutex, &attributes) != 0) {
        fail("pthread_mutex_init");
    }
}

static double pairs(const struct peer *peer) {
    enum { PAIRS = 20000 };
    uint64_t start = now_ns();
    for (int i = 0; i < PAIRS; i++) {
        peer->take();
        peer->give();
    }
    return (double)(now_ns() - start) / PAIRS;
}

/* The peers take turns every block, so that all see the same noise. */
static void uncontended(int share) {
    static struct samples samples[PEERS];
    pin(0);
    for (int p = 0; p < PEERS; p++) {
        pairs(&peers[p]);
    }
    for (int block = 0; block < 4 + share / 2; block++) {
        for (int p = 0; p < PEERS; p++) {
            add(&samples[p], pairs(&peers[p]));
        }
    }
    for (int p = 0; p < PEERS; p++) {
        tell("lock", peers[p].name, &samples[p]);
    }
}

static uint64_t grab(const struct peer *peer) {
    uint64_t taken = 0;
    while (atomic_load(&page->stop) == 0) {
        peer->take();
        page->counter++;
        peer->give();
        taken++;
    }
    return taken;
}

static void time_is_up(int signal) {
    (void)signal;
    atomic_store(&page->stop, 1);
}

static void contended(const struct peer *peer, int share, struct samples *samples) {
    page->counter = 0;
    atomic_store(&page->go, 0);
    atomic_store(&page->stop, 0);
    pid_t other = helper();
    if (other == 0) {
        pin(1);
        atomic_store(&page->go, 1);
        until(&page->go, 2);
        page->others = grab(peer);
        _exit(0);
    }
    until(&page->go, 1);
    signal(SIGALRM, time_is_up);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_usec = 20000 + 500 * (suseconds_t)share}, NULL);
    uint64_t start = now_ns();
    atomic_store(&page->go, 2);
    uint64_t mine = grab(peer);
    double took = (double)(now_ns() - start);
    reap(other);
    if (page->counter != mine + page->others) {
        errno = 0;
        fail("two were in the critical section");
    }
    add(samples, (double)page->counter * 1e6 / took);
}

int main(int argc, char **argv) {
    int share = percent(argc, argv);
    page = shared_page();
    init_mutex(&page->mutex, PTHREAD_MUTEX_STALLED);
    init_mutex(&page->robust, PTHREAD_MUTEX_ROBUST);
    sem_init(&page->semaphore, 1, 1);
    ok(mp_lock_new(&lock), "lock");
    ok(mp_semaphore_new(1, NULL, &semaphore), "semaphore");
    uncontended(share);
    for (int p = 0; p < PEERS; p++) {
        static struct samples samples;
        for (int slice = 0; slice < 3 && peers[p].contended; slice++) {
            contended(&peers[p], share, &samples);
        }
        if (samples.count > 0) {
            tell("contended", peers[p].name, &samples);
        }
    }
    mp_semaphore_free(semaphore);
    mp_lock_free(lock);
    return 0;
}
