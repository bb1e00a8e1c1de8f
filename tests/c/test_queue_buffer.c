/* check: leaks
 * Buffers that are handed on: without a copy where that can be, and consumed on success only. */
#include "queue.h"

static const int32_t KINDS[] = {MP_QUEUE_FIFO, MP_QUEUE_LIFO, MP_QUEUE_PRIORITY};

static void the_memory_goes_along(int32_t kind) {
    static const size_t LENGTHS[] = {1025, 4096, 100 << 10, 64 << 20};
    mp_queue_options options = queue_options(kind, 0);
    mp_queue *queue = queue_with(&options), *next = queue_of(0);
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        if (is_leak_check() && LENGTHS[i] > 1 << 20)
            continue;
        mp_buffer *buffer = new_buffer(LENGTHS[i], i);
        const void *data = mp_buffer_data(buffer);
        CHECK_OK(mp_queue_put_buffer(queue, buffer, 0));
        /* From queue to queue. */
        buffer = get_buffer(queue, 0);
        CHECK(mp_buffer_data(buffer) == data);
        CHECK_OK(mp_queue_put_buffer(next, buffer, MP_FOREVER));
        buffer = get_buffer(next, 0);
        CHECK(mp_buffer_data(buffer) == data);
        CHECK_EQ(LENGTHS[i], mp_buffer_len(buffer));
        check_filled(data, LENGTHS[i], i);
        mp_buffer_free(buffer);
    }
    mp_queue_free(queue);
    mp_queue_free(next);
}

static void short_ones(int32_t kind) {
    static const size_t LENGTHS[] = {0, 1, 40, 41, 1023, 1024};
    mp_queue_options options = queue_options(kind, 0);
    mp_queue *queue = queue_with(&options);
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        mp_buffer *buffer = new_buffer(LENGTHS[i], i);
        /* Twice: what a queue hands out may lie elsewhere than a new one. */
        for (int round = 0; round < 2; round++) {
            CHECK_OK(mp_queue_put_buffer(queue, buffer, 0));
            buffer = get_buffer(queue, 0);
            CHECK_EQ(LENGTHS[i], mp_buffer_len(buffer));
            check_filled(mp_buffer_data(buffer), LENGTHS[i], i);
        }
        mp_buffer_free(buffer);
    }
    mp_queue_free(queue);
}

