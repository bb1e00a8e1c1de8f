/* Descriptors of queues, both ends: levels that follow whoever changes the queue, in both directions. No time is
 * asserted, but so many changes take longer than the watchdog allows if nobody rings and each is only found some time.
 * check: valgrind */
#include "fd.h"
#include "queue.h"

#include <sys/epoll.h>

enum { CHANGES = 1000, PUTTERS = 3, EACH = 300 };

static int fd_of_queue(mp_queue *queue) {
    int32_t fd = -1;
    CHECK_OK(mp_queue_fd(queue, &fd));
    CHECK(fd > 2 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
    return fd;
}

static int fd_of_room(mp_queue *queue) {
    int32_t fd = -1;
    CHECK_OK(mp_queue_put_fd(queue, &fd));
    CHECK(fd > 2 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
    return fd;
}

static void take_one(mp_queue *queue) {
    mp_buffer *buffer = NULL;
    CHECK_OK(mp_queue_get(queue, MP_FOREVER, &buffer));
    mp_buffer_free(buffer);
}

/* Each way of putting and getting, short messages and long ones. */
static void unbounded(void) {
    static unsigned char bytes[100000];
    mp_queue *queue = queue_of(0);
    int32_t none = -1;
    int fd = fd_of_queue(queue), room = fd_of_room(queue);
    CHECK(fd != room && fd == fd_of_queue(queue) && room == fd_of_room(queue));
    for (int i = 0; i < CHANGES; i++) {
        size_t length = i % 4 == 3 ? sizeof bytes : 100, found = 0;
        CHECK(!polls(fd, 0) && polls(room, 0));
        CHECK_OK(mp_queue_put(queue, bytes, length, MP_FOREVER));
        becomes(fd, true);
        CHECK_OK(mp_queue_put(queue, bytes, length, MP_FOREVER));
        take_one(queue);
        CHECK(polls(fd, 0));
        if (i % 2)
            take_one(queue);
        else
            CHECK_OK(mp_queue_get_into(queue, bytes, sizeof bytes, &found, MP_FOREVER));
        if (i % 3)
            becomes(fd, false);
        CHECK_STATUS(MP_ERR_EMPTY, mp_queue_get_into(queue, bytes, sizeof bytes, &found, 0));
        CHECK(!polls(fd, 0) && polls(room, 0));
    }
    /* One that does not fit stays. */
    CHECK_OK(mp_queue_put(queue, bytes, 100, MP_FOREVER));
    becomes(fd, true);
    size_t length = 0;
    CHECK_STATUS(MP_ERR_TOO_LARGE, mp_queue_get_into(queue, bytes, 10, &length, 0));
    check_sleep(CHECK_SECOND / 100);
    CHECK(polls(fd, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_fd(queue, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_put_fd(queue, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_fd(NULL, &none));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_put_fd(NULL, &none));
    mp_queue_free(queue);
    CHECK(fcntl(fd, F_GETFD) < 0 && fcntl(room, F_GETFD) < 0);
}

static void bounded(void) {
    mp_queue *queue = queue_of(2);
    int fd = fd_of_queue(queue), room = fd_of_room(queue);
    for (uint64_t i = 0; i < CHANGES; i++) {
        CHECK(!polls(fd, 0) && polls(room, 0));
        put_number(queue, i);
        becomes(fd, true);
        CHECK(polls(room, 0));
        put_number(queue, i);
        becomes(room, false);
        CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, &i, sizeof i, 0));
        CHECK_EQ(i, get_number(queue));
        becomes(room, true);
        CHECK_EQ(i, get_number(queue));
        becomes(fd, false);
    }
    mp_queue_free(queue);
}

/* Only one end is watched: the ring of the other end does not help. */
static void one_end(void) {
    static unsigned char long_one[5000];
    mp_queue *queue = queue_of(1);
    int room = fd_of_room(queue);
    for (uint64_t i = 0; i < CHANGES; i++) {
        put_number(queue, i);
        if (i % 10 == 0) {
            /* Who was refused need not wait until the descriptor follows. */
            CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, long_one, i % 20 ? sizeof long_one : 8, 0));
            CHECK(!polls(room, 0));
        }
        becomes(room, false);
        CHECK_EQ(i, get_number(queue));
        becomes(room, true);
        if (i % 10 == 0) {
            mp_reservation *reservation = NULL;
            void *data = NULL;
            CHECK_OK(mp_queue_reserve(queue, 8, 0, &data, &reservation));
            becomes(room, false);
            CHECK_OK(mp_queue_abandon(reservation));
            becomes(room, true);
        }
    }
    mp_queue_free(queue);
}

