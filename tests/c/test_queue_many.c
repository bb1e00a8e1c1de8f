/* check: leaks check: valgrind
 * Many messages in one call: what is put when not all can be, what is taken, and where it is copied to. */
#include "queue.h"

enum { LONG = 3000 };
static const int32_t KINDS[] = {MP_QUEUE_FIFO, MP_QUEUE_LIFO, MP_QUEUE_PRIORITY};
static unsigned char BYTES[8 * LONG];

static mp_queue *of(int32_t kind, int64_t maxsize, uint64_t max_bytes) {
    mp_queue_options options = queue_options(kind, maxsize);
    options.max_bytes = max_bytes;
    return queue_with(&options);
}

/* Puts so many numbers, from the first one on; how many were put. */
static size_t put_numbers(mp_queue *queue, uint64_t first, size_t n, int64_t timeout, mp_status status) {
    uint64_t *numbers = malloc(n * sizeof *numbers + 1);
    mp_slice *messages = malloc(n * sizeof *messages + 1);
    size_t done = SIZE_MAX;
    CHECK(numbers && messages);
    for (size_t i = 0; i < n; i++) {
        numbers[i] = first + i;
        messages[i] = (mp_slice){&numbers[i], sizeof numbers[i]};
    }
    CHECK_STATUS(status, mp_queue_put_many(queue, messages, n, timeout, &done));
    free(messages);
    free(numbers);
    return done;
}

static void put_as_many_as_fit(void) {
    mp_queue *queue = of(MP_QUEUE_FIFO, 5, 0);
    CHECK_EQ(0, put_numbers(queue, 0, 0, MP_FOREVER, MP_OK));
    CHECK_EQ(3, put_numbers(queue, 0, 3, 0, MP_OK));
    CHECK_EQ(2, put_numbers(queue, 3, 10, 0, MP_ERR_FULL));
    CHECK_EQ(0, put_numbers(queue, 9, 2, 0, MP_ERR_FULL));
    CHECK_EQ(0, put_numbers(queue, 9, 1, CHECK_SECOND / 100, MP_ERR_FULL));
    CHECK_EQ(0, put_numbers(queue, 9, 0, 0, MP_OK));
    for (uint64_t i = 0; i < 5; i++)
        CHECK_EQ(i, get_number(queue));
    expect_get(queue, MP_ERR_EMPTY);
    /* Everywhere in the ring, past its ends and its growth. */
    mp_queue *unbounded = queue_of(0);
    for (uint64_t put = 0, got = 0, n = 1; n < 400; n += 3) {
        CHECK_EQ(n, put_numbers(unbounded, put, n, 0, MP_OK));
        put += n;
        CHECK_EQ(put - got, size_of(unbounded));
        while (got + n / 2 < put)
            CHECK_EQ(got++, get_number(unbounded));
    }
    CHECK_OK(mp_queue_close(queue));
    CHECK_EQ(0, put_numbers(queue, 0, 2, MP_FOREVER, MP_ERR_CLOSED));
    CHECK_EQ(0, put_numbers(queue, 0, 0, MP_FOREVER, MP_OK));
    mp_queue_free(unbounded);
    mp_queue_free(queue);
}

