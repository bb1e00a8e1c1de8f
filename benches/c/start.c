/*
 * The start of a process and the wait for its end, by libmp and by the system's own calls, also where the parent holds
 * a lot of memory; what an idle forked worker has of its own; and how long a killed parent's children live on.
 */
#include "bench.h"

#include <fcntl.h>
#include <pthread.h>
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
static void libmp_forkserver(void) { libmp_process(MP_START_FORKSERVER); }
static void libmp_spawn(void) { libmp_process(MP_START_SPAWN); }
static void libmp_thread(void) { libmp_process(MP_START_THREAD); }

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

static void spawn_program(const char *path, char *argument) {
    char name[] = "program", *argv[] = {name, argument, NULL};
    pid_t pid;
    if (posix_spawn(&pid, path, NULL, NULL, argv, environ) != 0) {
        fail("posix_spawn");
    }
    reap(pid);
}

/* This program, told to do nothing. */
#define NOTHING "nothing"
static char nothing_argument[] = NOTHING;
static void run_itself(void) { spawn_program("/proc/self/exe", nothing_argument); }
static void run_true(void) { spawn_program("/bin/true", NULL); }

static void *leave_at_once(void *arg) { return arg; }

static void bare_thread(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, leave_at_once, NULL) != 0 || pthread_join(thread, NULL) != 0) {
        fail("pthread_create");
    }
}

struct side {
    const char *name;
    void (*run)(void);
};

/* They take turns, so that all see the same noise. */
static void compare(const char *name, int times, const struct side *sides, int count) {
    static struct samples found[4];
    memset(found, 0, sizeof found);
    for (int i = -2; i < times; i++) {
        for (int k = 0; k < count; k++) {
            uint64_t start = now_ns();
            sides[k].run();
            if (i >= 0) {
                add(&found[k], (double)(now_ns() - start) / 1e3);
            }
        }
    }
    for (int k = 0; k < count; k++) {
        tell(name, sides[k].name, &found[k]);
    }
}

#define COMPARE(name, times, ...)                                                                                      \
    do {                                                                                                               \
        const struct side sides[] = {__VA_ARGS__};                                                                     \
        compare(name, times, sides, (int)(sizeof sides / sizeof *sides));                                              \
    } while (0)

/* -- memory -- */

/* What only this process has, in KiB. */
static double private_memory(pid_t pid) {
    char path[64], line[128];
    double sum = 0;
    long value;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        fail(path);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Private_Clean: %ld", &value) == 1 || sscanf(line, "Private_Dirty: %ld", &value) == 1) {
            sum += (double)value;
        }
    }
    fclose(file);
    return sum;
}

static atomic_uint *worker_pid;

static void apply(mp_pool *pool, mp_fn fn) {
    mp_buffer *result = NULL;
    ok(mp_pool_apply(pool, fn, NULL, 0, &result), "apply");
    mp_buffer_free(result);
}

static int32_t tell_pid(mp_call *call) {
    (void)call;
    if (worker_pid != NULL) /* a clean process does not have the page */
        atomic_store(worker_pid, (unsigned)getpid());
    return 0;
}

static void idle_memory(int times) {
    struct samples ours = {.count = 0}, theirs = {.count = 0};
    worker_pid = shared_page();
    for (int i = 0; i < times; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            while (pause() < 0) {
            }
        }
        mp_pool_options options;
        mp_pool *pool = NULL;
        ok(mp_pool_options_init(&options), "options");
        options.processes = 1;
        options.start_method = MP_START_FORK;
        ok(mp_pool_new(&options, &pool), "pool");
        apply(pool, tell_pid);
        sleep_ns(20000000);
        add(&ours, private_memory((pid_t)atomic_load(worker_pid)));
        add(&theirs, private_memory(pid));
        mp_pool_free(pool);
        kill(pid, SIGKILL);
        reap(pid);
    }
    tell("idle memory", "libmp", &ours);
    tell("idle memory", "forked C child", &theirs);
}

/* -- the end of the parent -- */

static int32_t stay(mp_call *call) {
    (void)call;
    while (pause() < 0) {
    }
    return 0;
}

