/* Recursive locks through mp.h: counting, owners, named owners, owners that end, waits that end. check: leaks */
#include "check.h"
#include <pthread.h>
#include <sys/mman.h>

static mp_rlock *new_rlock(void) {
    mp_rlock *rlock = NULL;
    CHECK_OK(mp_rlock_new(&rlock));
    CHECK(rlock);
    return rlock;
}

struct task {
    mp_rlock *rlock;
    mp_cancel *cancel;
    mp_status acquired, released;
    volatile long *count;
};

static void in_thread(void *(*function)(void *), struct task *task) {
    pthread_t thread;
    CHECK_EQ(0, pthread_create(&thread, NULL, function, task));
    CHECK_EQ(0, pthread_join(thread, NULL));
}

/* Tries the lock, and releases it whether or not that succeeded. */
static void *try_and_release(void *argument) {
    struct task *task = argument;
    task->acquired = mp_rlock_acquire(task->rlock, 0);
    task->released = mp_rlock_release(task->rlock);
    return NULL;
}

static void is_free(mp_rlock *rlock) {
    struct task task = {rlock, NULL, MP_OK, MP_OK, NULL};
    in_thread(try_and_release, &task);
    CHECK_STATUS(MP_OK, task.acquired);
    CHECK_STATUS(MP_OK, task.released);
}

static void is_taken(mp_rlock *rlock) {
    struct task task = {rlock, NULL, MP_OK, MP_OK, NULL};
    in_thread(try_and_release, &task);
    CHECK_STATUS(MP_ERR_TIMEOUT, task.acquired);
    CHECK_STATUS(MP_ERR_NOT_OWNER, task.released);
}

static void counts(void) {
    mp_rlock *rlock = new_rlock();
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_rlock_release(rlock));
    CHECK_ERROR_HAS("free");
    for (int i = 0; i < 1000; i++)
        CHECK_OK(mp_rlock_acquire(rlock, i % 2 ? 0 : MP_FOREVER));
    for (int i = 0; i < 1000; i++) {
        is_taken(rlock);
        CHECK_OK(mp_rlock_release(rlock));
        i += 99;
        for (int k = 0; k < 99; k++)
            CHECK_OK(mp_rlock_release(rlock));
    }
    is_free(rlock);
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_rlock_release(rlock));
    mp_rlock_free(rlock);
}

static void named_owners(void) {
    static const uint64_t names[] = {0, 1, 2, UINT64_MAX, UINT64_C(1) << 63, UINT64_C(0x9e3779b97f4a7c15)};
    const size_t n = sizeof names / sizeof *names;
    mp_rlock *rlock = new_rlock();
    for (size_t i = 0; i < n; i++) {
        CHECK_OK(mp_rlock_acquire_as(rlock, names[i], 0));
        CHECK_OK(mp_rlock_acquire_as(rlock, names[i], MP_FOREVER));
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_rlock_acquire(rlock, 0));
        CHECK_STATUS(MP_ERR_NOT_OWNER, mp_rlock_release(rlock));
        CHECK_ERROR_HAS("another");
        for (size_t k = 0; k < n; k++)
            if (k != i) {
                CHECK_STATUS(MP_ERR_TIMEOUT, mp_rlock_acquire_as(rlock, names[k], 0));
                CHECK_STATUS(MP_ERR_NOT_OWNER, mp_rlock_release_as(rlock, names[k]));
            }
        CHECK_OK(mp_rlock_release_as(rlock, names[i]));
        CHECK_OK(mp_rlock_release_as(rlock, names[i]));
        CHECK_STATUS(MP_ERR_NOT_OWNER, mp_rlock_release_as(rlock, names[i]));
        CHECK_OK(mp_rlock_acquire(rlock, 0));
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_rlock_acquire_as(rlock, names[i], 0));
        CHECK_OK(mp_rlock_release(rlock));
    }
    mp_rlock_free(rlock);
}

static void *release_named(void *argument) {
    struct task *task = argument;
    task->acquired = mp_rlock_acquire_as(task->rlock, 7, 0);
    task->released = mp_rlock_release_as(task->rlock, 7);
    return NULL;
}

/* An owner by name goes from thread to thread, as goroutines do; but not to another process. */
static void names_travel(void) {
    mp_rlock *rlock = new_rlock();
    struct task task = {rlock, NULL, MP_OK, MP_OK, NULL};
    CHECK_OK(mp_rlock_acquire_as(rlock, 7, 0));
    in_thread(release_named, &task);
    CHECK_STATUS(MP_OK, task.acquired);
    CHECK_STATUS(MP_OK, task.released);
    pid_t child = fork();
    if (child == 0) {
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_rlock_acquire_as(rlock, 7, 0));
        CHECK_STATUS(MP_ERR_NOT_OWNER, mp_rlock_release_as(rlock, 7));
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    CHECK_OK(mp_rlock_release_as(rlock, 7));
    is_free(rlock);
    mp_rlock_free(rlock);
}

