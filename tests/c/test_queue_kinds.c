/* check: leaks
 * The orders of queues: last in first out, priorities, and what they share with the plain one. */
#include "queue.h"

#include <dirent.h>

static const int32_t KINDS[] = {MP_QUEUE_FIFO, MP_QUEUE_LIFO, MP_QUEUE_PRIORITY};

static mp_queue *of_kind(int32_t kind) {
    mp_queue_options options = queue_options(kind, 0);
    return queue_with(&options);
}

static void put_at(mp_queue *queue, int64_t priority, const char *text) {
    CHECK_OK(mp_queue_put_priority(queue, priority, text, strlen(text), 0));
}

static void last_in_first_out(void) {
    mp_queue *queue = of_kind(MP_QUEUE_LIFO);
    put_text(queue, "a");
    put_text(queue, "b");
    expect_text(queue, "b");
    put_text(queue, "c");
    put_text(queue, "d");
    expect_text(queue, "d");
    expect_text(queue, "c");
    expect_text(queue, "a");
    expect_get(queue, MP_ERR_EMPTY);
    for (uint64_t i = 0; i < 3000; i++)
        put_number(queue, i);
    for (uint64_t i = 3000; i-- > 0;)
        CHECK_EQ(i, get_number(queue));
    mp_queue_free(queue);
}

static void lowest_first(void) {
    mp_queue *queue = of_kind(MP_QUEUE_PRIORITY);
    mp_slice two[2] = {{"many 1", 6}, {"many 2", 6}};
    mp_reservation *reservation = NULL;
    void *place = NULL;
    size_t done = 0;
    put_at(queue, 5, "five");
    put_at(queue, INT64_MAX, "last");
    put_at(queue, -3, "minus three");
    put_at(queue, 1, "one");
    put_at(queue, INT64_MIN, "first");
    put_at(queue, -1, "minus one");
    /* All the others are put at 0. */
    put_text(queue, "zero");
    CHECK_OK(mp_queue_put_many(queue, two, 2, 0, &done));
    CHECK_EQ(2, done);
    CHECK_OK(mp_queue_put_buffer(queue, new_buffer(0, 0), 0));
    CHECK_OK(mp_queue_reserve(queue, 8, 0, &place, &reservation));
    put_at(queue, 0, "zero again");
    memcpy(place, "reserved", 8);
    CHECK_OK(mp_queue_commit(reservation));
    static const char *const order[] = {"first", "minus three", "minus one", "zero", "many 1", "many 2",
                                        "",      "zero again",  "reserved",  "one",  "five",   "last"};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        expect_text(queue, order[i]);
    CHECK_EQ(0, size_of(queue));
    mp_queue_free(queue);
}

/* Equals leave in the order in which they came, however many others come and go in between. */
static void equals_keep_their_order(void) {
    enum { LEVELS = 7, ROUNDS = 6000 };
    mp_queue *queue = of_kind(MP_QUEUE_PRIORITY);
    uint64_t put[LEVELS] = {0}, got[LEVELS] = {0}, state = 12345;
    struct {
        int64_t level;
        uint64_t number;
    } message;
    size_t length;
    for (int round = 0; round < ROUNDS; round++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bool more = round < ROUNDS / 2 ? (state >> 33) % 4 != 0 : (state >> 33) % 4 == 0;
        if (more) {
            message.level = (int64_t)((state >> 40) % LEVELS);
            message.number = put[message.level]++;
            CHECK_OK(mp_queue_put_priority(queue, message.level - 3, &message, sizeof message, 0));
        } else if (size_of(queue) > 0) {
            int64_t lowest = 0;
            while (put[lowest] == got[lowest])
                lowest++;
            CHECK_OK(mp_queue_get_into(queue, &message, sizeof message, &length, 0));
            CHECK_EQ(lowest, message.level);
            CHECK_EQ(got[lowest], message.number);
            got[lowest]++;
        }
    }
    mp_queue_free(queue);
}

static void only_priority_queues_have_priorities(void) {
    for (int i = 0; i < 2; i++) {
        mp_queue *queue = of_kind(KINDS[i]);
        CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_queue_put_priority(queue, 0, "x", 1, MP_FOREVER));
        CHECK_ERROR_HAS("priorit");
        CHECK_EQ(0, size_of(queue));
        mp_queue_free(queue);
    }
    mp_queue *queue = of_kind(MP_QUEUE_PRIORITY);
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_put_priority(NULL, 0, "x", 1, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_put_priority(queue, 0, NULL, 1, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_put_priority(queue, 0, "x", SIZE_MAX, 0));
    CHECK_OK(mp_queue_close(queue));
    CHECK_STATUS(MP_ERR_CLOSED, mp_queue_put_priority(queue, 0, "x", 1, MP_FOREVER));
    mp_queue_free(queue);
}

