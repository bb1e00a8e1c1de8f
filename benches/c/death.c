/*
 * The owner of a lock is killed by SIGKILL while another process waits for the lock: how long until the waiter has
 * it, and knows of the death? A robust mutex, for which the kernel itself does this, shows what the machine allows.
 * Several owners, each with its waiter, are made first and then killed one by one, so that no process starts while
 * a death is timed.
 */
#include "objects.h"

#include <pthread.h>

struct pair {
    _Alignas(64) pthread_mutex_t robust;
    /* The number of the turn in which each of these has happened. */
    atomic_uint held, waiting, taken;
    uint64_t when;
};

static struct pair *pairs;

static void make_robust(int i) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&pairs[i].robust, &attributes);
}

static mp_status take_robust(int i) {
    int error = pthread_mutex_lock(&pairs[i].robust);
    return error == 0 ? MP_OK : error == EOWNERDEAD ? MP_OWNER_DEAD : MP_ERR_INTERNAL;
}

static mp_status give_robust(int i) {
    pthread_mutex_consistent(&pairs[i].robust);
    return pthread_mutex_unlock(&pairs[i].robust) == 0 ? MP_OK : MP_ERR_INTERNAL;
}

static const struct object robust = {"pthread robust mutex", make_robust, take_robust, give_robust};

static const struct object *object;
static bool by_libmp; /* the processes are started by libmp, as opposed to the program's own fork */
static unsigned turn;

static void expect(mp_status status, mp_status expected, const char *what) {
    if (ok(status, what) != expected) {
        errno = 0;
        fail(expected == MP_OK ? "the owner was told of a death" : "the waiter was not told of the death");
    }
}

static void own(int i) {
    expect(object->take(i), MP_OK, "the owner's acquire");
    atomic_store(&pairs[i].held, turn);
    while (pause() < 0) {
    }
}

static void inherit(int i) {
    atomic_store(&pairs[i].waiting, turn);
    mp_status status = object->take(i);
    pairs[i].when = now_ns();
    expect(status, MP_OWNER_DEAD, "the waiter's acquire");
    ok(object->give(i), "release");
    atomic_store(&pairs[i].taken, turn);
}

/* What a child of libmp is given. */
struct part {
    int pair;
    bool owner;
};

static int32_t child_of_libmp(mp_call *call) {
    const struct part *part = mp_call_arg(call, 0).data;
    (part->owner ? own : inherit)(part->pair);
    return 0;
}

struct child {
    mp_process *process;
    pid_t pid;
};

static struct child start(int i, bool owner) {
    struct child child = {NULL, 0};
    if (by_libmp) {
        struct part part = {i, owner};
        mp_slice argument = {.data = &part, .len = sizeof part};
        mp_process_options options;
        int32_t pid = 0;
        ok(mp_process_options_init(&options), "options");
        options.daemon = true;
        options.start_method = MP_START_FORK;
        ok(mp_process_new(child_of_libmp, &argument, 1, &options, &child.process), "process");
        ok(mp_process_start(child.process), "start");
        ok(mp_process_pid(child.process, &pid), "pid");
        child.pid = pid;
    } else if ((child.pid = helper()) == 0) {
        (owner ? own : inherit)(i);
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

/* Until a word has the number of this turn. It sleeps: the processors are for those that are measured. */
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

/* As many deaths as there are pairs. */
static void deaths(struct samples *samples) {
    struct child owners[PAIRS], waiters[PAIRS];
    uint64_t killed[PAIRS];
    turn++;
    for (int i = 0; i < PAIRS; i++) {
        owners[i] = start(i, true);
        await(&pairs[i].held, "the owner");
        waiters[i] = start(i, false);
        await(&pairs[i].waiting, "the waiter");
    }
    sleep_ns(2000000 + (by_libmp ? 0 : (uint64_t)random() % 50000000));
    for (int i = 0; i < PAIRS; i++) {
        /* At random times, since whoever looks now and then must not be met in step. */
        sleep_ns(1000000 + (uint64_t)random() % 2000000);
        killed[i] = now_ns();
        kill(owners[i].pid, SIGKILL);
    }
    for (int i = 0; i < PAIRS; i++) {
        await(&pairs[i].taken, "the waiter's acquire");
        add(samples, (double)(pairs[i].when - killed[i]) / 1e6);
        end(&owners[i]);
        end(&waiters[i]);
    }
}

int main(int argc, char **argv) {
    static struct samples samples[2 * OBJECTS + 1];
    int times = percent(argc, argv) * 200 / 100;
    char name[64];
    pairs = shared_page();
    srandom((unsigned)now_ns());
    for (int i = 0; i < PAIRS; i++) {
        robust.make(i);
        for (int kind = 0; kind < OBJECTS; kind++) {
            objects[kind].make(i);
        }
    }
    /* The peers take turns, so that all see the same noise. */
    while (samples[0].count < times) {
        for (int way = 0; way < 2 * OBJECTS + 1; way++) {
            object = way < 2 * OBJECTS ? &objects[way / 2] : &robust;
            by_libmp = way < 2 * OBJECTS && way % 2 == 0;
            deaths(&samples[way]);
        }
    }
    for (int way = 0; way < 2 * OBJECTS; way++) {
        snprintf(name, sizeof name, "%s, %s", objects[way / 2].name, way % 2 == 0 ? "its children" : "own forks");
        tell("death", name, &samples[way]);
    }
    tell("death", robust.name, &samples[2 * OBJECTS]);
    return 0;
}
