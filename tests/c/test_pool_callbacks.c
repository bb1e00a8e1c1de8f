/*
 * Callbacks of submissions: exactly one of on_result and on_error, then release; one at a time; before the result is
 * ready; also after terminate, and for results that were freed early. Under all start methods.
 */
#include "pool.h"

#include <pthread.h>

/* What one submission's callbacks have done. */
typedef struct {
    atomic_int results, errors, progress, released;
    atomic_size_t last_done, total;
    mp_pool *pool;
    mp_result *result;
    int pause;
    mp_task_error error;
} record;

static atomic_int inside;

static void enter(const record *r) {
    CHECK_EQ(0, atomic_fetch_add(&inside, 1));
    CHECK_EQ(0, r->released);
    if (r->pause)
        check_sleep(r->pause * INT64_C(1000000));
}

static void leave(void) { atomic_fetch_sub(&inside, 1); }

static void on_result(void *user, const mp_result *result) {
    record *r = user;
    bool flag = false;
    mp_slice slice;
    enter(r);
    CHECK_OK(mp_result_successful(result, &flag));
    CHECK(flag);
    for (size_t i = 0; i < mp_result_count(result); i++)
        CHECK_OK(mp_result_item(result, i, &slice));
    CHECK_STATUS(MP_ERR_NOT_FOUND, mp_result_error(result, &(mp_task_error){.size = sizeof(mp_task_error)}));
    r->results++;
    leave();
}

static void on_error(void *user, const mp_task_error *error) {
    record *r = user;
    enter(r);
    CHECK_EQ(sizeof *error, error->size);
    CHECK(strlen(error->message) > 0);
    r->error = *error;
    r->errors++;
    leave();
}

static void on_progress(void *user, size_t done, size_t total) {
    record *r = user;
    enter(r);
    CHECK_EQ(0, r->results + r->errors);
    CHECK(done > r->last_done || r->progress == 0);
    CHECK(done <= total);
    r->last_done = done;
    r->total = total;
    r->progress++;
    leave();
}

static void release(void *user) {
    record *r = user;
    CHECK_EQ(0, r->released);
    r->released++;
}

static mp_task_options options_for(record *r) {
    mp_task_options options;
    memset(r, 0, sizeof *r);
    CHECK_OK(mp_task_options_init(&options));
    options.on_result = on_result;
    options.on_error = on_error;
    options.on_progress = on_progress;
    options.release = release;
    options.user = r;
    return options;
}

static void check_called(const record *r, int results, int errors) {
    CHECK_EQ(results, r->results);
    CHECK_EQ(errors, r->errors);
    CHECK_EQ(1, r->released);
}

static int32_t twice(mp_call *call) { return pool_give(call, 2 * pool_arg(call, 0)); }

static int32_t fail_third(mp_call *call) {
    return pool_arg(call, 0) % 3 == 2 ? mp_call_fail(call, 9, "every third fails") : 0;
}

static int32_t nap(mp_call *call) {
    check_sleep(pool_arg(call, 0));
    return 0;
}

static void each_form(mp_pool *pool) {
    static const size_t counts[] = {0, 1, 2, 1000};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        size_t n = counts[k];
        pool_items items = pool_items_new(n);
        mp_result *result = NULL;
        record r;
        mp_task_options options = options_for(&r);
        r.pause = n < 3 ? 30 : 0;
        CHECK_OK(mp_pool_map_async(pool, twice, items.slices, n, 1, &options, &result));
        CHECK_OK(mp_result_wait(result, MP_FOREVER));
        check_called(&r, 1, 0);
        if (n > 0) {
            CHECK_EQ(n, r.last_done);
            CHECK_EQ(n, r.total);
        }
        mp_result_free(result);

        options = options_for(&r);
        CHECK_OK(mp_pool_map_async(pool, fail_third, items.slices, n, 0, &options, &result));
        CHECK_STATUS(n > 2 ? MP_ERR_TASK_FAILED : MP_OK, mp_result_get(result, MP_FOREVER));
        check_called(&r, n <= 2, n > 2);
        if (n > 2) {
            CHECK_EQ(2, r.error.index);
            CHECK_EQ(9, r.error.code);
            CHECK_EQ(MP_ERR_TASK_FAILED, r.error.status);
        }
        mp_result_free(result);
        pool_items_free(items);
    }
}

