/*
 * Hosts that are short of descriptors, or do to them what they like: that close stdout, or all three of the standard
 * ones, that have few left, or close in mid-life all that they don't know. And hosts that leave their session.
 *
 * check: unsanitized (AddressSanitizer's allocator does not survive a fork beside a thread that allocates)
 */
#include "host.h"

#include <sys/prctl.h>
#include <sys/stat.h>

/* -- closed standard descriptors -- */

static const int *closed;

/* Nothing of libmp's may take the place of a standard descriptor: the program would write into it. */
static void are_still_closed(const int *fds) {
    for (int i = 0; i < 3; i++) {
        if (fds[i] >= 0) {
            CHECK_EQ(-1, fcntl(fds[i], F_GETFD));
            CHECK_EQ(EBADF, errno);
        }
    }
}

static int32_t look_and_print(mp_call *call) {
    int fds[3];
    memcpy(fds, mp_call_arg(call, 0).data, sizeof fds);
    are_still_closed(fds);
    printf("nobody reads this\n");
    fprintf(stderr, "(a line on stderr is expected, if it is open)\n");
    /* A child may close them too, and start others. */
    close(STDIN_FILENO);
    int32_t two = 2;
    CHECK_EQ(2, run(answer, &two, sizeof two, MP_START_DEFAULT));
    return 3;
}

static void close_standard(int32_t method) {
    for (int i = 0; i < 3; i++)
        if (closed[i] >= 0)
            CHECK_EQ(0, close(closed[i]));
    CHECK_OK(mp_set_start_method(method));
    for (int daemon = 0; daemon < 2; daemon++)
        CHECK_EQ(3, finish(start(look_and_print, closed, 3 * sizeof *closed, method, daemon)));
    mp_pool *pool = host_pool(method, 2);
    host_pool_works(pool);
    host_pool_replaces(pool);
    host_pool_ends(pool);
    are_still_closed(closed);
}

static void standard_ones_are_closed(int32_t method) {
    static const int sets[][3] = {{1, -1, -1}, {0, 1, 2}, {0, -1, -1}, {0, 2, -1}};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        closed = sets[i];
        HOST_RUN(close_standard, method);
    }
}

/* -- few descriptors -- */

static void limit(rlim_t descriptors) {
    struct rlimit low = {descriptors, descriptors};
    CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &low));
}

static void fill_up_to(int count) {
    while (host_descriptors() < count)
        CHECK(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
}

static void few_are_left(int32_t method) {
    enum { CHILDREN = 8 };
    mp_process *processes[CHILDREN];
    limit(64);
    fill_up_to(40);
    int32_t warm = 1;
    CHECK_EQ(1, finish(start(answer, &warm, sizeof warm, method, true)));
    mp_pool *pool = host_pool(method, 2);
    int before = host_descriptors();
    for (int round = 0; round < 5; round++) {
        for (int32_t i = 0; i < CHILDREN; i++)
            processes[i] = start(i % 2 ? answer : sleep_for_ever, &i, sizeof i, method, i % 4 < 2);
        for (int32_t i = 0; i < CHILDREN; i += 2)
            CHECK_OK(mp_process_kill(processes[i]));
        for (int32_t i = 0; i < CHILDREN; i++)
            CHECK_EQ(i % 2 ? i : -SIGKILL, finish(processes[i]));
        host_pool_replaces(pool);
    }
    /* A worker that was replaced is the reaper's to watch a moment after the pool works again. */
    while (host_descriptors() > before)
        check_sleep(1000000);
    host_pool_ends(pool);
}

/* Without any, a start works or fails with a sentence, and leaves nothing; afterwards all is well. */
static void none_is_left(int32_t method) {
    int32_t four = 4;
    CHECK_EQ(4, finish(start(answer, &four, sizeof four, method, true)));
    mp_pool *pool = host_pool(method, 2);
    host_pool_works(pool);
    limit(64);
    int last = 0;
    for (int fd; (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;)
        last = fd;
    for (int i = 0; i < 10; i++) {
        mp_process *process = make(answer, NULL, 0, method, i % 2 == 0, NULL);
        mp_process_free(process);
        mp_slice arg = {&four, sizeof four};
        process = make(answer, &arg, 1, method, i % 2 == 0, NULL);
        mp_status status = mp_process_start(process);
        if (status == MP_OK) {
            CHECK_EQ(4, finish(process));
        } else {
            CHECK_EQ(MP_ERR_SYSTEM, status);
            CHECK(strlen(mp_last_error()) > 10);
            mp_process_free(process);
        }
    }
    host_pool_works(pool);
    host_pool_replaces(pool);
    close(last);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(4, finish(start(answer, &four, sizeof four, method, i % 2 == 0)));
    host_pool_ends(pool);
}

/* -- closing everything in mid-life -- */

static void close_everything(void) {
    for (int fd = 3; fd < 300; fd++)
        if (fd != host_gate)
            close(fd);
    /* What stands in their places now is none of libmp's. */
    for (int i = 0; i < 30; i++)
        CHECK(open("/dev/null", O_RDWR) >= 0);
}

static void null_is_untouched(void) {
    struct stat null, other;
    int count = 0;
    CHECK_EQ(0, stat("/dev/null", &null));
    for (int fd = 3; fd < 300; fd++)
        count += fstat(fd, &other) == 0 && other.st_rdev == null.st_rdev;
    CHECK(count >= 30);
}

static void everything_is_closed(int32_t method) {
    int32_t seven = 7;
    mp_process *process = start(host_say_and_stay, "", 0, method, false);
    mp_process *doomed = start(host_say_and_stay, "", 0, method, true);
    mp_pool *pool = host_pool(method, 2);
    host_pool_works(pool);
    host_await_go();
    close_everything();
    CHECK_EQ(-SIGKILL, finish(doomed));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_process_join(process, CHECK_SECOND / 10));
    CHECK_OK(mp_process_kill(process));
    CHECK_EQ(-SIGKILL, finish(process));
    for (int i = 0; i < 10; i++)
        CHECK_EQ(7, finish(start(answer, &seven, sizeof seven, MP_START_FORK, i % 2)));
    doomed = start(sleep_for_ever, "", 0, MP_START_FORK, true);
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_process_join(doomed, CHECK_SECOND / 10));
    CHECK_OK(mp_process_kill(doomed));
    CHECK_EQ(-SIGKILL, finish(doomed));
    process = make(answer, NULL, 0, MP_START_SPAWN, false, NULL);
    CHECK_STATUS(MP_ERR_STATE, mp_process_start(process));
    CHECK_ERROR_HAS("descriptor");
    mp_process_free(process);
    if (method == MP_START_FORK) {
        /* What the pool had in hand when its workers went may fail; then it has new ones. */
        mp_buffer *buffer = NULL;
        int64_t two = 2;
        mp_slice arg = {&two, sizeof two};
        while (mp_pool_apply(pool, host_square, &arg, 1, &buffer) != MP_OK) {
        }
        mp_buffer_free(buffer);
        host_pool_replaces(pool);
        host_pool_ends(pool);
    } else if (method == MP_START_SPAWN) {
        /* It can't have any: whatever is submitted fails. */
        mp_buffer *buffer = NULL;
        mp_status status;
        do
            status = mp_pool_apply(pool, host_die, NULL, 0, &buffer);
        while (status == MP_ERR_WORKER_DIED);
        CHECK_EQ(MP_ERR_BROKEN, status);
        mp_pool_free(pool);
    }
    null_is_untouched();
}

