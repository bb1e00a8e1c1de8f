/*
 * Pools: how they are made and how they end: in order, terminated, freed with tasks running, in a forked child, beside
 * another one. Under all start methods, as far as threads can be ended.
 */
#include "pool.h"

static int32_t nothing(mp_call *call) {
    (void)call;
    return 0;
}

static void unbuilt_options(int32_t method) {
    mp_pool_options options;
    mp_pool *pool = (mp_pool *)&options;
    mp_slice arg = {"x", 1};
#define REFUSED(field, value)                                                                                          \
    do {                                                                                                               \
        CHECK_OK(mp_pool_options_init(&options));                                                                      \
        options.start_method = method;                                                                                 \
        options.field = (value);                                                                                       \
        pool = (mp_pool *)&options;                                                                                    \
        CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_pool_new(&options, &pool));                                                \
        CHECK(pool == NULL);                                                                                           \
        CHECK_ERROR_HAS(#field);                                                                                       \
    } while (0)
    REFUSED(initializer, nothing);
    REFUSED(initializer_args, &arg);
    REFUSED(initializer_nargs, 1);
    REFUSED(max_tasks_per_child, 1);
    REFUSED(task_timeout, 1);
    REFUSED(task_retries, 1);
    CHECK_OK(mp_pool_options_init(&options));
    options.start_method = 9;
    CHECK_STATUS(MP_ERR_INVALID, mp_pool_new(&options, &pool));
    CHECK_OK(mp_pool_options_init(&options));
    options.processes = UINT32_MAX;
    CHECK_STATUS(MP_ERR_INVALID, mp_pool_new(&options, &pool));
    options.size = 0;
    CHECK_STATUS(MP_ERR_INVALID, mp_pool_new(&options, &pool));
    CHECK_STATUS(MP_ERR_INVALID, mp_pool_new(NULL, NULL));
    pool_no_children();

    pool = pool_new(method, 1);
    mp_task_options task;
    mp_result *result = (mp_result *)&task;
    CHECK_OK(mp_task_options_init(&task));
    task.timeout = 1;
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_pool_apply_async(pool, nothing, NULL, 0, &task, &result));
    CHECK(result == NULL);
    CHECK_ERROR_HAS("timeout");
    task.timeout = -1;
    task.retries = 1;
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_pool_map_async(pool, nothing, NULL, 0, 0, &task, &result));
    CHECK_ERROR_HAS("retries");
    task.retries = -1;
    CHECK_OK(mp_pool_apply_async(pool, nothing, NULL, 0, &task, &result));
    CHECK_OK(mp_result_get(result, MP_FOREVER));
    mp_result_free(result);
    pool_end(pool);
}

static void two_pools(int32_t method) {
    mp_pool *a = pool_new(method, 2), *b = pool_new(method, 1);
    for (size_t i = 0; i < 20; i++) {
        pool_maps(a, 50, 3);
        pool_maps(b, 50, 0);
    }
    pool_end(a);
    pool_maps(b, 100, 1);
    pool_end(b);
    pool_no_children();
}

static void ends(int32_t method) {
    mp_pool *pool = pool_new(method, 2);
    mp_result *result = NULL, *none = (mp_result *)&pool;
    pool_items items = pool_items_new(200);
    mp_buffer *buffer = (mp_buffer *)&pool;
    mp_task_options options;
    CHECK_OK(mp_task_options_init(&options));
    CHECK_OK(mp_pool_map_async(pool, pool_square, items.slices, 200, 1, NULL, &result));
    CHECK_OK(mp_pool_close(pool));
    CHECK_OK(mp_pool_close(pool));
    CHECK_STATUS(MP_ERR_CLOSED, mp_pool_apply(pool, pool_square, items.slices, 1, &buffer));
    CHECK(buffer == NULL);
    CHECK_STATUS(MP_ERR_CLOSED, mp_pool_map(pool, pool_square, items.slices, 2, 0, &none));
    CHECK(none == NULL);
    CHECK_STATUS(MP_ERR_CLOSED, mp_pool_map_async(pool, pool_square, items.slices, 0, 0, &options, NULL));
    CHECK_OK(mp_pool_join(pool, POOL_WAIT));
    CHECK_OK(mp_pool_join(pool, 0));
    pool_no_children();
    CHECK_OK(mp_pool_terminate(pool));
    CHECK_OK(mp_pool_terminate(pool));
    CHECK_OK(mp_pool_close(pool));
    CHECK_OK(mp_pool_join(pool, 0));
    mp_pool_free(pool);
    /* Results outlive their pool. */
    pool_check_squares(result, 200);
    pool_items_free(items);
}

