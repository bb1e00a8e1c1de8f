/*
 * Processes that are threads: what they have in common with other processes and what they do not. This program does
 * not call mp_main_init.
 *
 * check: valgrind
 * check: leaks
 */
#include "fd.h"
#include "thread.h"

#include <pthread.h>
#include <stdatomic.h>

/* -- states -- */

static void check_state(mp_process *process, const char *state) {
    char expected[100], found[100];
    snprintf(expected, sizeof expected, "<Process(%s, %s)>", mp_process_name(process), state);
    CHECK_OK(mp_process_repr(process, found, sizeof found));
    CHECK_STRING(expected, found);
}

static void cannot_be_ended(mp_process *process) {
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_process_terminate(process));
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_process_kill(process));
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_process_signal(process, SIGUSR1));
    CHECK_ERROR_HAS("is a thread of this process");
    CHECK_STATUS(MP_ERR_INVALID, mp_process_signal(process, 0));
}

static void states_follow_each_other(void) {
    gate at = gate_new();
    void *pointer = &at;
    mp_slice arg = {&pointer, sizeof pointer};
    int32_t number = -5;
    bool alive = true;
    at.answer = 6;
    mp_process *process = make(wait_at_gate, &arg, 1, TWIN, false, "twin");
    check_state(process, "initial");
    CHECK_STATUS(MP_ERR_STATE, mp_process_join(process, 0));
    CHECK_STATUS(MP_ERR_STATE, mp_process_terminate(process));
    CHECK_STATUS(MP_ERR_STATE, mp_process_kill(process));
    CHECK_STATUS(MP_ERR_STATE, mp_process_pid(process, &number));
    CHECK_STATUS(MP_ERR_STATE, mp_process_sentinel(process, &number));
    CHECK_OK(mp_process_is_alive(process, &alive));
    CHECK(!alive);

    CHECK_OK(mp_process_start(process));
    check_state(process, "started");
    CHECK_STATUS(MP_ERR_STATE, mp_process_start(process));
    CHECK_STATUS(MP_ERR_STATE, mp_process_exitcode(process, &number));
    CHECK_STATUS(MP_ERR_STATE, mp_process_close(process));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_process_join(process, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_process_join(process, CHECK_SECOND / 100));
    CHECK_OK(mp_process_is_alive(process, &alive));
    CHECK(alive);
    CHECK_OK(mp_process_pid(process, &number));
    CHECK_EQ(getpid(), number);
    cannot_be_ended(process);

    CHECK_OK(mp_event_set(at.go));
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    CHECK_OK(mp_process_join(process, 0));
    check_state(process, "stopped");
    CHECK_EQ(6, exit_code(process));
    cannot_be_ended(process);
    CHECK_STATUS(MP_ERR_STATE, mp_process_start(process));
    CHECK_OK(mp_process_close(process));
    check_state(process, "closed");
    CHECK_STATUS(MP_ERR_CLOSED, mp_process_start(process));
    CHECK_STATUS(MP_ERR_CLOSED, mp_process_kill(process));
    mp_process_free(process);
    gate_free(&at);
}

static int32_t join_itself(mp_call *call) {
    gate *at = pointed(call);
    CHECK_OK(mp_event_wait(at->go, MP_FOREVER));
    CHECK_STATUS(MP_ERR_STATE, mp_process_join(at->process, MP_FOREVER));
    CHECK_ERROR_HAS("its own end");
    return 3;
}

static void nobody_waits_for_itself(void) {
    gate at = gate_new();
    at.process = start_thread_with(join_itself, &at, false);
    CHECK_OK(mp_event_set(at.go));
    CHECK_EQ(3, finish(at.process));
    gate_free(&at);
}

/* -- ways to wait -- */

static void *join_it(void *process) {
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    CHECK_EQ(4, exit_code(process));
    return NULL;
}

static void several_may_join(void) {
    pthread_t threads[4];
    gate at = gate_new();
    at.answer = 4;
    mp_process *process = start_thread_with(wait_at_gate, &at, false);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(0, pthread_create(&threads[i], NULL, join_it, process));
    check_sleep(CHECK_SECOND / 50);
    CHECK_OK(mp_event_set(at.go));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(0, pthread_join(threads[i], NULL));
    CHECK_EQ(4, finish(process));
    gate_free(&at);
}

typedef struct {
    mp_process *process;
    mp_cancel *cancel;
} cancelled;

static void *join_until_cancelled(void *what) {
    CHECK_OK(mp_cancel_use(((cancelled *)what)->cancel));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_process_join(((cancelled *)what)->process, MP_FOREVER));
    return NULL;
}

