/* Queues through mp.h, in one process: lengths, order, bounds, timeouts, options, bad arguments. */
#include "queue.h"

#include <dirent.h>
#include <stddef.h>

static const size_t LENGTHS[] = {0,    1,    7,     8,     9,     15,    16,      17,      63,
                                 64,   65,   1015,  1016,  1017,  1023,  1024,    1025,    4079,
                                 4080, 4081, 4095,  4096,  4097,  8239,  8240,    8241,    8255,
                                 8256, 8257, 16383, 16384, 16385, 65536, 1000000, 1 << 20, (1 << 20) + 1};
enum { LENGTH_COUNT = sizeof LENGTHS / sizeof *LENGTHS };

static void check_message(mp_queue *queue, size_t length, uint64_t seed, int64_t timeout) {
    mp_buffer *buffer = NULL;
    CHECK_OK(mp_queue_get(queue, timeout, &buffer));
    CHECK_EQ(length, mp_buffer_len(buffer));
    const unsigned char *data = mp_buffer_data(buffer);
    CHECK(data != NULL);
    CHECK_EQ(0, (uintptr_t)data % (length < 4096 ? 16 : 64));
    check_filled(data, length, seed);
    /* The owner may write it. */
    memset((void *)(uintptr_t)data, 0xa5, length);
    mp_buffer_free(buffer);
}

static void check_message_into(mp_queue *queue, unsigned char *into, size_t length, uint64_t seed) {
    size_t found = SIZE_MAX;
    if (length > 0) {
        into[0] = 1;
        CHECK_STATUS(MP_ERR_TOO_LARGE, mp_queue_get_into(queue, into, length - 1, &found, 0));
        CHECK_EQ(length, found);
        CHECK_EQ(1, into[0]);
        CHECK_STATUS(MP_ERR_TOO_LARGE, mp_queue_get_into(queue, NULL, 0, &found, MP_FOREVER));
        CHECK_EQ(length, found);
    }
    into[length] = 0x5a;
    CHECK_OK(mp_queue_get_into(queue, length > 0 ? into : NULL, length, &found, 0));
    CHECK_EQ(length, found);
    CHECK_EQ(0x5a, into[length]);
    check_filled(into, length, seed);
}

static void lengths(void) {
    unsigned char *bytes = malloc((1 << 20) + 2);
    mp_queue *queue = queue_of(0);
    CHECK(bytes != NULL);
    for (size_t i = 0; i < LENGTH_COUNT; i++) {
        fill(bytes, LENGTHS[i], i);
        CHECK_OK(mp_queue_put(queue, LENGTHS[i] > 0 ? bytes : NULL, LENGTHS[i], 0));
        CHECK_OK(mp_queue_put(queue, bytes, LENGTHS[i], 0));
        CHECK_EQ(2, size_of(queue));
        memset(bytes, 0, LENGTHS[i]);
        check_message(queue, LENGTHS[i], i, 0);
        check_message_into(queue, bytes, LENGTHS[i], i);
        CHECK_EQ(0, size_of(queue));
    }
    /* All at once, so that the ring grows with long and short ones in it. */
    for (size_t round = 0; round < 5; round++) {
        for (size_t i = 0; i < LENGTH_COUNT; i++) {
            fill(bytes, LENGTHS[i], i + round);
            CHECK_OK(mp_queue_put(queue, bytes, LENGTHS[i], 0));
        }
        for (size_t i = 0; i < LENGTH_COUNT; i++)
            check_message(queue, LENGTHS[i], i + round, MP_FOREVER);
    }
    mp_queue_free(queue);
    free(bytes);
}

static void a_huge_message(void) {
    const size_t length = (size_t)64 << 20;
    unsigned char *bytes = malloc(length + 1);
    mp_queue *queue = queue_of(1);
    CHECK(bytes != NULL);
    fill(bytes, length, 3);
    CHECK_OK(mp_queue_put(queue, bytes, length, 0));
    check_message_into(queue, bytes, length, 3);
    CHECK_OK(mp_queue_put(queue, bytes, length, 0));
    check_message(queue, length, 3, 0);
    /* One that goes with its queue. */
    CHECK_OK(mp_queue_put(queue, bytes, length, 0));
    mp_queue_free(queue);
    free(bytes);
}

static void order_and_bound(int64_t maxsize) {
    mp_queue *queue = queue_of(maxsize);
    size_t length;
    uint64_t number;
    for (int round = 0; round < 3; round++) {
        for (int64_t i = 0; i < maxsize; i++) {
            CHECK_EQ(i, size_of(queue));
            put_number(queue, (uint64_t)i);
        }
        number = 77;
        CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, &number, sizeof number, 0));
        CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, &number, sizeof number, -1));
        CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, &number, sizeof number, INT64_MIN));
        CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, NULL, 0, 1));
        CHECK_ERROR_HAS("full");
        CHECK_EQ(maxsize, size_of(queue));
        CHECK_EQ(0, get_number(queue));
        put_number(queue, (uint64_t)maxsize);
        CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, &number, sizeof number, 0));
        for (int64_t i = 1; i <= maxsize; i++)
            CHECK_EQ(i, get_number(queue));
        CHECK_STATUS(MP_ERR_EMPTY, mp_queue_get_into(queue, &number, sizeof number, &length, 0));
    }
    mp_queue_free(queue);
}

