/*
 * The fork server: warm-up, whose children its children are, what they get, and what happens when it is killed.
 * check: once
 */
#include "pool.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* -- warm-up -- */

static int warmed; /* only ever changed in a server */
static char *table;

static int32_t warm(mp_call *call) {
    CHECK_EQ(1, mp_call_argc(call));
    warmed += answer(call);
    table = malloc(1 << 20);
    memset(table, warmed, 1 << 20);
    printf("this is written once\n");
    return 0;
}

static int32_t tell_warmth(mp_call *call) {
    (void)call;
    return table != NULL && table[1 << 19] == warmed ? warmed : 99;
}

static int32_t fail_to_warm(mp_call *call) {
    CHECK_OK(mp_call_fail(call, 3, "(this line is expected)"));
    return 3;
}

static int32_t die_warming(mp_call *call) {
    (void)call;
    return raise(SIGKILL);
}

static bool is_running(pid_t pid) {
    char name[32];
    return pool_look_at(pid, name) != 'Z';
}

/* The child of this process that runs by the server's name; 0 if there is none. */
static pid_t server_pid(void) {
    pid_t pids[64] = {0}, found = 0;
    size_t n = pool_children(getpid(), pids, 64);
    for (size_t i = 0; i < n && i < 64; i++) {
        char name[32];
        if (pool_look_at(pids[i], name) != 'Z' && strcmp(name, "mp-forkserver") == 0)
            found = pids[i];
    }
    return found;
}

static void children_find_what_was_warmed_up(void) {
    int32_t five = 5;
    mp_slice arg = {&five, sizeof five};
    CHECK_OK(mp_forkserver_start(warm, &arg, 1));
    CHECK(server_pid() != 0);
    CHECK_EQ(5, run(tell_warmth, NULL, 0, MP_START_FORKSERVER));
    CHECK_EQ(5, run(tell_warmth, NULL, 0, MP_START_FORKSERVER));
    CHECK_EQ(0, warmed);
    CHECK_STATUS(MP_ERR_STATE, mp_forkserver_start(warm, &arg, 1));
    /* One that is killed is replaced by one as warm. */
    pid_t first = server_pid();
    CHECK_EQ(0, kill(first, SIGKILL));
    CHECK_EQ(5, run(tell_warmth, NULL, 0, MP_START_FORKSERVER));
    CHECK(server_pid() != first && server_pid() != 0);

    CHECK_OK(mp_forkserver_stop());
    CHECK_EQ(0, server_pid());
    CHECK_OK(mp_forkserver_stop());
    CHECK_EQ(99, run(tell_warmth, NULL, 0, MP_START_FORKSERVER));
    CHECK_OK(mp_forkserver_stop());
}

static void a_failed_warm_up_is_told(void) {
    fprintf(stderr, "(a line about a failure is expected:)\n");
    CHECK_STATUS(MP_ERR_TASK_FAILED, mp_forkserver_start(fail_to_warm, NULL, 0));
    CHECK_ERROR_HAS("code 3");
    CHECK_STATUS(MP_ERR_WORKER_DIED, mp_forkserver_start(die_warming, NULL, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_forkserver_start(NULL, NULL, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_forkserver_start(warm, NULL, 1));
    CHECK_EQ(0, server_pid());
    CHECK_EQ(99, run(tell_warmth, NULL, 0, MP_START_FORKSERVER));
    CHECK_OK(mp_forkserver_stop());
}

/* -- whose children -- */

static void *sum_in_thread(void *sum) {
    *(int *)sum += 1;
    return sum;
}

/* libc must know who it is: it can lock, raise, start threads and fork. */
static int32_t is_whole(mp_call *call) {
    pthread_mutexattr_t attributes;
    pthread_mutex_t robust;
    pthread_t thread;
    int sum = 1, status = -1;
    CHECK_EQ(answer(call), getppid());
    CHECK_EQ(getpid(), syscall(SYS_gettid));
    CHECK_EQ(0, pthread_mutexattr_init(&attributes));
    CHECK_EQ(0, pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK));
    CHECK_EQ(0, pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST));
    CHECK_EQ(0, pthread_mutex_init(&robust, &attributes));
    CHECK_EQ(0, pthread_mutex_lock(&robust));
    CHECK_EQ(EDEADLK, pthread_mutex_lock(&robust));
    CHECK_EQ(0, pthread_mutex_unlock(&robust));
    CHECK_EQ(0, pthread_kill(pthread_self(), 0));
    CHECK_EQ(0, pthread_create(&thread, NULL, sum_in_thread, &sum));
    CHECK_EQ(0, pthread_join(thread, NULL));
    pid_t child = fork();
    if (child == 0)
        _exit(getppid() == (pid_t)syscall(SYS_getppid) ? sum : 9);
    CHECK_EQ(child, waitpid(child, &status, 0));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 2);
    struct sigaction action;
    CHECK_EQ(0, sigaction(SIGINT, NULL, &action));
    CHECK(action.sa_handler == SIG_DFL);
    /* A server of its own. */
    int32_t code = 17;
    CHECK_EQ(17, run(answer, &code, sizeof code, MP_START_FORKSERVER));
    CHECK_EQ(17, run(answer, &code, sizeof code, MP_START_FORK));
    CHECK_EQ(17, run(answer, &code, sizeof code, MP_START_SPAWN));
    return 33;
}

