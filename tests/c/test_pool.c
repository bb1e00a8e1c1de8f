/*
 * Pools: submissions of every form and size, their results and failures. Under all start methods.
 */
#include "pool.h"

#include <pthread.h>

static int32_t nothing(mp_call *call) {
    (void)call;
    return 0;
}

/* -- forms -- */

static int32_t add_up(mp_call *call) {
    int64_t sum = 0;
    for (size_t i = 0; i < mp_call_argc(call); i++)
        sum += pool_arg(call, i);
    return pool_give(call, sum);
}

static int64_t taken(mp_buffer *buffer) {
    int64_t number = pool_number((mp_slice){mp_buffer_data(buffer), mp_buffer_len(buffer)});
    mp_buffer_free(buffer);
    return number;
}

static void applies(mp_pool *pool) {
    int64_t numbers[] = {7, 11, 13};
    mp_slice args[] = {{&numbers[0], 8}, {&numbers[1], 8}, {&numbers[2], 8}};
    mp_buffer *buffer = NULL;
    mp_result *result = NULL;
    for (size_t n = 0; n <= 3; n++) {
        CHECK_OK(mp_pool_apply(pool, add_up, args, n, &buffer));
        CHECK_EQ(n == 0 ? 0 : n == 1 ? 7 : n == 2 ? 18 : 31, taken(buffer));
        CHECK_OK(mp_pool_apply_async(pool, add_up, args, n, NULL, &result));
        CHECK_OK(mp_result_get(result, MP_FOREVER));
        CHECK_EQ(1, mp_result_count(result));
        CHECK_EQ(n == 0 ? 0 : n == 1 ? 7 : n == 2 ? 18 : 31, pool_item(result, 0));
        mp_result_free(result);
    }
    CHECK_OK(mp_pool_apply(pool, nothing, NULL, 0, &buffer));
    CHECK_EQ(0, mp_buffer_len(buffer));
    mp_buffer_free(buffer);
}

static void maps(mp_pool *pool) {
    static const size_t counts[] = {0, 1, 2, 3, 100, 5000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        size_t n = counts[i], chunks[] = {0, 1, 2, n, n + 1, n * 10 + 7, SIZE_MAX};
        for (size_t k = 0; k < sizeof chunks / sizeof *chunks; k++)
            pool_maps(pool, n, chunks[k]);
    }
}

static void starmaps(mp_pool *pool) {
    int64_t number = 1;
    enum { N = 30 };
    mp_slice same[N];
    mp_args items[N];
    mp_result *result = NULL;
    for (size_t i = 0; i < N; i++) {
        same[i] = (mp_slice){&number, sizeof number};
        items[i] = (mp_args){same, i};
    }
    items[0].args = NULL;
    CHECK_OK(mp_pool_starmap(pool, add_up, items, N, 4, &result));
    for (size_t i = 0; i < N; i++)
        CHECK_EQ((int64_t)i, pool_item(result, i));
    mp_result_free(result);
}

/* -- sizes -- */

static unsigned char byte_at(size_t size, size_t at) { return (unsigned char)(size * 31 + at * 7 + (at >> 12)); }

static int32_t turn_over(mp_call *call) {
    mp_slice arg = mp_call_arg(call, 0);
    const unsigned char *from = arg.data;
    unsigned char *to = mp_call_return_buffer(call, arg.len);
    CHECK(to != NULL);
    CHECK_EQ(0, (uintptr_t)to % 16);
    for (size_t i = 0; i < arg.len; i++) {
        if (from[i] != byte_at(arg.len, i))
            return mp_call_fail(call, 1, "a wrong byte came");
        to[i] = (unsigned char)~from[i];
    }
    return 0;
}

static int32_t send_back(mp_call *call) {
    mp_slice arg = mp_call_arg(call, 0);
    /* What was returned before is forgotten. */
    CHECK_OK(mp_call_return(call, "an earlier result that is much longer than most", 47));
    CHECK_OK(mp_call_return(call, arg.data, arg.len));
    return 0;
}