/* Long messages that find the queue full, or closed, leave nothing behind; a try need not copy them. */
static void refused_long_messages(void) {
    const size_t length = 30 << 20;
    unsigned char *bytes = calloc(1, length);
    mp_queue *queue = queue_of(1);
    CHECK(bytes != NULL);
    put_number(queue, 1);
    for (int i = 0; i < 300; i++)
        CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, bytes, length, 0));
    CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, bytes, length, 1000));
    CHECK_OK(mp_queue_close(queue));
    CHECK_STATUS(MP_ERR_CLOSED, mp_queue_put(queue, bytes, length, MP_FOREVER));
    mp_queue_free(queue);
    free(bytes);
}

static void unbounded(int64_t maxsize) {
    mp_queue *queue = queue_of(maxsize);
    for (uint64_t i = 0; i < 20000; i++)
        put_number(queue, i);
    CHECK_EQ(20000, size_of(queue));
    for (uint64_t i = 0; i < 20000; i++)
        CHECK_EQ(i, get_number(queue));
    CHECK_EQ(0, size_of(queue));
    mp_queue_free(queue);
}

/* Short and long, in and out, the ring wrapping at every place. */
static void wraps(void) {
    mp_queue *queue = queue_of(0);
    unsigned char bytes[3000], into[3000];
    uint64_t put = 0, got = 0;
    size_t length;
    for (int round = 0; round < 4000; round++) {
        for (int i = 0; i < 1 + round % 3; i++, put++) {
            fill(bytes, put * 37 % sizeof bytes, put);
            CHECK_OK(mp_queue_put(queue, bytes, put * 37 % sizeof bytes, 0));
        }
        while (got < put && (got + 5 < put || round % 7 == 0)) {
            CHECK_OK(mp_queue_get_into(queue, into, sizeof into, &length, 0));
            CHECK_EQ(got * 37 % sizeof bytes, length);
            check_filled(into, length, got++);
        }
        CHECK_EQ(put - got, size_of(queue));
    }
    mp_queue_free(queue);
}

static void timeouts(void) {
    mp_queue *queue = queue_of(0), *full = queue_of(1);
    mp_buffer *buffer = (mp_buffer *)1;
    unsigned char byte;
    size_t length;
    put_number(full, 1);
    const int64_t times[] = {INT64_MIN, -1, 0, 1, 1000, CHECK_SECOND / 20};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        int64_t begun = check_now();
        CHECK_STATUS(MP_ERR_EMPTY, mp_queue_get(queue, times[i], &buffer));
        CHECK(buffer == NULL);
        CHECK(times[i] <= 0 || check_now() - begun >= times[i]);
        begun = check_now();
        CHECK_STATUS(MP_ERR_EMPTY, mp_queue_get_into(queue, &byte, 1, &length, times[i]));
        CHECK(times[i] <= 0 || check_now() - begun >= times[i]);
        begun = check_now();
        CHECK_STATUS(MP_ERR_FULL, mp_queue_put(full, "x", 1, times[i]));
        CHECK(times[i] <= 0 || check_now() - begun >= times[i]);
    }
    CHECK_ERROR_HAS("full");
    mp_queue_free(queue);
    mp_queue_free(full);
}

static void options(void) {
    mp_queue_options options;
    mp_queue *queue = (mp_queue *)1;
    CHECK_OK(mp_queue_options_init(&options));
    CHECK_EQ(sizeof options, options.size);
    CHECK(options.kind == MP_QUEUE_FIFO && options.maxsize == 0 && options.max_bytes == 0);
    CHECK(options.overflow == MP_OVERFLOW_WAIT && !options.redeliver);

    /* Every kind may be had with every policy. */
    for (int i = 0; i < 3 * 3 * 2 * 2; i++) {
        CHECK_OK(mp_queue_options_init(&options));
        options.kind = i % 3;
        options.overflow = i / 3 % 3;
        options.redeliver = i / 9 % 2 == 1;
        options.max_bytes = i / 18 ? UINT64_MAX : 0;
        options.maxsize = INT32_MAX;
        CHECK_OK(mp_queue_new(&options, &queue));
        CHECK_OK(mp_queue_put(queue, "hello", 5, 0));
        expect_text(queue, "hello");
        mp_queue_free(queue);
    }

#define INVALID(change)                                                                                                \
    do {                                                                                                               \
        CHECK_OK(mp_queue_options_init(&options));                                                                     \
        change;                                                                                                        \
        CHECK_STATUS(MP_ERR_INVALID, mp_queue_new(&options, &queue));                                                  \
        CHECK(queue == NULL);                                                                                          \
    } while (0)
    INVALID(options.kind = 3);
    INVALID(options.kind = -1);
    INVALID(options.overflow = 3);
    INVALID(options.overflow = -1);
    INVALID(options.size = 0);
    INVALID(options.size = 4);
    INVALID(memset(&options, 0, sizeof options));
    INVALID(options.maxsize = (int64_t)INT32_MAX + 1);
    INVALID(options.maxsize = INT64_MAX);
    CHECK_ERROR_HAS("maxsize");

    /* A shorter struct is zero-extended; a longer one is accepted if its tail is zero. */
    struct {
        mp_queue_options options;
        uint64_t tail;
    } longer = {.tail = 0};
    CHECK_OK(mp_queue_options_init(&longer.options));
    longer.options.size = sizeof longer;
    longer.options.maxsize = 1;
    CHECK_OK(mp_queue_new(&longer.options, &queue));
    put_number(queue, 1);
    CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, "", 0, 0));
    mp_queue_free(queue);
    longer.tail = 1;
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_new(&longer.options, &queue));
    CHECK_OK(mp_queue_options_init(&options));
    options.redeliver = true;
    options.size = offsetof(mp_queue_options, max_bytes);
    CHECK_OK(mp_queue_new(&options, &queue));
    mp_queue_free(queue);
}