static void terminates(int32_t method) {
    int64_t minute = 60 * CHECK_SECOND, now = check_now();
    mp_slice args[5];
    mp_result *result = NULL;
    mp_pool *pool = pool_new(method, 2);
    mp_task_error error = {.size = sizeof error};
    for (size_t i = 0; i < 5; i++)
        args[i] = (mp_slice){&minute, sizeof minute};
    CHECK_OK(mp_pool_map_async(pool, pool_nap, args, 5, 1, NULL, &result));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_result_wait(result, 50000000));
    CHECK_OK(mp_pool_close(pool));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_pool_join(pool, 1000000));
    CHECK_OK(mp_pool_terminate(pool));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_result_get(result, POOL_WAIT));
    CHECK_OK(mp_result_error(result, &error));
    CHECK_EQ(0, error.index);
    CHECK_EQ(MP_ERR_CANCELLED, error.status);
    CHECK_OK(mp_pool_join(pool, POOL_WAIT));
    pool_no_children();
    CHECK_STATUS(MP_ERR_CLOSED, mp_pool_apply_async(pool, pool_nap, args, 1, NULL, &result));
    CHECK(result == NULL);
    mp_pool_free(pool);

    /* Freed while tasks of a minute run. */
    pool = pool_new(method, 2);
    CHECK_OK(mp_pool_map_async(pool, pool_nap, args, 5, 1, NULL, &result));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_result_wait(result, 100000000));
    mp_pool_free(pool);
    pool_no_children();
    CHECK_STATUS(MP_ERR_CANCELLED, mp_result_get(result, 0));
    mp_result_free(result);
    CHECK(check_now() - now < 30 * CHECK_SECOND);
}

static void forked_child(int32_t method) {
    mp_pool *pool = pool_new(method, 2);
    pool_items items = pool_items_new(10);
    mp_result *result = NULL;
    mp_buffer *buffer = NULL;
    CHECK_OK(mp_pool_map(pool, pool_square, items.slices, 10, 0, &result));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        mp_slice slice;
        bool flag;
        mp_task_error error = {.size = sizeof error};
        check_watchdog(30);
        CHECK_STATUS(MP_ERR_STATE, mp_pool_apply(pool, pool_square, items.slices, 1, &buffer));
        CHECK_STATUS(MP_ERR_STATE,
                     mp_pool_map_async(pool, pool_square, items.slices, 1, 0, NULL, &(mp_result *){NULL}));
        CHECK_STATUS(MP_ERR_STATE, mp_pool_close(pool));
        CHECK_STATUS(MP_ERR_STATE, mp_pool_terminate(pool));
        CHECK_STATUS(MP_ERR_STATE, mp_pool_join(pool, 0));
        CHECK_STATUS(MP_ERR_STATE, mp_result_wait(result, 0));
        CHECK_STATUS(MP_ERR_STATE, mp_result_ready(result, &flag));
        CHECK_STATUS(MP_ERR_STATE, mp_result_item(result, 0, &slice));
        CHECK_STATUS(MP_ERR_STATE, mp_result_error(result, &error));
        CHECK_EQ(0, mp_result_count(result));
        mp_result_free(result);
        mp_pool_free(pool);
        /* A pool of its own is the child's. */
        pool = pool_new(method, 1);
        pool_maps(pool, 20, 1);
        pool_end(pool);
        _exit(0);
    }
    CHECK(pid > 0);
    CHECK_EQ(0, check_wait(pid));
    pool_check_squares(result, 10);
    pool_maps(pool, 50, 1);
    pool_end(pool);
    pool_items_free(items);
}

/* A task that ends its process in order, after the pool was closed, is not mistaken for a worker that leaves. */
static int32_t exit_fine(mp_call *call) {
    check_sleep(20000000);
    if (pool_arg(call, 0) % 3 == 0)
        _exit(0);
    return pool_give(call, 1);
}

static void exits_after_close(int32_t method) {
    mp_pool *pool = pool_new(method, 2);
    pool_items items = pool_items_new(9);
    mp_result *result = NULL;
    CHECK_OK(mp_pool_map_async(pool, exit_fine, items.slices, 9, 9, NULL, &result));
    CHECK_OK(mp_pool_close(pool));
    CHECK_STATUS(MP_ERR_WORKER_DIED, mp_result_get(result, POOL_WAIT));
    CHECK_OK(mp_pool_join(pool, POOL_WAIT));
    for (size_t i = 0; i < 9; i++) {
        mp_slice slice;
        CHECK_STATUS(i % 3 == 0 ? MP_ERR_WORKER_DIED : MP_OK, mp_result_item(result, i, &slice));
    }
    mp_result_free(result);
    mp_pool_free(pool);
    pool_items_free(items);
}

static void all(int32_t method) {
    unbuilt_options(method);
    two_pools(method);
    ends(method);
    terminates(method);
    forked_child(method);
    exits_after_close(method);
    pool_no_children();
}

int main(int argc, char **argv) {
    CHECK_OK(mp_main_init(argc, argv));
    check_begin();
    check_watchdog(100);
    all(MP_START_FORK);
    all(MP_START_FORKSERVER);
    all(MP_START_SPAWN);
    /* test_pool_thread.c has the ends of pools of threads that tasks delay. */
    unbuilt_options(MP_START_THREAD);
    two_pools(MP_START_THREAD);
    ends(MP_START_THREAD);
    forked_child(MP_START_THREAD);
    return 0;
}