/* Short and long ones in one call keep their order. */
static void short_and_long(int32_t kind, uint64_t max_bytes) {
    static const size_t LENGTHS[] = {0, 3, LONG, 40, 41, 1024, 1025, LONG, LONG, 0, 7};
    enum { N = sizeof LENGTHS / sizeof *LENGTHS };
    mp_queue *queue = of(kind, 0, max_bytes);
    mp_slice messages[N];
    mp_buffer *buffers[N + 1];
    size_t done = 0, total = 0, n = 0;
    for (size_t i = 0; i < N; i++) {
        messages[i] = (mp_slice){BYTES + total, LENGTHS[i]};
        fill(BYTES + total, LENGTHS[i], i);
        total += LENGTHS[i];
    }
    for (int round = 0; round < 2; round++) {
        CHECK_OK(mp_queue_put_many(queue, messages, N, 0, &done));
        CHECK_EQ(N, done);
        size_t taken = 0;
        while (taken < N && round == 0) {
            CHECK_OK(mp_queue_get_many(queue, buffers, N + 1, 0, &n));
            CHECK(n > 0 && taken + n <= N);
            for (size_t i = 0; i < n; i++, taken++) {
                size_t which = kind == MP_QUEUE_LIFO ? N - 1 - taken : taken;
                CHECK_EQ(LENGTHS[which], mp_buffer_len(buffers[i]));
                check_filled(mp_buffer_data(buffers[i]), LENGTHS[which], which);
                mp_buffer_free(buffers[i]);
            }
        }
        if (round == 0)
            CHECK_EQ(0, size_of(queue));
    }
    /* All that fit, one behind the other, the long ones between the short ones as well. */
    static unsigned char into[sizeof BYTES];
    mp_slice found[N + 1];
    CHECK_OK(mp_queue_get_many_into(queue, into, sizeof into, found, N + 1, 0, &n));
    CHECK_EQ(N, n);
    const unsigned char *place = into;
    for (size_t i = 0; i < N; i++) {
        size_t which = kind == MP_QUEUE_LIFO ? N - 1 - i : i;
        CHECK(found[i].data == place);
        CHECK_EQ(LENGTHS[which], found[i].len);
        check_filled(found[i].data, found[i].len, which);
        place += found[i].len;
    }
    CHECK_EQ(0, size_of(queue));
    mp_queue_free(queue);
}

static void caps(int32_t kind) {
    mp_queue *queue = of(kind, 0, 0);
    mp_buffer *buffers[7];
    mp_slice found[7];
    uint64_t into[7];
    size_t n = 99;
    CHECK_EQ(20, put_numbers(queue, 0, 20, 0, MP_OK));
    CHECK_OK(mp_queue_get_many(queue, buffers, 7, MP_FOREVER, &n));
    CHECK_EQ(7, n);
    for (size_t i = 0; i < n; i++) {
        CHECK_EQ(8, mp_buffer_len(buffers[i]));
        mp_buffer_free(buffers[i]);
    }
    CHECK_EQ(13, size_of(queue));
    memset(into, 0xee, sizeof into);
    CHECK_OK(mp_queue_get_many_into(queue, into, sizeof into, found, 3, MP_FOREVER, &n));
    CHECK_EQ(3, n);
    CHECK_EQ(UINT64_C(0xeeeeeeeeeeeeeeee), into[3]);
    /* Not quite room for three. */
    CHECK_OK(mp_queue_get_many_into(queue, into, 23, found, 7, MP_FOREVER, &n));
    CHECK_EQ(2, n);
    CHECK_EQ(UINT64_C(0xeeeeeeeeeeeeeeee), into[3]);
    for (size_t i = 0; i < n; i++)
        CHECK(found[i].data == &into[i] && found[i].len == 8);
    CHECK_EQ(8, size_of(queue));
    CHECK_OK(mp_queue_get_many_into(queue, into, sizeof into, found, 7, 0, &n));
    CHECK_EQ(7, n);
    CHECK_OK(mp_queue_get_many_into(queue, into, sizeof into, found, 7, 0, &n));
    CHECK_EQ(1, n);
    mp_queue_free(queue);
}

