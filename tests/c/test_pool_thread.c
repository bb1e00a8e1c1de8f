/*
 * Pools whose workers are threads: what is special about them. This program does not call mp_main_init.
 */
#include "pool.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>

enum { WORKERS = 3 };

#if defined(__SANITIZE_ADDRESS__)
/* Freed memory is kept for a while, and limits of memory can't be set. */
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static mp_pool *new_pool(uint32_t workers) { return pool_new(MP_START_THREAD, workers); }

/* Tasks are given a pointer. */
static void *pointed(mp_call *call) {
    void *pointer;
    CHECK_EQ(sizeof pointer, mp_call_arg(call, 0).len);
    memcpy(&pointer, mp_call_arg(call, 0).data, sizeof pointer);
    return pointer;
}

/* Tasks wait at a gate until it is opened. */
typedef struct {
    mp_semaphore *begun;
    mp_event *open;
    atomic_int ended;
} gate;

static gate *gate_new(void) {
    gate *made = calloc(1, sizeof *made);
    CHECK(made != NULL);
    CHECK_OK(mp_semaphore_new(0, NULL, &made->begun));
    CHECK_OK(mp_event_new(&made->open));
    return made;
}

static void gate_free(gate *made) {
    mp_semaphore_free(made->begun);
    mp_event_free(made->open);
    free(made);
}

/* Gives back many bytes, so that a result that comes too late has a block. */
static int32_t wait_at_gate(mp_call *call) {
    gate *at = pointed(call);
    CHECK_OK(mp_semaphore_release(at->begun, 1));
    CHECK_OK(mp_event_wait(at->open, MP_FOREVER));
    check_sleep(CHECK_SECOND / 20);
    CHECK(mp_call_return_buffer(call, 100000) != NULL);
    at->ended++;
    return 0;
}

/* Submits `n` tasks that wait, and waits until so many are in hand. */
static mp_result *hold(mp_pool *pool, gate *at, size_t n, int in_hand, const mp_task_options *options) {
    mp_slice items[10];
    mp_result *result = NULL;
    for (size_t i = 0; i < n; i++)
        items[i] = (mp_slice){&at, sizeof at};
    CHECK_OK(mp_pool_map_async(pool, wait_at_gate, items, n, 1, options, &result));
    for (int i = 0; i < in_hand; i++)
        CHECK_OK(mp_semaphore_acquire(at->begun, MP_FOREVER));
    return result;
}

static void *open_soon(void *at) {
    check_sleep(CHECK_SECOND / 10);
    CHECK_OK(mp_event_set(((gate *)at)->open));
    return NULL;
}

static size_t tasks(void) { return pool_entries("/proc/self/task"); }

/* A thread that was joined is seen there for some microseconds more; the watchdog is the limit. */
static void tasks_become(size_t n) {
    while (tasks() != n)
        check_sleep(CHECK_SECOND / 10000);
}

/* -- who they are -- */

typedef struct {
    mp_barrier *barrier;
    pid_t pids[WORKERS];
    char names[WORKERS][32];
    sigset_t masks[WORKERS];
    atomic_int next;
} meeting;

static int32_t meet(mp_call *call) {
    meeting *m = pointed(call);
    int at = m->next++;
    m->pids[at] = getpid();
    FILE *file = fopen("/proc/thread-self/comm", "r");
    CHECK(file != NULL && fgets(m->names[at], sizeof m->names[at], file) != NULL);
    fclose(file);
    CHECK_EQ(0, pthread_sigmask(SIG_BLOCK, NULL, &m->masks[at]));
    CHECK_OK(mp_barrier_wait(m->barrier, MP_FOREVER, NULL));
    return 0;
}

static void workers_are_threads(void) {
    static meeting m;
    void *pointer = &m;
    mp_slice items[WORKERS];
    mp_result *result = NULL;
    sigset_t set, before;
    size_t threads = tasks();
    CHECK_OK(mp_barrier_new(WORKERS, &m.barrier));
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_EQ(0, pthread_sigmask(SIG_BLOCK, &set, &before));
    mp_pool *pool = new_pool(WORKERS);
    CHECK_EQ(0, pthread_sigmask(SIG_SETMASK, &before, NULL));
    tasks_become(threads + WORKERS);
    for (int i = 0; i < WORKERS; i++)
        items[i] = (mp_slice){&pointer, sizeof pointer};
    CHECK_OK(mp_pool_map(pool, meet, items, WORKERS, 1, &result));
    mp_result_free(result);
    for (int i = 0; i < WORKERS; i++) {
        CHECK_EQ(getpid(), m.pids[i]);
        CHECK_EQ(0, strncmp("Pool-1-", m.names[i], 7));
        CHECK(i == 0 || strcmp(m.names[0], m.names[i]) != 0);
        for (int number = 1; number < SIGRTMIN; number++)
            CHECK_EQ(number == SIGUSR1, sigismember(&m.masks[i], number));
    }
    pool_end(pool);
    tasks_become(threads);
    mp_barrier_free(m.barrier);

    pool = new_pool(0);
    tasks_become(threads + (size_t)mp_cpu_count());
    mp_pool_free(pool);
    tasks_become(threads);
}