static void timeouts(void) {
    mp_rlock *rlock = new_rlock();
    CHECK_OK(mp_rlock_acquire_as(rlock, 1, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_rlock_acquire(rlock, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_rlock_acquire(rlock, INT64_MIN));
    int64_t before = check_now();
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_rlock_acquire(rlock, CHECK_SECOND / 20));
    CHECK(check_now() - before >= CHECK_SECOND / 20);
    CHECK_OK(mp_rlock_release_as(rlock, 1));
    CHECK_OK(mp_rlock_acquire(rlock, INT64_MIN));
    CHECK_OK(mp_rlock_release(rlock));
    mp_rlock_free(rlock);
}

static void bad_arguments(void) {
    mp_rlock *rlock = NULL, *none = (mp_rlock *)&rlock;
    mp_lock *lock = NULL;
    mp_token token;
    CHECK_STATUS(MP_ERR_INVALID, mp_rlock_new(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_rlock_acquire(NULL, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_rlock_release(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_rlock_acquire_as(NULL, 1, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_rlock_release_as(NULL, 1));
    CHECK_STATUS(MP_ERR_INVALID, mp_rlock_token(NULL, &token));
    CHECK_STATUS(MP_ERR_INVALID, mp_rlock_from_token(NULL, &rlock));
    CHECK_STATUS(MP_ERR_INVALID, mp_rlock_acquire(none, 0));
    mp_rlock_free(NULL);
    mp_rlock_free(none);
    CHECK_OK(mp_lock_new(&lock));
    CHECK_STATUS(MP_ERR_INVALID, mp_rlock_acquire((mp_rlock *)lock, 0));
    CHECK_ERROR_HAS("mp_lock");
    CHECK_OK(mp_lock_token(lock, &token));
    CHECK_STATUS(MP_ERR_INVALID, mp_rlock_from_token(&token, &rlock));
    CHECK(!rlock);
    mp_lock_free(lock);
    rlock = new_rlock();
    CHECK_STATUS(MP_ERR_INVALID, mp_rlock_token(rlock, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_rlock_from_token(&token, NULL));
    mp_rlock_free(rlock);
}

static void errno_is_kept(void) {
    errno = ENOTTY;
    mp_rlock *rlock = new_rlock();
    CHECK_OK(mp_rlock_acquire(rlock, MP_FOREVER));
    CHECK_OK(mp_rlock_acquire(rlock, MP_FOREVER));
    CHECK_OK(mp_rlock_release(rlock));
    CHECK_OK(mp_rlock_release(rlock));
    CHECK_EQ(ENOTTY, errno);
    mp_rlock_free(rlock);
}

/* A token gives the same lock; one of a destroyed lock is refused. */
static void tokens(void) {
    mp_rlock *rlock = new_rlock(), *same = NULL;
    mp_token token;
    CHECK_OK(mp_rlock_token(rlock, &token));
    CHECK_OK(mp_rlock_from_token(&token, &same));
    CHECK_OK(mp_rlock_acquire(rlock, 0));
    CHECK_OK(mp_rlock_acquire(same, 0));
    mp_rlock_free(rlock);
    CHECK_OK(mp_rlock_release(same));
    is_taken(same);
    CHECK_OK(mp_rlock_release(same));
    is_free(same);
    mp_rlock_free(same);
    CHECK_STATUS(MP_ERR_STALE, mp_rlock_from_token(&token, &same));
    CHECK(!same);
}

/* A forked child does not have what its parent has, though its thread is a copy of the parent's. */
static void forks(void) {
    mp_rlock *rlock = new_rlock();
    CHECK_OK(mp_rlock_acquire(rlock, 0));
    CHECK_OK(mp_rlock_acquire(rlock, 0));
    pid_t child = fork();
    if (child == 0) {
        CHECK_STATUS(MP_ERR_NOT_OWNER, mp_rlock_release(rlock));
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_rlock_acquire(rlock, 0));
        CHECK_OK(mp_rlock_acquire(rlock, MP_FOREVER));
        CHECK_OK(mp_rlock_release(rlock));
        CHECK_STATUS(MP_ERR_NOT_OWNER, mp_rlock_release(rlock));
        _exit(0);
    }
    check_sleep(CHECK_SECOND / 50);
    CHECK_OK(mp_rlock_release(rlock));
    CHECK_OK(mp_rlock_release(rlock));
    CHECK_EQ(0, check_wait(child));
    mp_rlock_free(rlock);
}

static void by_kill(void) { kill(getpid(), SIGKILL); }

static void by_exit(void) { exit(3); }

/* A child ends in some way while it has acquired the lock several times: the heir's count is one. */
static void owner_dies(void (*end)(void)) {
    mp_rlock *rlock = new_rlock();
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 5; i++)
            CHECK_OK(mp_rlock_acquire(rlock, MP_FOREVER));
        end();
        _exit(0);
    }
    check_wait(child);
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_rlock_release(rlock));
    CHECK_STATUS(MP_OWNER_DEAD, mp_rlock_acquire(rlock, MP_FOREVER));
    CHECK_OK(mp_rlock_acquire(rlock, MP_FOREVER));
    CHECK_OK(mp_rlock_release(rlock));
    is_taken(rlock);
    CHECK_OK(mp_rlock_release(rlock));
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_rlock_release(rlock));
    is_free(rlock);
    mp_rlock_free(rlock);
}

static void *leave_it_held(void *argument) {
    struct task *task = argument;
    task->acquired = mp_rlock_acquire(task->rlock, 0);
    return NULL;
}

/* A thread that ends leaves it held, and its successors are others. */
static void thread_ends(void) {
    mp_rlock *rlock = new_rlock();
    struct task task = {rlock, NULL, MP_OK, MP_OK, NULL};
    in_thread(leave_it_held, &task);
    CHECK_STATUS(MP_OK, task.acquired);
    for (int i = 0; i < 20; i++)
        is_taken(rlock);
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_rlock_acquire(rlock, 0));
    mp_rlock_free(rlock);
}