/* Not ready while its callback runs. */
static void ready_after_callback(mp_pool *pool) {
    int64_t one = 1;
    mp_slice arg = {&one, sizeof one};
    mp_result *result = NULL;
    record r;
    mp_task_options options = options_for(&r);
    options.on_progress = NULL;
    r.pause = 200;
    bool ready = true, was_inside = false;
    CHECK_OK(mp_pool_apply_async(pool, twice, &arg, 1, &options, &result));
    do {
        was_inside |= inside > 0;
        CHECK_OK(mp_result_ready(result, &ready));
        if (!ready)
            check_sleep(1000000);
    } while (!ready);
    CHECK(was_inside);
    check_called(&r, 1, 0);
    mp_result_free(result);
}

/* -- thousands, without a handle or freed at once -- */

static void unheld(mp_pool *pool) {
    enum { N = 3000 };
    static record records[N];
    for (size_t i = 0; i < N; i++) {
        int64_t number = (int64_t)i;
        mp_slice arg = {&number, sizeof number};
        mp_task_options options = options_for(&records[i]);
        mp_result *result = NULL;
        bool fails = i % 2;
        CHECK_OK(mp_pool_apply_async(pool, fails ? fail_third : twice, &arg, 1, &options, i % 5 ? &result : NULL));
        if (i % 5)
            mp_result_free(result);
        if (i % 100 == 0)
            check_sleep(1000000);
    }
    for (size_t i = 0; i < N; i++)
        while (!records[i].released)
            check_sleep(100000);
    for (size_t i = 0; i < N; i++) {
        bool fails = i % 2 && i % 3 == 2;
        check_called(&records[i], !fails, fails);
    }
}

enum { THREADS = 4, EACH = 400 };

static void *submit_and_wait(void *pool) {
    static _Thread_local record records[EACH];
    static _Thread_local mp_result *results[EACH];
    for (size_t i = 0; i < EACH; i++) {
        int64_t number = (int64_t)i;
        mp_slice arg = {&number, sizeof number};
        mp_task_options options = options_for(&records[i]);
        CHECK_OK(mp_pool_apply_async(pool, twice, &arg, 1, &options, &results[i]));
        if (i % 7 == 0)
            CHECK_OK(mp_result_get(results[i], MP_FOREVER));
    }
    for (size_t i = 0; i < EACH; i++) {
        CHECK_OK(mp_result_get(results[i], MP_FOREVER));
        check_called(&records[i], 1, 0);
        mp_result_free(results[i]);
    }
    return NULL;
}

static void threads_submit(mp_pool *pool) {
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        CHECK_EQ(0, pthread_create(&threads[i], NULL, submit_and_wait, pool));
    for (size_t i = 0; i < THREADS; i++)
        CHECK_EQ(0, pthread_join(threads[i], NULL));
}

/* -- what a callback may do -- */

static atomic_int chained;

static void last(void *user, const mp_result *result) {
    (void)user;
    CHECK_EQ(1, mp_result_count(result));
    chained++;
}