/* -- terminate and free -- */

static void terminate_cancels_at_once(void) {
    size_t threads = tasks();
    gate *at = gate_new();
    mp_pool *pool = new_pool(2);
    mp_result *result = hold(pool, at, 5, 2, NULL);
    CHECK_OK(mp_pool_terminate(pool));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_result_get(result, MP_FOREVER));
    for (size_t i = 0; i < 5; i++)
        CHECK_STATUS(MP_ERR_CANCELLED, mp_result_item(result, i, &(mp_slice){0}));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_pool_join(pool, CHECK_SECOND / 50));
    CHECK_STATUS(MP_ERR_CLOSED, mp_pool_apply_async(pool, pool_square, NULL, 0, NULL, &(mp_result *){NULL}));
    CHECK_OK(mp_pool_terminate(pool));
    CHECK_EQ(0, at->ended);
    CHECK_OK(mp_event_set(at->open));
    CHECK_OK(mp_pool_join(pool, MP_FOREVER));
    CHECK_EQ(2, at->ended);
    tasks_become(threads);
    /* What came too late does not count. */
    for (size_t i = 0; i < 5; i++)
        CHECK_STATUS(MP_ERR_CANCELLED, mp_result_item(result, i, &(mp_slice){0}));
    mp_pool_free(pool);
    mp_result_free(result);
    gate_free(at);
}

/* Longer than freeing a pool of processes would wait at most for what has been killed. */
static void free_waits_for_what_runs(void) {
    pthread_t opener;
    size_t threads = tasks();
    gate *at = gate_new();
    mp_pool *pool = new_pool(2);
    mp_result *result = hold(pool, at, 3, 2, NULL);
    CHECK_EQ(0, pthread_create(&opener, NULL, open_soon, at));
    mp_pool_free(pool);
    CHECK_EQ(2, at->ended);
    CHECK_EQ(0, pthread_join(opener, NULL));
    tasks_become(threads);
    CHECK_STATUS(MP_ERR_CANCELLED, mp_result_get(result, 0));
    mp_result_free(result);
    gate_free(at);
}

static atomic_int errors, released;

static void on_error(void *user, const mp_task_error *error) {
    CHECK_EQ(MP_ERR_CANCELLED, error->status);
    CHECK_EQ(0, ((gate *)user)->ended);
    errors++;
}

static void on_release(void *user) {
    (void)user;
    released++;
}