static void children_are_the_callers(void) {
    int32_t me = getpid();
    CHECK_EQ(33, run(is_whole, &me, sizeof me, MP_START_FORKSERVER));
    mp_process *process = start(sleep_for_ever, NULL, 0, MP_START_FORKSERVER, false);
    siginfo_t info = {0};
    int32_t pid = 0;
    CHECK_OK(mp_process_pid(process, &pid));
    CHECK_EQ(0, waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT));
    CHECK_EQ(0, info.si_pid);
    CHECK_OK(mp_process_terminate(process));
    CHECK_EQ(-SIGTERM, finish(process));
}

/* -- what they get -- */

static int32_t speak(mp_call *call) {
    (void)call;
    char line[16] = "";
    CHECK(fgets(line, sizeof line, stdin) != NULL);
    printf("heard %s", line);
    return fcntl(STDERR_FILENO, F_GETFD) < 0 ? 3 : 4;
}

static int32_t count_descriptors(mp_call *call) {
    (void)call;
    return (int32_t)pool_entries("/proc/self/fd");
}

/* stdin, stdout and stderr are the caller's as of the start, though the server was there before. */
static void streams_are_the_callers(void) {
    int in[2], out[2], kept[3];
    char heard[32] = "";
    CHECK_EQ(0, run(tell_warmth, NULL, 0, MP_START_FORKSERVER) != 99);
    int32_t few = run(count_descriptors, NULL, 0, MP_START_FORKSERVER);
    CHECK_EQ(0, pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC));
    fflush(NULL);
    for (int fd = 0; fd < 3; fd++)
        CHECK((kept[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 10)) > 0);
    CHECK(dup2(in[0], STDIN_FILENO) == 0 && dup2(out[1], STDOUT_FILENO) == 1);
    close(STDERR_FILENO);
    CHECK_EQ(6, write(in[1], "hello\n", 6));
    int32_t code = run(speak, NULL, 0, MP_START_FORKSERVER);
    int32_t fewer = run(count_descriptors, NULL, 0, MP_START_FORKSERVER);
    for (int fd = 0; fd < 3; fd++) {
        CHECK_EQ(fd, dup2(kept[fd], fd));
        close(kept[fd]);
    }
    CHECK_EQ(3, code);
    CHECK_EQ(few - 1, fewer);
    CHECK_EQ(12, read(out[0], heard, sizeof heard));
    CHECK_STRING("heard hello\n", heard);
    close(in[0]), close(in[1]), close(out[0]), close(out[1]);
}

/* -- killed servers -- */

enum { STARTERS = 3, STARTS = 120 };
static mp_value *started;

static int32_t count_me(mp_call *call) {
    mp_token token;
    mp_value *value = NULL;
    memcpy(&token, mp_call_arg(call, 0).data, sizeof token);
    CHECK_OK(mp_value_from_token(&token, &value));
    __atomic_fetch_add((long *)mp_value_data(value), 1, __ATOMIC_SEQ_CST);
    return 21;
}