static void a_join_is_cancelled(void) {
    gate at = gate_new();
    cancelled what = {start_thread_with(wait_at_gate, &at, false), NULL};
    pthread_t thread;
    CHECK_OK(mp_cancel_new(&what.cancel));
    CHECK_EQ(0, pthread_create(&thread, NULL, join_until_cancelled, &what));
    CHECK_OK(mp_cancel_fire(what.cancel));
    CHECK_EQ(0, pthread_join(thread, NULL));
    CHECK_OK(mp_event_set(at.go));
    CHECK_EQ(0, finish(what.process));
    mp_cancel_free(what.cancel);
    gate_free(&at);
}

static void ends_are_seen_by_others(void) {
    gate at = gate_new(), other = gate_new();
    int32_t fd = -1;
    mp_process *process = start_thread_with(wait_at_gate, &at, false),
               *second = start_thread_with(wait_at_gate, &other, false);
    mp_waitable items[] = {{.kind = MP_WAIT_PROCESS, .handle = process}, {.kind = MP_WAIT_PROCESS, .handle = second}};
    CHECK_OK(mp_process_sentinel(process, &fd));
    CHECK(!polls(fd, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_wait(items, 2, CHECK_SECOND / 100));
    CHECK_OK(mp_event_set(at.go));
    CHECK_OK(mp_wait(items, 2, MP_FOREVER));
    CHECK(items[0].ready && !items[1].ready);
    CHECK_EQ(0, exit_code(process));
    becomes(fd, true);
    CHECK_EQ(0, finish(process));
    CHECK(fcntl(fd, F_GETFD) < 0);
    CHECK_OK(mp_event_set(other.go));
    /* Asked for when it may have ended. */
    CHECK_OK(mp_process_sentinel(second, &fd));
    becomes(fd, true);
    CHECK_EQ(0, finish(second));
    gate_free(&at);
    gate_free(&other);
}

/* A handle is freed while its thread runs, and none was ever joined. */
static void handles_may_go_first(void) {
    static gate gates[20];
    for (int i = 0; i < 20; i++) {
        gates[i] = gate_new();
        mp_process *process = start_thread_with(wait_at_gate, &gates[i], i % 2);
        CHECK_OK(mp_event_wait(gates[i].begun, MP_FOREVER));
        mp_process_free(process);
    }
    for (int i = 0; i < 20; i++)
        CHECK_OK(mp_event_set(gates[i].go));
    /* Nobody knows when they are done with their gates: these stay. */
}

static atomic_bool destroyed;

static void destroy_slowly(void *value) {
    (void)value;
    check_sleep(CHECK_SECOND / 10);
    destroyed = true;
}

static int32_t use_thread_local(mp_call *call) {
    CHECK_EQ(0, pthread_setspecific(*(pthread_key_t *)pointed(call), call));
    return 0;
}

static void nothing_runs_after_a_join(void) {
    pthread_key_t key;
    CHECK_EQ(0, pthread_key_create(&key, destroy_slowly));
    mp_process *process = start_thread_with(use_thread_local, &key, false);
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    CHECK(destroyed);
    mp_process_free(process);
    CHECK_EQ(0, pthread_key_delete(key));
}

/* -- names and signals -- */

typedef struct {
    char twin[64], second[64], system[64];
    sigset_t mask;
} view;

static int32_t look_around(mp_call *call) {
    view *seen = pointed(call);
    mp_process *twin = make(answer, NULL, 0, TWIN, false, NULL), *second = make(answer, NULL, 0, TWIN, false, NULL);
    snprintf(seen->twin, sizeof seen->twin, "%s", mp_process_name(twin));
    snprintf(seen->second, sizeof seen->second, "%s", mp_process_name(second));
    mp_process_free(twin);
    mp_process_free(second);
    FILE *file = fopen("/proc/thread-self/comm", "r");
    CHECK(file != NULL && fgets(seen->system, sizeof seen->system, file) != NULL);
    fclose(file);
    CHECK_EQ(0, pthread_sigmask(SIG_BLOCK, NULL, &seen->mask));
    return 0;
}

/* Its own first child is a thread too. */
static int32_t look_from_a_twin(mp_call *call) { return run_thread(look_around, pointed(call)); }

static void check_names(mp_fn fn, const char *format) {
    char expected[64];
    int number = 0;
    view seen = {0};
    void *pointer = &seen;
    mp_process *process = start(fn, &pointer, sizeof pointer, TWIN, false);
    CHECK_EQ(1, sscanf(mp_process_name(process), "Process-%d", &number));
    CHECK_EQ(0, finish(process));
    snprintf(expected, sizeof expected, format, number);
    CHECK_EQ(0, strncmp(expected, seen.system, strcspn(seen.system, "\n")));
    strcat(expected, ":1");
    CHECK_STRING(expected, seen.twin);
    expected[strlen(expected) - 1] = '2';
    CHECK_STRING(expected, seen.second);
    /* The names of the first process's own children go on. */
    process = make(answer, NULL, 0, TWIN, false, NULL);
    snprintf(expected, sizeof expected, "Process-%d", number + 1);
    CHECK_STRING(expected, mp_process_name(process));
    mp_process_free(process);
}

static void signals_are_the_starters(void) {
    sigset_t set, before;
    sigemptyset(&set);
    for (int round = 0; round < 2; round++) {
        view seen = {0};
        if (round == 1)
            sigaddset(&set, SIGUSR2);
        sigaddset(&set, SIGUSR1);
        CHECK_EQ(0, pthread_sigmask(SIG_SETMASK, &set, &before));
        CHECK_EQ(0, run_thread(look_around, &seen));
        for (int number = 1; number < SIGRTMIN; number++)
            if (number != SIGKILL && number != SIGSTOP)
                CHECK_EQ(sigismember(&set, number), sigismember(&seen.mask, number));
        CHECK_EQ(0, pthread_sigmask(SIG_SETMASK, &before, NULL));
    }
}

/* -- objects -- */

typedef struct {
    mp_lock *lock;
    mp_rlock *rlock;
    mp_queue *queue;
    long counter;
} objects;

enum { THREADS = 4, ROUNDS = 2000 };

static int32_t count_up(mp_call *call) {
    objects *o = pointed(call);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(mp_lock_acquire(o->lock, MP_FOREVER));
        o->counter++;
        CHECK_OK(mp_lock_release(o->lock));
        CHECK_OK(mp_queue_put(o->queue, &i, sizeof i, MP_FOREVER));
    }
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_rlock_acquire(o->rlock, 0));
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_rlock_release(o->rlock));
    return 0;
}