static void size_of_one(mp_pool *pool, size_t size) {
    unsigned char *bytes = malloc(size + 1);
    mp_slice arg = {bytes, size};
    mp_buffer *buffer = NULL;
    CHECK(bytes != NULL);
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(size, i);
    CHECK_OK(mp_pool_apply(pool, turn_over, &arg, 1, &buffer));
    CHECK_EQ(size, mp_buffer_len(buffer));
    const unsigned char *back = mp_buffer_data(buffer);
    for (size_t i = 0; i < size; i++)
        CHECK(back[i] == (unsigned char)~bytes[i]);
    mp_buffer_free(buffer);
    mp_result *result = NULL;
    mp_slice two[] = {arg, {bytes, size / 2}};
    CHECK_OK(mp_pool_map(pool, send_back, two, 2, 1, &result));
    for (size_t i = 0; i < 2; i++) {
        mp_slice slice;
        CHECK_OK(mp_result_item(result, i, &slice));
        CHECK_EQ(two[i].len, slice.len);
        CHECK(slice.len == 0 || memcmp(slice.data, bytes, slice.len) == 0);
    }
    mp_result_free(result);
    free(bytes);
}

static void sizes(mp_pool *pool) {
    static const size_t all[] = {
        0,        1,       7,    8,    15,   16,   17,   23,   24,    25,    31,    32,     33,      47,
        63,       64,      1023, 1024, 1025, 4095, 4096, 4097, 65535, 65536, 65537, 999999, 1 << 20, (1 << 20) + 1,
        16 << 20, 64 << 20};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        size_of_one(pool, all[i]);
}

/* -- failures -- */

enum { FINE, WITH_MESSAGE, WITHOUT_MESSAGE, NEGATIVE, LONG_MESSAGE, KILLED, EXITED, CODE_ONLY };

static char long_message[5000];

/* A task on a thread ends in no other way than by returning. */
static bool on_threads;

static int64_t conduct(int64_t number) {
    number %= 10;
    return on_threads && (number == KILLED || number == EXITED) ? FINE : number;
}

static int32_t misbehave(mp_call *call) {
    CHECK_OK(mp_call_return(call, "kept if all is well, and longer than an item", 44));
    switch (conduct(pool_arg(call, 0))) {
    case WITH_MESSAGE:
        CHECK_OK(mp_call_fail(call, 42, "nine is bad"));
        return 0;
    case WITHOUT_MESSAGE:
        return 7;
    case NEGATIVE:
        return -3;
    case LONG_MESSAGE:
        CHECK_OK(mp_call_fail(call, 5, long_message));
        return 6;
    case KILLED:
        raise(SIGKILL);
        return 0;
    case EXITED:
        _exit(3);
    case CODE_ONLY:
        CHECK_OK(mp_call_fail(call, 0, NULL));
        return 0;
    default:
        return 0;
    }
}

static mp_task_error error_at(const mp_result *result, size_t i) {
    mp_task_error error = {.size = sizeof error};
    CHECK_OK(mp_result_error_at(result, i, &error));
    CHECK_EQ(i, error.index);
    CHECK(error.message != NULL);
    CHECK(error.elapsed >= 0 && error.elapsed < 60 * CHECK_SECOND);
    return error;
}