/* A closed queue is readable at both ends: gets and puts fail for good. */
static void closed(void) {
    mp_queue *queue = queue_of(1);
    int fd = fd_of_queue(queue), room = fd_of_room(queue);
    put_number(queue, 1);
    becomes(room, false);
    pid_t child = fork();
    if (child == 0) {
        CHECK_OK(mp_queue_close(queue));
        _exit(0);
    }
    becomes(room, true);
    CHECK_EQ(1, get_number(queue));
    check_sleep(CHECK_SECOND / 100);
    becomes(fd, true);
    CHECK(polls(fd, 0) && polls(room, 0));
    CHECK_EQ(0, check_wait(child));
    mp_queue_free(queue);

    queue = queue_of(0);
    fd = fd_of_queue(queue);
    CHECK(!polls(fd, 0));
    CHECK_OK(mp_queue_close(queue));
    becomes(fd, true);
    /* Asked when it is closed. */
    mp_queue *same = NULL;
    mp_token token;
    CHECK_OK(mp_queue_token(queue, &token));
    CHECK_OK(mp_queue_from_token(&token, &same));
    CHECK(polls(fd_of_queue(same), 0) && polls(fd_of_room(same), 0));
    mp_queue_free(same);
    mp_queue_free(queue);
}

/* Putters that were at work before anybody asked for a descriptor, and a loop that takes all that there is. In the end
 * the descriptor is not readable, though others have drained the queue, too. */
static void running_before(void) {
    mp_queue *queue = queue_of(0), *taken = queue_of(0);
    pid_t putters[PUTTERS], getter;
    mp_semaphore *begun = NULL;
    CHECK_OK(mp_semaphore_new(0, NULL, &begun));
    for (int i = 0; i < PUTTERS; i++) {
        putters[i] = fork();
        if (putters[i] == 0) {
            for (int n = 0; n < EACH; n++) {
                put_number(queue, (uint64_t)n);
                if (n == 10)
                    CHECK_OK(mp_semaphore_release(begun, 1));
                if (n % 50 == 49)
                    check_sleep(CHECK_SECOND / 500);
            }
            _exit(0);
        }
    }
    getter = fork();
    if (getter == 0) {
        uint64_t number, n = 0;
        size_t length;
        while (n < EACH && mp_queue_get_into(queue, &number, sizeof number, &length, CHECK_SECOND / 10) == MP_OK)
            n++;
        put_number(taken, n);
        _exit(0);
    }
    for (int i = 0; i < PUTTERS; i++)
        CHECK_OK(mp_semaphore_acquire(begun, MP_FOREVER));
    int epoll = epoll_create1(EPOLL_CLOEXEC), fd = fd_of_queue(queue);
    struct epoll_event entry = {.events = EPOLLIN}, ready;
    uint64_t number, others = UINT64_MAX, mine = 0;
    size_t length;
    CHECK_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &entry));
    entry.data.u32 = 1;
    CHECK_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, fd_of_queue(taken), &entry));
    while (mine + others != PUTTERS * EACH) {
        CHECK(epoll_wait(epoll, &ready, 1, -1) == 1 || errno == EINTR);
        if (ready.data.u32 == 1 && mp_queue_get_into(taken, &number, sizeof number, &length, 0) == MP_OK)
            others = number;
        while (mp_queue_get_into(queue, &number, sizeof number, &length, 0) == MP_OK)
            mine++;
    }
    becomes(fd, false);
    for (int i = 0; i < PUTTERS; i++)
        CHECK_EQ(0, check_wait(putters[i]));
    CHECK_EQ(0, check_wait(getter));
    /* Drained by another process. */
    put_number(queue, 1);
    becomes(fd, true);
    pid_t child = fork();
    if (child == 0) {
        CHECK(fcntl(fd, F_GETFD) < 0);
        int own = fd_of_queue(queue);
        CHECK(polls(own, 0));
        CHECK_EQ(1, get_number(queue));
        becomes(own, false);
        _exit(0);
    }
    becomes(fd, false);
    CHECK_EQ(0, check_wait(child));
    close(epoll);
    mp_queue_free(queue);
    mp_queue_free(taken);
    mp_semaphore_free(begun);
}

/* A producer that is woken by the descriptor of its end alone. */
static void producer(void) {
    mp_queue *queue = queue_of(3);
    pid_t child = fork();
    if (child == 0) {
        for (uint64_t i = 0; i < EACH; i++) {
            check_sleep(i % 20 ? 0 : CHECK_SECOND / 1000);
            CHECK_EQ(i, get_number(queue));
        }
        _exit(0);
    }
    int room = fd_of_room(queue);
    for (uint64_t i = 0; i < EACH;) {
        becomes(room, true);
        while (i < EACH && mp_queue_put(queue, &i, sizeof i, 0) == MP_OK)
            i++;
    }
    CHECK_EQ(0, check_wait(child));
    becomes(room, true);
    mp_queue_free(queue);
}

int main(void) {
    check_begin();
    check_watchdog(20);
    unbounded();
    check_watchdog(20);
    one_end();
    check_watchdog(60);
    bounded();
    closed();
    running_before();
    producer();
    return 0;
}