/* A parent with daemons by all methods, a fork server and two pools, each of which holds a pipe open by its stdin. */
static void be_parent(int end) {
    const int32_t methods[] = {MP_START_FORK, MP_START_FORKSERVER, MP_START_SPAWN};
    dup2(end, STDIN_FILENO);
    close(end);
    for (int i = 0; i < 9; i++) {
        mp_process_options options;
        mp_process *process = NULL;
        ok(mp_process_options_init(&options), "options");
        options.start_method = methods[i % 3];
        options.daemon = true;
        ok(mp_process_new(stay, NULL, 0, &options, &process), "process");
        ok(mp_process_start(process), "start");
    }
    for (int i = 0; i < 3; i++) {
        mp_pool_options options;
        mp_pool *pool = NULL;
        ok(mp_pool_options_init(&options), "options");
        options.processes = 2;
        options.start_method = methods[i];
        ok(mp_pool_new(&options, &pool), "pool");
        apply(pool, tell_pid);
    }
    atomic_store(worker_pid, 1);
    while (pause() < 0) {
    }
}

static void orphans(int times) {
    struct samples found = {.count = 0};
    /* Whoever loses its parent comes to this process, to be collected. */
    ok(mp_forkserver_stop(), "stop");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int i = 0; i < times; i++) {
        int ends[2];
        char byte;
        atomic_store(worker_pid, 0);
        if (pipe2(ends, O_CLOEXEC) < 0) {
            fail("pipe2");
        }
        pid_t parent = helper();
        if (parent == 0) {
            close(ends[0]);
            be_parent(ends[1]);
        }
        close(ends[1]);
        for (uint64_t limit = now_ns() + LONGEST; atomic_load(worker_pid) != 1;) {
            if (now_ns() > limit) {
                fail("the parent did not begin");
            }
            sleep_ns(1000000);
        }
        sleep_ns(50000000);
        uint64_t start = now_ns();
        kill(parent, SIGKILL);
        /* The end of the file: nobody holds the pipe any more. */
        while (read(ends[0], &byte, 1) != 0) {
        }
        add(&found, (double)(now_ns() - start) / 1e6);
        while (waitpid(-1, NULL, 0) > 0) {
        }
        close(ends[0]);
    }
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    tell("orphans", "libmp", &found);
}

int main(int argc, char **argv) {
    static struct samples unused;
    if (getenv("MP_CHILD") == NULL && !(argc > 1 && strcmp(argv[1], NOTHING) == 0)) {
        int times = 2 + 2 * percent(argc, argv);
        for (int i = 0; i < times; i++) {
            uint64_t start = now_ns();
            bare_fork();
            add(&unused, (double)(now_ns() - start) / 1e3);
        }
    }
    ok(mp_main_init(argc, argv), "mp_main_init");
    if (argc > 1 && strcmp(argv[1], NOTHING) == 0) {
        return 0;
    }
    int share = percent(argc, argv);
    tell("fork", "fork and waitpid, before libmp is used", &unused);
    COMPARE("fork", 2 + 2 * share, {"libmp", libmp_fork}, {"fork and waitpid", bare_fork});
    COMPARE("spawn", 2 + share / 2, {"libmp", libmp_spawn}, {"posix_spawn, the same program", run_itself},
            {"posix_spawn /bin/true", run_true});
    COMPARE("thread", 2 + 2 * share, {"libmp", libmp_thread}, {"pthread_create and join", bare_thread});
    COMPARE("forkserver", 2 + 2 * share, {"libmp", libmp_forkserver}, {"fork and waitpid", bare_fork});
    idle_memory(1 + share / 20);
    orphans(1 + share / 20);
    size_t gigabyte = (size_t)1 << 30;
    char *memory = mmap(NULL, gigabyte, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || madvise(memory, gigabyte, MADV_NOHUGEPAGE) < 0) {
        fail("1 GiB");
    }
    memset(memory, 1, gigabyte);
    COMPARE("forkserver", 2 + 2 * share, {"libmp, 1 GiB in the parent", libmp_forkserver});
    COMPARE("forkserver", 2 + share / 20, {"fork and waitpid, 1 GiB in the parent", bare_fork});
    return 0;
}
