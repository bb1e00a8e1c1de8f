/*
 * Children that are forked, by libmp and by the host itself, while other threads are inside calls of every kind: the
 * library's own locks and threads are right in the child, which uses all of it at once, and starts children and pools
 * of its own. And what the child inherited counts as held: the parent frees it at once.
 *
 * check: once
 * check: unsanitized (AddressSanitizer's allocator does not survive a fork beside a thread that allocates)
 */
#include "host.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SECONDS = 8 };

static mp_queue *queue;
static mp_lock *lock;
static mp_rlock *rlock;
static mp_semaphore *semaphore;
static mp_event *event;
static mp_condition *condition;
static mp_barrier *barrier;
static mp_value *value;
static mp_connection *ends[2];
static mp_pool *pool;
static mp_token token;

static char large[20000];

static void make_all(void) {
    int64_t zero = 0;
    CHECK_OK(mp_queue_new(NULL, &queue));
    CHECK_OK(mp_lock_new(&lock));
    CHECK_OK(mp_rlock_new(&rlock));
    CHECK_OK(mp_semaphore_new(2, NULL, &semaphore));
    CHECK_OK(mp_event_new(&event));
    CHECK_OK(mp_condition_new(NULL, &condition));
    CHECK_OK(mp_barrier_new(1, &barrier));
    CHECK_OK(mp_value_new(sizeof zero, &zero, 0, &value));
    CHECK_OK(mp_pipe(true, &ends[0], &ends[1]));
    CHECK_OK(mp_queue_token(queue, &token));
}

static void free_all(void) {
    mp_queue_free(queue);
    mp_lock_free(lock);
    mp_rlock_free(rlock);
    mp_semaphore_free(semaphore);
    mp_event_free(event);
    mp_condition_free(condition);
    mp_barrier_free(barrier);
    mp_value_free(value);
    mp_connection_free(ends[0]);
    mp_connection_free(ends[1]);
}

/* -- one use of each kind; none needs another process, and all may be used at once -- */

static void use_queue(void) {
    for (size_t length = 10; length <= sizeof large; length *= 40) {
        mp_buffer *buffer = NULL;
        CHECK_OK(mp_queue_put(queue, large, length, 10 * CHECK_SECOND));
        mp_status status = mp_queue_get(queue, 0, &buffer);
        CHECK(status == MP_OK || status == MP_ERR_EMPTY);
        mp_buffer_free(buffer);
    }
}

static void use_locks(void) {
    mp_status status = mp_lock_acquire(lock, 10 * CHECK_SECOND);
    CHECK(status == MP_OK || status == MP_OWNER_DEAD);
    CHECK_OK(mp_lock_release(lock));
    status = mp_rlock_acquire(rlock, 10 * CHECK_SECOND);
    CHECK(status == MP_OK || status == MP_OWNER_DEAD);
    CHECK_OK(mp_rlock_release(rlock));
}

static void use_waits(void) {
    CHECK_OK(mp_event_set(event));
    CHECK_OK(mp_event_wait(event, 10 * CHECK_SECOND));
    CHECK_STATUS(MP_OK, mp_semaphore_acquire(semaphore, 10 * CHECK_SECOND));
    CHECK_OK(mp_semaphore_release(semaphore, 1));
    mp_status status = mp_condition_acquire(condition, 10 * CHECK_SECOND);
    CHECK(status == MP_OK || status == MP_OWNER_DEAD);
    status = mp_condition_wait(condition, 1000);
    CHECK(status == MP_OK || status == MP_ERR_TIMEOUT || status == MP_OWNER_DEAD);
    CHECK_OK(mp_condition_notify_all(condition));
    CHECK_OK(mp_condition_release(condition));
}

static void use_pipe(void) {
    mp_buffer *buffer = NULL;
    CHECK_OK(mp_connection_send(ends[0], large, 3000, 10 * CHECK_SECOND));
    mp_status status = mp_connection_recv(ends[1], 0, &buffer);
    CHECK(status == MP_OK || status == MP_ERR_TIMEOUT || status == MP_ERR_EMPTY);
    mp_buffer_free(buffer);
}

static void use_memory(void) {
    mp_queue *again = NULL;
    mp_lock *more[5];
    CHECK_OK(mp_queue_from_token(&token, &again));
    mp_queue_free(again);
    for (int i = 0; i < 5; i++)
        CHECK_OK(mp_lock_new(&more[i]));
    for (int i = 0; i < 5; i++)
        mp_lock_free(more[i]);
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_acquire(NULL, 0));
    CHECK(strlen(mp_last_error()) > 0);
    int64_t before = 0;
    CHECK_OK(mp_value_fetch_add_i64(value, 1, &before));
}