static void use_pool(void *user, const mp_result *result) {
    record *r = user;
    int64_t one = 1;
    mp_slice arg = {&one, sizeof one};
    mp_buffer *buffer = (mp_buffer *)&one;
    mp_result *other = NULL;
    bool ready = false;
    CHECK_STATUS(MP_ERR_STATE, mp_pool_apply(r->pool, twice, &arg, 1, &buffer));
    CHECK(buffer == NULL);
    CHECK_STATUS(MP_ERR_STATE, mp_pool_map(r->pool, twice, &arg, 1, 0, &other));
    CHECK_STATUS(MP_ERR_STATE, mp_pool_starmap(r->pool, twice, &(mp_args){&arg, 1}, 1, 0, &other));
    CHECK_STATUS(MP_ERR_STATE, mp_pool_join(r->pool, 0));
    CHECK_ERROR_HAS("callback");
    /* This one is there; another one can't be waited for. */
    CHECK_OK(mp_result_ready(result, &ready));
    CHECK(ready);
    CHECK_OK(mp_result_get(result, 0));
    mp_task_options options;
    CHECK_OK(mp_task_options_init(&options));
    options.on_result = last;
    int64_t while_ns = 100000000;
    mp_slice longer = {&while_ns, sizeof while_ns};
    CHECK_OK(mp_pool_apply_async(r->pool, nap, &longer, 1, &options, &other));
    CHECK_STATUS(MP_ERR_STATE, mp_result_wait(other, MP_FOREVER));
    CHECK_STATUS(MP_ERR_STATE, mp_result_get(other, 0));
    mp_result_free(other);
    r->results++;
}

static void inside_callbacks(mp_pool *pool) {
    int64_t one = 1;
    mp_slice arg = {&one, sizeof one};
    record r;
    mp_result *result = NULL;
    mp_task_options options = options_for(&r);
    options.on_result = use_pool;
    options.on_progress = NULL;
    r.pool = pool;
    chained = 0;
    CHECK_OK(mp_pool_apply_async(pool, twice, &arg, 1, &options, &result));
    CHECK_OK(mp_result_get(result, MP_FOREVER));
    check_called(&r, 1, 0);
    mp_result_free(result);
    while (!chained)
        check_sleep(1000000);
}

static void other_pool(void *user, const mp_result *result) {
    mp_buffer *buffer = NULL;
    int64_t one = 1;
    mp_slice arg = {&one, sizeof one};
    (void)result;
    CHECK_OK(mp_pool_apply(((record *)user)->pool, twice, &arg, 1, &buffer));
    mp_buffer_free(buffer);
}

/* A callback may wait for another pool. */
static void of_another_pool(mp_pool *pool, int32_t method) {
    int64_t one = 1;
    mp_slice arg = {&one, sizeof one};
    record r;
    mp_task_options options = options_for(&r);
    mp_result *result = NULL;
    options.on_result = other_pool;
    r.pool = pool_new(method, 1);
    CHECK_OK(mp_pool_apply_async(pool, twice, &arg, 1, &options, &result));
    CHECK_OK(mp_result_get(result, MP_FOREVER));
    mp_result_free(result);
    pool_end(r.pool);
}

static void end_pool(void *user, const mp_result *result) {
    record *r = user;
    (void)result;
    CHECK_OK(mp_pool_close(r->pool));
    CHECK_OK(mp_pool_terminate(r->pool));
    r->results++;
}

static void free_pool(void *user, const mp_result *result) {
    record *r = user;
    (void)result;
    mp_pool_free(r->pool);
    r->results++;
}

static void ended_inside(int32_t method, bool frees) {
    int64_t one = 1;
    mp_slice arg = {&one, sizeof one};
    record r;
    mp_task_options options = options_for(&r);
    mp_result *result = NULL;
    options.on_result = frees ? free_pool : end_pool;
    r.pool = pool_new(method, 2);
    CHECK_OK(mp_pool_apply_async(r.pool, twice, &arg, 1, &options, &result));
    CHECK_OK(mp_result_get(result, MP_FOREVER));
    check_called(&r, 1, 0);
    mp_result_free(result);
    if (!frees) {
        CHECK_OK(mp_pool_join(r.pool, POOL_WAIT));
        mp_pool_free(r.pool);
        pool_no_children();
    }
    CHECK_OK(mp_forkserver_stop());
    while (pool_children(getpid(), &(pid_t){0}, 1) > 0)
        check_sleep(1000000);
}

/* -- ends -- */

