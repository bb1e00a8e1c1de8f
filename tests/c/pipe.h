/* What the tests of pipes share. */
#ifndef MP_TESTS_PIPE_H
#define MP_TESTS_PIPE_H

#include "queue.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>

typedef struct {
    mp_connection *a, *b;
} pipe_ends;

static inline pipe_ends pipe_of(bool duplex) {
    pipe_ends ends = {NULL, NULL};
    CHECK_OK(mp_pipe(duplex, &ends.a, &ends.b));
    CHECK(ends.a && ends.b && ends.a != ends.b);
    return ends;
}

static inline void free_ends(pipe_ends ends) {
    mp_connection_free(ends.a);
    mp_connection_free(ends.b);
}

static inline void send_number(mp_connection *connection, uint64_t number) {
    CHECK_OK(mp_connection_send(connection, &number, sizeof number, MP_FOREVER));
}

static inline uint64_t recv_number(mp_connection *connection) {
    uint64_t number = 0;
    size_t length = 0;
    CHECK_OK(mp_connection_recv_into(connection, &number, sizeof number, &length, MP_FOREVER));
    CHECK_EQ(sizeof number, length);
    return number;
}

static inline bool ready(mp_connection *connection, int64_t timeout) {
    bool answer = false;
    CHECK_OK(mp_connection_poll(connection, timeout, &answer));
    return answer;
}

/* Whatever is asked, there will never be a message any more. */
static inline void at_end(mp_connection *connection) {
    mp_buffer *buffer = (mp_buffer *)1;
    char byte;
    size_t length = 77;
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(MP_ERR_END, mp_connection_recv(connection, i == 0 ? 0 : MP_FOREVER, &buffer));
        CHECK(buffer == NULL);
        CHECK_STATUS(MP_ERR_END, mp_connection_recv_into(connection, &byte, 1, &length, i == 0 ? -1 : MP_FOREVER));
        CHECK(ready(connection, i == 0 ? 0 : MP_FOREVER));
    }
    CHECK_EQ(77, length);
}

static inline bool polls(int fd, int milliseconds) {
    struct pollfd entry = {fd, POLLIN, 0};
    int found;
    do
        found = poll(&entry, 1, milliseconds);
    while (found < 0 && errno == EINTR);
    CHECK(found >= 0 && (found == 0 || entry.revents == POLLIN));
    return found == 1;
}

/* A descriptor follows within moments; the watchdog is the limit. */
static inline void becomes(int fd, bool readable) {
    while (polls(fd, readable ? -1 : 0) != readable)
        check_sleep(CHECK_SECOND / 5000);
}

#endif
