/*
 * Assertions for the C tests. A failed one prints where and what and exits with 1.
 *
 * A test's main begins with check_begin(), which puts the test into a process group of its own and starts a
 * watchdog: when it has not ended in time, the whole group is killed. By default that is 60 s; a test that
 * needs longer says so with check_watchdog().
 *
 * scripts/test-c.sh builds and runs each test three times: by gcc with libmp.so, by clang with libmp.a (not if it
 * contains the words "check: once"), and with AddressSanitizer and UndefinedBehaviorSanitizer (not if it contains
 * "check: unsanitized"); under valgrind too if it contains "check: valgrind", and with handles from
 * malloc, so that leaked ones are seen, if it contains "check: leaks". Those named fault_*.c get a library with fault
 * points (see src/sys/fault.rs). Others run beside it, unless it contains "check: alone".
 */
#ifndef MP_CHECK_H
#define MP_CHECK_H

#include <errno.h>
#include <mp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK_SECOND INT64_C(1000000000)

/* The condition holds. */
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            check_fail(__FILE__, __LINE__, #condition, NULL);                                                          \
    } while (0)

/* The call answers MP_OK. */
#define CHECK_OK(call) CHECK_STATUS(MP_OK, call)

/* The call answers this very status. */
#define CHECK_STATUS(expected, call) check_status(__FILE__, __LINE__, #call, (expected), (call))

/* Two integers are equal. */
#define CHECK_EQ(expected, found) check_equal(__FILE__, __LINE__, #found, (long long)(expected), (long long)(found))

/* Two strings are equal. */
#define CHECK_STRING(expected, found) check_string(__FILE__, __LINE__, #found, (expected), (found))

/* The last failure's text has this part. */
#define CHECK_ERROR_HAS(part)                                                                                          \
    do {                                                                                                               \
        if (!strstr(mp_last_error(), (part)))                                                                          \
            check_fail(__FILE__, __LINE__, "mp_last_error() has " #part, mp_last_error());                             \
    } while (0)

static inline void check_fail(const char *file, int line, const char *what, const char *detail) {
    fprintf(stderr, "%s:%d: [%d] failed: %s%s%s\n", file, line, (int)getpid(), what, detail ? ": " : "",
            detail ? detail : "");
    fflush(stderr);
    _exit(1);
}

static inline void check_status(const char *file, int line, const char *call, mp_status expected, mp_status found) {
    if (found != expected) {
        char detail[600];
        snprintf(detail, sizeof detail, "%s instead of %s (%s)", mp_status_name(found), mp_status_name(expected),
                 MP_FAILED(found) ? mp_last_error() : "");
        check_fail(file, line, call, detail);
    }
}

static inline void check_equal(const char *file, int line, const char *what, long long expected, long long found) {
    if (found != expected) {
        char detail[80];
        snprintf(detail, sizeof detail, "%lld instead of %lld", found, expected);
        check_fail(file, line, what, detail);
    }
}

static inline void check_string(const char *file, int line, const char *what, const char *expected, const char *found) {
    if (!found || strcmp(found, expected) != 0) {
        char detail[600];
        snprintf(detail, sizeof detail, "\"%s\" instead of \"%s\"", found ? found : "(NULL)", expected);
        check_fail(file, line, what, detail);
    }
}

static inline void check_expired(int signal) {
    static const char text[] = "watchdog: the test hangs; killing its process group\n";
    (void)signal;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(1);
    kill(0, SIGKILL);
}

/* The watchdog barks in this many seconds from now. */
static inline void check_watchdog(unsigned seconds) {
    signal(SIGALRM, check_expired);
    alarm(seconds);
}

static inline void check_begin(void) {
    setpgid(0, 0);
    check_watchdog(60);
}

/* The monotonic clock, in nanoseconds. */
static inline int64_t check_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * CHECK_SECOND + now.tv_nsec;
}

static inline void check_sleep(int64_t nanoseconds) {
    struct timespec left = {nanoseconds / CHECK_SECOND, nanoseconds % CHECK_SECOND};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

/* Waits for a child of this process's own fork, and answers its exit code, or minus the signal that killed it. */
static inline int check_wait(pid_t pid) {
    int status = 0;
    pid_t waited;
    do
        waited = waitpid(pid, &status, 0);
    while (waited < 0 && errno == EINTR);
    CHECK_EQ(pid, waited);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#endif
