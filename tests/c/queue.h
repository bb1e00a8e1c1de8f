/* What the tests of queues share. */
#ifndef MP_TESTS_QUEUE_H
#define MP_TESTS_QUEUE_H

#include "check.h"

#include <stdbool.h>

/* Whether this is the run with handles from malloc: stale ones are not refused, what a child leaves at its end is a
 * leak, and the arena is small. */
static inline bool is_leak_check(void) { return getenv("MP_HANDLES") != NULL; }

static inline mp_queue *queue_of(int64_t maxsize) {
    mp_queue_options options;
    mp_queue *queue = NULL;
    CHECK_OK(mp_queue_options_init(&options));
    options.maxsize = maxsize;
    CHECK_OK(mp_queue_new(&options, &queue));
    return queue;
}

static inline mp_queue_options queue_options(int32_t kind, int64_t maxsize) {
    mp_queue_options options;
    CHECK_OK(mp_queue_options_init(&options));
    options.kind = kind;
    options.maxsize = maxsize;
    return options;
}

static inline mp_queue *queue_with(const mp_queue_options *options) {
    mp_queue *queue = NULL;
    CHECK_OK(mp_queue_new(options, &queue));
    return queue;
}

static inline void put_text(mp_queue *queue, const char *text) { CHECK_OK(mp_queue_put(queue, text, strlen(text), 0)); }

static inline void check_buffer(mp_buffer *buffer, const char *text) {
    CHECK_EQ(strlen(text), mp_buffer_len(buffer));
    CHECK(memcmp(text, mp_buffer_data(buffer), strlen(text)) == 0);
}

static inline mp_buffer *get_buffer(mp_queue *queue, int64_t timeout) {
    mp_buffer *buffer = NULL;
    CHECK_OK(mp_queue_get(queue, timeout, &buffer));
    return buffer;
}

/* The next message is this one, and is there. */
static inline void expect_text(mp_queue *queue, const char *text) {
    mp_buffer *buffer = get_buffer(queue, 0);
    check_buffer(buffer, text);
    mp_buffer_free(buffer);
}

static inline void expect_get(mp_queue *queue, mp_status status) {
    mp_buffer *buffer = (mp_buffer *)1;
    CHECK_STATUS(status, mp_queue_get(queue, 0, &buffer));
    CHECK(buffer == NULL);
}

static inline size_t size_of(const mp_queue *queue) {
    size_t size = SIZE_MAX;
    CHECK_OK(mp_queue_size(queue, &size));
    return size;
}

static inline void put_number(mp_queue *queue, uint64_t number) {
    CHECK_OK(mp_queue_put(queue, &number, sizeof number, MP_FOREVER));
}

static inline uint64_t get_number(mp_queue *queue) {
    uint64_t number = 0;
    size_t length = 0;
    CHECK_OK(mp_queue_get_into(queue, &number, sizeof number, &length, MP_FOREVER));
    CHECK_EQ(sizeof number, length);
    return number;
}

/* Bytes that tell where in which message they belong. */
static inline void fill(unsigned char *bytes, size_t length, uint64_t seed) {
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + length;
    for (size_t i = 0; i < length; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bytes[i] = (unsigned char)(state >> 56);
    }
}

/* A buffer with such bytes. */
static inline mp_buffer *new_buffer(size_t length, uint64_t seed) {
    mp_buffer *buffer = NULL;
    CHECK_OK(mp_buffer_new(length, &buffer));
    fill((unsigned char *)(uintptr_t)mp_buffer_data(buffer), length, seed);
    return buffer;
}

static inline void check_filled(const unsigned char *bytes, size_t length, uint64_t seed) {
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + length;
    for (size_t i = 0; i < length; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        if (bytes[i] != (unsigned char)(state >> 56))
            check_equal(__FILE__, __LINE__, "a byte of the message", (long long)(state >> 56), bytes[i]);
    }
}

/* Waits until the process sleeps in the kernel. */
static inline void wait_until_asleep(pid_t pid) {
    char path[64], line[512], state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    while (state != 'S') {
        FILE *file = fopen(path, "r");
        CHECK(file && fgets(line, sizeof line, file));
        fclose(file);
        state = strrchr(line, ')')[2];
        check_sleep(CHECK_SECOND / 1000);
    }
}

#endif
