/*
 * What the tests of mp_wait share. Each of them runs twice: for objects alone, and with a descriptor beside them that
 * is never ready, since the two sleep in different ways.
 */
#ifndef MP_TESTS_WAIT_H
#define MP_TESTS_WAIT_H

#include "queue.h"

#include <stdbool.h>

/* The descriptor that is never ready; -1: objects alone. */
static int silent = -1;

static inline mp_waitable of_fd(int fd) { return (mp_waitable){.kind = MP_WAIT_FD, .fd = fd, .ready = true}; }

static inline mp_waitable of(int32_t kind, void *handle) {
    return (mp_waitable){.kind = kind, .fd = -1, .handle = handle, .ready = true};
}

static inline mp_status wait_for(mp_waitable *items, size_t n, int64_t timeout) {
    mp_waitable *all = calloc(n + 1, sizeof *all);
    CHECK(all != NULL);
    memcpy(all, items, n * sizeof *all);
    all[n] = of_fd(silent);
    mp_status status = mp_wait(all, n + (silent >= 0), timeout);
    CHECK(silent < 0 || !all[n].ready);
    memcpy(items, all, n * sizeof *all);
    free(all);
    return status;
}

/* Exactly those are ready whose bits are set. */
static inline void check_ready(const mp_waitable *items, size_t n, unsigned bits) {
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(bits >> i & 1, items[i].ready);
}

/* One thing is ready, or is not, or becomes so. */
static inline bool is_ready(mp_waitable item) {
    mp_status status = wait_for(&item, 1, 0);
    CHECK(status == MP_OK || status == MP_ERR_TIMEOUT);
    CHECK_EQ(status == MP_OK, item.ready);
    return item.ready;
}

static inline void await(mp_waitable item) {
    CHECK_OK(wait_for(&item, 1, MP_FOREVER));
    CHECK(item.ready);
}

static inline mp_event *new_event(void) {
    mp_event *event = NULL;
    CHECK_OK(mp_event_new(&event));
    return event;
}

static inline mp_semaphore *new_semaphore(uint32_t value, bool robust) {
    mp_semaphore *semaphore = NULL;
    mp_semaphore_options options;
    CHECK_OK(mp_semaphore_options_init(&options));
    options.robust = robust;
    CHECK_OK(mp_semaphore_new(value, &options, &semaphore));
    return semaphore;
}

/* Runs a test in both ways. */
static inline void both_ways(void (*test)(void)) {
    int ends[2];
    silent = -1;
    test();
    CHECK_EQ(0, pipe(ends));
    silent = ends[0];
    test();
    silent = -1;
    close(ends[0]);
    close(ends[1]);
}

#endif
