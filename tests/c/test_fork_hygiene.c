/*
 * What a child that libmp forks has of its parent, and what it must not have: unflushed text, exit handlers. And what
 * the programs that a host runs beside libmp get of it: nothing.
 *
 * check: unsanitized (AddressSanitizer's allocator does not survive a fork beside a thread that allocates)
 */
#include "host.h"

#include <pthread.h>
#include <spawn.h>
#include <sys/stat.h>

extern char **environ;

/* -- stdio and exit handlers -- */

static FILE *own;

static void write_at_exit(void) {
    fputs("exit handler ", own);
    fflush(own);
}

/* Every way of printing. The parent's stream has a copy in a forked child only. */
static int32_t print(mp_call *call) {
    const char *path = mp_call_arg(call, 0).data;
    FILE *mine = own ? own : fopen(path, "ae");
    CHECK(mine != NULL);
    fputs("child ", mine);
    printf("child's stdout ");
    return 0;
}

static int32_t print_and_exit(mp_call *call) {
    print(call);
    _exit(0);
}

static int32_t print_and_die(mp_call *call) {
    print(call);
    return host_die(call);
}

static char path[64];

static void *wait_in_a_stream(void *stream) {
    fgetc(stream);
    return NULL;
}

/* A thread that holds a stream for ever, as one in getchar does. */
static void hold_a_stream(void) {
    int ends[2];
    pthread_t thread;
    CHECK_EQ(0, pipe(ends));
    FILE *never = fdopen(ends[0], "r");
    CHECK(never != NULL);
    CHECK_EQ(0, pthread_create(&thread, NULL, wait_in_a_stream, never));
    /* Until the thread is inside. */
    while (ftrylockfile(never) == 0) {
        funlockfile(never);
        check_sleep(100000);
    }
}

static bool beside_a_thread, daemons;

static void print_everywhere(int32_t method) {
    if (beside_a_thread)
        hold_a_stream();
    own = fopen(path, "ae");
    CHECK(own != NULL);
    CHECK_EQ(0, atexit(write_at_exit));
    fputs("parent ", own);
    printf("parent's stdout ");
    mp_process *process = start(print, path, sizeof path, method, daemons);
    CHECK_EQ(0, finish(process));
    /* What these two print is lost with them, but nothing of the parent's comes twice. */
    CHECK_EQ(0, run(print_and_exit, path, sizeof path, method));
    CHECK_EQ(-SIGKILL, run(print_and_die, path, sizeof path, method));
    mp_pool *pool = host_pool(method, 2);
    host_pool_works(pool);
    host_pool_replaces(pool);
    host_pool_ends(pool);
    fputs("end ", own);
    printf("end");
}

static void is_written_once(const char *text, const char *part) {
    const char *first = strstr(text, part);
    if (!first || strstr(first + 1, part)) {
        char detail[400];
        snprintf(detail, sizeof detail, "\"%s\" in \"%s\"", part, text);
        check_fail(__FILE__, __LINE__, "it is there once", detail);
    }
}

