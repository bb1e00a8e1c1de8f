/*
 * Hand-off: two processes wake each other in turn, between two cores and on a shared one. The floor between two cores
 * is a pure spin, which on one core would wait for the scheduler's next tick.
 */
#include "bench.h"
#include "boost.h"

#include <pthread.h>
#include <semaphore.h>

/* One way of two: a signal, and what it is made of. */
struct way {
    _Alignas(64) atomic_uint word;
    _Alignas(64) sem_t semaphore;
    _Alignas(64) pthread_mutex_t mutex;
    pthread_cond_t condition;
    bool set;
    _Alignas(64) bool told;
    _Alignas(64) struct boost_room boost_semaphore;
    _Alignas(64) struct boost_room boost_condition;
};

struct page {
    _Alignas(64) atomic_uint turn;
    atomic_uint peer;
    atomic_uint trips;
    struct way ways[2];
};

static struct page *page;
static mp_semaphore *semaphores[2];
static mp_condition *conditions[2];

static void libmp_post(int way) { ok(mp_semaphore_release(semaphores[way], 1), "release"); }
static void libmp_wait(int way) { ok(mp_semaphore_acquire(semaphores[way], MP_FOREVER), "acquire"); }
static void libmp_notify(int way) {
    ok(mp_condition_acquire(conditions[way], MP_FOREVER), "acquire");
    page->ways[way].told = true;
    ok(mp_condition_notify(conditions[way], 1), "notify");
    ok(mp_condition_release(conditions[way]), "release");
}
static void libmp_await(int way) {
    ok(mp_condition_acquire(conditions[way], MP_FOREVER), "acquire");
    while (!page->ways[way].told) {
        ok(mp_condition_wait(conditions[way], MP_FOREVER), "wait");
    }
    page->ways[way].told = false;
    ok(mp_condition_release(conditions[way]), "release");
}
static void spin_post(int way) { atomic_store_explicit(&page->ways[way].word, 1, memory_order_release); }
static void spin_wait(int way) {
    while (atomic_load_explicit(&page->ways[way].word, memory_order_acquire) == 0) {
        relax();
    }
    atomic_store_explicit(&page->ways[way].word, 0, memory_order_relaxed);
}
static void posix_post(int way) { sem_post(&page->ways[way].semaphore); }
static void posix_wait(int way) {
    while (sem_wait(&page->ways[way].semaphore) != 0) {
    }
}
static void condition_post(int way) {
    struct way *to = &page->ways[way];
    pthread_mutex_lock(&to->mutex);
    to->set = true;
    pthread_cond_signal(&to->condition);
    pthread_mutex_unlock(&to->mutex);
}
static void condition_wait(int way) {
    struct way *from = &page->ways[way];
    pthread_mutex_lock(&from->mutex);
    while (!from->set) {
        pthread_cond_wait(&from->condition, &from->mutex);
    }
    from->set = false;
    pthread_mutex_unlock(&from->mutex);
}
#if BOOST
static void boost_post(int way) { boost_semaphore_post(&page->ways[way].boost_semaphore); }
static void boost_wait(int way) { boost_semaphore_wait(&page->ways[way].boost_semaphore); }
static void boost_notify(int way) { boost_signal_set(&page->ways[way].boost_condition); }
static void boost_await(int way) { boost_signal_await(&page->ways[way].boost_condition); }
#endif

enum { TWO_CORES, ONE_CORE, PLACES };

static const struct peer {
    const char *what; /* the case, without the place */
    const char *name;
    void (*post)(int);
    void (*wait)(int);
    bool spins; /* and never sleeps, so it is for two cores only */
} peers[] = {
    {"handoff", "libmp", libmp_post, libmp_wait, false},
    {"handoff", "pure spin", spin_post, spin_wait, true},
    {"handoff", "sem_t", posix_post, posix_wait, false},
    {"condition", "libmp", libmp_notify, libmp_await, false},
    {"condition", "pthread cond", condition_post, condition_wait, false},
#if BOOST
    {"handoff", "Boost semaphore", boost_post, boost_wait, false},
    {"condition", "Boost condition", boost_notify, boost_await, false},
#endif
};
enum { PEERS = sizeof peers / sizeof *peers };

static void open_ways(void) {
    pthread_mutexattr_t mutex;
    pthread_condattr_t condition;
    pthread_mutexattr_init(&mutex);
    pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    pthread_condattr_init(&condition);
    pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
    for (int i = 0; i < 2; i++) {
        struct way *way = &page->ways[i];
        sem_init(&way->semaphore, 1, 0);
        pthread_mutex_init(&way->mutex, &mutex);
        pthread_cond_init(&way->condition, &condition);
#if BOOST
        boost_semaphore_open(&way->boost_semaphore, 0);
        boost_signal_open(&way->boost_condition);
#endif
        ok(mp_semaphore_new(0, NULL, &semaphores[i]), "semaphore");
        ok(mp_condition_new(NULL, &conditions[i]), "condition");
    }
}

/* Answers each signal by another, turn by turn. */
static void answer(int place) {
    pin(place == TWO_CORES);
    for (unsigned turn = 1;; turn++) {
        until(&page->turn, turn);
        unsigned trips = atomic_load(&page->trips);
        if (trips == 0) {
            _exit(0);
        }
        const struct peer *peer = &peers[atomic_load(&page->peer)];
        for (unsigned i = 0; i < trips; i++) {
            peer->wait(0);
            peer->post(1);
        }
    }
}

/* One block of round trips, in ns each. The first ones only bring both to the point. */
static double round_trips(int number) {
    enum { BEFORE = 20, TIMED = 40 };
    const struct peer *peer = &peers[number];
    uint64_t start = 0;
    atomic_store(&page->peer, (unsigned)number);
    atomic_store(&page->trips, BEFORE + TIMED);
    atomic_fetch_add(&page->turn, 1);
    for (int i = 0; i < BEFORE + TIMED; i++) {
        if (i == BEFORE) {
            start = now_ns();
        }
        peer->post(0);
        peer->wait(1);
    }
    return (double)(now_ns() - start) / TIMED;
}

static void measure(int place, int share) {
    static struct samples samples[PEERS];
    static const char *const places[PLACES] = {"", ", one core"};
    char name[64];
    atomic_store(&page->turn, 0);
    pid_t other = helper();
    if (other == 0) {
        answer(place);
    }
    pin(0);
    for (int block = 0; block < 10 + share; block++) {
        for (int p = 0; p < PEERS; p++) {
            if (place == TWO_CORES || !peers[p].spins) {
                add(&samples[p], round_trips(p));
            }
        }
    }
    atomic_store(&page->trips, 0);
    atomic_fetch_add(&page->turn, 1);
    reap(other);
    for (int p = 0; p < PEERS; p++) {
        if (samples[p].count > 0) {
            snprintf(name, sizeof name, "%s%s", peers[p].what, places[place]);
            tell(name, peers[p].name, &samples[p]);
        }
    }
}

int main(int argc, char **argv) {
    int share = percent(argc, argv);
    page = shared_page();
    for (int place = 0; place < PLACES; place++) {
        open_ways();
        measure(place, share);
    }
    return 0;
}