static void terminated(int32_t method, bool joined) {
    enum { N = 20 };
    int64_t minute = 60 * CHECK_SECOND;
    mp_slice args[3] = {{&minute, 8}, {&minute, 8}, {&minute, 8}};
    static record records[N];
    mp_result *results[N] = {0};
    mp_pool *pool = pool_new(method, 2);
    for (size_t i = 0; i < N; i++) {
        mp_task_options options = options_for(&records[i]);
        CHECK_OK(mp_pool_map_async(pool, nap, args, 3, 1, &options, i % 2 ? &results[i] : NULL));
        if (i % 4 == 1) {
            mp_result_free(results[i]);
            results[i] = NULL;
        }
    }
    check_sleep(20000000);
    CHECK_OK(mp_pool_terminate(pool));
    record refused;
    mp_task_options options = options_for(&refused);
    CHECK_STATUS(MP_ERR_CLOSED, mp_pool_map_async(pool, nap, args, 3, 1, &options, NULL));
    if (joined)
        CHECK_OK(mp_pool_join(pool, POOL_WAIT));
    mp_pool_free(pool);
    pool_no_children();
    for (size_t i = 0; i < N; i++) {
        check_called(&records[i], 0, 1);
        CHECK_EQ(MP_ERR_CANCELLED, records[i].error.status);
        if (results[i])
            CHECK_STATUS(MP_ERR_CANCELLED, mp_result_get(results[i], 0));
        mp_result_free(results[i]);
    }
    CHECK_EQ(0, refused.results + refused.errors + refused.released);
}

/* Join waits for the callbacks too. */
static void joined(int32_t method) {
    enum { N = 5 };
    int64_t one = 1;
    mp_slice arg = {&one, sizeof one};
    record records[N];
    mp_pool *pool = pool_new(method, 2);
    for (size_t i = 0; i < N; i++) {
        mp_task_options options = options_for(&records[i]);
        options.on_progress = NULL;
        records[i].pause = 30;
        CHECK_OK(mp_pool_apply_async(pool, twice, &arg, 1, &options, NULL));
    }
    CHECK_OK(mp_pool_close(pool));
    CHECK_OK(mp_pool_join(pool, POOL_WAIT));
    for (size_t i = 0; i < N; i++)
        check_called(&records[i], 1, 0);
    mp_pool_free(pool);
}

/* Options without any callback are enough to do without a handle. */
static void no_callbacks(mp_pool *pool) {
    int64_t one = 1;
    mp_slice arg = {&one, sizeof one};
    mp_task_options options;
    CHECK_OK(mp_task_options_init(&options));
    for (int i = 0; i < 500; i++)
        CHECK_OK(mp_pool_apply_async(pool, twice, &arg, 1, &options, NULL));
    record r;
    options = options_for(&r);
    options.on_result = NULL;
    options.on_error = NULL;
    CHECK_OK(mp_pool_apply_async(pool, twice, &arg, 1, &options, NULL));
    while (!r.released)
        check_sleep(1000000);
    CHECK_EQ(1, r.progress);
}

static void all(int32_t method) {
    static void (*const with_pool[])(mp_pool *) = {each_form,      ready_after_callback, unheld,
                                                   threads_submit, inside_callbacks,     no_callbacks};
    mp_pool *pool = pool_new(method, 2);
    for (size_t i = 0; i < sizeof with_pool / sizeof *with_pool; i++)
        with_pool[i](pool);
    of_another_pool(pool, method);
    pool_end(pool);
    pool_no_children();
    ended_inside(method, false);
    ended_inside(method, true);
    if (method != MP_START_THREAD) {
        terminated(method, true);
        terminated(method, false);
    }
    joined(method);
    pool_no_children();
    CHECK_EQ(0, inside);
}

int main(int argc, char **argv) {
    CHECK_OK(mp_main_init(argc, argv));
    check_begin();
    check_watchdog(100);
    all(MP_START_FORK);
    all(MP_START_FORKSERVER);
    all(MP_START_SPAWN);
    all(MP_START_THREAD);
    return 0;
}