/* A child shares it, as any buffer. */
static void check_in_a_child(mp_buffer *buffer, size_t length, uint64_t seed) {
    pid_t child = fork();
    if (child == 0) {
        check_filled(mp_buffer_data(buffer), length, seed);
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
}

/* On failure it is the caller's as before, memory and all. */
static void failures_keep_it(int32_t kind) {
    static const size_t LENGTHS[] = {5, 3000};
    mp_queue_options options = queue_options(kind, 1);
    options.max_bytes = 50000;
    for (int i = 0; i < 2; i++) {
        mp_queue *queue = queue_with(&options);
        mp_buffer *buffer = new_buffer(LENGTHS[i], 7), *large = new_buffer(50001, 8);
        const void *data = mp_buffer_data(buffer);
        put_text(queue, "full");
        CHECK_STATUS(MP_ERR_FULL, mp_queue_put_buffer(queue, buffer, 0));
        CHECK_STATUS(MP_ERR_FULL, mp_queue_put_buffer(queue, buffer, 1000000));
        CHECK_STATUS(MP_ERR_TOO_LARGE, mp_queue_put_buffer(queue, large, MP_FOREVER));
        CHECK_STATUS(MP_ERR_INVALID, mp_queue_put_buffer(NULL, buffer, 0));
        CHECK_STATUS(MP_ERR_INVALID, mp_queue_put_buffer(queue, NULL, 0));
        if (!is_leak_check())
            CHECK_STATUS(MP_ERR_INVALID, mp_queue_put_buffer(queue, (mp_buffer *)queue, 0));
        mp_cancel *cancel = NULL;
        CHECK_OK(mp_cancel_new(&cancel));
        CHECK_OK(mp_cancel_fire(cancel));
        CHECK_OK(mp_cancel_use(cancel));
        CHECK_STATUS(MP_ERR_CANCELLED, mp_queue_put_buffer(queue, buffer, MP_FOREVER));
        CHECK_OK(mp_cancel_use(NULL));
        mp_cancel_free(cancel);
        CHECK(mp_buffer_data(buffer) == data);
        check_filled(data, LENGTHS[i], 7);
        if (!is_leak_check())
            check_in_a_child(buffer, LENGTHS[i], 7);
        expect_text(queue, "full");
        CHECK_OK(mp_queue_close(queue));
        CHECK_STATUS(MP_ERR_CLOSED, mp_queue_put_buffer(queue, buffer, MP_FOREVER));
        CHECK_EQ(LENGTHS[i], mp_buffer_len(buffer));
        mp_buffer_free(buffer);
        mp_buffer_free(large);
        mp_queue_free(queue);
    }
}

static void success_consumes_it(void) {
    mp_queue *queue = queue_of(0);
    static const size_t LENGTHS[] = {0, 10, 5000};
    for (int i = 0; i < 3; i++) {
        mp_buffer *buffer = new_buffer(LENGTHS[i], 1);
        CHECK_OK(mp_queue_put_buffer(queue, buffer, 0));
        CHECK(mp_buffer_data(buffer) == NULL);
        CHECK_EQ(0, mp_buffer_len(buffer));
        CHECK_STATUS(MP_ERR_INVALID, mp_queue_put_buffer(queue, buffer, 0));
        mp_buffer_free(buffer);
        CHECK_EQ(i + 1, size_of(queue));
    }
    for (int i = 0; i < 3; i++) {
        mp_buffer *buffer = get_buffer(queue, 0);
        check_filled(mp_buffer_data(buffer), LENGTHS[i], 1);
        mp_buffer_free(buffer);
    }
    mp_queue_free(queue);
}

/* While a child has it too, the getter's is a copy, which the child does not see change. */
static void shared_with_a_child(int32_t kind) {
    enum { LENGTH = 5000 };
    mp_queue_options options = queue_options(kind, 0);
    mp_queue *queue = queue_with(&options), *go = queue_of(0);
    mp_buffer *buffer = new_buffer(LENGTH, 3);
    const void *data = mp_buffer_data(buffer);
    pid_t child = fork();
    if (child == 0) {
        get_number(go);
        check_filled(mp_buffer_data(buffer), LENGTH, 3);
        mp_buffer_free(buffer);
        _exit(0);
    }
    CHECK_OK(mp_queue_put_buffer(queue, buffer, 0));
    buffer = get_buffer(queue, 0);
    CHECK(mp_buffer_data(buffer) != data);
    check_filled(mp_buffer_data(buffer), LENGTH, 3);
    memset((void *)(uintptr_t)mp_buffer_data(buffer), 0, LENGTH);
    put_number(go, 1);
    CHECK_EQ(0, check_wait(child));
    /* Now that nobody else has this one, it is handed on. */
    data = mp_buffer_data(buffer);
    CHECK_OK(mp_queue_put_buffer(queue, buffer, 0));
    buffer = get_buffer(queue, 0);
    CHECK(mp_buffer_data(buffer) == data);
    mp_buffer_free(buffer);
    mp_queue_free(queue);
    mp_queue_free(go);
}

/* A buffer that was handed on is none of a child that is forked afterwards, nor one that waits for room. */
static void handed_to_another_process(int32_t kind) {
    enum { LENGTH = 200000, ROUNDS = 50 };
    mp_queue_options options = queue_options(kind, 1);
    mp_queue *there = queue_with(&options), *back = queue_with(&options);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < ROUNDS; i++)
            CHECK_OK(mp_queue_put_buffer(back, get_buffer(there, MP_FOREVER), MP_FOREVER));
        _exit(0);
    }
    for (uint64_t i = 0; i < ROUNDS; i++) {
        CHECK_OK(mp_queue_put_buffer(there, new_buffer(LENGTH, i), MP_FOREVER));
        if (i > 0) {
            mp_buffer *buffer = get_buffer(back, MP_FOREVER);
            check_filled(mp_buffer_data(buffer), LENGTH, i - 1);
            mp_buffer_free(buffer);
        }
    }
    mp_buffer_free(get_buffer(back, MP_FOREVER));
    CHECK_EQ(0, check_wait(child));
    mp_queue_free(there);
    mp_queue_free(back);
}

/* What a queue that redelivers hands out are copies: the message stays until it is acknowledged. */
static void redelivered(void) {
    mp_queue_options options = queue_options(MP_QUEUE_FIFO, 0);
    options.redeliver = true;
    mp_queue *queue = queue_with(&options), *next = queue_of(0);
    CHECK_OK(mp_queue_put_buffer(queue, new_buffer(3000, 1), 0));
    mp_buffer *buffer = get_buffer(queue, 0);
    CHECK_OK(mp_queue_ack(queue, buffer));
    const void *data = mp_buffer_data(buffer);
    CHECK_OK(mp_queue_put_buffer(next, buffer, 0));
    buffer = get_buffer(next, 0);
    CHECK(mp_buffer_data(buffer) == data);
    /* It is no message of that queue any more. */
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_ack(queue, buffer));
    mp_buffer_free(buffer);
    mp_queue_free(queue);
    mp_queue_free(next);
}

int main(void) {
    check_begin();
    check_watchdog(110);
    for (int i = 0; i < 3; i++) {
        the_memory_goes_along(KINDS[i]);
        short_ones(KINDS[i]);
        failures_keep_it(KINDS[i]);
    }
    redelivered();
    if (is_leak_check())
        return 0;
    for (int i = 0; i < 3; i++) {
        shared_with_a_child(KINDS[i]);
        handed_to_another_process(KINDS[i]);
    }
    success_consumes_it();
    return 0;
}
