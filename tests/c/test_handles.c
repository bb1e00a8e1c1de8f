/* Every call answers MP_ERR_INVALID to a handle that is NULL, foreign, freed or of another kind. check: valgrind,
 * check: leaks */
#include "check.h"

static int32_t nothing(mp_call *call) {
    (void)call;
    return 0;
}

#define BAD(call) CHECK_STATUS(MP_ERR_INVALID, call)

static void lock_calls(void *bad) {
    mp_token token;
    int32_t pid = 7;
    BAD(mp_lock_acquire(bad, 0));
    BAD(mp_lock_release(bad));
    BAD(mp_lock_owner(bad, &pid));
    BAD(mp_lock_token(bad, &token));
    CHECK_EQ(7, pid);
}

static void semaphore_calls(void *bad) {
    mp_token token;
    uint32_t value = 7;
    BAD(mp_semaphore_acquire(bad, 0));
    BAD(mp_semaphore_release(bad, 1));
    BAD(mp_semaphore_value(bad, &value));
    BAD(mp_semaphore_token(bad, &token));
    CHECK_EQ(7, value);
}

static void queue_calls(void *bad) {
    mp_token token;
    mp_buffer *buffer = (mp_buffer *)&token;
    char bytes[4];
    size_t size = 7;
    BAD(mp_queue_put(bad, "x", 1, 0));
    BAD(mp_queue_get(bad, 0, &buffer));
    CHECK(buffer == NULL);
    BAD(mp_queue_get_into(bad, bytes, sizeof bytes, &size, 0));
    BAD(mp_queue_size(bad, &size));
    BAD(mp_queue_close(bad));
    BAD(mp_queue_token(bad, &token));
    CHECK_EQ(7, size);
}

static void buffer_calls(void *bad) {
    CHECK(mp_buffer_data(bad) == NULL);
    CHECK_EQ(0, mp_buffer_len(bad));
    CHECK_ERROR_HAS("mp_buffer");
}

static void process_calls(void *bad) {
    int32_t number = 7;
    bool alive;
    char text[40];
    BAD(mp_process_start(bad));
    BAD(mp_process_join(bad, 0));
    BAD(mp_process_terminate(bad));
    BAD(mp_process_kill(bad));
    BAD(mp_process_close(bad));
    BAD(mp_process_is_alive(bad, &alive));
    BAD(mp_process_pid(bad, &number));
    BAD(mp_process_exitcode(bad, &number));
    BAD(mp_process_repr(bad, text, sizeof text));
    CHECK(mp_process_name(bad) == NULL);
    CHECK_EQ(7, number);
}

static void pool_calls(void *bad) {
    mp_slice item = {"x", 1};
    mp_result *result = (mp_result *)&item;
    mp_buffer *buffer = (mp_buffer *)&item;
    BAD(mp_pool_apply(bad, nothing, &item, 1, &buffer));
    BAD(mp_pool_apply_async(bad, nothing, &item, 1, NULL, &result));
    CHECK(buffer == NULL && result == NULL);
    result = (mp_result *)&item;
    BAD(mp_pool_map(bad, nothing, &item, 1, 0, &result));
    CHECK(result == NULL);
    result = (mp_result *)&item;
    BAD(mp_pool_map_async(bad, nothing, &item, 1, 0, NULL, &result));
    CHECK(result == NULL);
    BAD(mp_pool_close(bad));
    BAD(mp_pool_terminate(bad));
    BAD(mp_pool_join(bad, 0));
}

static void result_calls(void *bad) {
    mp_slice item;
    mp_task_error error = {.size = sizeof error};
    bool flag;
    size_t done, total;
    BAD(mp_result_wait(bad, 0));
    BAD(mp_result_ready(bad, &flag));
    BAD(mp_result_successful(bad, &flag));
    BAD(mp_result_get(bad, 0));
    BAD(mp_result_item(bad, 0, &item));
    BAD(mp_result_error(bad, &error));
    BAD(mp_result_error_at(bad, 0, &error));
    BAD(mp_result_progress(bad, &done, &total));
    CHECK_EQ(0, mp_result_count(bad));
    CHECK_ERROR_HAS("mp_result");
}

