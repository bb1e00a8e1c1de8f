/* What the tests of descriptors share. */
#ifndef MP_TESTS_FD_H
#define MP_TESTS_FD_H

#include "check.h"

#include <fcntl.h>
#include <poll.h>

static inline bool polls(int fd, int milliseconds) {
    struct pollfd entry = {fd, POLLIN, 0};
    int ready;
    do
        ready = poll(&entry, 1, milliseconds);
    while (ready < 0 && errno == EINTR);
    CHECK(ready >= 0 && (ready == 0 || entry.revents == POLLIN));
    return ready == 1;
}

/* It follows within moments; the watchdog is the limit. */
static inline void becomes(int fd, bool readable) {
    while (polls(fd, readable ? -1 : 0) != readable)
        check_sleep(CHECK_SECOND / 5000);
}

static inline int fd_of_event(mp_event *event) {
    int32_t fd = -1;
    CHECK_OK(mp_event_fd(event, &fd));
    CHECK(fd > 2 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
    return fd;
}

static inline int fd_of_semaphore(mp_semaphore *semaphore) {
    int32_t fd = -1;
    CHECK_OK(mp_semaphore_fd(semaphore, &fd));
    return fd;
}

#endif
