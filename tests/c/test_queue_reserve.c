/* check: leaks
 * Reservations: messages written in place, given up, shortened, and left behind by the dead. */
#include "queue.h"

static const int32_t KINDS[] = {MP_QUEUE_FIFO, MP_QUEUE_LIFO, MP_QUEUE_PRIORITY};

static mp_queue *of(int32_t kind, int64_t maxsize) {
    mp_queue_options options = queue_options(kind, maxsize);
    return queue_with(&options);
}

static void *reserve(mp_queue *queue, size_t length, mp_reservation **reservation) {
    void *data = NULL;
    CHECK_OK(mp_queue_reserve(queue, length, 0, &data, reservation));
    CHECK(data != NULL && *reservation != NULL);
    CHECK_EQ(0, (uintptr_t)data % (length < 4096 ? 16 : 64));
    return data;
}

static void written_in_place(int32_t kind, int64_t maxsize) {
    static const size_t LENGTHS[] = {0, 1, 40, 41, 1024, 1025, 4096, 100 << 10, 64 << 20};
    mp_queue *queue = of(kind, maxsize);
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        mp_reservation *reservation = NULL;
        if (is_leak_check() && LENGTHS[i] > 1 << 20)
            continue;
        void *data = reserve(queue, LENGTHS[i], &reservation);
        CHECK_EQ(0, size_of(queue));
        expect_get(queue, MP_ERR_EMPTY);
        fill(data, LENGTHS[i], i);
        CHECK_OK(mp_queue_commit(reservation));
        CHECK_EQ(1, size_of(queue));
        mp_buffer *buffer = get_buffer(queue, 0);
        CHECK_EQ(LENGTHS[i], mp_buffer_len(buffer));
        check_filled(mp_buffer_data(buffer), LENGTHS[i], i);
        if (LENGTHS[i] > 1024)
            CHECK(mp_buffer_data(buffer) == data);
        mp_buffer_free(buffer);
    }
    mp_queue_free(queue);
}

/* In the order of the commits, whatever the order of the reservations. */
static void order_is_of_commits(int32_t kind) {
    enum { N = 3 };
    mp_queue *queue = of(kind, 0);
    mp_reservation *reservations[N];
    for (int i = 0; i < N; i++)
        memset(reserve(queue, 2000, &reservations[i]), 'a' + i, 2000);
    static const int order[N] = {2, 0, 1};
    for (int i = 0; i < N; i++)
        CHECK_OK(mp_queue_commit(reservations[order[i]]));
    for (int i = 0; i < N; i++) {
        mp_buffer *buffer = get_buffer(queue, 0);
        CHECK_EQ('a' + order[kind == MP_QUEUE_LIFO ? N - 1 - i : i], *(const char *)mp_buffer_data(buffer));
        mp_buffer_free(buffer);
    }
    mp_queue_free(queue);
}

static void shortened(int32_t kind) {
    static const size_t LENGTHS[] = {0, 1, 1024, 1025, 4999, 5000};
    mp_queue *queue = of(kind, 3);
    mp_reservation *reservation = NULL;
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        void *data = reserve(queue, 5000, &reservation);
        fill(data, LENGTHS[i], i);
        CHECK_OK(mp_queue_commit_len(reservation, LENGTHS[i]));
        mp_buffer *buffer = get_buffer(queue, 0);
        CHECK_EQ(LENGTHS[i], mp_buffer_len(buffer));
        check_filled(mp_buffer_data(buffer), LENGTHS[i], i);
        if (LENGTHS[i] > 1024)
            CHECK(mp_buffer_data(buffer) == data);
        mp_buffer_free(buffer);
    }
    /* What is too long is refused, and ends the reservation all the same. */
    for (int i = 0; i < 10; i++) {
        reserve(queue, 5000, &reservation);
        CHECK_STATUS(MP_ERR_INVALID, mp_queue_commit_len(reservation, i % 2 ? 5001 : SIZE_MAX));
        CHECK_ERROR_HAS("5000");
    }
    for (int i = 0; i < 3; i++)
        put_number(queue, 1);
    CHECK_EQ(3, size_of(queue));
    mp_queue_free(queue);
}

static void given_up(int32_t kind) {
    mp_queue *queue = of(kind, 2);
    mp_reservation *one, *two;
    for (int i = 0; i < 100; i++) {
        reserve(queue, 3000, &one);
        reserve(queue, 10, &two);
        CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, "", 0, 0));
        CHECK_OK(mp_queue_abandon(i % 2 ? one : two));
        CHECK_OK(mp_queue_abandon(i % 2 ? two : one));
    }
    CHECK_OK(mp_queue_abandon(NULL));
    put_number(queue, 1);
    put_number(queue, 2);
    CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, "", 0, 0));
    mp_queue_free(queue);
}

