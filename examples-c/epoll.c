/*
 * One epoll loop that serves a queue, an event, a process and a timer.
 *
 * A worker process looks for record gaps between consecutive primes. It puts what it finds into a queue, and now and
 * then how far it has come; when it is through, it sets an event. The first one is killed half-way, as if it had
 * crashed: the loop sees its end, takes what it had put, all of which is there, and starts another one where that ends.
 * A timer shows the progress meanwhile.
 *
 *     $ epoll
 *     gap   2 after 3
 *     gap   4 after 7
 *     ...
 *     worker 4711 was killed by signal 9; the next one goes on after 1200007
 *     ...
 */
#include <errno.h>
#include <inttypes.h>
#include <mp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { FIRST = 3, LIMIT = 3000000, CRASH_AT = 1200000, REPORT_EVERY = 10000 };

/* A message: a prime and the gap after it. If the gap is 0, all primes before this one are done. */
typedef struct {
    uint64_t prime, gap;
} finding;

/* What the loop is woken by. */
enum { FINDINGS, THROUGH, WORKER, TIMER, SOURCES };

static mp_queue *findings;
static mp_event *through;

static void check(mp_status status, const char *what) {
    if (MP_FAILED(status)) {
        fprintf(stderr, "%s: %s: %s\n", what, mp_status_name(status), mp_last_error());
        exit(1);
    }
}

static void check_system(int result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

/* -- the worker -- */

static int is_prime(uint64_t n) {
    for (uint64_t d = 3; d * d <= n; d += 2)
        if (n % d == 0)
            return 0;
    return n > 2 && n % 2 == 1;
}

static mp_status tell(uint64_t prime, uint64_t gap) {
    finding message = {prime, gap};
    return mp_queue_put(findings, &message, sizeof message, MP_FOREVER);
}

/* Arguments: where to begin, and the largest gap before that. */
static int32_t search(mp_call *call) {
    finding from;
    uint64_t reported = 0;
    memcpy(&from, mp_call_arg(call, 0).data, sizeof from);
    uint64_t prime = from.prime, largest = from.gap;
    for (uint64_t n = prime + 2; n < LIMIT; n += 2) {
        if (!is_prime(n))
            continue;
        if (n - prime > largest) {
            largest = n - prime;
            if (MP_FAILED(tell(prime, largest)))
                return 1;
        }
        prime = n;
        if (prime - from.prime - reported > REPORT_EVERY) {
            reported = prime - from.prime;
            if (MP_FAILED(tell(prime, 0)))
                return 1;
        }
        if (prime > CRASH_AT && from.prime == FIRST)
            raise(SIGKILL); /* the first worker */
    }
    return MP_FAILED(mp_event_set(through));
}

/* -- the loop -- */

typedef struct {
    int epoll, timer;
    mp_process *worker;
    /* How far all is known: where another worker would begin. */
    finding known;
} loop;

static void watch(loop *l, int fd, uint32_t source) {
    struct epoll_event entry = {.events = EPOLLIN, .data.u32 = source};
    check_system(epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &entry), "epoll_ctl");
}

static void start_worker(loop *l) {
    mp_slice from = {&l->known, sizeof l->known};
    int32_t fd;
    check(mp_process_new(search, &from, 1, NULL, &l->worker), "mp_process_new");
    check(mp_process_start(l->worker), "mp_process_start");
    check(mp_process_sentinel(l->worker, &fd), "mp_process_sentinel");
    watch(l, fd, WORKER);
}

/* Takes all that is there. A descriptor may tell of an earlier moment: so nothing here waits. */
static void take_findings(loop *l) {
    finding message;
    size_t length;
    mp_status status;
    while ((status = mp_queue_get_into(findings, &message, sizeof message, &length, 0)) == MP_OK) {
        l->known.prime = message.prime;
        if (message.gap > l->known.gap) {
            l->known.gap = message.gap;
            printf("gap %3" PRIu64 " after %" PRIu64 "\n", message.gap, message.prime);
        }
    }
    if (status != MP_ERR_EMPTY)
        check(status, "mp_queue_get_into");
}

static void worker_ended(loop *l) {
    int32_t code, pid;
    if (mp_process_exitcode(l->worker, &code) == MP_ERR_STATE)
        return; /* not yet */
    check(mp_process_pid(l->worker, &pid), "mp_process_pid");
    /* Its descriptor goes with it, and leaves the epoll by that. */
    mp_process_free(l->worker);
    l->worker = NULL;
    if (code >= 0) {
        if (code > 0)
            exit(1);
        return;
    }
    take_findings(l);
    printf("worker %d was killed by signal %d; the next one goes on after %" PRIu64 "\n", (int)pid, (int)-code,
           l->known.prime);
    start_worker(l);
}

static void show_progress(loop *l) {
    uint64_t times;
    if (read(l->timer, &times, sizeof times) == sizeof times)
        fprintf(stderr, "at %" PRIu64 " of %d\n", l->known.prime, LIMIT);
}

/* Clears the event, so that its descriptor is not readable any more. */
static bool is_through(void) {
    bool set;
    check(mp_event_is_set(through, &set), "mp_event_is_set");
    check(mp_event_clear(through), "mp_event_clear");
    return set;
}

static void run(loop *l) {
    bool over = false;
    while (!over || l->worker) {
        struct epoll_event ready[SOURCES];
        int n = epoll_wait(l->epoll, ready, SOURCES, -1);
        if (n < 0 && errno != EINTR)
            check_system(n, "epoll_wait");
        for (int i = 0; i < n; i++) {
            switch (ready[i].data.u32) {
            case FINDINGS:
                take_findings(l);
                break;
            case THROUGH:
                over = is_through() || over;
                break;
            case WORKER:
                worker_ended(l);
                break;
            case TIMER:
                show_progress(l);
                break;
            }
        }
    }
    take_findings(l);
}

int main(int argc, char **argv) {
    loop l = {.known = {FIRST, 0}};
    int32_t fd;
    struct itimerspec tenth = {{0, 100000000}, {0, 100000000}};
    check(mp_main_init(argc, argv), "mp_main_init");
    check(mp_queue_new(NULL, &findings), "mp_queue_new");
    check(mp_event_new(&through), "mp_event_new");
    check_system(l.epoll = epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    check_system(l.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create");
    check_system(timerfd_settime(l.timer, 0, &tenth, NULL), "timerfd_settime");
    watch(&l, l.timer, TIMER);
    check(mp_queue_fd(findings, &fd), "mp_queue_fd");
    watch(&l, fd, FINDINGS);
    check(mp_event_fd(through, &fd), "mp_event_fd");
    watch(&l, fd, THROUGH);
    start_worker(&l);
    run(&l);
    printf("the largest gap between primes below %d is %" PRIu64 "\n", LIMIT, l.known.gap);
    mp_queue_free(findings);
    mp_event_free(through);
    close(l.timer);
    close(l.epoll);
    return 0;
}