static void callbacks_do_not_wait_for_tasks(void) {
    gate *at = gate_new();
    mp_task_options options;
    mp_pool *pool = new_pool(2);
    CHECK_OK(mp_task_options_init(&options));
    options.on_error = on_error;
    options.release = on_release;
    options.user = at;
    mp_result_free(hold(pool, at, 4, 2, &options));
    CHECK_OK(mp_pool_terminate(pool));
    while (released == 0)
        check_sleep(CHECK_SECOND / 1000);
    CHECK_EQ(1, errors);
    CHECK_OK(mp_event_set(at->open));
    CHECK_OK(mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
    CHECK_EQ(1, errors);
    CHECK_EQ(1, released);
    gate_free(at);
}

static void *join_it(void *pool) {
    CHECK_OK(mp_pool_join(pool, MP_FOREVER));
    return NULL;
}

static void several_may_join(void) {
    pthread_t joiners[4];
    gate *at = gate_new();
    mp_pool *pool = new_pool(2);
    mp_result *result = hold(pool, at, 4, 2, NULL);
    CHECK_OK(mp_pool_close(pool));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(0, pthread_create(&joiners[i], NULL, join_it, pool));
    CHECK_OK(mp_event_set(at->open));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(0, pthread_join(joiners[i], NULL));
    CHECK_EQ(4, at->ended);
    CHECK_OK(mp_result_get(result, 0));
    mp_pool_free(pool);
    mp_result_free(result);
    gate_free(at);
}

/* -- inside a task -- */

typedef struct {
    mp_pool *pool;
    mp_result *submitted;
} inside;

static int32_t use_own_pool(mp_call *call) {
    inside *in = pointed(call);
    int64_t six = 6;
    mp_slice arg = {&six, sizeof six};
    mp_buffer *buffer = (mp_buffer *)&six;
    mp_result *result = (mp_result *)&six;
    CHECK_STATUS(MP_ERR_STATE, mp_pool_apply(in->pool, pool_square, &arg, 1, &buffer));
    CHECK_ERROR_HAS("a task on a thread can't wait for its own pool");
    CHECK(buffer == NULL);
    CHECK_STATUS(MP_ERR_STATE, mp_pool_map(in->pool, pool_square, &arg, 1, 0, &result));
    CHECK(result == NULL);
    CHECK_OK(mp_pool_apply_async(in->pool, pool_square, &arg, 1, NULL, &in->submitted));
    CHECK_OK(mp_pool_close(in->pool));
    CHECK_STATUS(MP_ERR_STATE, mp_pool_join(in->pool, MP_FOREVER));
    /* The only worker is here. */
    CHECK_STATUS(MP_ERR_STATE, mp_result_wait(in->submitted, MP_FOREVER));
    CHECK_STATUS(MP_ERR_STATE, mp_result_get(in->submitted, 0));
    mp_waitable item = {.kind = MP_WAIT_RESULT, .handle = in->submitted};
    CHECK_STATUS(MP_ERR_STATE, mp_wait(&item, 1, MP_FOREVER));
    return 0;
}

static void a_task_may_submit_to_its_pool(void) {
    inside in = {new_pool(1), NULL};
    void *pointer = &in;
    mp_slice arg = {&pointer, sizeof pointer};
    mp_buffer *buffer = NULL;
    CHECK_OK(mp_pool_apply(in.pool, use_own_pool, &arg, 1, &buffer));
    mp_buffer_free(buffer);
    CHECK_OK(mp_result_get(in.submitted, MP_FOREVER));
    CHECK_EQ(36, pool_item(in.submitted, 0));
    mp_result_free(in.submitted);
    CHECK_OK(mp_pool_join(in.pool, MP_FOREVER));
    mp_pool_free(in.pool);
}

static int32_t end_own_pool(mp_call *call) {
    CHECK_OK(mp_pool_terminate(((inside *)pointed(call))->pool));
    return 0;
}

static int32_t free_own_pool(mp_call *call) {
    mp_pool_free(((inside *)pointed(call))->pool);
    return 0;
}

static void a_task_may_end_its_pool(void) {
    size_t threads = tasks();
    inside in = {new_pool(2), NULL};
    void *pointer = &in;
    mp_slice arg = {&pointer, sizeof pointer};
    mp_result *result = NULL;
    CHECK_OK(mp_pool_apply_async(in.pool, end_own_pool, &arg, 1, NULL, &result));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_result_get(result, MP_FOREVER));
    mp_result_free(result);
    CHECK_OK(mp_pool_join(in.pool, MP_FOREVER));
    mp_pool_free(in.pool);

    in.pool = new_pool(2);
    CHECK_OK(mp_pool_apply_async(in.pool, free_own_pool, &arg, 1, NULL, &result));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_result_get(result, MP_FOREVER));
    mp_result_free(result);
    tasks_become(threads);
}

/* A task has a pool of its own: of threads, or of processes. */
static int32_t nest(mp_call *call) {
    int32_t method = *(const int32_t *)mp_call_arg(call, 0).data;
    mp_pool *pool = pool_new(method, 2);
    pool_maps(pool, 30, 1);
    pool_end(pool);
    return 0;
}

static void pools_nest(int32_t method) {
    mp_slice items[4];
    mp_result *result = NULL;
    mp_pool *pool = new_pool(2);
    for (int i = 0; i < 4; i++)
        items[i] = (mp_slice){&method, sizeof method};
    CHECK_OK(mp_pool_map(pool, nest, items, 4, 1, &result));
    mp_result_free(result);
    pool_end(pool);
    pool_no_children();
}

/* -- forks and exits -- */

static void a_forked_child_has_no_workers(void) {
    gate *at = gate_new();
    mp_pool *pool = new_pool(2);
    mp_result *result = hold(pool, at, 3, 2, NULL);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            CHECK_STATUS(MP_ERR_STATE, mp_pool_close(pool));
            CHECK_STATUS(MP_ERR_STATE, mp_pool_terminate(pool));
            CHECK_STATUS(MP_ERR_STATE, mp_pool_join(pool, MP_FOREVER));
            CHECK_STATUS(MP_ERR_STATE, mp_result_wait(result, MP_FOREVER));
            mp_result_free(result);
            mp_pool_free(pool);
            pool = new_pool(2);
            pool_maps(pool, 20, 1);
            if (i % 2 == 0)
                pool_end(pool);
            exit(6);
        }
        CHECK_EQ(6, check_wait(child));
    }
    CHECK_OK(mp_event_set(at->open));
    CHECK_OK(mp_result_get(result, MP_FOREVER));
    mp_result_free(result);
    pool_end(pool);
    gate_free(at);
}