/* A copy of what it closes stays open in a process of its own, so that nothing looks closed from outside. */
static void copies_stay_open(int32_t method) {
    int32_t seven = 7;
    CHECK_EQ(7, finish(start(answer, &seven, sizeof seven, method, false)));
    /* By now nobody watches children any more. */
    check_sleep(CHECK_SECOND / 10);
    pid_t copy = fork();
    if (copy == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    close_everything();
    for (int i = 0; i < 3; i++) {
        mp_process *process = start(answer, &seven, sizeof seven, MP_START_FORK, false);
        mp_waitable end = {.kind = MP_WAIT_PROCESS, .handle = process};
        CHECK_OK(mp_wait(&end, 1, MP_FOREVER));
        CHECK_EQ(7, finish(process));
    }
    /* One that nobody joins is awaited at the end. */
    mp_process_free(start(answer, &seven, sizeof seven, MP_START_FORK, false));
    null_is_untouched();
}

static void closes_everything(int32_t method) {
    host h = host_start(everything_is_closed, method);
    host_hears_pid(&h);
    host_hears_pid(&h);
    host_go(&h);
    CHECK_EQ(0, check_wait(h.pid));
    host_is_gone(&h);
}

/* -- leaving the session -- */

static void works(int32_t method) {
    int32_t five = 5;
    CHECK_EQ(5, run(answer, &five, sizeof five, method));
    mp_process_free(start(sleep_for_ever, "", 0, method, true));
    mp_pool *pool = host_pool(method, 2);
    host_pool_works(pool);
    host_pool_replaces(pool);
    host_pool_ends(pool);
}

static void lead_a_session(int32_t method) {
    works(method);
    CHECK(setsid() == getpid());
    works(method);
}

static void become_a_daemon(int32_t method) {
    /* What the first process had goes with it. */
    mp_process_free(start(sleep_for_ever, "", 0, method, true));
    mp_pool *pool = host_pool(method, 2);
    host_pool_works(pool);
    CHECK_EQ(0, daemon(1, 1));
    alarm(60);
    mp_pool_free(pool);
    CHECK_EQ(0, host_children());
    works(method);
    CHECK_EQ(1, write(STDOUT_FILENO, "d", 1));
}

static void becomes_a_daemon(int32_t method) {
    char byte = 0;
    host h = host_start(become_a_daemon, method);
    CHECK_EQ(0, check_wait(h.pid));
    host_hears(&h, &byte, 1);
    CHECK_EQ('d', byte);
    host_is_gone(&h);
}

int main(int argc, char **argv) {
    if (getenv("MP_CHILD") == NULL)
        check_begin();
    CHECK_OK(mp_main_init(argc, argv));
    for (size_t i = 0; i < HOST_METHODS; i++) {
        standard_ones_are_closed(METHODS[i]);
        HOST_RUN(few_are_left, METHODS[i]);
        HOST_RUN(none_is_left, METHODS[i]);
        closes_everything(METHODS[i]);
        HOST_RUN(copies_stay_open, METHODS[i]);
        HOST_RUN(lead_a_session, METHODS[i]);
        becomes_a_daemon(METHODS[i]);
    }
    return 0;
}
