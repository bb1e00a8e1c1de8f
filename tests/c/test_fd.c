/* Descriptors of events and semaphores: poll and epoll, putters that ran before anybody asked, forks, and hosts that
 * close what is not theirs. check: valgrind */
#include "fd.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

static int open_fds(void) {
    int n = 0;
    for (int fd = 0; fd < 1000; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void an_event(void) {
    mp_event *event = NULL;
    int before = open_fds();
    CHECK_OK(mp_event_new(&event));
    int fd = fd_of_event(event);
    CHECK_EQ(fd, fd_of_event(event));
    CHECK(!polls(fd, 0));
    for (int i = 0; i < 20; i++) {
        CHECK_OK(mp_event_set(event));
        becomes(fd, true);
        CHECK(polls(fd, 0)); /* a level, not an edge */
        CHECK_OK(mp_event_clear(event));
        becomes(fd, false);
    }
    CHECK_STATUS(MP_ERR_INVALID, mp_event_fd(event, NULL));
    int32_t none = -1;
    CHECK_STATUS(MP_ERR_INVALID, mp_event_fd(NULL, &none));
    CHECK_STATUS(MP_ERR_INVALID, mp_semaphore_fd(NULL, &none));
    mp_event_free(event);
    CHECK(fcntl(fd, F_GETFD) < 0);

    /* Asked when it is set, it is readable from the start. */
    CHECK_OK(mp_event_new(&event));
    CHECK_OK(mp_event_set(event));
    CHECK(polls(fd_of_event(event), 0));
    mp_event_free(event);
    CHECK(open_fds() <= before + 1); /* the arena's */
}

static void a_semaphore(bool robust) {
    mp_semaphore *semaphore = NULL;
    mp_semaphore_options options;
    CHECK_OK(mp_semaphore_options_init(&options));
    options.robust = robust;
    CHECK_OK(mp_semaphore_new(2, &options, &semaphore));
    int fd = fd_of_semaphore(semaphore);
    for (int i = 0; i < 20; i++) {
        CHECK(polls(fd, 0));
        CHECK_OK(mp_semaphore_acquire(semaphore, 0));
        CHECK(polls(fd, 0));
        CHECK_OK(mp_semaphore_acquire(semaphore, MP_FOREVER));
        becomes(fd, false);
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_semaphore_acquire(semaphore, 0));
        CHECK_OK(mp_semaphore_release(semaphore, 1 + (uint32_t)i % 2));
        becomes(fd, true);
        if (i % 2 == 0)
            CHECK_OK(mp_semaphore_release(semaphore, 1));
    }
    mp_semaphore_free(semaphore);
}

enum { ROUNDS = 200, SETTERS = 3 };

/* Setters that were forked, and at work, before anybody asks for a descriptor: each releases its semaphore when told,
 * by an event that it polls for itself. */
static void running_before(bool robust) {
    mp_semaphore *work[SETTERS], *told = NULL;
    mp_semaphore_options options;
    pid_t children[SETTERS];
    CHECK_OK(mp_semaphore_options_init(&options));
    CHECK_OK(mp_semaphore_new(0, NULL, &told));
    for (int i = 0; i < SETTERS; i++)
        CHECK_OK(mp_semaphore_new(0, NULL, &work[i]));
    mp_semaphore *permit = NULL;
    options.robust = robust;
    CHECK_OK(mp_semaphore_new(1, &options, &permit));
    for (int i = 0; i < SETTERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            for (int round = 0; round < ROUNDS; round++) {
                CHECK_OK(mp_semaphore_acquire(permit, MP_FOREVER));
                CHECK_OK(mp_semaphore_release(permit, 1));
                CHECK_OK(mp_semaphore_release(work[i], 1));
                if (round == 10)
                    CHECK_OK(mp_semaphore_release(told, 1));
            }
            _exit(0);
        }
    }
    for (int i = 0; i < SETTERS; i++)
        CHECK_OK(mp_semaphore_acquire(told, MP_FOREVER));
    int epoll = epoll_create1(EPOLL_CLOEXEC), left = SETTERS * ROUNDS;
    for (int i = 0; i < SETTERS; i++) {
        struct epoll_event entry = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        CHECK_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, fd_of_semaphore(work[i]), &entry));
    }
    int permit_fd = fd_of_semaphore(permit);
    while (left > 0) {
        struct epoll_event ready[SETTERS];
        int n = epoll_wait(epoll, ready, SETTERS, -1);
        for (int i = 0; i < n; i++)
            while (mp_semaphore_acquire(work[ready[i].data.u32], 0) == MP_OK)
                left--;
    }
    for (int i = 0; i < SETTERS; i++) {
        CHECK_EQ(0, check_wait(children[i]));
        becomes(fd_of_semaphore(work[i]), false);
        mp_semaphore_free(work[i]);
    }
    becomes(permit_fd, true);
    close(epoll);
    mp_semaphore_free(permit);
    mp_semaphore_free(told);
}

