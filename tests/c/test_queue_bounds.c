/* check: leaks check: valgrind
 * Bounds of queues: in messages, in bytes, with reservations, and what a put does that finds no room. */
#include "queue.h"

static mp_queue *bounded(int32_t kind, int64_t maxsize, uint64_t max_bytes, int32_t overflow) {
    mp_queue_options options = queue_options(kind, maxsize);
    options.max_bytes = max_bytes;
    options.overflow = overflow;
    return queue_with(&options);
}

static const int32_t KINDS[] = {MP_QUEUE_FIFO, MP_QUEUE_LIFO, MP_QUEUE_PRIORITY};
static unsigned char BYTES[5000];

static mp_status put_bytes(mp_queue *queue, size_t length, int64_t timeout) {
    return mp_queue_put(queue, BYTES, length, timeout);
}

static size_t next_length(mp_queue *queue) {
    size_t length = SIZE_MAX;
    CHECK_OK(mp_queue_get_into(queue, BYTES, sizeof BYTES, &length, 0));
    return length;
}

static mp_reservation *reserve(mp_queue *queue, size_t length) {
    void *data = NULL;
    mp_reservation *reservation = NULL;
    CHECK_OK(mp_queue_reserve(queue, length, 0, &data, &reservation));
    CHECK(data != NULL && reservation != NULL);
    return reservation;
}

static void expect_no_reservation(mp_queue *queue, size_t length, mp_status status, int64_t timeout) {
    void *data = BYTES;
    mp_reservation *reservation = (mp_reservation *)1;
    CHECK_STATUS(status, mp_queue_reserve(queue, length, timeout, &data, &reservation));
    CHECK(reservation == NULL && data == NULL);
}

static void bounds_in_bytes(int32_t kind) {
    mp_queue *queue = bounded(kind, 0, 1000, MP_OVERFLOW_WAIT);
    CHECK_OK(put_bytes(queue, 1000, 0));
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 1, 0));
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 1, INT64_MIN));
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 1, 1000));
    /* Nothing takes no room. */
    CHECK_OK(put_bytes(queue, 0, 0));
    CHECK_EQ(2, size_of(queue));
    CHECK_EQ(kind == MP_QUEUE_LIFO ? 0 : 1000, next_length(queue));
    CHECK_EQ(kind == MP_QUEUE_LIFO ? 1000 : 0, next_length(queue));
    for (int i = 0; i < 10; i++)
        CHECK_OK(put_bytes(queue, 100, 0));
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 1, 0));
    CHECK_EQ(100, next_length(queue));
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 101, 0));
    CHECK_OK(put_bytes(queue, 99, 0));
    CHECK_OK(put_bytes(queue, 1, 0));
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 1, 0));
    mp_queue_free(queue);
}

static void both_bounds(int32_t kind) {
    mp_queue *queue = bounded(kind, 2, 100, MP_OVERFLOW_WAIT);
    CHECK_OK(put_bytes(queue, 0, 0));
    CHECK_OK(put_bytes(queue, 1, 0));
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 1, 0));
    next_length(queue);
    next_length(queue);
    CHECK_OK(put_bytes(queue, 60, 0));
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 60, 0));
    mp_queue_free(queue);
}

static void too_large_for(int32_t kind, int32_t overflow) {
    mp_queue *queue = bounded(kind, 0, 2000, overflow);
    mp_buffer *buffer = new_buffer(2001, 1);
    mp_slice messages[3] = {{"a", 1}, {BYTES, 2001}, {"b", 1}};
    size_t done = 9;
    CHECK_STATUS(MP_ERR_TOO_LARGE, put_bytes(queue, 2001, MP_FOREVER));
    CHECK_ERROR_HAS("2001 bytes");
    CHECK_STATUS(MP_ERR_TOO_LARGE, mp_queue_put_buffer(queue, buffer, MP_FOREVER));
    check_filled(mp_buffer_data(buffer), 2001, 1);
    expect_no_reservation(queue, 2001, MP_ERR_TOO_LARGE, MP_FOREVER);
    expect_no_reservation(queue, SIZE_MAX, MP_ERR_TOO_LARGE, MP_FOREVER);
    if (kind == MP_QUEUE_PRIORITY)
        CHECK_STATUS(MP_ERR_TOO_LARGE, mp_queue_put_priority(queue, 1, BYTES, 2001, MP_FOREVER));
    CHECK_STATUS(MP_ERR_TOO_LARGE, mp_queue_put_many(queue, messages, 3, MP_FOREVER, &done));
    CHECK_EQ(1, done);
    CHECK_EQ(1, size_of(queue));
    /* A closed one is closed to these as well. */
    CHECK_OK(mp_queue_close(queue));
    CHECK_STATUS(MP_ERR_CLOSED, put_bytes(queue, 2001, 0));
    CHECK_STATUS(MP_ERR_CLOSED, mp_queue_put_buffer(queue, buffer, 0));
    expect_no_reservation(queue, 2001, MP_ERR_CLOSED, 0);
    mp_buffer_free(buffer);
    mp_queue_free(queue);
    /* Short ones too. */
    queue = bounded(kind, 0, 3, overflow);
    CHECK_STATUS(MP_ERR_TOO_LARGE, put_bytes(queue, 4, MP_FOREVER));
    CHECK_OK(put_bytes(queue, 3, MP_FOREVER));
    mp_queue_free(queue);
}

