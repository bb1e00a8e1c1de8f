/* Locks through mp.h: statuses, bad handles, owners that end, waits that end. */
#include "check.h"
#include <pthread.h>
#include <sys/mman.h>

static void basics(void) {
    mp_lock *lock = NULL;
    int32_t pid = -1;
    CHECK_OK(mp_lock_new(&lock));
    CHECK_OK(mp_lock_owner(lock, &pid));
    CHECK_EQ(0, pid);
    CHECK_OK(mp_lock_acquire(lock, MP_FOREVER));
    CHECK_OK(mp_lock_owner(lock, &pid));
    CHECK_EQ(getpid(), pid);
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_lock_acquire(lock, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_lock_acquire(lock, INT64_MIN));
    int64_t before = check_now();
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_lock_acquire(lock, CHECK_SECOND / 20));
    CHECK(check_now() - before >= CHECK_SECOND / 20);
    CHECK_OK(mp_lock_release(lock));
    CHECK_STATUS(MP_ERR_OVERFLOW, mp_lock_release(lock));
    CHECK_ERROR_HAS("more often");
    CHECK_OK(mp_lock_acquire(lock, -1));
    mp_lock_free(lock);
}

static void bad_arguments(void) {
    mp_lock *lock = NULL, *none = (mp_lock *)&lock;
    mp_semaphore *semaphore = NULL;
    int32_t pid = 7;
    mp_token token;
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_new(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_acquire(NULL, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_release(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_owner(NULL, &pid));
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_token(NULL, &token));
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_acquire(none, 0));
    mp_lock_free(NULL);
    mp_lock_free(none);
    CHECK_OK(mp_lock_new(&lock));
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_owner(lock, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_token(lock, NULL));
    CHECK_OK(mp_semaphore_new(1, NULL, &semaphore));
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_acquire((mp_lock *)semaphore, 0));
    CHECK_ERROR_HAS("mp_semaphore");
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_release((mp_lock *)semaphore));
    mp_semaphore_free(semaphore);
    mp_lock *freed = lock;
    mp_lock_free(lock);
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_acquire(freed, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_release(freed));
    mp_lock_free(freed);
    CHECK_EQ(7, pid);
}

static void errno_is_kept(void) {
    mp_lock *lock = NULL;
    errno = ENOTTY;
    CHECK_OK(mp_lock_new(&lock));
    CHECK_OK(mp_lock_acquire(lock, MP_FOREVER));
    CHECK_OK(mp_lock_release(lock));
    CHECK_EQ(ENOTTY, errno);
    mp_lock_free(lock);
}

/* A child that ends in some way while it holds the lock. */
static void owner_dies(void (*end)(void)) {
    mp_lock *lock = NULL;
    int32_t pid = -1;
    CHECK_OK(mp_lock_new(&lock));
    pid_t child = fork();
    if (child == 0) {
        CHECK_OK(mp_lock_acquire(lock, MP_FOREVER));
        end();
        _exit(0);
    }
    check_wait(child);
    CHECK_STATUS(MP_OWNER_DEAD, mp_lock_acquire(lock, MP_FOREVER));
    CHECK_OK(mp_lock_owner(lock, &pid));
    CHECK_EQ(getpid(), pid);
    CHECK_OK(mp_lock_release(lock));
    CHECK_OK(mp_lock_acquire(lock, MP_FOREVER));
    mp_lock_free(lock);
}

static void by_kill(void) { kill(getpid(), SIGKILL); }

static void by_exit(void) { exit(3); }

static void by_abort(void) {
    signal(SIGABRT, SIG_DFL);
    abort();
}

struct waiting {
    mp_lock *lock;
    mp_cancel *cancel;
    mp_status status;
};

static void *wait_cancelled(void *argument) {
    struct waiting *waiting = argument;
    CHECK_OK(mp_cancel_use(waiting->cancel));
    waiting->status = mp_lock_acquire(waiting->lock, MP_FOREVER);
    return NULL;
}

static void cancelled(void) {
    struct waiting waiting = {NULL, NULL, MP_OK};
    pthread_t thread;
    CHECK_OK(mp_lock_new(&waiting.lock));
    CHECK_OK(mp_cancel_new(&waiting.cancel));
    CHECK_OK(mp_lock_acquire(waiting.lock, 0));
    CHECK_EQ(0, pthread_create(&thread, NULL, wait_cancelled, &waiting));
    check_sleep(CHECK_SECOND / 50);
    CHECK_OK(mp_cancel_fire(waiting.cancel));
    CHECK_EQ(0, pthread_join(thread, NULL));
    CHECK_EQ(MP_ERR_CANCELLED, waiting.status);
    CHECK_OK(mp_cancel_use(waiting.cancel));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_lock_acquire(waiting.lock, MP_FOREVER));
    CHECK_OK(mp_cancel_reset(waiting.cancel));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_lock_acquire(waiting.lock, 1000));
    CHECK_OK(mp_cancel_use(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_cancel_fire(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_cancel_reset(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_cancel_use((mp_cancel *)waiting.lock));
    CHECK_STATUS(MP_ERR_INVALID, mp_cancel_new(NULL));
    mp_cancel_free(waiting.cancel);
    mp_cancel_free(NULL);
    mp_lock_free(waiting.lock);
}

struct shared {
    mp_lock *lock;
    volatile long *count;
};

static void *add(void *argument) {
    struct shared *shared = argument;
    for (int i = 0; i < 500; i++) {
        CHECK_OK(mp_lock_acquire(shared->lock, MP_FOREVER));
        ++*shared->count;
        CHECK_OK(mp_lock_release(shared->lock));
    }
    return NULL;
}

/* Threads of several processes. */
static void excludes(void) {
    struct shared shared = {NULL, NULL};
    pid_t children[3];
    shared.count = mmap(NULL, sizeof *shared.count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared.count != MAP_FAILED);
    CHECK_OK(mp_lock_new(&shared.lock));
    for (int i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            pthread_t threads[3];
            for (int k = 0; k < 3; k++)
                CHECK_EQ(0, pthread_create(&threads[k], NULL, add, &shared));
            for (int k = 0; k < 3; k++)
                CHECK_EQ(0, pthread_join(threads[k], NULL));
            _exit(0);
        }
    }
    for (int i = 0; i < 3; i++)
        CHECK_EQ(0, check_wait(children[i]));
    CHECK_EQ(3 * 3 * 500, *shared.count);
    mp_lock_free(shared.lock);
}

int main(void) {
    check_begin();
    basics();
    bad_arguments();
    errno_is_kept();
    owner_dies(by_kill);
    owner_dies(by_exit);
    owner_dies(by_abort);
    cancelled();
    excludes();
    return 0;
}