/* Lengths round the limits, each twice: as a buffer and into memory of the caller. */
static void lengths_of(int32_t kind, bool redeliver) {
    static const size_t LENGTHS[] = {0, 1, 39, 40, 41, 64, 1023, 1024, 1025, 4095, 4096, 100 << 10, 64 << 20};
    enum { COUNT = sizeof LENGTHS / sizeof *LENGTHS };
    mp_queue_options options = queue_options(kind, 0);
    options.redeliver = redeliver;
    mp_queue *queue = queue_with(&options);
    unsigned char *bytes = malloc((64 << 20) + 1);
    CHECK(bytes != NULL);
    for (size_t i = 0; i < COUNT - (size_t)is_leak_check(); i++) {
        fill(bytes, LENGTHS[i], i);
        CHECK_OK(mp_queue_put(queue, bytes, LENGTHS[i], 0));
        mp_buffer *buffer = get_buffer(queue, 0);
        CHECK_EQ(LENGTHS[i], mp_buffer_len(buffer));
        CHECK_EQ(0, (uintptr_t)mp_buffer_data(buffer) % (LENGTHS[i] < 4096 ? 16 : 64));
        CHECK(memcmp(bytes, mp_buffer_data(buffer), LENGTHS[i]) == 0);
        if (redeliver)
            CHECK_OK(mp_queue_ack(queue, buffer));
        mp_buffer_free(buffer);
        if (redeliver)
            continue;
        size_t length = 0;
        CHECK_OK(mp_queue_put(queue, bytes, LENGTHS[i], 0));
        if (LENGTHS[i] > 0) {
            CHECK_STATUS(MP_ERR_TOO_LARGE, mp_queue_get_into(queue, bytes, LENGTHS[i] - 1, &length, MP_FOREVER));
            CHECK_EQ(LENGTHS[i], length);
        }
        memset(bytes, 0, LENGTHS[i]);
        CHECK_OK(mp_queue_get_into(queue, bytes, LENGTHS[i] + 1, &length, 0));
        CHECK_EQ(LENGTHS[i], length);
        check_filled(bytes, length, i);
    }
    CHECK_EQ(0, size_of(queue));
    /* One goes with the queue. */
    CHECK_OK(mp_queue_put(queue, bytes, 100 << 10, 0));
    free(bytes);
    mp_queue_free(queue);
}

static void closed_queues_drain_in_order(void) {
    mp_queue *queue = of_kind(MP_QUEUE_PRIORITY);
    put_at(queue, 2, "two");
    put_at(queue, 1, "one");
    CHECK_OK(mp_queue_close(queue));
    expect_text(queue, "one");
    expect_text(queue, "two");
    expect_get(queue, MP_ERR_CLOSED);
    mp_queue_free(queue);
}

/* Several processes put, several get; each sees what is there in the order of the queue. */
static void between_processes(int32_t kind) {
    enum { PUTTERS = 2, GETTERS = 2, EACH = 1000 };
    mp_queue_options options = queue_options(kind, 50);
    mp_queue *queue = queue_with(&options), *sums = queue_of(0);
    pid_t children[PUTTERS + GETTERS];
    for (int i = 0; i < PUTTERS + GETTERS; i++) {
        children[i] = fork();
        if (children[i] != 0)
            continue;
        uint64_t sum = 0, number;
        if (i < PUTTERS) {
            for (uint64_t n = 1; n <= EACH; n++)
                put_number(queue, n);
            _exit(0);
        }
        while ((number = get_number(queue)) != 0)
            sum += number;
        put_number(sums, sum);
        _exit(0);
    }
    for (int i = 0; i < PUTTERS; i++)
        CHECK_EQ(0, check_wait(children[i]));
    while (size_of(queue) > 0)
        check_sleep(CHECK_SECOND / 1000);
    for (int i = 0; i < GETTERS; i++)
        put_number(queue, 0);
    uint64_t sum = 0;
    for (int i = 0; i < GETTERS; i++)
        sum += get_number(sums);
    CHECK_EQ(PUTTERS * EACH * (EACH + 1) / 2, sum);
    for (int i = PUTTERS; i < PUTTERS + GETTERS; i++)
        CHECK_EQ(0, check_wait(children[i]));
    mp_queue_free(queue);
    mp_queue_free(sums);
}

static int open_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;
    CHECK(directory != NULL);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static void many_of(int32_t kind) {
    enum { MANY = 10000 };
    mp_queue **queues = calloc(MANY, sizeof(mp_queue *));
    int before = open_descriptors();
    CHECK(queues != NULL);
    for (uint64_t i = 0; i < MANY; i++) {
        queues[i] = of_kind(kind);
        put_number(queues[i], i);
    }
    CHECK_EQ(before, open_descriptors());
    for (uint64_t i = 0; i < MANY; i++) {
        CHECK_EQ(i, get_number(queues[i]));
        mp_queue_free(queues[i]);
    }
    free(queues);
}

int main(void) {
    check_begin();
    check_watchdog(110);
    last_in_first_out();
    lowest_first();
    equals_keep_their_order();
    only_priority_queues_have_priorities();
    for (int i = 0; i < 3; i++) {
        lengths_of(KINDS[i], false);
        lengths_of(KINDS[i], true);
    }
    closed_queues_drain_in_order();
    if (is_leak_check())
        return 0;
    for (int i = 0; i < 3; i++)
        between_processes(KINDS[i]);
    many_of(MP_QUEUE_LIFO);
    many_of(MP_QUEUE_PRIORITY);
    return 0;
}
