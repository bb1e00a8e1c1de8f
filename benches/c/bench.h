/* What the benchmarks share: clock, pinning, shared pages, helpers that die with their parent, result lines. */
#ifndef BENCH_H
#define BENCH_H

#include <mp.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* No wait of a benchmark is longer than this: a hang is a failure that is told. */
#define LONGEST (10 * INT64_C(1000000000))

#define UNUSED __attribute__((unused))

UNUSED static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, errno != 0 ? strerror(errno) : "failed");
    _exit(1);
}

/* For calls of libmp: any answer but success ends the program. */
UNUSED static mp_status ok(mp_status status, const char *what) {
    if (MP_FAILED(status)) {
        fprintf(stderr, "%s: %s: %s\n", what, mp_status_name(status), mp_last_error());
        _exit(1);
    }
    return status;
}

UNUSED static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* Between two looks of a spin loop. */
UNUSED static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

UNUSED static void sleep_ns(uint64_t ns) {
    struct timespec t = {.tv_sec = (time_t)(ns / 1000000000U), .tv_nsec = (long)(ns % 1000000000U)};
    nanosleep(&t, NULL);
}

/* Waits for a word of a shared page: it stays awake, so that no wake-up is part of what is measured. */
UNUSED static void until(const atomic_uint *word, unsigned value) {
    uint64_t end = now_ns() + LONGEST;
    for (unsigned tries = 1; atomic_load(word) != value; tries++) {
        if (tries % 200 == 0) {
            sched_yield();
            if (now_ns() > end) {
                errno = 0;
                fail("the other process did not answer");
            }
        }
    }
}

/* Puts the calling process on the `which`th of the processors that the program was given. */
UNUSED static void pin(int which) {
    static cpu_set_t given;
    static bool known;
    if (!known) {
        known = sched_getaffinity(0, sizeof given, &given) == 0;
    }
    which %= CPU_COUNT(&given) > 0 ? CPU_COUNT(&given) : 1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &given) && which-- == 0) {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            sched_setaffinity(0, sizeof one, &one);
            return;
        }
    }
}

enum { PAGE = 8192 };

UNUSED static void *shared_page(void) {
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        fail("mmap");
    }
    return page;
}

/* fork, for a helper that dies with this process. */
UNUSED static pid_t helper(void) {
    pid_t parent = getpid();
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) {
        fail("fork");
    }
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
    }
    return pid;
}

UNUSED static void reap(pid_t pid) {
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

/* Samples of one case and peer, told as one line of JSON. */
struct samples {
    double values[2048];
    int count;
};

UNUSED static void add(struct samples *samples, double value) {
    if (samples->count < (int)(sizeof samples->values / sizeof *samples->values)) {
        samples->values[samples->count++] = value;
    }
}

UNUSED static void tell(const char *name, const char *peer, struct samples *samples) {
    printf("{\"case\": \"%s\", \"peer\": \"%s\", \"values\": [", name, peer);
    for (int i = 0; i < samples->count; i++) {
        printf("%s%.6g", i > 0 ? ", " : "", samples->values[i]);
    }
    printf("]}\n");
    fflush(stdout);
    samples->count = 0;
}

/* The programs' only argument: how long to measure each peer, or how often, in percent of the usual. */
UNUSED static int percent(int argc, char **argv) {
    int value = argc > 1 ? atoi(argv[1]) : 100;
    return value > 0 ? value : 1;
}

#endif