/* More than the first table has room for, ended in another order. */
static void many(int32_t kind) {
    enum { MANY = 300 };
    mp_queue *queue = of(kind, MANY);
    mp_reservation *reservations[MANY];
    for (uint64_t i = 0; i < MANY; i++)
        memcpy(reserve(queue, sizeof i, &reservations[i]), &i, sizeof i);
    CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, "", 0, 0));
    uint64_t sum = 0, expected = 0;
    for (uint64_t i = 0; i < MANY; i++) {
        uint64_t which = i * 77 % MANY;
        if (i % 3 == 0) {
            CHECK_OK(mp_queue_abandon(reservations[which]));
        } else {
            CHECK_OK(mp_queue_commit(reservations[which]));
            expected += which;
        }
    }
    CHECK_EQ(MANY - MANY / 3, size_of(queue));
    while (size_of(queue) > 0)
        sum += get_number(queue);
    CHECK_EQ(expected, sum);
    for (int i = 0; i < MANY; i++)
        CHECK_OK(mp_queue_put(queue, "", 0, 0));
    CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, "", 0, 0));
    mp_queue_free(queue);
}

static void closed(int32_t kind, int64_t maxsize) {
    mp_queue *queue = of(kind, maxsize);
    mp_reservation *one, *two, *three, *none = (mp_reservation *)1;
    void *data = &none;
    reserve(queue, 10, &one);
    reserve(queue, 3000, &two);
    reserve(queue, 3000, &three);
    CHECK_OK(mp_queue_close(queue));
    CHECK_STATUS(MP_ERR_CLOSED, mp_queue_commit(one));
    CHECK_STATUS(MP_ERR_CLOSED, mp_queue_commit_len(two, 5));
    CHECK_OK(mp_queue_abandon(three));
    CHECK_STATUS(MP_ERR_CLOSED, mp_queue_reserve(queue, 10, MP_FOREVER, &data, &none));
    CHECK(none == NULL && data == NULL);
    expect_get(queue, MP_ERR_CLOSED);
    mp_queue_free(queue);
}

/* The queue lives as long as a reservation in it, whether anybody has a handle or not. */
static void outlives_the_handle(int32_t kind) {
    mp_queue *queue = of(kind, 2), *again = NULL;
    mp_reservation *one, *two;
    mp_token token;
    CHECK_OK(mp_queue_token(queue, &token));
    memcpy(reserve(queue, 5, &one), "hello", 5);
    reserve(queue, 3000, &two);
    mp_queue_free(queue);
    CHECK_OK(mp_queue_commit(one));
    CHECK_OK(mp_queue_from_token(&token, &again));
    expect_text(again, "hello");
    mp_queue_free(again);
    CHECK_OK(mp_queue_commit(two));
    CHECK_STATUS(MP_ERR_STALE, mp_queue_from_token(&token, &again));
}

/* A child has no part in its parent's reservations: it neither ends nor uses them. */
static void of_the_parent(int32_t kind) {
    mp_queue *queue = of(kind, 3);
    mp_reservation *reservations[3];
    void *data = NULL;
    for (int i = 0; i < 3; i++)
        data = reserve(queue, 3000, &reservations[i]);
    fill(data, 3000, 1);
    pid_t child = fork();
    if (child == 0) {
        CHECK_STATUS(MP_ERR_STATE, mp_queue_commit(reservations[0]));
        CHECK_STATUS(MP_ERR_STATE, mp_queue_commit_len(reservations[1], 1));
        mp_queue_abandon(reservations[2]);
        CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, "", 0, 0));
        CHECK_EQ(0, size_of(queue));
        mp_queue_free(queue);
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, "", 0, 0));
    CHECK_OK(mp_queue_abandon(reservations[0]));
    CHECK_OK(mp_queue_abandon(reservations[1]));
    CHECK_OK(mp_queue_commit(reservations[2]));
    mp_buffer *buffer = get_buffer(queue, 0);
    CHECK(mp_buffer_data(buffer) == data);
    check_filled(data, 3000, 1);
    mp_buffer_free(buffer);
    mp_queue_free(queue);
}