static int32_t keep_the_lock(mp_call *call) {
    CHECK_OK(mp_lock_acquire(((objects *)pointed(call))->lock, MP_FOREVER));
    return 0;
}

static void objects_are_shared(void) {
    objects o = {0};
    mp_process *processes[THREADS];
    long long sum = 0;
    CHECK_OK(mp_lock_new(&o.lock));
    CHECK_OK(mp_rlock_new(&o.rlock));
    CHECK_OK(mp_queue_new(NULL, &o.queue));
    CHECK_OK(mp_rlock_acquire(o.rlock, 0));
    for (int i = 0; i < THREADS; i++)
        processes[i] = start_thread_with(count_up, &o, false);
    for (int i = 0; i < THREADS * ROUNDS; i++) {
        mp_buffer *buffer = NULL;
        CHECK_OK(mp_queue_get(o.queue, MP_FOREVER, &buffer));
        sum += *(const int *)mp_buffer_data(buffer);
        mp_buffer_free(buffer);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(0, finish(processes[i]));
    CHECK_EQ((long long)THREADS * ROUNDS * (ROUNDS - 1) / 2, sum);
    CHECK_EQ(THREADS * ROUNDS, o.counter);
    CHECK_OK(mp_rlock_release(o.rlock));
    /* What it holds is this process's, which lives. */
    CHECK_EQ(0, run_thread(keep_the_lock, &o));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_lock_acquire(o.lock, 0));
    CHECK_OK(mp_lock_release(o.lock));
    mp_lock_free(o.lock);
    mp_rlock_free(o.rlock);
    mp_queue_free(o.queue);
}

/* -- the program's default -- */

static void it_may_be_the_default(void) {
    int32_t two = 2, pid = 0;
    CHECK_OK(mp_set_start_method(TWIN));
    CHECK_EQ(TWIN, mp_get_start_method());
    mp_process *process = start(answer, &two, sizeof two, MP_START_DEFAULT, true);
    CHECK_OK(mp_process_pid(process, &pid));
    CHECK_EQ(getpid(), pid);
    CHECK_EQ(2, finish(process));
    CHECK_OK(mp_set_start_method(MP_START_DEFAULT));
}

int main(void) {
    check_begin();
    states_follow_each_other();
    nobody_waits_for_itself();
    several_may_join();
    a_join_is_cancelled();
    ends_are_seen_by_others();
    handles_may_go_first();
    nothing_runs_after_a_join();
    check_names(look_around, "Process-%d");
    check_names(look_from_a_twin, "Process-%d:1");
    signals_are_the_starters();
    objects_are_shared();
    it_may_be_the_default();
    return 0;
}