static void failing_at_once(int32_t kind) {
    mp_queue *queue = bounded(kind, 2, 0, MP_OVERFLOW_FAIL);
    mp_buffer *buffer = new_buffer(3000, 1);
    mp_slice messages[3] = {{"a", 1}, {"b", 1}, {"c", 1}};
    size_t done = 9;
    CHECK_OK(mp_queue_put_many(queue, messages, 0, MP_FOREVER, &done));
    CHECK_EQ(0, done);
    put_text(queue, "x");
    CHECK_STATUS(MP_ERR_FULL, mp_queue_put_many(queue, messages, 3, MP_FOREVER, &done));
    CHECK_EQ(1, done);
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 10, MP_FOREVER));
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 4000, MP_FOREVER));
    if (kind == MP_QUEUE_PRIORITY)
        CHECK_STATUS(MP_ERR_FULL, mp_queue_put_priority(queue, 1, "x", 1, MP_FOREVER));
    CHECK_STATUS(MP_ERR_FULL, mp_queue_put_buffer(queue, buffer, MP_FOREVER));
    expect_no_reservation(queue, 5, MP_ERR_FULL, MP_FOREVER);
    CHECK_STATUS(MP_ERR_FULL, mp_queue_put_many(queue, messages, 3, MP_FOREVER, &done));
    CHECK_EQ(0, done);
    CHECK_EQ(2, size_of(queue));
    mp_buffer_free(buffer);
    mp_queue_free(queue);
}

static void the_oldest_is_dropped(void) {
    mp_queue *fifo = bounded(MP_QUEUE_FIFO, 3, 0, MP_OVERFLOW_DROP_OLDEST);
    mp_queue *lifo = bounded(MP_QUEUE_LIFO, 3, 0, MP_OVERFLOW_DROP_OLDEST);
    mp_queue *priority = bounded(MP_QUEUE_PRIORITY, 3, 0, MP_OVERFLOW_DROP_OLDEST);
    static const char *const texts[] = {"1", "2", "3", "4", "5"};
    static const int64_t priorities[] = {-9, 3, 2, 7, 5};
    for (int i = 0; i < 5; i++) {
        CHECK_OK(mp_queue_put(fifo, texts[i], 1, MP_FOREVER));
        CHECK_OK(mp_queue_put(lifo, texts[i], 1, 0));
        CHECK_OK(mp_queue_put_priority(priority, priorities[i], texts[i], 1, 0));
        CHECK_EQ(i < 3 ? i + 1 : 3, size_of(fifo));
        CHECK_EQ(i < 3 ? i + 1 : 3, size_of(priority));
    }
    expect_text(fifo, "3");
    expect_text(fifo, "4");
    expect_text(fifo, "5");
    expect_text(lifo, "5");
    expect_text(lifo, "4");
    expect_text(lifo, "3");
    expect_text(priority, "3");
    expect_text(priority, "5");
    expect_text(priority, "4");
    expect_get(priority, MP_ERR_EMPTY);
    mp_queue_free(fifo);
    mp_queue_free(lifo);
    mp_queue_free(priority);
}

