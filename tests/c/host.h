/*
 * Hosts under test: each is a process of its own, so that what it does to itself can't be undone, and has a pipe for
 * its stdout, which all of its family inherit under every start method. The pipe ends when nobody of them is left.
 */
#ifndef MP_TEST_HOST_H
#define MP_TEST_HOST_H

#include "process.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

enum { HOST_METHODS = sizeof METHODS / sizeof *METHODS };
/* What must not hang is given this long, in milliseconds. */
enum { HOST_PATIENCE = 20000 };

typedef struct {
    pid_t pid;
    /* The read end of what the family has for stdout. */
    int out;
    /* The host goes on when it hears a byte or the end of this. */
    int go;
} host;

/* In the host: waits until the test says that it is to go on. */
static int host_gate = -1;

static inline void host_await_go(void) {
    char byte;
    while (read(host_gate, &byte, 1) < 0 && errno == EINTR) {
    }
}

/* The body may end the host as it likes; if it returns, the host leaves by exit(0). */
static inline host host_start(void (*body)(int32_t method), int32_t method) {
    int out[2], gate[2];
    CHECK_EQ(0, pipe(out));
    CHECK_EQ(0, pipe(gate));
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(100);
        CHECK_EQ(STDOUT_FILENO, dup2(out[1], STDOUT_FILENO));
        close(out[0]);
        close(out[1]);
        close(gate[1]);
        host_gate = gate[0];
        CHECK_EQ(0, fcntl(host_gate, F_SETFD, FD_CLOEXEC));
        body(method);
        exit(0);
    }
    close(out[1]);
    close(gate[0]);
    return (host){pid, out[0], gate[1]};
}

static inline void host_go(host *h) {
    close(h->go);
    h->go = -1;
}

/* The next bytes that somebody of the family writes. */
static inline void host_hears(const host *h, void *data, size_t length) {
    for (size_t got = 0; got < length;) {
        struct pollfd entry = {.fd = h->out, .events = POLLIN};
        CHECK_EQ(1, poll(&entry, 1, HOST_PATIENCE));
        ssize_t n = read(h->out, (char *)data + got, length - got);
        CHECK(n > 0);
        got += (size_t)n;
    }
}

/* Waits until nobody of the family is left; what they still write is thrown away. Answers how many microseconds it
 * took. */
static inline int64_t host_is_gone(host *h) {
    char bytes[4096];
    ssize_t n = 1;
    int64_t begun = check_now();
    while (n > 0) {
        struct pollfd entry = {.fd = h->out, .events = POLLIN};
        int ready = poll(&entry, 1, HOST_PATIENCE);
        if (ready != 1)
            check_fail(__FILE__, __LINE__, "somebody of the host's family is left", NULL);
        n = read(h->out, bytes, sizeof bytes);
    }
    CHECK_EQ(0, n);
    close(h->out);
    if (h->go >= 0)
        close(h->go);
    return (check_now() - begun) / 1000;
}

/* Runs a host to its end, which must be a good one and leave nobody. */
static inline void host_run(const char *what, void (*body)(int32_t method), int32_t method) {
    host h = host_start(body, method);
    int code = check_wait(h.pid);
    if (code != 0) {
        char detail[200];
        snprintf(detail, sizeof detail, "%s under method %d ended with %d", what, (int)method, code);
        check_fail(__FILE__, __LINE__, "the host succeeds", detail);
    }
    host_is_gone(&h);
}

#define HOST_RUN(body, method) host_run(#body, body, method)

/* -- what children do -- */

/* Says its pid, and stays. */
static inline int32_t host_say_and_stay(mp_call *call) {
    pid_t pid = getpid();
    CHECK_EQ(sizeof pid, write(STDOUT_FILENO, &pid, sizeof pid));
    return sleep_for_ever(call);
}

static inline pid_t host_hears_pid(const host *h) {
    pid_t pid = 0;
    host_hears(h, &pid, sizeof pid);
    CHECK(pid > 1);
    return pid;
}

/* -- what is left of children -- */

/* The children of a process, the dead ones too, whichever thread made them: as many as fit, and how many they are. */
static inline int host_children_of(pid_t parent, pid_t *pids, int most) {
    char path[320];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)parent);
    DIR *tasks = opendir(path);
    CHECK(tasks != NULL);
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)parent, task->d_name);
        FILE *list = task->d_name[0] == '.' ? NULL : fopen(path, "re");
        for (int pid; list && fscanf(list, "%d", &pid) == 1; count++)
            if (count < most)
                pids[count] = pid;
        if (list)
            fclose(list);
    }
    closedir(tasks);
    return count;
}

/* Without the fork server, which would stay. */
static inline int host_children(void) {
    CHECK_OK(mp_forkserver_stop());
    return host_children_of(getpid(), NULL, 0);
}

static inline int host_descriptors(void) {
    int count = 0;
    CHECK_OK(mp_forkserver_stop());
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory != NULL);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count - 3; /* ".", ".." and the directory itself */
}

/* -- pools -- */

static inline int32_t host_square(mp_call *call) {
    int64_t number;
    memcpy(&number, mp_call_arg(call, 0).data, sizeof number);
    number *= number;
    CHECK_OK(mp_call_return(call, &number, sizeof number));
    return 0;
}

static inline int32_t host_die(mp_call *call) {
    (void)call;
    kill(getpid(), SIGKILL);
    return 0;
}

static inline mp_pool *host_pool(int32_t method, uint32_t processes) {
    mp_pool_options options;
    mp_pool *pool = NULL;
    CHECK_OK(mp_pool_options_init(&options));
    options.processes = processes;
    options.start_method = method;
    CHECK_OK(mp_pool_new(&options, &pool));
    return pool;
}

/* The pool works. */
static inline void host_pool_works(mp_pool *pool) {
    for (int64_t i = 0; i < 20; i++) {
        mp_slice arg = {&i, sizeof i};
        mp_buffer *buffer = NULL;
        int64_t square;
        CHECK_OK(mp_pool_apply(pool, host_square, &arg, 1, &buffer));
        CHECK_EQ(sizeof square, mp_buffer_len(buffer));
        memcpy(&square, mp_buffer_data(buffer), sizeof square);
        CHECK_EQ(i * i, square);
        mp_buffer_free(buffer);
    }
}

/* A worker dies in a task, and another takes its place. */
static inline void host_pool_replaces(mp_pool *pool) {
    for (int i = 0; i < 4; i++) {
        mp_buffer *buffer = NULL;
        CHECK_STATUS(MP_ERR_WORKER_DIED, mp_pool_apply(pool, host_die, NULL, 0, &buffer));
    }
    host_pool_works(pool);
}

static inline void host_pool_ends(mp_pool *pool) {
    CHECK_OK(mp_pool_close(pool));
    CHECK_OK(mp_pool_join(pool, 30 * CHECK_SECOND));
    mp_pool_free(pool);
}

#endif
