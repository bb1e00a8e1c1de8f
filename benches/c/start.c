/* The start of a process and the wait for its end, by libmp and by the system's own calls. */
#include "bench.h"

#include <spawn.h>

extern char **environ;

static int32_t nothing(mp_call *call) {
    (void)call;
    return 0;
}

static void libmp_process(int32_t method) {
    mp_process_options options;
    mp_process *process = NULL;
    int32_t code = -1;
    ok(mp_process_options_init(&options), "options");
    options.start_method = method;
    ok(mp_process_new(nothing, NULL, 0, &options, &process), "process");
    ok(mp_process_start(process), "start");
    ok(mp_process_join(process, LONGEST), "join");
    ok(mp_process_exitcode(process, &code), "exitcode");
    if (code != 0) {
        errno = 0;
        fail("the child failed");
    }
    mp_process_free(process);
}

static void libmp_fork(void) { libmp_process(MP_START_FORK); }
static void libmp_spawn(void) { libmp_process(MP_START_SPAWN); }

static void bare_fork(void) {
    pid_t pid = fork();
    if (pid < 0) {
        fail("fork");
    }
    if (pid == 0) {
        _exit(0);
    }
    reap(pid);
}

static void run_true(void) {
    char *argv[] = {"true", NULL};
    pid_t pid;
    if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ) != 0) {
        fail("posix_spawn");
    }
    reap(pid);
}

/* The two take turns, so that both see the same noise. */
static void compare(const char *name, int times, void (*ours)(void), const char *peer, void (*theirs)(void)) {
    static struct samples our_times, their_times;
    for (int i = -2; i < times; i++) {
        uint64_t start = now_ns();
        ours();
        uint64_t middle = now_ns();
        theirs();
        uint64_t end = now_ns();
        if (i >= 0) {
            add(&our_times, (double)(middle - start) / 1e3);
            add(&their_times, (double)(end - middle) / 1e3);
        }
    }
    tell(name, "libmp", &our_times);
    tell(name, peer, &their_times);
}

int main(int argc, char **argv) {
    ok(mp_main_init(argc, argv), "mp_main_init");
    int share = percent(argc, argv);
    compare("fork", 2 + 2 * share, libmp_fork, "fork and waitpid", bare_fork);
    compare("spawn", 2 + share / 2, libmp_spawn, "posix_spawn /bin/true", run_true);
    return 0;
}