static void *wait_cancelled(void *argument) {
    struct task *task = argument;
    CHECK_OK(mp_cancel_use(task->cancel));
    task->acquired = mp_rlock_acquire(task->rlock, MP_FOREVER);
    return NULL;
}

static void cancelled(void) {
    struct task task = {new_rlock(), NULL, MP_OK, MP_OK, NULL};
    pthread_t thread;
    CHECK_OK(mp_cancel_new(&task.cancel));
    CHECK_OK(mp_rlock_acquire(task.rlock, 0));
    CHECK_EQ(0, pthread_create(&thread, NULL, wait_cancelled, &task));
    check_sleep(CHECK_SECOND / 50);
    CHECK_OK(mp_cancel_fire(task.cancel));
    CHECK_EQ(0, pthread_join(thread, NULL));
    CHECK_STATUS(MP_ERR_CANCELLED, task.acquired);
    /* Entering again needs no waiting, so nothing cancels it. */
    CHECK_OK(mp_cancel_use(task.cancel));
    CHECK_OK(mp_rlock_acquire(task.rlock, MP_FOREVER));
    CHECK_OK(mp_cancel_use(NULL));
    mp_cancel_free(task.cancel);
    mp_rlock_free(task.rlock);
}

static void *add(void *argument) {
    struct task *task = argument;
    for (int i = 0; i < 500; i++) {
        const int depth = 1 + i % 3;
        for (int k = 0; k < depth; k++)
            CHECK_OK(mp_rlock_acquire(task->rlock, MP_FOREVER));
        ++*task->count;
        for (int k = 0; k < depth; k++)
            CHECK_OK(mp_rlock_release(task->rlock));
    }
    return NULL;
}

/* Threads of several processes. */
static void excludes(void) {
    struct task task = {new_rlock(), NULL, MP_OK, MP_OK, NULL};
    pid_t children[3];
    task.count = mmap(NULL, sizeof *task.count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(task.count != MAP_FAILED);
    for (int i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            pthread_t threads[3];
            for (int k = 0; k < 3; k++)
                CHECK_EQ(0, pthread_create(&threads[k], NULL, add, &task));
            for (int k = 0; k < 3; k++)
                CHECK_EQ(0, pthread_join(threads[k], NULL));
            _exit(0);
        }
    }
    for (int i = 0; i < 3; i++)
        CHECK_EQ(0, check_wait(children[i]));
    CHECK_EQ(3 * 3 * 500, *task.count);
    munmap((void *)task.count, sizeof *task.count);
    mp_rlock_free(task.rlock);
}

int main(void) {
    check_begin();
    counts();
    named_owners();
    names_travel();
    timeouts();
    bad_arguments();
    errno_is_kept();
    tokens();
    forks();
    owner_dies(by_kill);
    owner_dies(by_exit);
    thread_ends();
    cancelled();
    excludes();
    return 0;
}