static void *start_many(void *token) {
    for (int i = 0; i < STARTS; i++)
        CHECK_EQ(21, run(count_me, token, sizeof(mp_token), MP_START_FORKSERVER));
    return NULL;
}

/* However often the server is killed, each start makes one child and no more. */
static void starts_survive_the_server(void) {
    pthread_t threads[STARTERS];
    mp_token token;
    long zero = 0;
    int kills = 0;
    unsigned seed = 7;
    CHECK_OK(mp_value_new(sizeof zero, &zero, MP_LOCK_NONE, &started));
    CHECK_OK(mp_value_token(started, &token));
    size_t descriptors = pool_entries("/proc/self/fd");
    for (int i = 0; i < STARTERS; i++)
        CHECK_EQ(0, pthread_create(&threads[i], NULL, start_many, &token));
    while (__atomic_load_n((long *)mp_value_data(started), __ATOMIC_SEQ_CST) < STARTERS * STARTS) {
        check_sleep(rand_r(&seed) % 4000 * INT64_C(1000));
        pid_t server = server_pid();
        if (server != 0 && kill(server, SIGKILL) == 0)
            kills++;
    }
    for (int i = 0; i < STARTERS; i++)
        CHECK_EQ(0, pthread_join(threads[i], NULL));
    CHECK_EQ(STARTERS * STARTS, *(long *)mp_value_data(started));
    printf("%d servers killed\n", kills);
    CHECK(kills > 20);
    pool_no_children();
    CHECK(pool_entries("/proc/self/fd") <= descriptors);
    mp_value_free(started);
}

/* -- the owner's end -- */

static void a_server_ends_with_its_owner(void) {
    int ends[2];
    struct {
        int32_t server, daemon, other;
    } pids = {0};
    CHECK_EQ(0, pipe2(ends, O_CLOEXEC));
    pid_t owner = fork();
    if (owner == 0) {
        mp_process *daemon = start(sleep_for_ever, NULL, 0, MP_START_FORKSERVER, true);
        mp_process *other = start(sleep_for_ever, NULL, 0, MP_START_FORKSERVER, false);
        CHECK_OK(mp_process_pid(daemon, &pids.daemon));
        CHECK_OK(mp_process_pid(other, &pids.other));
        pids.server = server_pid();
        CHECK_EQ(sizeof pids, write(ends[1], &pids, sizeof pids));
        for (;;)
            pause();
    }
    CHECK_EQ(sizeof pids, read(ends[0], &pids, sizeof pids));
    CHECK(pids.server != 0 && is_running(pids.server) && is_running(pids.daemon));
    CHECK_EQ(0, kill(owner, SIGKILL));
    CHECK_EQ(owner, waitpid(owner, NULL, 0));
    while (is_running(pids.server) || is_running(pids.daemon))
        check_sleep(100000);
    CHECK(is_running(pids.other));
    CHECK_EQ(0, kill(pids.other, SIGKILL));
    close(ends[0]), close(ends[1]);
}

static int32_t hang_warming(mp_call *call) { return sleep_for_ever(call); }

static void *start_warming(void *unused) {
    CHECK_STATUS(MP_ERR_WORKER_DIED, mp_forkserver_start(hang_warming, NULL, 0));
    return unused;
}

/* Nor does who stops a server wait for a warm-up that never ends, and those who wait for that hear of it. */
static void a_hanging_warm_up_is_stopped(void) {
    pthread_t starter;
    CHECK_OK(mp_forkserver_stop());
    CHECK_EQ(0, pthread_create(&starter, NULL, start_warming, NULL));
    check_sleep(CHECK_SECOND / 5);
    CHECK_OK(mp_forkserver_stop());
    CHECK_EQ(0, pthread_join(starter, NULL));
}

/* Takes as long as there is a file of this name. */
static int32_t warm_slowly(mp_call *call) {
    while (access(mp_call_arg(call, 0).data, F_OK) == 0)
        check_sleep(CHECK_SECOND / 100);
    return 0;
}