/* The permits of a dead process make the descriptor readable again. */
static void dead_holder(void) {
    mp_semaphore *semaphore = NULL, *told = NULL;
    mp_semaphore_options options;
    CHECK_OK(mp_semaphore_options_init(&options));
    options.robust = true;
    CHECK_OK(mp_semaphore_new(1, &options, &semaphore));
    CHECK_OK(mp_semaphore_new(0, NULL, &told));
    int fd = fd_of_semaphore(semaphore);
    pid_t child = fork();
    if (child == 0) {
        CHECK_OK(mp_semaphore_acquire(semaphore, 0));
        CHECK_OK(mp_semaphore_release(told, 1));
        pause();
    }
    CHECK_OK(mp_semaphore_acquire(told, MP_FOREVER));
    becomes(fd, false);
    kill(child, SIGKILL);
    CHECK_EQ(-SIGKILL, check_wait(child));
    becomes(fd, true); /* with nobody else in the library */
    CHECK_OK(mp_semaphore_acquire(semaphore, 0));
    mp_semaphore_free(semaphore);
    mp_semaphore_free(told);
}

/* The same where nobody rings any more before the holder dies: the thread that looks after descriptors sleeps, and must
 * hear of one that it is to look after. */
static void dead_holder_asked_late(void) {
    mp_semaphore *semaphore = NULL, *told = NULL;
    mp_semaphore_options options;
    CHECK_OK(mp_semaphore_options_init(&options));
    options.robust = true;
    CHECK_OK(mp_semaphore_new(1, &options, &semaphore));
    CHECK_OK(mp_semaphore_new(0, NULL, &told));
    CHECK(!polls(fd_of_semaphore(told), 0));
    pid_t child = fork();
    if (child == 0) {
        CHECK_OK(mp_semaphore_acquire(semaphore, 0));
        CHECK_OK(mp_semaphore_release(told, 1));
        pause();
    }
    CHECK_OK(mp_semaphore_acquire(told, MP_FOREVER));
    check_sleep(CHECK_SECOND / 20);
    int fd = fd_of_semaphore(semaphore);
    CHECK(!polls(fd, 0));
    kill(child, SIGKILL);
    CHECK_EQ(-SIGKILL, check_wait(child));
    becomes(fd, true);
    mp_semaphore_free(semaphore);
    mp_semaphore_free(told);
}

/* A forked child has none of its parent's descriptors, and gets its own. */
static void forked(void) {
    mp_event *event = NULL, *done = NULL;
    CHECK_OK(mp_event_new(&event));
    CHECK_OK(mp_event_new(&done));
    int fd = fd_of_event(event), done_fd = fd_of_event(done);
    CHECK_OK(mp_event_set(event));
    becomes(fd, true);
    pid_t child = fork();
    if (child == 0) {
        CHECK(fcntl(fd, F_GETFD) < 0 && fcntl(done_fd, F_GETFD) < 0);
        int own = fd_of_event(event);
        CHECK(polls(own, 0));
        CHECK_OK(mp_event_clear(event));
        becomes(own, false);
        pid_t grandchild = fork();
        if (grandchild == 0) {
            int third = fd_of_event(event);
            CHECK(!polls(third, 0));
            CHECK_OK(mp_event_set(done));
            becomes(third, true);
            mp_event_free(event);
            mp_event_free(done);
            _exit(0);
        }
        mp_event_free(done);
        becomes(own, true);
        CHECK_EQ(0, check_wait(grandchild));
        _exit(0);
    }
    becomes(done_fd, true);
    becomes(fd, false);
    CHECK_OK(mp_event_set(event));
    becomes(fd, true);
    CHECK_EQ(0, check_wait(child));
    CHECK(polls(fd, 0) && polls(done_fd, 0));
    mp_event_free(event);
    mp_event_free(done);
}

/* The host closes it, and puts something of its own in its place. */
static void closed_by_the_host(void) {
    mp_event *event = NULL;
    int host[2];
    CHECK_OK(mp_event_new(&event));
    int fd = fd_of_event(event);
    CHECK_EQ(0, pipe(host));
    CHECK_EQ(fd, dup2(host[0], fd));
    CHECK_EQ(2, write(host[1], "xy", 2));
    for (int i = 0; i < 5; i++) {
        CHECK_OK(mp_event_set(event));
        CHECK_OK(mp_event_clear(event));
        check_sleep(CHECK_SECOND / 200);
    }
    int other = fd_of_event(event);
    CHECK(other != fd && !polls(other, 0));
    CHECK_OK(mp_event_set(event));
    becomes(other, true);
    close(other);
    CHECK_OK(mp_event_clear(event));
    other = fd_of_event(event);
    CHECK(!polls(other, 0));
    mp_event_free(event);
    /* What was put there is whole. */
    char text[3] = "";
    CHECK_EQ(2, read(fd, text, 3));
    CHECK_STRING("xy", text);
    close(fd);
    close(host[0]);
    close(host[1]);
}