static void check_failures(const mp_result *result, size_t n) {
    for (size_t i = 0; i < n; i++) {
        mp_slice slice = {0};
        mp_task_error error = {.size = sizeof error};
        mp_status status = mp_result_item(result, i, &slice);
        switch (conduct((int64_t)i)) {
        case WITH_MESSAGE:
            CHECK_STATUS(MP_ERR_TASK_FAILED, status);
            CHECK_ERROR_HAS("nine is bad");
            error = error_at(result, i);
            CHECK_EQ(42, error.code);
            CHECK_EQ(MP_ERR_TASK_FAILED, error.status);
            CHECK_STRING("nine is bad", error.message);
            break;
        case WITHOUT_MESSAGE:
        case NEGATIVE:
            CHECK_STATUS(MP_ERR_TASK_FAILED, status);
            error = error_at(result, i);
            CHECK_EQ(i % 10 == NEGATIVE ? -3 : 7, error.code);
            CHECK(strlen(error.message) > 0);
            CHECK_EQ(0, error.pid);
            break;
        case LONG_MESSAGE:
            CHECK_STATUS(MP_ERR_TASK_FAILED, status);
            error = error_at(result, i);
            CHECK_EQ(5, error.code);
            CHECK_EQ(sizeof long_message - 1, strlen(error.message));
            break;
        case KILLED:
            CHECK_STATUS(MP_ERR_WORKER_DIED, status);
            error = error_at(result, i);
            CHECK_EQ(MP_ERR_WORKER_DIED, error.status);
            CHECK_EQ(SIGKILL, error.signal);
            CHECK_EQ(0, error.code);
            CHECK(error.pid > 0);
            break;
        case EXITED:
            CHECK_STATUS(MP_ERR_WORKER_DIED, status);
            error = error_at(result, i);
            CHECK_EQ(3, error.code);
            CHECK_EQ(0, error.signal);
            CHECK(error.pid > 0);
            break;
        case CODE_ONLY:
            CHECK_STATUS(MP_ERR_TASK_FAILED, status);
            CHECK_EQ(1, error_at(result, i).code);
            break;
        default:
            CHECK_OK(status);
            CHECK_EQ(44, slice.len);
            CHECK(memcmp(slice.data, "kept if all is well, and longer than an item", 44) == 0);
            CHECK_STATUS(MP_ERR_NOT_FOUND, mp_result_error_at(result, i, &error));
        }
    }
}

static void failures(mp_pool *pool) {
    enum { N = 50 };
    pool_items items = pool_items_new(N);
    static const size_t chunks[] = {1, 7, N, 0};
    for (size_t k = 0; k < sizeof chunks / sizeof *chunks; k++) {
        mp_result *result = NULL;
        bool successful = true;
        mp_task_error error = {.size = sizeof error};
        CHECK_STATUS(MP_ERR_TASK_FAILED, mp_pool_map(pool, misbehave, items.slices, N, chunks[k], &result));
        CHECK_ERROR_HAS("nine is bad");
        CHECK(result != NULL);
        CHECK_OK(mp_result_successful(result, &successful));
        CHECK(!successful);
        CHECK_OK(mp_result_error(result, &error));
        CHECK_EQ(1, error.index);
        CHECK_EQ(42, error.code);
        CHECK_OK(mp_result_wait(result, MP_FOREVER));
        CHECK_STATUS(MP_ERR_TASK_FAILED, mp_result_get(result, MP_FOREVER));
        check_failures(result, N);
        mp_result_free(result);
    }
    mp_buffer *buffer = NULL;
    CHECK_STATUS(MP_ERR_TASK_FAILED, mp_pool_apply(pool, misbehave, &items.slices[WITHOUT_MESSAGE], 1, &buffer));
    CHECK_ERROR_HAS("7");
    pool_items_free(items);
}

