/*
 * What the tests share that kill processes at the library's fault points.
 */
#ifndef MP_TEST_FAULT_H
#define MP_TEST_FAULT_H

#include "process.h"

/* Runs `body` in a process where the fault is armed, which its spawned children inherit. The pipe ends only when all
 * of them have gone. If `killed_after` is more than 0, the process is killed so many nanoseconds later. Answers how it
 * ended. */
static inline int killed_with_fault(const char *fault, int argc, char **argv, void (*body)(void),
                                    int64_t killed_after) {
    int ends[2];
    char byte;
    CHECK_EQ(0, pipe(ends));
    CHECK_EQ(0, setenv("MP_FAULT", fault, 1));
    pid_t host = fork();
    if (host == 0) {
        close(ends[0]);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[1]);
        CHECK_OK(mp_main_init(argc, argv));
        body();
        _exit(0);
    }
    CHECK_EQ(0, unsetenv("MP_FAULT"));
    close(ends[1]);
    if (killed_after > 0) {
        check_sleep(killed_after);
        CHECK_EQ(0, kill(host, SIGKILL));
    }
    int end = check_wait(host);
    CHECK_EQ(0, read(ends[0], &byte, 1));
    close(ends[0]);
    return end;
}

static inline int with_fault(const char *fault, int argc, char **argv, void (*body)(void)) {
    return killed_with_fault(fault, argc, argv, body, 0);
}

#endif
