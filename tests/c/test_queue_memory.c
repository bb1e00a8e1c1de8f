/* Queues in a full arena: what can't be put leaves nothing behind, and what is there can be taken. Each case is a
 * process with an arena of its own. */
#include "queue.h"

static unsigned char BYTES[100000];

static mp_queue *of(int32_t kind, bool redeliver, uint64_t max_bytes) {
    mp_queue_options options = queue_options(kind, 0);
    options.redeliver = redeliver;
    options.max_bytes = max_bytes;
    return queue_with(&options);
}

/* Takes what is small in the arena as well; but a process that is to take and acknowledge a message must be able to
 * hold two things more. */
static void fill_with_queues(void) {
    mp_queue *queue = NULL, *last[2] = {NULL, NULL};
    mp_status status;
    while ((status = mp_queue_new(NULL, &queue)) == MP_OK) {
        last[0] = last[1];
        last[1] = queue;
    }
    CHECK_EQ(MP_ERR_NO_MEMORY, status);
    mp_queue_free(last[0]);
    mp_queue_free(last[1]);
}

static size_t put_all(mp_queue *queue, size_t length) {
    size_t count = 0;
    mp_status status;
    while ((status = mp_queue_put(queue, BYTES, length, MP_FOREVER)) == MP_OK)
        count++;
    CHECK_EQ(MP_ERR_NO_MEMORY, status);
    CHECK_EQ(count, size_of(queue));
    return count;
}

/* Nothing of what fails is half done. */
static void fail_in_all_ways(mp_queue *queue, size_t length) {
    size_t before = size_of(queue), done = 99;
    mp_slice messages[2] = {{BYTES, length}, {BYTES, length}};
    mp_reservation *reservation = (mp_reservation *)1;
    void *data = BYTES;
    CHECK_STATUS(MP_ERR_NO_MEMORY, mp_queue_put_many(queue, messages, 2, 0, &done));
    CHECK_EQ(0, done);
    CHECK_STATUS(MP_ERR_NO_MEMORY, mp_queue_reserve(queue, length, MP_FOREVER, &data, &reservation));
    CHECK(data == NULL && reservation == NULL);
    CHECK_EQ(before, size_of(queue));
}

static void drain(mp_queue *queue, size_t length, bool redeliver, size_t count) {
    for (size_t i = 0; i < count; i++) {
        mp_buffer *buffer = get_buffer(queue, 0);
        CHECK_EQ(length, mp_buffer_len(buffer));
        CHECK_EQ(0, (uintptr_t)mp_buffer_data(buffer) % (length < 4096 ? 16 : 64));
        CHECK(memcmp(mp_buffer_data(buffer), BYTES, length) == 0);
        if (redeliver)
            CHECK_OK(mp_queue_ack(queue, buffer));
        else
            CHECK_OK(mp_queue_task_done(queue));
        mp_buffer_free(buffer);
    }
    expect_get(queue, MP_ERR_EMPTY);
    CHECK_OK(mp_queue_join(queue, 0));
}

static void full(int32_t kind, bool redeliver, size_t length, bool with_queues) {
    mp_queue *queue = of(kind, redeliver, UINT64_MAX);
    fill(BYTES, sizeof BYTES, 1);
    size_t count = put_all(queue, length);
    CHECK(count > 100);
    if (with_queues)
        fill_with_queues();
    if (length > 1024)
        fail_in_all_ways(queue, length);
    drain(queue, length, redeliver, count);
    /* What was taken made room; the failures took none of it. */
    size_t again = put_all(queue, length);
    CHECK(again > count * 9 / 10);
    drain(queue, length, redeliver, again);
    mp_queue_free(queue);
}

static void case_of(int32_t kind, bool redeliver, size_t length, bool with_queues) {
    pid_t child = fork();
    if (child == 0) {
        full(kind, redeliver, length, with_queues);
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
}

int main(void) {
    static const int32_t kinds[] = {MP_QUEUE_FIFO, MP_QUEUE_LIFO, MP_QUEUE_PRIORITY};
    check_begin();
    check_watchdog(110);
    setenv("MP_ARENA_BYTES", "67108864", 1);
    for (int i = 0; i < 3; i++) {
        for (int redeliver = 0; redeliver < 2; redeliver++) {
            case_of(kinds[i], redeliver, 30, false);
            case_of(kinds[i], redeliver, 1100, false);
            case_of(kinds[i], redeliver, 1100, true);
            case_of(kinds[i], redeliver, sizeof BYTES, true);
        }
    }
    return 0;
}
