/* A lock and its release: by one thread alone, and by two processes that both want it. */
#include "bench.h"
#include "boost.h"

#include <pthread.h>
#include <semaphore.h>

struct page {
    _Alignas(64) atomic_uint word;
    _Alignas(64) pthread_mutex_t mutex;
    _Alignas(64) pthread_mutex_t robust;
    _Alignas(64) pthread_mutex_t recursive;
    _Alignas(64) sem_t semaphore;
    _Alignas(64) struct boost_room boost_mutex;
    _Alignas(64) struct boost_room boost_semaphore;
    /* Changed by whoever holds the lock, and by nobody else. */
    _Alignas(64) volatile uint64_t counter;
    _Alignas(64) atomic_uint turn;
    atomic_uint number;
    atomic_uint done;
    _Alignas(64) atomic_uint go;
    atomic_uint stop;
    _Alignas(64) uint64_t others;
};

static struct page *page;
static mp_lock *lock;
static mp_rlock *rlock;
static mp_semaphore *semaphore;

/* Two atomic changes: what every lock with sleeping waiters has to pay. It can't be waited for. */
static void cas_lock(void) {
    unsigned expected = 0;
    atomic_compare_exchange_strong_explicit(&page->word, &expected, 1, memory_order_acquire, memory_order_relaxed);
}

static void cas_unlock(void) {
    unsigned expected = 1;
    atomic_compare_exchange_strong_explicit(&page->word, &expected, 0, memory_order_release, memory_order_relaxed);
}

static void libmp_lock(void) { mp_lock_acquire(lock, MP_FOREVER); }
static void libmp_unlock(void) { mp_lock_release(lock); }
static void libmp_enter(void) { mp_rlock_acquire(rlock, MP_FOREVER); }
static void libmp_leave(void) { mp_rlock_release(rlock); }
static void libmp_wait(void) { mp_semaphore_acquire(semaphore, MP_FOREVER); }
static void libmp_post(void) { mp_semaphore_release(semaphore, 1); }
static void mutex_lock(void) { pthread_mutex_lock(&page->mutex); }
static void mutex_unlock(void) { pthread_mutex_unlock(&page->mutex); }
static void robust_lock(void) { pthread_mutex_lock(&page->robust); }
static void robust_unlock(void) { pthread_mutex_unlock(&page->robust); }
static void recursive_lock(void) { pthread_mutex_lock(&page->recursive); }
static void recursive_unlock(void) { pthread_mutex_unlock(&page->recursive); }
static void posix_wait(void) {
    while (sem_wait(&page->semaphore) != 0) {
    }
}
static void posix_post(void) { sem_post(&page->semaphore); }
#if BOOST
static void boost_lock(void) { boost_mutex_lock(&page->boost_mutex); }
static void boost_unlock(void) { boost_mutex_unlock(&page->boost_mutex); }
static void boost_wait(void) { boost_semaphore_wait(&page->boost_semaphore); }
static void boost_post(void) { boost_semaphore_post(&page->boost_semaphore); }
#endif

static const struct peer {
    const char *name;
    void (*take)(void);
    void (*give)(void);
    bool contended;
} peers[] = {
    {"libmp", libmp_lock, libmp_unlock, true},
    {"bare CAS pair", cas_lock, cas_unlock, false},
    {"pthread mutex", mutex_lock, mutex_unlock, true},
    {"pthread robust mutex", robust_lock, robust_unlock, true},
    {"sem_t", posix_wait, posix_post, true},
#if BOOST
    {"Boost mutex", boost_lock, boost_unlock, true},
    {"Boost semaphore", boost_wait, boost_post, true},
#endif
    {"pthread recursive mutex", recursive_lock, recursive_unlock, false},
    {"libmp rlock", libmp_enter, libmp_leave, true},
    {"libmp semaphore", libmp_wait, libmp_post, true},
};
enum { PEERS = sizeof peers / sizeof *peers };

static void init_mutex(pthread_mutex_t *mutex, int robust, int type) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, robust);
    pthread_mutexattr_settype(&attributes, type);
    if (pthread_mutex_init(mutex, &attributes) != 0) {
        fail("pthread_mutex_init");
    }
}