static void the_first_does_not_fit(int32_t kind, size_t length) {
    mp_queue *queue = of(kind, 0, 0);
    mp_slice found[2] = {{BYTES, 1}, {BYTES, 1}};
    size_t n = 99;
    CHECK_OK(mp_queue_put(queue, BYTES, length, 0));
    for (size_t cap = 0; cap < length; cap = cap * 2 + 1) {
        n = 99;
        found[0].data = BYTES;
        CHECK_STATUS(MP_ERR_TOO_LARGE,
                     mp_queue_get_many_into(queue, cap > 0 ? BYTES : NULL, cap, found, 2, MP_FOREVER, &n));
        CHECK_EQ(0, n);
        CHECK(found[0].data == NULL);
        CHECK_EQ(length, found[0].len);
        CHECK_EQ(1, size_of(queue));
    }
    CHECK_OK(mp_queue_get_many_into(queue, BYTES, length, found, 2, 0, &n));
    CHECK_EQ(1, n);
    /* One of no length needs no room. */
    CHECK_OK(mp_queue_put(queue, NULL, 0, 0));
    CHECK_OK(mp_queue_get_many_into(queue, NULL, 0, found, 2, 0, &n));
    CHECK_EQ(1, n);
    CHECK_EQ(0, found[0].len);
    mp_queue_free(queue);
}

static void nothing_to_take(int32_t kind) {
    mp_queue *queue = of(kind, 0, 0);
    mp_buffer *buffers[2];
    mp_slice found[2];
    static const int64_t times[] = {INT64_MIN, 0, 1000000};
    for (int i = 0; i < 4; i++) {
        mp_status status = i < 3 ? MP_ERR_EMPTY : MP_ERR_CLOSED;
        int64_t timeout = i < 3 ? times[i] : MP_FOREVER;
        size_t n = 99;
        buffers[0] = buffers[1] = (mp_buffer *)1;
        CHECK_STATUS(status, mp_queue_get_many(queue, buffers, 2, timeout, &n));
        CHECK(n == 0 && buffers[0] == NULL && buffers[1] == NULL);
        n = 99;
        CHECK_STATUS(status, mp_queue_get_many_into(queue, BYTES, sizeof BYTES, found, 2, timeout, &n));
        CHECK_EQ(0, n);
        if (i == 2)
            CHECK_OK(mp_queue_close(queue));
    }
    mp_queue_free(queue);
}

/* Half done when the queue is closed: so many are there, and no other. */
static void closed_in_between(int32_t kind) {
    mp_queue *queue = of(kind, 4, 0);
    pid_t child = fork();
    if (child == 0) {
        CHECK_EQ(6, put_numbers(queue, 0, 100, MP_FOREVER, MP_ERR_CLOSED));
        _exit(0);
    }
    for (int i = 0; i < 2; i++)
        get_number(queue);
    while (size_of(queue) < 4)
        check_sleep(CHECK_SECOND / 1000);
    wait_until_asleep(child);
    CHECK_OK(mp_queue_close(queue));
    CHECK_EQ(0, check_wait(child));
    for (int i = 0; i < 4; i++)
        get_number(queue);
    expect_get(queue, MP_ERR_CLOSED);
    mp_queue_free(queue);
}

/* Two processes, many at a time, through a queue that is smaller than what is put at once. */
static void through_a_small_queue(int32_t kind, uint64_t max_bytes) {
    enum { BATCHES = 60, BATCH = 37 };
    mp_queue *queue = of(kind, 10, max_bytes);
    pid_t child = fork();
    if (child == 0) {
        for (uint64_t i = 0; i < BATCHES; i++)
            CHECK_EQ(BATCH, put_numbers(queue, i * BATCH, BATCH, MP_FOREVER, MP_OK));
        _exit(0);
    }
    uint64_t sum = 0, taken = 0, numbers[16];
    mp_buffer *buffers[16];
    mp_slice found[16];
    while (taken < BATCHES * BATCH) {
        size_t n = 0;
        if (taken % 2) {
            CHECK_OK(mp_queue_get_many(queue, buffers, 16, MP_FOREVER, &n));
            for (size_t i = 0; i < n; i++) {
                memcpy(&numbers[i], mp_buffer_data(buffers[i]), sizeof numbers[i]);
                mp_buffer_free(buffers[i]);
            }
        } else {
            CHECK_OK(mp_queue_get_many_into(queue, numbers, sizeof numbers, found, 16, MP_FOREVER, &n));
        }
        CHECK(n > 0 && n <= 16);
        for (size_t i = 0; i < n; i++, taken++) {
            if (kind == MP_QUEUE_FIFO)
                CHECK_EQ(taken, numbers[i]);
            sum += numbers[i];
        }
    }
    CHECK_EQ((uint64_t)BATCHES * BATCH * (BATCHES * BATCH - 1) / 2, sum);
    CHECK_EQ(0, check_wait(child));
    mp_queue_free(queue);
}

