/*
 * 64 processes that wait for what does not come, on each kind of object: how often a second does each wake up? The
 * kernel counts how often a process goes to sleep. Of the waiters for a held lock one is its watchman.
 */
#include "objects.h"

enum { WAITERS = 64, SECONDS = 3 };

static mp_semaphore *semaphore;
static mp_condition *condition;
static mp_barrier *barrier;
static mp_event *event;
static mp_queue *queue;
static atomic_uint *ready;

/* No timeout is shorter than the measurement. */
#define LONG (60 * INT64_C(1000000000))

static void wait_lock(void) { mp_lock_acquire(locks[0], LONG); }
static void wait_rlock(void) { mp_rlock_acquire(rlocks[0], LONG); }
static void wait_semaphore(void) { mp_semaphore_acquire(semaphore, LONG); }
static void wait_condition(void) {
    ok(mp_condition_acquire(condition, LONG), "acquire");
    mp_condition_wait(condition, LONG);
}
static void wait_barrier(void) {
    uint32_t index;
    mp_barrier_wait(barrier, LONG, &index);
}

static void wait_event(void) { mp_event_wait(event, LONG); }
static void wait_queue(void) {
    char message[8];
    size_t length;
    mp_queue_get_into(queue, message, sizeof message, &length, LONG);
}

static const struct kind {
    const char *name;
    void (*wait)(void);
    bool owned;
} kinds[] = {
    {"lock", wait_lock, true},
    {"rlock", wait_rlock, true},
    {"semaphore", wait_semaphore, false},
    {"condition", wait_condition, false},
    {"event", wait_event, false},
    {"barrier", wait_barrier, false},
    {"queue", wait_queue, false},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static long sleeps(pid_t pid) {
    static const char key[] = "voluntary_ctxt_switches:";
    char line[256], path[64];
    long count = -1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "r");
    if (status == NULL) {
        fail(path);
    }
    while (fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, key, sizeof key - 1) == 0) {
            count = atol(line + sizeof key - 1);
        }
    }
    fclose(status);
    return count;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    static pid_t waiters[KINDS][WAITERS];
    static long before[KINDS][WAITERS];
    double seconds = SECONDS * percent(argc, argv) / 100.0;
    seconds = seconds < 1 ? 1 : seconds;
    char name[64];
    ready = shared_page();
    make_lock(0);
    make_rlock(0);
    ok(mp_semaphore_new(0, NULL, &semaphore), "semaphore");
    ok(mp_condition_new(NULL, &condition), "condition");
    ok(mp_event_new(&event), "event");
    ok(mp_queue_new(NULL, &queue), "queue");
    ok(mp_barrier_new(WAITERS + 1, &barrier), "barrier");
    ok(take_lock(0), "lock");
    ok(take_rlock(0), "rlock");
    for (int k = 0; k < KINDS; k++) {
        for (int i = 0; i < WAITERS; i++) {
            if ((waiters[k][i] = helper()) == 0) {
                atomic_fetch_add(ready, 1);
                kinds[k].wait();
                fprintf(stderr, "idle: a %s's waiter came back\n", kinds[k].name);
                _exit(1);
            }
        }
    }
    while (atomic_load(ready) < KINDS * WAITERS) {
        sleep_ns(1000000);
    }
    /* Until all are asleep, and those who spin have stopped. */
    sleep_ns(1000000000);
    uint64_t start = now_ns();
    for (int k = 0; k < KINDS; k++) {
        for (int i = 0; i < WAITERS; i++) {
            before[k][i] = sleeps(waiters[k][i]);
        }
    }
    sleep_ns((uint64_t)(seconds * 1e9));
    double took = (double)(now_ns() - start) / 1e9;
    for (int k = 0; k < KINDS; k++) {
        static struct samples samples;
        for (int i = 0; i < WAITERS; i++) {
            add(&samples, (double)(sleeps(waiters[k][i]) - before[k][i]) / took);
        }
        qsort(samples.values, WAITERS, sizeof *samples.values, by_size);
        if (kinds[k].owned) {
            double watchman = samples.values[--samples.count];
            tell("idle", kinds[k].name, &samples);
            add(&samples, watchman);
            snprintf(name, sizeof name, "%s, its watchman", kinds[k].name);
            tell("idle", name, &samples);
        } else {
            tell("idle", kinds[k].name, &samples);
        }
    }
    for (int k = 0; k < KINDS; k++) {
        for (int i = 0; i < WAITERS; i++) {
            kill(waiters[k][i], SIGKILL);
            reap(waiters[k][i]);
        }
    }
    return 0;
}
