/*
 * Defects of the library on threads that run the user's functions: they cost a process its function and a pool a task,
 * are logged, and end neither the program nor a pool's other tasks.
 */
#include "pool.h"
#include "process.h"

static atomic_int logged;

static void count_defects(void *user, int32_t level, const char *text) {
    (void)user;
    CHECK_EQ(MP_LOG_ERROR, level);
    CHECK(strstr(text, "a defect in libmp") != NULL || strstr(text, "again and again") != NULL);
    logged++;
}

/* Runs `body` in a process where the fault is armed. */
static void with_fault(const char *fault, void (*body)(void)) {
    CHECK_EQ(0, setenv("MP_FAULT", fault, 1));
    pid_t host = fork();
    if (host == 0) {
        CHECK_OK(mp_set_log_callback(count_defects, NULL, MP_LOG_ERROR));
        body();
        exit(0);
    }
    CHECK_EQ(0, unsetenv("MP_FAULT"));
    CHECK_EQ(0, check_wait(host));
}

static void a_process_fails(void) {
    int32_t five = 5;
    CHECK_EQ(70, run(answer, &five, sizeof five, MP_START_THREAD));
    CHECK_EQ(1, logged);
    CHECK_EQ(5, run(answer, &five, sizeof five, MP_START_THREAD));
}

enum { N = 40 };

/* One worker, and all in one chunk: nobody else would take what it leaves, and the pool is closed already. */
static mp_result *map_in_one(mp_pool *pool) {
    pool_items items = pool_items_new(N);
    mp_result *result = NULL;
    CHECK_OK(mp_pool_map_async(pool, pool_square, items.slices, N, N, NULL, &result));
    CHECK_OK(mp_pool_close(pool));
    CHECK_OK(mp_result_wait(result, MP_FOREVER));
    pool_items_free(items);
    return result;
}

static void a_task_fails(void) {
    mp_pool *pool = pool_new(MP_START_THREAD, 1);
    mp_result *result = map_in_one(pool);
    mp_task_error error = {.size = sizeof error};
    CHECK_OK(mp_result_error(result, &error));
    CHECK_EQ(6, error.index);
    CHECK_EQ(MP_ERR_WORKER_DIED, error.status);
    CHECK_EQ(70, error.code);
    for (size_t i = 0; i < N; i++)
        if (i != 6)
            CHECK_EQ((int64_t)(i * i), pool_item(result, i));
    CHECK_EQ(1, logged);
    mp_result_free(result);
    CHECK_OK(mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
}

static void no_task_is_lost(void) {
    mp_pool *pool = pool_new(MP_START_THREAD, 1);
    pool_check_squares(map_in_one(pool), N);
    CHECK_EQ(1, logged);
    CHECK_OK(mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
}

static void the_pool_breaks(void) {
    mp_pool *pool = pool_new(MP_START_THREAD, 1);
    mp_result *result = map_in_one(pool);
    CHECK_STATUS(MP_ERR_BROKEN, mp_result_get(result, 0));
    CHECK_STATUS(MP_ERR_BROKEN, mp_pool_apply_async(pool, pool_square, NULL, 0, NULL, &(mp_result *){NULL}));
    CHECK_EQ(21, logged);
    mp_result_free(result);
    CHECK_OK(mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
}

int main(void) {
    char always[1000] = "";
    check_begin();
    with_fault("panic@process.thread:begun", a_process_fails);
    with_fault("panic@pool.item:claimed#7", a_task_fails);
    with_fault("panic@pool.claim:chunk", no_task_is_lost);
    /* A panic passes by the faults behind it in the list: they are left for the next times. */
    for (int i = 0; i < 20; i++)
        strcat(always, "panic@pool.claim:chunk,");
    with_fault(always, the_pool_breaks);
    return 0;
}