static void cancel_calls(void *bad) {
    BAD(mp_cancel_fire(bad));
    BAD(mp_cancel_reset(bad));
    if (bad) /* NULL means that no cancel is in use any more. */
        BAD(mp_cancel_use(bad));
}

/* A call is no handle: it lives while the function runs. */
static void no_call(void) {
    BAD(mp_call_return(NULL, "x", 1));
    BAD(mp_call_fail(NULL, 1, "x"));
    CHECK(mp_call_return_buffer(NULL, 1) == NULL);
    CHECK_EQ(0, mp_call_argc(NULL));
    CHECK(mp_call_arg(NULL, 0).data == NULL);
}

static void (*const calls[])(void *) = {lock_calls,    semaphore_calls, queue_calls,  buffer_calls,
                                        process_calls, pool_calls,      result_calls, cancel_calls};
#define KINDS (sizeof calls / sizeof *calls)
#define MADE 6 /* The first kinds have a handle that is easily made. */

static void make(void *made[MADE]) {
    mp_lock *lock;
    mp_semaphore *semaphore;
    mp_queue *queue;
    mp_buffer *buffer;
    mp_process *process;
    mp_pool *pool;
    CHECK_OK(mp_lock_new(&lock));
    CHECK_OK(mp_semaphore_new(1, NULL, &semaphore));
    CHECK_OK(mp_queue_new(NULL, &queue));
    CHECK_OK(mp_buffer_new(10, &buffer));
    CHECK_OK(mp_process_new(nothing, NULL, 0, NULL, &process));
    mp_pool_options options;
    CHECK_OK(mp_pool_options_init(&options));
    options.processes = 1;
    CHECK_OK(mp_pool_new(&options, &pool));
    made[0] = lock;
    made[1] = semaphore;
    made[2] = queue;
    made[3] = buffer;
    made[4] = process;
    made[5] = pool;
}

static void release(void *made[MADE]) {
    mp_lock_free(made[0]);
    mp_semaphore_free(made[1]);
    mp_queue_free(made[2]);
    mp_buffer_free(made[3]);
    mp_process_free(made[4]);
    mp_pool_free(made[5]);
}

/* Nothing is written to NULL, and options that nobody filled are refused. */
static void bad_arguments(void **made) {
    mp_queue *queue = (mp_queue *)made;
    mp_queue_options options;
    BAD(mp_lock_new(NULL));
    BAD(mp_queue_new(NULL, NULL));
    BAD(mp_queue_put(made[2], NULL, 1, 0));
    CHECK_ERROR_HAS("NULL");
    BAD(mp_queue_get(made[2], 0, NULL));
    BAD(mp_queue_size(made[2], NULL));
    BAD(mp_lock_owner(made[0], NULL));
    memset(&options, 0, sizeof options);
    BAD(mp_queue_new(&options, &queue));
    CHECK(queue == NULL);
    CHECK_ERROR_HAS("mp_queue_options");
}

int main(void) {
    void *made[MADE], *foreign = malloc(256);
    /* With handles from malloc, foreign and stale ones are left to the leak checker. */
    bool checked = getenv("MP_HANDLES") == NULL;
    check_begin();
    make(made);
    for (size_t kind = 0; kind < KINDS; kind++) {
        calls[kind](NULL);
        if (checked) {
            memset(foreign, 1, 256);
            calls[kind](foreign);
            calls[kind]((void *)(((uintptr_t)foreign + 63) & ~(uintptr_t)63));
            calls[kind]((char *)made[0] + 8);
            calls[kind]((void *)(uintptr_t)-64);
        }
        for (size_t other = 0; other < MADE; other++)
            if (other != kind)
                calls[kind](made[other]);
    }
    bad_arguments(made);
    no_call();
    release(made);
    void *none[MADE] = {NULL};
    release(none);
    if (checked) {
        for (size_t kind = 0; kind < MADE; kind++)
            calls[kind](made[kind]);
        release(made); /* Freed twice: said by mp_last_error, and nothing else happens. */
        CHECK_ERROR_HAS("freed");
    }
    free(foreign);
    return 0;
}