/* A fork in the midst of work: nothing in the child waits for what its parent's threads had locked. */
static void forks_amid_work(void) {
    mp_pool *pool = new_pool(WORKERS);
    pool_items items = pool_items_new(2000);
    for (int i = 0; i < 30; i++) {
        mp_result *result = NULL;
        CHECK_OK(mp_pool_map_async(pool, pool_square, items.slices, 2000, 1, NULL, &result));
        pid_t child = fork();
        if (child == 0) {
            mp_result_free(result);
            mp_pool_free(pool);
            pool = new_pool(1);
            pool_maps(pool, 5, 1);
            exit(6);
        }
        CHECK_EQ(6, check_wait(child));
        CHECK_OK(mp_result_get(result, MP_FOREVER));
        pool_check_squares(result, 2000);
    }
    pool_items_free(items);
    pool_end(pool);
}

static int32_t call_exit(mp_call *call) {
    (void)call;
    exit(5);
}

static void exit_ends_the_program(void) {
    pid_t child = fork();
    if (child == 0) {
        mp_buffer *buffer = NULL;
        mp_pool_apply(new_pool(2), call_exit, NULL, 0, &buffer);
        _exit(1);
    }
    CHECK_EQ(5, check_wait(child));
    /* And tasks do not keep a program that ends. */
    child = fork();
    if (child == 0) {
        hold(new_pool(2), gate_new(), 3, 2, NULL);
        exit(4);
    }
    CHECK_EQ(4, check_wait(child));
}

/* -- many -- */

static void pools_leave_nothing(void) {
    size_t threads = tasks(), descriptors = pool_entries("/proc/self/fd");
    size_t heap = 0;
    for (int i = 0; i < 400; i++) {
        if (i == 100)
            heap = mallinfo2().uordblks;
        mp_pool *pool = new_pool(4);
        if (i % 2)
            pool_maps(pool, 10, 1);
        if (i % 3)
            pool_end(pool);
        else
            mp_pool_free(pool);
    }
    tasks_become(threads);
    CHECK_EQ(descriptors, pool_entries("/proc/self/fd"));
    CHECK(SANITIZED || mallinfo2().uordblks < heap + 10000);
}

static void none_is_to_be_had(void) {
    if (SANITIZED)
        return;
    pid_t child = fork();
    if (child == 0) {
        long long pages = 0;
        size_t threads = tasks();
        FILE *file = fopen("/proc/self/statm", "re");
        CHECK(file != NULL && fscanf(file, "%lld", &pages) == 1);
        fclose(file);
        struct rlimit limit;
        CHECK_EQ(0, getrlimit(RLIMIT_AS, &limit));
        rlim_t all = limit.rlim_cur;
        limit.rlim_cur = (rlim_t)(pages * sysconf(_SC_PAGESIZE)) + (60 << 20);
        CHECK_EQ(0, setrlimit(RLIMIT_AS, &limit));
        mp_pool_options options;
        mp_pool *pool = (mp_pool *)&options;
        CHECK_OK(mp_pool_options_init(&options));
        options.start_method = MP_START_THREAD;
        options.processes = 500;
        mp_status status = mp_pool_new(&options, &pool);
        CHECK(status == MP_ERR_SYSTEM || status == MP_ERR_NO_MEMORY);
        CHECK_ERROR_HAS("starting the thread Pool-");
        CHECK(pool == NULL);
        tasks_become(threads);
        limit.rlim_cur = all;
        CHECK_EQ(0, setrlimit(RLIMIT_AS, &limit));
        pool = new_pool(20);
        pool_maps(pool, 50, 1);
        pool_end(pool);
        exit(2);
    }
    CHECK_EQ(2, check_wait(child));
}

int main(void) {
    check_begin();
    workers_are_threads();
    terminate_cancels_at_once();
    free_waits_for_what_runs();
    callbacks_do_not_wait_for_tasks();
    several_may_join();
    a_task_may_submit_to_its_pool();
    a_task_may_end_its_pool();
    pools_nest(MP_START_THREAD);
    pools_nest(MP_START_FORK);
    a_forked_child_has_no_workers();
    forks_amid_work();
    exit_ends_the_program();
    pools_leave_nothing();
    none_is_to_be_had();
    return 0;
}