static int32_t method_of_processes;

static void use_process(void) {
    int32_t three = 3;
    CHECK_EQ(3, run(answer, &three, sizeof three, method_of_processes));
}

static void use_pool(void) {
    int64_t four = 4;
    mp_slice arg = {&four, sizeof four};
    mp_buffer *buffer = NULL;
    CHECK_OK(mp_pool_apply(pool, host_square, &arg, 1, &buffer));
    mp_buffer_free(buffer);
}

static void use_new_pool(void) { host_pool_ends(host_pool(method_of_processes, 1)); }

static void (*const USES[])(void) = {use_queue,  use_locks,   use_waits, use_pipe,
                                     use_memory, use_process, use_pool,  use_new_pool};
enum { KINDS = sizeof USES / sizeof *USES };

static atomic_bool over;

static void *use_for_ever(void *use) {
    while (!over)
        (*(void (*const *)(void))use)();
    return NULL;
}

static int32_t use_everything(mp_call *call) {
    (void)call;
    alarm(60);
    for (size_t i = 0; i < 5; i++)
        USES[i]();
    /* The pool is the parent's. */
    mp_buffer *buffer = NULL;
    CHECK_STATUS(MP_ERR_STATE, mp_pool_apply(pool, host_square, NULL, 0, &buffer));
    for (size_t i = 0; i < HOST_METHODS; i++) {
        method_of_processes = METHODS[i];
        use_process();
        use_new_pool();
    }
    return 17;
}

static void fork_amid_calls(int32_t method) {
    pthread_t threads[KINDS];
    int rounds = 0;
    method_of_processes = method;
    make_all();
    pool = host_pool(method, 2);
    for (size_t i = 0; i < KINDS; i++)
        CHECK_EQ(0, pthread_create(&threads[i], NULL, use_for_ever, (void *)&USES[i]));
    for (int64_t end = check_now() + SECONDS * CHECK_SECOND / 2; check_now() < end; rounds++) {
        CHECK_EQ(17, run(use_everything, "", 0, MP_START_FORK));
        pid_t pid = fork();
        if (pid == 0)
            _exit(use_everything(NULL));
        CHECK_EQ(17, check_wait(pid));
    }
    over = true;
    for (size_t i = 0; i < KINDS; i++)
        CHECK_EQ(0, pthread_join(threads[i], NULL));
    fprintf(stderr, "method %d: %d rounds\n", (int)method, rounds);
    CHECK(rounds >= 5);
    host_pool_ends(pool);
    free_all();
    CHECK_EQ(0, host_children());
}

/* -- what a child inherited -- */

static int gate[2];

static int32_t use_what_was_inherited(mp_call *call) {
    char byte;
    (void)call;
    close(gate[1]);
    CHECK_EQ(0, read(gate[0], &byte, 1));
    for (size_t i = 0; i < 5; i++)
        USES[i]();
    free_all();
    return 18;
}

static void parent_frees_at_once(int32_t by_libmp) {
    for (int i = 0; i < 30; i++) {
        mp_process *process = NULL;
        mp_queue *again = NULL;
        pid_t pid = 0;
        make_all();
        CHECK_EQ(0, pipe(gate));
        if (by_libmp) {
            process = start(use_what_was_inherited, "", 0, MP_START_FORK, i % 2);
        } else {
            pid = fork();
            if (pid == 0)
                _exit(use_what_was_inherited(NULL));
        }
        free_all();
        close(gate[0]);
        close(gate[1]);
        CHECK_EQ(18, process ? finish(process) : check_wait(pid));
        CHECK_STATUS(MP_ERR_STALE, mp_queue_from_token(&token, &again));
    }
}

int main(int argc, char **argv) {
    if (getenv("MP_CHILD") == NULL)
        check_begin();
    CHECK_OK(mp_main_init(argc, argv));
    for (size_t i = 0; i < HOST_METHODS; i++)
        HOST_RUN(fork_amid_calls, METHODS[i]);
    for (int32_t by_libmp = 0; by_libmp < 2; by_libmp++)
        HOST_RUN(parent_frees_at_once, by_libmp);
    return 0;
}