static void bad_arguments(void) {
    mp_queue *queue = queue_of(0);
    mp_buffer *buffer = (mp_buffer *)1;
    mp_token token;
    size_t length = 0;
    char byte = 0;
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_new(NULL, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_options_init(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_put(NULL, "", 0, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_put(queue, NULL, 1, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_put(queue, &byte, SIZE_MAX, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_get(NULL, 0, &buffer));
    CHECK(buffer == NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_get(queue, 0, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_get_into(queue, NULL, 1, &length, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_get_into(queue, &byte, 1, NULL, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_get_into(NULL, &byte, 1, &length, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_size(queue, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_size(NULL, &length));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_close(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_token(queue, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_token(NULL, &token));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_put((mp_queue *)(void *)&byte, "", 0, 0));
    CHECK_EQ(0, size_of(queue));
    CHECK_OK(mp_queue_token(queue, &token));
    mp_lock *lock = NULL;
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_from_token(&token, &lock));
    CHECK_ERROR_HAS("a queue");
    mp_queue_free(queue);
    mp_queue_free(NULL);
    CHECK_STATUS(MP_ERR_STALE, mp_queue_from_token(&token, &queue));
    CHECK(queue == NULL);
}

static void stale_handles(void) {
    mp_queue *queue = queue_of(0);
    mp_buffer *buffer = NULL;
    CHECK_OK(mp_queue_put(queue, "hello", 5, 0));
    CHECK_OK(mp_queue_put(queue, "left", 4, 0));
    CHECK_OK(mp_queue_get(queue, 0, &buffer));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_close((mp_queue *)buffer));
    CHECK_ERROR_HAS("mp_buffer");
    mp_queue_free(queue);
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_put(queue, "", 0, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_close(queue));
    /* A buffer outlives its queue. */
    CHECK_EQ(5, mp_buffer_len(buffer));
    CHECK(memcmp(mp_buffer_data(buffer), "hello", 5) == 0);
    mp_buffer_free(buffer);
    CHECK_EQ(0, mp_buffer_len(buffer));
    CHECK(mp_buffer_data(buffer) == NULL);
}

static void closing(void) {
    mp_queue *queue = queue_of(2);
    uint64_t number = 0;
    size_t length = 0;
    mp_buffer *buffer = NULL;
    put_number(queue, 1);
    put_number(queue, 2);
    CHECK_OK(mp_queue_close(queue));
    CHECK_OK(mp_queue_close(queue));
    CHECK_STATUS(MP_ERR_CLOSED, mp_queue_put(queue, "", 0, MP_FOREVER));
    CHECK_STATUS(MP_ERR_CLOSED, mp_queue_put(queue, "", 0, 0));
    CHECK_EQ(2, size_of(queue));
    CHECK_EQ(1, get_number(queue));
    CHECK_STATUS(MP_ERR_CLOSED, mp_queue_put(queue, "", 0, 0));
    CHECK_EQ(2, get_number(queue));
    CHECK_STATUS(MP_ERR_CLOSED, mp_queue_get(queue, MP_FOREVER, &buffer));
    CHECK(buffer == NULL);
    CHECK_STATUS(MP_ERR_CLOSED, mp_queue_get_into(queue, &number, sizeof number, &length, 0));
    CHECK_ERROR_HAS("closed");
    CHECK_EQ(0, size_of(queue));
    mp_queue_free(queue);
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

static void many_queues(void) {
    enum { MANY = 10000 };
    mp_queue **queues = calloc(MANY, sizeof *queues);
    int before = open_descriptors();
    CHECK(queues != NULL);
    for (uint64_t i = 0; i < MANY; i++) {
        queues[i] = queue_of(3);
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
    lengths();
    a_huge_message();
    order_and_bound(1);
    order_and_bound(2);
    order_and_bound(1000);
    refused_long_messages();
    unbounded(0);
    unbounded(-1);
    unbounded(INT64_MIN);
    wraps();
    timeouts();
    options();
    bad_arguments();
    stale_handles();
    closing();
    many_queues();
    return 0;
}