static void deaths(mp_pool *pool) {
    if (on_threads)
        return;
    pool_items items = pool_items_new(EXITED + 1);
    mp_buffer *buffer = (mp_buffer *)&items;
    CHECK_STATUS(MP_ERR_WORKER_DIED, mp_pool_apply(pool, misbehave, &items.slices[KILLED], 1, &buffer));
    CHECK(buffer == NULL);
    CHECK_ERROR_HAS("signal 9");
    buffer = (mp_buffer *)&items;
    CHECK_STATUS(MP_ERR_WORKER_DIED, mp_pool_apply(pool, misbehave, &items.slices[EXITED], 1, &buffer));
    CHECK(buffer == NULL);
    CHECK_ERROR_HAS("code 3");
    /* A shorter struct of an older program is filled as far as it goes. */
    mp_result *result = NULL;
    CHECK_OK(mp_pool_apply_async(pool, misbehave, &items.slices[KILLED], 1, NULL, &result));
    CHECK_STATUS(MP_ERR_WORKER_DIED, mp_result_get(result, MP_FOREVER));
    mp_task_error part = {.size = offsetof(mp_task_error, elapsed), .elapsed = -77};
    CHECK_OK(mp_result_error(result, &part));
    CHECK_EQ(SIGKILL, part.signal);
    CHECK_EQ(-77, part.elapsed);
    part.size = 0;
    CHECK_STATUS(MP_ERR_INVALID, mp_result_error(result, &part));
    mp_result_free(result);
    pool_items_free(items);
}

/* -- refusals -- */

static void refusals(mp_pool *pool) {
    int64_t one = 1;
    mp_slice good = {&one, sizeof one}, bad = {NULL, 5};
    mp_args bad_args = {NULL, 3}, bad_inner = {&bad, 1};
    mp_result *result = NULL;
    mp_buffer *buffer = NULL;
    CHECK_STATUS(MP_ERR_INVALID, mp_pool_apply(pool, NULL, &good, 1, &buffer));
    CHECK_STATUS(MP_ERR_INVALID, mp_pool_apply(NULL, pool_square, &good, 1, &buffer));
    CHECK_STATUS(MP_ERR_INVALID, mp_pool_apply(pool, pool_square, NULL, 1, &buffer));
    CHECK_STATUS(MP_ERR_INVALID, mp_pool_apply(pool, pool_square, &bad, 1, &buffer));
    CHECK_STATUS(MP_ERR_INVALID, mp_pool_apply(pool, pool_square, &good, 1, NULL));
    result = (mp_result *)&one;
    CHECK_STATUS(MP_ERR_INVALID, mp_pool_map(pool, NULL, &good, 1, 0, &result));
    CHECK(result == NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_pool_map(pool, pool_square, &good, 1, 0, NULL));
    result = (mp_result *)&one;
    CHECK_STATUS(MP_ERR_INVALID, mp_pool_map(pool, pool_square, NULL, 2, 0, &result));
    CHECK(result == NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_pool_starmap(pool, pool_square, &bad_args, 1, 0, &result));
    CHECK_STATUS(MP_ERR_INVALID, mp_pool_starmap_async(pool, pool_square, &bad_inner, 1, 0, NULL, &result));
    CHECK_STATUS(MP_ERR_INVALID, mp_pool_apply_async(pool, pool_square, &good, 1, NULL, NULL));
    CHECK_ERROR_HAS("out");
    CHECK_STATUS(MP_ERR_STATE, mp_pool_join(pool, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_result_wait(NULL, 0));
    CHECK_EQ(0, mp_result_count(NULL));
    mp_result_free(NULL);
    mp_pool_free(NULL);
}

static void too_early(mp_pool *pool) {
    int64_t while_ns = 300000000;
    mp_slice arg = {&while_ns, sizeof while_ns}, slice;
    mp_result *result = NULL;
    bool flag = true;
    size_t done = 7, total = 0;
    mp_task_error error = {.size = sizeof error};
    CHECK_OK(mp_pool_apply_async(pool, pool_nap, &arg, 1, NULL, &result));
    CHECK_OK(mp_result_ready(result, &flag));
    CHECK(!flag);
    CHECK_STATUS(MP_ERR_STATE, mp_result_successful(result, &flag));
    CHECK_STATUS(MP_ERR_STATE, mp_result_item(result, 0, &slice));
    CHECK_STATUS(MP_ERR_STATE, mp_result_error(result, &error));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_result_wait(result, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_result_wait(result, -1));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_result_get(result, 1000000));
    CHECK_OK(mp_result_progress(result, &done, &total));
    CHECK_EQ(0, done);
    CHECK_EQ(1, total);
    CHECK_OK(mp_result_progress(result, NULL, NULL));
    CHECK_OK(mp_result_get(result, MP_FOREVER));
    CHECK(pool_item(result, 0) > 0);
    mp_result_free(result);
}