/* A pool whose zygote and server were killed waits for the next server. Nobody waits with it. */
static void a_slow_warm_up_holds_up_nobody(void) {
    char name[] = "/tmp/mp-test-XXXXXX";
    int file = mkstemp(name);
    int32_t three = 3;
    int64_t two = 2;
    mp_slice path = {name, sizeof name}, arg = {&two, sizeof two};
    mp_buffer *buffer;
    pid_t pids[2];
    CHECK(file >= 0);
    CHECK_EQ(0, close(file));
    CHECK_EQ(0, unlink(name));
    CHECK_OK(mp_forkserver_start(warm_slowly, &path, 1));
    mp_pool *pool = pool_new(MP_START_FORKSERVER, 1);
    CHECK_OK(mp_pool_apply(pool, pool_square, &arg, 1, &buffer));
    mp_buffer_free(buffer);
    CHECK_EQ(2, pool_children(getpid(), pids, 2));
    file = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);
    CHECK(file >= 0);
    CHECK_EQ(0, close(file));
    pid_t server = server_pid();
    CHECK_EQ(0, kill(server, SIGKILL));
    while (is_running(server))
        check_sleep(100000);
    CHECK_EQ(0, kill(pids[0] == server ? pids[1] : pids[0], SIGKILL));
    while (server_pid() == 0 || server_pid() == server)
        check_sleep(100000);
    mp_process *process = start(answer, &three, sizeof three, MP_START_FORK, false);
    mp_waitable end = {.kind = MP_WAIT_PROCESS, .handle = process};
    CHECK_OK(mp_wait(&end, 1, MP_FOREVER));
    CHECK_EQ(3, finish(process));
    CHECK_EQ(0, unlink(name));
    CHECK_OK(mp_pool_apply(pool, pool_square, &arg, 1, &buffer));
    CHECK_EQ(4, pool_number((mp_slice){mp_buffer_data(buffer), mp_buffer_len(buffer)}));
    mp_buffer_free(buffer);
    pool_end(pool);
    CHECK_OK(mp_forkserver_stop());
}

#if defined(__SANITIZE_ADDRESS__)
enum { WARM_UPS = 20 }; /* each takes long */
#else
enum { WARM_UPS = 4200 };
#endif

/* Warm-ups leave nothing: there are no more than some thousand places for processes. */
static void warm_ups_take_no_place(void) {
    int32_t code = 0;
    mp_slice arg = {&code, sizeof code};
    for (int i = 0; i < WARM_UPS; i++) {
        CHECK_OK(mp_forkserver_start(answer, &arg, 1));
        CHECK_OK(mp_forkserver_stop());
    }
}

/* A forked child leaves its parent's server alone. */
static void a_forked_child_has_its_own_server(void) {
    int32_t code = 4;
    int status = -1;
    CHECK_EQ(4, run(answer, &code, sizeof code, MP_START_FORKSERVER));
    pid_t server = server_pid(), child = fork();
    if (child == 0) {
        CHECK_EQ(4, run(answer, &code, sizeof code, MP_START_FORKSERVER));
        CHECK(server_pid() != 0 && server_pid() != server);
        CHECK_OK(mp_forkserver_stop());
        _exit(0);
    }
    CHECK_EQ(child, waitpid(child, &status, 0));
    CHECK_EQ(0, status);
    CHECK_EQ(4, run(answer, &code, sizeof code, MP_START_FORKSERVER));
    CHECK_EQ(server, server_pid());
}

int main(int argc, char **argv) {
    CHECK_OK(mp_main_init(argc, argv));
    check_begin();
    check_watchdog(100);
    children_find_what_was_warmed_up();
    a_failed_warm_up_is_told();
    children_are_the_callers();
    streams_are_the_callers();
    starts_survive_the_server();
    a_server_ends_with_its_owner();
    a_forked_child_has_its_own_server();
    a_hanging_warm_up_is_stopped();
    a_slow_warm_up_holds_up_nobody();
    warm_ups_take_no_place();
    pool_no_children();
    return 0;
}
