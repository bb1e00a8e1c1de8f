/*
 * Threads that use the fork server all at once, beside one that stops it, one that forks, and pools that come and go.
 * check: once
 * check: unsanitized (the sanitizer's allocator is not made for forks beside threads)
 */
#include "pool.h"
#include "process.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

static atomic_bool over;

static void *fork_and_wait(void *count) {
    for (; !over; ++*(long *)count) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        CHECK_EQ(child, waitpid(child, NULL, 0));
    }
    return NULL;
}

static void *start_and_join(void *count) {
    int32_t five = 5;
    for (; !over; ++*(long *)count)
        CHECK_EQ(5, run(answer, &five, sizeof five, MP_START_FORKSERVER));
    return NULL;
}

static void *stop_it(void *count) {
    for (; !over; ++*(long *)count) {
        check_sleep(3000000);
        CHECK_OK(mp_forkserver_stop());
    }
    return NULL;
}

static int32_t nothing(mp_call *call) {
    (void)call;
    return 0;
}

static void *pool_and_free(void *count) {
    for (; !over; ++*(long *)count) {
        mp_buffer *result = NULL;
        mp_pool *pool = pool_new(MP_START_FORKSERVER, 2);
        CHECK_OK(mp_pool_apply(pool, nothing, NULL, 0, &result));
        mp_buffer_free(result);
        mp_pool_free(pool);
    }
    return NULL;
}

int main(int argc, char **argv) {
    static void *(*const bodies[])(void *) = {fork_and_wait, start_and_join, start_and_join, stop_it, pool_and_free};
    enum { THREADS = sizeof bodies / sizeof *bodies };
    pthread_t threads[THREADS];
    static long counts[THREADS];
    CHECK_OK(mp_main_init(argc, argv));
    check_begin();
    check_watchdog(60);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(0, pthread_create(&threads[i], NULL, bodies[i], &counts[i]));
    check_sleep(5 * CHECK_SECOND);
    over = true;
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(0, pthread_join(threads[i], NULL));
        CHECK(counts[i] > 0);
    }
    printf("%ld forks, %ld and %ld starts, %ld stops, %ld pools\n", counts[0], counts[1], counts[2], counts[3],
           counts[4]);
    pool_no_children();
    return 0;
}