static void as_many_as_need_be_are_dropped(int32_t kind) {
    mp_queue *queue = bounded(kind, 0, 4000, MP_OVERFLOW_DROP_OLDEST);
    mp_slice messages[4] = {{BYTES, 3500}, {BYTES, 600}, {BYTES, 1200}, {BYTES, 2000}};
    size_t done = 0;
    for (int i = 0; i < 40; i++)
        CHECK_OK(put_bytes(queue, 100, 0));
    CHECK_EQ(40, size_of(queue));
    CHECK_OK(put_bytes(queue, 1950, 0));
    CHECK_EQ(21, size_of(queue));
    CHECK_OK(put_bytes(queue, 4000, 0));
    CHECK_EQ(1, size_of(queue));
    CHECK_OK(mp_queue_put_many(queue, messages, 4, 0, &done));
    CHECK_EQ(4, done);
    CHECK_EQ(3, size_of(queue));
    CHECK_EQ(kind == MP_QUEUE_LIFO ? 2000 : 600, next_length(queue));
    CHECK_EQ(1200, next_length(queue));
    CHECK_EQ(kind == MP_QUEUE_LIFO ? 600 : 2000, next_length(queue));
    mp_queue_free(queue);
}

/* What is dropped is done; what is in the queue is not. */
static void nobody_joins_for_what_was_dropped(int32_t kind) {
    mp_queue *queue = bounded(kind, 2, 0, MP_OVERFLOW_DROP_OLDEST);
    for (int i = 0; i < 100; i++)
        CHECK_OK(put_bytes(queue, i % 2 ? 3000 : 8, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_queue_join(queue, 0));
    pid_t child = fork();
    if (child == 0) {
        CHECK_OK(mp_queue_join(queue, MP_FOREVER));
        _exit(0);
    }
    wait_until_asleep(child);
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_queue_join(queue, 0));
        next_length(queue);
        CHECK_OK(mp_queue_task_done(queue));
    }
    CHECK_EQ(0, check_wait(child));
    CHECK_OK(mp_queue_join(queue, 0));
    CHECK_STATUS(MP_ERR_OVERFLOW, mp_queue_task_done(queue));
    mp_queue_free(queue);
}

static void reservations_take_room(int32_t kind) {
    mp_queue *queue = bounded(kind, 2, 1000, MP_OVERFLOW_WAIT);
    mp_reservation *one = reserve(queue, 600);
    CHECK_EQ(0, size_of(queue));
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 401, 0));
    expect_no_reservation(queue, 401, MP_ERR_FULL, 0);
    mp_reservation *two = reserve(queue, 400);
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 0, 0));
    CHECK_OK(mp_queue_abandon(one));
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 601, 0));
    CHECK_OK(put_bytes(queue, 600, 0));
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 0, 0));
    CHECK_OK(mp_queue_commit_len(two, 0));
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 0, 0));
    next_length(queue);
    next_length(queue);
    CHECK_OK(put_bytes(queue, 1000, 0));
    mp_queue_free(queue);
}

/* In a process of its own, which sleeps by the time this returns. */
static pid_t put_elsewhere(mp_queue *queue, size_t length) {
    pid_t child = fork();
    if (child == 0) {
        CHECK_OK(put_bytes(queue, length, MP_FOREVER));
        _exit(0);
    }
    wait_until_asleep(child);
    return child;
}

/* Who waits first needs more than there is, and the one behind it not. */
static void waiters_of_different_lengths(int32_t kind) {
    mp_queue *queue = bounded(kind, 0, 1000, MP_OVERFLOW_WAIT);
    CHECK_OK(put_bytes(queue, 450, 0));
    CHECK_OK(put_bytes(queue, 450, 0));
    CHECK_OK(put_bytes(queue, 100, 0));
    pid_t greedy = put_elsewhere(queue, 900), modest = put_elsewhere(queue, 50);
    CHECK_EQ(kind == MP_QUEUE_LIFO ? 100 : 450, next_length(queue));
    CHECK_EQ(0, check_wait(modest));
    CHECK_EQ(3, size_of(queue));
    size_t length = 0, sum = 0;
    while (length != 900) {
        CHECK_OK(mp_queue_get_into(queue, BYTES, sizeof BYTES, &length, MP_FOREVER));
        sum += length;
    }
    CHECK_EQ(0, check_wait(greedy));
    while (size_of(queue) > 0)
        sum += next_length(queue);
    CHECK_EQ((kind == MP_QUEUE_LIFO ? 900 : 550) + 50 + 900, sum);
    mp_queue_free(queue);
}