static void every_text_is_written_once(int32_t method) {
    char text[2000] = "";
    size_t length = 0;
    ssize_t n;
    snprintf(path, sizeof path, "/tmp/mp-fork-hygiene.XXXXXX");
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    host h = host_start(print_everywhere, method);
    CHECK_EQ(0, check_wait(h.pid));
    while ((n = read(h.out, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)n;
    is_written_once(text, "parent's stdout ");
    is_written_once(text, "child's stdout ");
    is_written_once(text, "end");
    host_is_gone(&h);
    n = read(fd, text, sizeof text - 1);
    CHECK(n > 0);
    text[n] = 0;
    is_written_once(text, "parent ");
    is_written_once(text, "child ");
    is_written_once(text, "end ");
    is_written_once(text, "exit handler ");
    close(fd);
    CHECK_EQ(0, unlink(path));
}

/* -- other programs -- */

/* Fails if the shell has any descriptor beside the standard three. What a shell opens itself is above ten. */
static const char LOOK[] = "for i in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$i ] && exit 1; done; exit 0";

static volatile bool over;

static void *start_many(void *method) {
    int32_t two = 2;
    while (!over)
        CHECK_EQ(2, finish(start(answer, &two, sizeof two, *(int32_t *)method, true)));
    return NULL;
}

static pid_t run_by_vfork(const char *const *arguments) {
    pid_t pid = vfork();
    if (pid == 0) {
        execv(arguments[0], (char *const *)arguments);
        _exit(99);
    }
    CHECK(pid > 0);
    return pid;
}

static pid_t run_by_fork(const char *const *arguments) {
    pid_t pid = fork();
    if (pid == 0) {
        execv(arguments[0], (char *const *)arguments);
        _exit(99);
    }
    CHECK(pid > 0);
    return pid;
}

static pid_t run_by_spawn(const char *const *arguments) {
    pid_t pid = 0;
    CHECK_EQ(0, posix_spawn(&pid, arguments[0], NULL, NULL, (char *const *)arguments, environ));
    return pid;
}

static pid_t (*const RUNS[])(const char *const *) = {run_by_vfork, run_by_fork, run_by_spawn};

/* The host's programs get nothing of libmp's, whatever it is doing meanwhile, and take nothing from it. */
static void run_programs(int32_t method) {
    pthread_t thread;
    mp_lock *lock = NULL;
    mp_queue *queue = NULL;
    const char *const shell[] = {"/bin/sh", "-c", LOOK, NULL};
    CHECK_EQ(0, fcntl(host_gate, F_SETFD, FD_CLOEXEC));
    CHECK_OK(mp_lock_new(&lock));
    CHECK_OK(mp_queue_new(NULL, &queue));
    mp_process *process = start(sleep_for_ever, "", 0, method, true);
    mp_pool *pool = host_pool(method, 2);
    CHECK_EQ(0, pthread_create(&thread, NULL, start_many, &method));
    for (int i = 0; i < 10; i++) {
        CHECK_OK(mp_lock_acquire(lock, 0));
        CHECK_OK(mp_queue_put(queue, "x", 1, 0));
        for (size_t k = 0; k < sizeof RUNS / sizeof *RUNS; k++)
            CHECK_EQ(0, check_wait(RUNS[k](shell)));
        CHECK_EQ(0, system(LOOK));
        CHECK_OK(mp_lock_release(lock));
    }
    over = true;
    CHECK_EQ(0, pthread_join(thread, NULL));
    for (int i = 0; i < 10; i++) {
        mp_buffer *buffer = NULL;
        CHECK_OK(mp_queue_get(queue, 0, &buffer));
        mp_buffer_free(buffer);
    }
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_process_join(process, 0));
    host_pool_works(pool);
    host_pool_ends(pool);
    mp_queue_free(queue);
    mp_lock_free(lock);
}

/* A program that outlives the host keeps none of its daemons. */
static void leave_programs_behind(int32_t method) {
    const char *const program[] = {"/bin/sleep", "90", NULL};
    mp_pool *pool = host_pool(method, 2);
    mp_process_free(start(host_say_and_stay, "", 0, method, true));
    host_pool_works(pool);
    host_await_go();
    int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 100);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    CHECK_EQ(STDOUT_FILENO, dup2(null, STDOUT_FILENO));
    for (size_t k = 0; k < sizeof RUNS / sizeof *RUNS; k++) {
        pid_t pid = RUNS[k](program);
        CHECK_EQ(sizeof pid, write(out, &pid, sizeof pid));
    }
    /* One that was forked may not have become the program yet. */
    check_sleep(CHECK_SECOND / 10);
    kill(getpid(), SIGKILL);
}

static void programs_keep_no_daemons(int32_t method) {
    pid_t programs[sizeof RUNS / sizeof *RUNS];
    host h = host_start(leave_programs_behind, method);
    host_hears_pid(&h);
    host_go(&h);
    host_hears(&h, programs, sizeof programs);
    host_is_gone(&h);
    CHECK_EQ(-SIGKILL, check_wait(h.pid));
    for (size_t k = 0; k < sizeof RUNS / sizeof *RUNS; k++)
        CHECK_EQ(0, kill(programs[k], SIGKILL));
}

int main(int argc, char **argv) {
    if (getenv("MP_CHILD") == NULL)
        check_begin();
    CHECK_OK(mp_main_init(argc, argv));
    for (size_t i = 0; i < HOST_METHODS; i++) {
        for (int n = 0; n < 4; n++) {
            beside_a_thread = n % 2;
            daemons = n / 2;
            every_text_is_written_once(METHODS[i]);
        }
        HOST_RUN(run_programs, METHODS[i]);
        programs_keep_no_daemons(METHODS[i]);
    }
    return 0;
}