/* -- cancel, threads, two pools -- */

static void *fire_soon(void *cancel) {
    check_sleep(50000000);
    CHECK_OK(mp_cancel_fire(cancel));
    return NULL;
}

static void cancelled_waits(mp_pool *pool) {
    int64_t while_ns = CHECK_SECOND / 2;
    mp_slice arg = {&while_ns, sizeof while_ns};
    mp_result *result = NULL;
    mp_cancel *cancel = NULL;
    pthread_t thread;
    mp_buffer *buffer = NULL;
    CHECK_OK(mp_cancel_new(&cancel));
    CHECK_OK(mp_cancel_use(cancel));
    CHECK_OK(mp_pool_apply_async(pool, pool_nap, &arg, 1, NULL, &result));
    CHECK_EQ(0, pthread_create(&thread, NULL, fire_soon, cancel));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_result_wait(result, MP_FOREVER));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_result_get(result, MP_FOREVER));
    CHECK_EQ(0, pthread_join(thread, NULL));
    /* Calls without a timeout are not cancelled. */
    CHECK_OK(mp_pool_apply(pool, pool_nap, &arg, 1, &buffer));
    mp_buffer_free(buffer);
    CHECK_OK(mp_cancel_use(NULL));
    CHECK_OK(mp_result_get(result, MP_FOREVER));
    mp_result_free(result);
    mp_cancel_free(cancel);
}

enum { THREADS = 8, ROUNDS = 40 };

static void *submit_much(void *pool) {
    for (size_t round = 0; round < ROUNDS; round++) {
        pool_maps(pool, round * 3, round % 4);
        applies(pool);
    }
    return NULL;
}

static void threads_submit(mp_pool *pool) {
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        CHECK_EQ(0, pthread_create(&threads[i], NULL, submit_much, pool));
    for (size_t i = 0; i < THREADS; i++)
        CHECK_EQ(0, pthread_join(threads[i], NULL));
}

/* Many results are open at once, and are freed in another order. */
static void many_open(mp_pool *pool) {
    enum { N = 3000 };
    static mp_result *results[N];
    static int64_t numbers[N];
    for (size_t i = 0; i < N; i++) {
        numbers[i] = (int64_t)i;
        mp_slice arg = {&numbers[i], sizeof numbers[i]};
        CHECK_OK(mp_pool_apply_async(pool, pool_square, &arg, 1, NULL, &results[i]));
    }
    for (size_t i = 0; i < N; i++) {
        mp_result *result = results[i * 7 % N];
        CHECK_OK(mp_result_get(result, MP_FOREVER));
        CHECK_EQ((int64_t)((i * 7 % N) * (i * 7 % N)), pool_item(result, 0));
        mp_result_free(result);
    }
}

static void all(int32_t method) {
    on_threads = method == MP_START_THREAD;
    static void (*const with_pool[])(mp_pool *) = {applies,         maps,           starmaps, sizes,
                                                   failures,        deaths,         refusals, too_early,
                                                   cancelled_waits, threads_submit, many_open};
    mp_pool *pool = pool_new(method, 3);
    for (size_t i = 0; i < sizeof with_pool / sizeof *with_pool; i++)
        with_pool[i](pool);
    pool_end(pool);
    pool_no_children();
}

int main(int argc, char **argv) {
    memset(long_message, 'x', sizeof long_message - 1);
    CHECK_OK(mp_main_init(argc, argv));
    check_begin();
    check_watchdog(100);
    all(MP_START_FORK);
    all(MP_START_FORKSERVER);
    all(MP_START_SPAWN);
    all(MP_START_THREAD);
    return 0;
}