/* A message shorter than what was reserved for it makes room, and so does none. (Who is not told would look again by
 * itself: this sees only who looks wrongly.) */
static void ends_of_reservations_wake(int32_t kind) {
    enum { ROUNDS = 6 };
    mp_queue *queue = bounded(kind, 0, 1000, MP_OVERFLOW_WAIT);
    for (int i = 0; i < ROUNDS; i++) {
        mp_reservation *reservation = reserve(queue, 1000);
        pid_t child = put_elsewhere(queue, 900);
        CHECK_OK(i % 2 ? mp_queue_commit_len(reservation, 100) : mp_queue_abandon(reservation));
        CHECK_EQ(0, check_wait(child));
        CHECK_EQ(1 + i % 2, size_of(queue));
        while (size_of(queue) > 0)
            next_length(queue);
    }
    mp_queue_free(queue);
}

/* What is reserved can't be dropped, what it becomes can. */
static void dropping_beside_reservations(int32_t kind) {
    mp_queue *queue = bounded(kind, 2, 0, MP_OVERFLOW_DROP_OLDEST);
    mp_reservation *one = reserve(queue, 10), *two = reserve(queue, 20);
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 30, 0));
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 4000, 0));
    pid_t child = put_elsewhere(queue, 40);
    CHECK_OK(mp_queue_commit(one));
    CHECK_EQ(0, check_wait(child));
    CHECK_EQ(1, size_of(queue));
    CHECK_EQ(40, next_length(queue));
    CHECK_OK(mp_queue_abandon(two));
    mp_queue_free(queue);
    /* Nothing is dropped for a message that would not fit all the same. */
    queue = bounded(kind, 0, 1000, MP_OVERFLOW_DROP_OLDEST);
    one = reserve(queue, 600);
    CHECK_OK(put_bytes(queue, 200, 0));
    CHECK_OK(put_bytes(queue, 200, 0));
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 500, 0));
    CHECK_STATUS(MP_ERR_FULL, put_bytes(queue, 500, 1000000));
    CHECK_EQ(2, size_of(queue));
    CHECK_OK(put_bytes(queue, 150, 0));
    CHECK_EQ(2, size_of(queue));
    CHECK_OK(mp_queue_abandon(one));
    mp_queue_free(queue);
}

/* A getter that takes several lets as many putters go on. */
static void many_taken_wake_many(int32_t kind) {
    enum { PUTTERS = 4 };
    mp_queue *queue = bounded(kind, PUTTERS, 0, MP_OVERFLOW_WAIT);
    mp_buffer *buffers[PUTTERS];
    pid_t children[PUTTERS];
    size_t n = 0;
    for (int i = 0; i < PUTTERS; i++)
        CHECK_OK(put_bytes(queue, 8, 0));
    for (int i = 0; i < PUTTERS; i++)
        children[i] = put_elsewhere(queue, 9);
    CHECK_OK(mp_queue_get_many(queue, buffers, PUTTERS, 0, &n));
    CHECK(n > 0);
    for (size_t i = 0; i < n; i++)
        mp_buffer_free(buffers[i]);
    for (int i = (int)n; i < PUTTERS; i++)
        next_length(queue);
    for (int i = 0; i < PUTTERS; i++)
        CHECK_EQ(0, check_wait(children[i]));
    CHECK_EQ(PUTTERS, size_of(queue));
    mp_queue_free(queue);
}

int main(void) {
    check_begin();
    check_watchdog(110);
    the_oldest_is_dropped();
    for (int i = 0; i < 3; i++) {
        bounds_in_bytes(KINDS[i]);
        both_bounds(KINDS[i]);
        too_large_for(KINDS[i], MP_OVERFLOW_WAIT);
        too_large_for(KINDS[i], MP_OVERFLOW_FAIL);
        too_large_for(KINDS[i], MP_OVERFLOW_DROP_OLDEST);
        failing_at_once(KINDS[i]);
        as_many_as_need_be_are_dropped(KINDS[i]);
        reservations_take_room(KINDS[i]);
        if (is_leak_check())
            continue;
        nobody_joins_for_what_was_dropped(KINDS[i]);
        waiters_of_different_lengths(KINDS[i]);
        ends_of_reservations_wake(KINDS[i]);
        dropping_beside_reservations(KINDS[i]);
        many_taken_wake_many(KINDS[i]);
    }
    return 0;
}