/* No descriptor is free: an error, and later it works. */
static void none_to_be_had(void) {
    mp_event *event = NULL;
    int32_t fd = -1;
    struct rlimit limit, low;
    CHECK_OK(mp_event_new(&event));
    CHECK_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
    low = limit;
    low.rlim_cur = 3;
    CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &low));
    CHECK_STATUS(MP_ERR_SYSTEM, mp_event_fd(event, &fd));
    CHECK_EQ(-1, fd);
    CHECK_OK(mp_event_set(event));
    CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
    CHECK(polls(fd_of_event(event), 0));
    mp_event_free(event);
}

/* One descriptor each. */
static void many(void) {
    enum { MANY = 100 };
    mp_event *events[MANY];
    int before = open_fds();
    for (int i = 0; i < MANY; i++) {
        CHECK_OK(mp_event_new(&events[i]));
        CHECK(!polls(fd_of_event(events[i]), 0));
    }
    CHECK_EQ(before + MANY, open_fds());
    for (int i = 0; i < MANY; i += 3)
        CHECK_OK(mp_event_set(events[i]));
    for (int i = 0; i < MANY; i++) {
        if (i % 3 == 0)
            becomes(fd_of_event(events[i]), true);
        CHECK_EQ(i % 3 == 0, polls(fd_of_event(events[i]), 0));
    }
    for (int i = 0; i < MANY; i++)
        mp_event_free(events[i]);
    CHECK_EQ(before, open_fds());
}

/* Strangers that meet by name: each arena has a thread of its own to look after descriptors. */
static void by_name(void) {
    char name[64];
    mp_arena *arena = NULL;
    mp_event *event = NULL, *own = NULL;
    mp_semaphore *semaphore = NULL;
    mp_semaphore_options options;
    int ready[2];
    char byte;
    snprintf(name, sizeof name, "test-fd-%d", (int)getpid());
    CHECK_OK(mp_semaphore_options_init(&options));
    options.robust = true;
    CHECK_EQ(0, pipe(ready));
    pid_t stranger = fork();
    if (stranger == 0) {
        CHECK_EQ(1, read(ready[0], &byte, 1));
        CHECK_OK(mp_arena_open(name, NULL, &arena));
        CHECK_OK(mp_arena_event(arena, "event", &event));
        CHECK_OK(mp_arena_semaphore(arena, "semaphore", 1, &options, &semaphore));
        CHECK_OK(mp_semaphore_acquire(semaphore, MP_FOREVER));
        CHECK_OK(mp_event_set(event));
        pause();
    }
    CHECK_OK(mp_arena_open(name, NULL, &arena));
    CHECK_OK(mp_arena_event(arena, "event", &event));
    CHECK_OK(mp_arena_semaphore(arena, "semaphore", 1, &options, &semaphore));
    CHECK_STATUS(MP_ERR_EXISTS, mp_arena_event(arena, "semaphore", &own));
    options.robust = false;
    mp_semaphore *plain = NULL;
    CHECK_STATUS(MP_ERR_EXISTS, mp_arena_semaphore(arena, "semaphore", 1, &options, &plain));
    CHECK_OK(mp_event_new(&own));
    int event_fd = fd_of_event(event), own_fd = fd_of_event(own), semaphore_fd = fd_of_semaphore(semaphore);
    CHECK(!polls(event_fd, 0) && polls(semaphore_fd, 0));
    CHECK_EQ(1, write(ready[1], "x", 1));
    becomes(event_fd, true);
    becomes(semaphore_fd, false);
    CHECK(!polls(own_fd, 0));
    CHECK_OK(mp_event_set(own));
    becomes(own_fd, true);
    kill(stranger, SIGKILL);
    CHECK_EQ(-SIGKILL, check_wait(stranger));
    becomes(semaphore_fd, true);
    CHECK_OK(mp_semaphore_acquire(semaphore, 0));
    mp_event_free(event);
    mp_event_free(own);
    mp_semaphore_free(semaphore);
    CHECK_OK(mp_arena_unlink(name));
    mp_arena_free(arena);
    close(ready[0]);
    close(ready[1]);
}

int main(void) {
    check_begin();
    by_name();
    an_event();
    a_semaphore(false);
    a_semaphore(true);
    running_before(false);
    running_before(true);
    dead_holder();
    dead_holder_asked_late();
    forked();
    closed_by_the_host();
    none_to_be_had();
    many();
    return 0;
}