static void one_put_wakes_as_many(int32_t kind) {
    enum { GETTERS = 4 };
    mp_queue *queue = of(kind, 0, 0);
    pid_t children[GETTERS];
    for (int i = 0; i < GETTERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            get_number(queue);
            _exit(0);
        }
        wait_until_asleep(children[i]);
    }
    CHECK_EQ(GETTERS, put_numbers(queue, 0, GETTERS, 0, MP_OK));
    for (int i = 0; i < GETTERS; i++)
        CHECK_EQ(0, check_wait(children[i]));
    CHECK_EQ(0, size_of(queue));
    mp_queue_free(queue);
}

static void bad_arguments(void) {
    mp_queue *queue = queue_of(0);
    mp_slice messages[2] = {{"a", 1}, {NULL, 1}};
    mp_buffer *buffers[2] = {(mp_buffer *)1, (mp_buffer *)1};
    size_t n = 99;
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_put_many(NULL, messages, 1, 0, &n));
    CHECK_EQ(0, n);
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_put_many(queue, messages, 1, 0, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_put_many(queue, NULL, 1, 0, &n));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_put_many(queue, messages, SIZE_MAX, 0, &n));
    n = 99;
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_put_many(queue, messages, 2, 0, &n));
    CHECK_EQ(n, size_of(queue));
    CHECK_EQ(0, n);
    CHECK_OK(mp_queue_put_many(queue, NULL, 0, 0, &n));
    CHECK_OK(mp_queue_put_many(queue, messages, 1, 0, &n));

    CHECK_STATUS(MP_ERR_INVALID, mp_queue_get_many(NULL, buffers, 2, 0, &n));
    CHECK(n == 0 && buffers[0] == NULL && buffers[1] == NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_get_many(queue, NULL, 2, 0, &n));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_get_many(queue, buffers, 0, 0, &n));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_get_many(queue, buffers, 2, 0, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_get_many_into(NULL, BYTES, 10, messages, 2, 0, &n));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_get_many_into(queue, NULL, 10, messages, 2, 0, &n));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_get_many_into(queue, BYTES, 10, NULL, 2, 0, &n));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_get_many_into(queue, BYTES, 10, messages, 0, 0, &n));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_get_many_into(queue, BYTES, 10, messages, 2, 0, NULL));
    CHECK_EQ(1, size_of(queue));
    mp_queue_free(queue);
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_put_many(queue, messages, 1, 0, &n));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_get_many(queue, buffers, 2, 0, &n));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_get_many_into(queue, BYTES, 10, messages, 2, 0, &n));
}

int main(void) {
    check_begin();
    check_watchdog(110);
    put_as_many_as_fit();
    for (int i = 0; i < 3; i++) {
        short_and_long(KINDS[i], 0);
        short_and_long(KINDS[i], 1 << 20);
        caps(KINDS[i]);
        the_first_does_not_fit(KINDS[i], 9);
        the_first_does_not_fit(KINDS[i], LONG);
        nothing_to_take(KINDS[i]);
    }
    if (is_leak_check())
        return 0;
    for (int i = 0; i < 3; i++) {
        closed_in_between(KINDS[i]);
        through_a_small_queue(KINDS[i], 0);
        through_a_small_queue(KINDS[i], 50);
        one_put_wakes_as_many(KINDS[i]);
    }
    bad_arguments();
    return 0;
}