static double pairs(const struct peer *peer) {
    enum { PAIRS = 10000 };
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
    for (int block = 0; block < 4 + share; block++) {
        for (int p = 0; p < PEERS; p++) {
            add(&samples[p], pairs(&peers[p]));
        }
    }
    for (int p = 0; p < PEERS; p++) {
        tell("lock", peers[p].name, &samples[p]);
    }
}

/* What is done with the lock, and between two turns: nothing, or a microsecond's work each. */
static const struct work {
    const char *name;
    uint64_t ns;
} works[] = {{"contended", 0}, {"contended, 1 us", 1000}};
enum { WORKS = sizeof works / sizeof *works, SLICE = 3000000 };

static void toil(uint64_t ns) {
    if (ns > 0) {
        for (uint64_t start = now_ns(); now_ns() - start < ns;) {
        }
    }
}

static uint64_t grab(const struct peer *peer, uint64_t ns, uint64_t end) {
    uint64_t taken = 0;
    while (atomic_load_explicit(&page->stop, memory_order_relaxed) == 0) {
        peer->take();
        page->counter++;
        toil(ns);
        peer->give();
        toil(ns);
        taken++;
        if (end != 0 && (ns > 0 || taken % 64 == 0) && now_ns() > end) {
            atomic_store(&page->stop, 1);
        }
    }
    return taken;
}

/* Number says which peer and which work. Both sides begin when both are there. */
static void other_side(void) {
    pin(1);
    for (unsigned turn = 1;; turn++) {
        until(&page->turn, turn);
        unsigned number = atomic_load(&page->number);
        if (number == PEERS * WORKS) {
            _exit(0);
        }
        atomic_store(&page->go, 1);
        until(&page->go, 2);
        page->others = grab(&peers[number / WORKS], works[number % WORKS].ns, 0);
        atomic_store(&page->done, turn);
    }
}

static double slice(unsigned number, unsigned turn) {
    page->counter = 0;
    atomic_store(&page->stop, 0);
    atomic_store(&page->go, 0);
    atomic_store(&page->number, number);
    atomic_store(&page->turn, turn);
    until(&page->go, 1);
    uint64_t start = now_ns();
    atomic_store(&page->go, 2);
    uint64_t mine = grab(&peers[number / WORKS], works[number % WORKS].ns, start + SLICE);
    until(&page->done, turn);
    double took = (double)(now_ns() - start);
    if (page->counter != mine + page->others) {
        errno = 0;
        fail("two were in the critical section");
    }
    return (double)page->counter * 1e6 / took;
}

static void contended(int share) {
    static struct samples samples[PEERS * WORKS];
    unsigned turn = 0;
    pid_t other = helper();
    if (other == 0) {
        other_side();
    }
    for (int block = 0; block < 2 + share / 8; block++) {
        for (unsigned number = 0; number < PEERS * WORKS; number++) {
            if (peers[number / WORKS].contended) {
                add(&samples[number], slice(number, ++turn));
            }
        }
    }
    atomic_store(&page->number, PEERS * WORKS);
    atomic_store(&page->turn, turn + 1);
    reap(other);
    for (unsigned number = 0; number < PEERS * WORKS; number++) {
        if (samples[number].count > 0) {
            tell(works[number % WORKS].name, peers[number / WORKS].name, &samples[number]);
        }
    }
}

int main(int argc, char **argv) {
    int share = percent(argc, argv);
    page = shared_page();
    init_mutex(&page->mutex, PTHREAD_MUTEX_STALLED, PTHREAD_MUTEX_NORMAL);
    init_mutex(&page->robust, PTHREAD_MUTEX_ROBUST, PTHREAD_MUTEX_NORMAL);
    init_mutex(&page->recursive, PTHREAD_MUTEX_STALLED, PTHREAD_MUTEX_RECURSIVE);
    sem_init(&page->semaphore, 1, 1);
#if BOOST
    boost_mutex_open(&page->boost_mutex);
    boost_semaphore_open(&page->boost_semaphore, 1);
#endif
    ok(mp_lock_new(&lock), "lock");
    ok(mp_rlock_new(&rlock), "rlock");
    ok(mp_semaphore_new(1, NULL, &semaphore), "semaphore");
    uncontended(share);
    contended(share);
    mp_semaphore_free(semaphore);
    mp_rlock_free(rlock);
    mp_lock_free(lock);
    return 0;
}