/* The room of a dead reserver comes back, to who waits and to who tries. */
static void of_the_dead(int32_t kind, bool tries) {
    mp_queue *queue = of(kind, 2), *ready = queue_of(0);
    pid_t reserver = fork(), putter;
    if (reserver == 0) {
        mp_reservation *reservations[2];
        reserve(queue, 10, &reservations[0]);
        reserve(queue, 3000, &reservations[1]);
        put_number(ready, 1);
        while (pause() < 0) {
        }
    }
    get_number(ready);
    CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, "", 0, 0));
    putter = fork();
    if (putter == 0) {
        mp_slice message = {ready, 2000};
        size_t done = 0;
        char bytes[2000] = {0};
        message.data = bytes;
        while (tries && mp_queue_put(queue, bytes, sizeof bytes, 0) == MP_ERR_FULL)
            check_sleep(CHECK_SECOND / 1000);
        CHECK_OK(mp_queue_put_many(queue, &message, 1, MP_FOREVER, &done));
        if (!tries)
            CHECK_OK(mp_queue_put(queue, bytes, 8, MP_FOREVER));
        _exit(0);
    }
    wait_until_asleep(putter);
    CHECK_EQ(0, size_of(queue));
    kill(reserver, SIGKILL);
    CHECK_EQ(0, check_wait(putter));
    CHECK_EQ(-SIGKILL, check_wait(reserver));
    CHECK_EQ(2, size_of(queue));
    mp_queue_free(queue);
    mp_queue_free(ready);
}

/* Waits for room as a put does. */
static void waiting(int32_t kind) {
    mp_queue *queue = of(kind, 1);
    mp_reservation *none = (mp_reservation *)1;
    void *data = &none;
    put_number(queue, 1);
    static const int64_t times[] = {INT64_MIN, 0, 1000000};
    for (int i = 0; i < 3; i++) {
        CHECK_STATUS(MP_ERR_FULL, mp_queue_reserve(queue, 8, times[i], &data, &none));
        CHECK(none == NULL && data == NULL);
    }
    pid_t child = fork();
    if (child == 0) {
        mp_reservation *reservation = NULL;
        CHECK_OK(mp_queue_reserve(queue, 8, MP_FOREVER, &data, &reservation));
        memset(data, 0, 8);
        CHECK_OK(mp_queue_commit(reservation));
        CHECK_STATUS(MP_ERR_CLOSED, mp_queue_reserve(queue, 8, MP_FOREVER, &data, &reservation));
        _exit(0);
    }
    wait_until_asleep(child);
    CHECK_EQ(1, get_number(queue));
    while (size_of(queue) == 0)
        check_sleep(CHECK_SECOND / 1000);
    wait_until_asleep(child);
    CHECK_OK(mp_queue_close(queue));
    CHECK_EQ(0, check_wait(child));
    CHECK_EQ(0, get_number(queue));
    mp_queue_free(queue);
}

static void bad_arguments(void) {
    mp_queue *queue = queue_of(1);
    mp_reservation *reservation = (mp_reservation *)1;
    void *data = &queue;
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_reserve(NULL, 1, 0, &data, &reservation));
    CHECK(reservation == NULL && data == NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_reserve(queue, 1, 0, NULL, &reservation));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_reserve(queue, 1, 0, &data, NULL));
    CHECK_STATUS(MP_ERR_NO_MEMORY, mp_queue_reserve(queue, (size_t)1 << 62, 0, &data, &reservation));
    CHECK(reservation == NULL && data == NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_commit(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_commit_len(NULL, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_commit((mp_reservation *)queue));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_abandon((mp_reservation *)queue));
    /* None of these has taken the room. */
    reserve(queue, 1, &reservation);
    CHECK_OK(mp_queue_commit_len(reservation, 1));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_commit(reservation));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_commit_len(reservation, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_abandon(reservation));
    CHECK_EQ(1, size_of(queue));
    mp_queue_free(queue);
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_reserve(queue, 1, 0, &data, &reservation));
}

int main(void) {
    check_begin();
    check_watchdog(110);
    for (int i = 0; i < 3; i++) {
        written_in_place(KINDS[i], 0);
        written_in_place(KINDS[i], 1);
        order_is_of_commits(KINDS[i]);
        shortened(KINDS[i]);
        given_up(KINDS[i]);
        many(KINDS[i]);
        closed(KINDS[i], 0);
        closed(KINDS[i], 5);
        outlives_the_handle(KINDS[i]);
        if (is_leak_check())
            continue;
        of_the_parent(KINDS[i]);
        of_the_dead(KINDS[i], false);
        of_the_dead(KINDS[i], true);
        waiting(KINDS[i]);
    }
    if (!is_leak_check())
        bad_arguments();
    return 0;
}
