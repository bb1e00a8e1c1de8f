/*
 * Processes and those around them: parents that die, hosts that get in the way, many processes, many threads.
 */
#include "process.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>

/* -- a process's own family -- */

static int32_t leave_a_grandchild(mp_call *call) {
    mp_slice arg = mp_call_arg(call, 0);
    int gate = *(const int *)arg.data;
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        close(((const int *)arg.data)[1]);
        if (read(gate, &byte, 1) < 0)
            _exit(1);
        _exit(0);
    }
    return pid > 0 ? 17 : 1;
}

static void a_grandchild_keeps_nobody_waiting(void) {
    int gate[2];
    CHECK_EQ(0, pipe(gate));
    CHECK_EQ(17, run(leave_a_grandchild, gate, sizeof gate, MP_START_FORK));
    close(gate[0]);
    close(gate[1]);
}

/* Says its pid and then keeps the pipe open until it dies. */
static int32_t hold_a_pipe(mp_call *call) {
    int fd = *(const int *)mp_call_arg(call, 0).data;
    pid_t pid = getpid();
    CHECK_EQ(sizeof pid, write(fd, &pid, sizeof pid));
    return sleep_for_ever(call);
}

/* The same for a spawned child, which has the pipe as its stdout. */
static int32_t hold_stdout(mp_call *call) {
    pid_t pid = getpid();
    CHECK_EQ(sizeof pid, write(STDOUT_FILENO, &pid, sizeof pid));
    return sleep_for_ever(call);
}

static void daemons_die_with_their_parent(int32_t method) {
    int ends[2];
    pid_t child = 0;
    char byte;
    CHECK_EQ(0, pipe(ends));
    pid_t parent = fork();
    if (parent == 0) {
        close(ends[0]);
        dup2(ends[1], STDOUT_FILENO);
        start(method == MP_START_FORK ? hold_a_pipe : hold_stdout, &ends[1], sizeof ends[1], method, true);
        close(ends[1]);
        close(STDOUT_FILENO);
        for (;;)
            pause();
    }
    close(ends[1]);
    CHECK_EQ(sizeof child, read(ends[0], &child, sizeof child));
    CHECK_EQ(0, kill(child, 0));
    kill(parent, SIGKILL);
    CHECK_EQ(-SIGKILL, check_wait(parent));
    CHECK_EQ(0, read(ends[0], &byte, 1));
    close(ends[0]);
}

static int32_t linger(mp_call *call) {
    int fd = *(const int *)mp_call_arg(call, 0).data;
    check_sleep(CHECK_SECOND / 5);
    return write(fd, "x", 1) == 1 ? 0 : 1;
}

static void others_are_awaited_at_exit(void) {
    int ends[2];
    char byte = 0;
    CHECK_EQ(0, pipe(ends));
    pid_t parent = fork();
    if (parent == 0) {
        mp_process_free(start(linger, &ends[1], sizeof ends[1], MP_START_FORK, false));
        mp_process_free(start(sleep_for_ever, "", 0, MP_START_FORK, true));
        exit(3);
    }
    CHECK_EQ(3, check_wait(parent));
    CHECK_EQ(0, fcntl(ends[0], F_SETFL, O_NONBLOCK));
    CHECK_EQ(1, read(ends[0], &byte, 1));
    close(ends[0]);
    close(ends[1]);
}

static void a_forked_child_may_only_free(mp_process *process) {
    char text[100];
    int32_t number;
    bool alive;
    CHECK_STATUS(MP_ERR_STATE, mp_process_start(process));
    CHECK_STATUS(MP_ERR_STATE, mp_process_join(process, 0));
    CHECK_STATUS(MP_ERR_STATE, mp_process_kill(process));
    CHECK_STATUS(MP_ERR_STATE, mp_process_terminate(process));
    CHECK_STATUS(MP_ERR_STATE, mp_process_close(process));
    CHECK_STATUS(MP_ERR_STATE, mp_process_exitcode(process, &number));
    CHECK_STATUS(MP_ERR_STATE, mp_process_pid(process, &number));
    CHECK_STATUS(MP_ERR_STATE, mp_process_is_alive(process, &alive));
    CHECK_STATUS(MP_ERR_STATE, mp_process_repr(process, text, sizeof text));
    CHECK(mp_process_name(process) == NULL);
    mp_process_free(process);
}

static void handles_belong_to_their_maker(void) {
    mp_process *process = start(sleep_for_ever, "", 0, MP_START_FORK, true);
    int32_t six = 6;
    pid_t child = fork();
    if (child == 0) {
        a_forked_child_may_only_free(process);
        CHECK_EQ(6, run(answer, &six, sizeof six, MP_START_FORK));
        CHECK_EQ(6, run(answer, &six, sizeof six, MP_START_SPAWN));
        exit(9);
    }
    CHECK_EQ(9, check_wait(child));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_process_join(process, 0));
    CHECK_OK(mp_process_kill(process));
    CHECK_EQ(-SIGKILL, finish(process));
}

/* -- hosts that get in the way -- */

static void a_host_may_ignore_sigchld(int32_t method) {
    int32_t seven = 7;
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(7, run(answer, &seven, sizeof seven, method));
    mp_process *process = start(sleep_for_ever, "", 0, method, false);
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_process_join(process, CHECK_SECOND / 50));
    CHECK_OK(mp_process_kill(process));
    CHECK_EQ(MP_EXIT_UNKNOWN, finish(process));
    signal(SIGCHLD, SIG_DFL);
}

static volatile bool reaping;

static void *reap_everything(void *count) {
    while (reaping)
        if (waitpid(-1, NULL, WNOHANG) > 0)
            ++*(int *)count;
    return NULL;
}

static int warnings;

static void count_warnings(void *user, int32_t level, const char *text) {
    CHECK_EQ(MP_LOG_WARNING, level);
    CHECK(strstr(text, "threads") != NULL);
    ++*(int *)user;
}

static void a_host_may_reap_everything(int32_t method) {
    int32_t seven = 7;
    int reaped = 0;
    pthread_t thread;
    reaping = true;
    CHECK_EQ(0, pthread_create(&thread, NULL, reap_everything, &reaped));
    for (int i = 0; i < 100; i++)
        CHECK_EQ(7, run(answer, &seven, sizeof seven, method));
    for (int i = 0; i < 20; i++) {
        mp_process *process = start(sleep_for_ever, "", 0, method, false);
        CHECK_OK(mp_process_kill(process));
        int32_t code = finish(process);
        CHECK(code == -SIGKILL || code == MP_EXIT_UNKNOWN);
    }
    reaping = false;
    CHECK_EQ(0, pthread_join(thread, NULL));
}

static void a_warning_about_threads_comes_once(void) {
    CHECK_STATUS(MP_ERR_INVALID, mp_set_log_callback(count_warnings, &warnings, 0));
    CHECK_OK(mp_set_log_callback(count_warnings, &warnings, MP_LOG_WARNING));
    a_host_may_reap_everything(MP_START_SPAWN);
    CHECK_EQ(0, warnings);
    a_host_may_reap_everything(MP_START_FORK);
    a_host_may_reap_everything(MP_START_FORK);
    CHECK_EQ(1, warnings);
    CHECK_OK(mp_set_log_callback(NULL, NULL, 0));
}

/* In a process of its own: what follows can't be undone. */
static void a_host_may_close_everything(void) {
    pid_t host = fork();
    if (host == 0) {
        int32_t seven = 7;
        mp_process *process = start(sleep_for_ever, "", 0, MP_START_FORK, false);
        mp_process *doomed = start(sleep_for_ever, "", 0, MP_START_FORK, true);
        for (int fd = 3; fd < 200; fd++)
            close(fd);
        for (int i = 0; i < 20; i++)
            CHECK(open("/dev/null", O_RDWR) >= 0);
        CHECK_EQ(-SIGKILL, finish(doomed));
        CHECK_OK(mp_process_kill(process));
        CHECK_EQ(-SIGKILL, finish(process));
        CHECK_EQ(7, run(answer, &seven, sizeof seven, MP_START_FORK));
        process = make(answer, NULL, 0, MP_START_SPAWN, false, NULL);
        CHECK_STATUS(MP_ERR_STATE, mp_process_start(process));
        mp_process_free(process);
        exit(0);
    }
    CHECK_EQ(0, check_wait(host));
}

/* -- many -- */

/* Without those of the fork server, which would stay. */
static int descriptors(void) {
    int count = 0;
    CHECK_OK(mp_forkserver_stop());
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory != NULL);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static void nothing_is_left(int before) {
    CHECK_EQ(before, descriptors());
    CHECK_EQ(-1, waitpid(-1, NULL, WNOHANG));
    CHECK_EQ(ECHILD, errno);
}

static void a_thousand_starts_leave_nothing(void) {
    int before = descriptors();
    int32_t three = 3;
    for (int i = 0; i < 900; i++)
        CHECK_EQ(3, run(answer, &three, sizeof three, MP_START_FORK));
    for (int i = 0; i < 100; i++)
        CHECK_EQ(3, run(answer, &three, sizeof three, MP_START_SPAWN));
    nothing_is_left(before);
}

static void many_at_a_time(int32_t method, int count) {
    int before = descriptors();
    mp_process *processes[200];
    for (int32_t i = 0; i < count; i++)
        processes[i] = start(i % 2 ? answer : sleep_for_ever, &i, sizeof i, method, i % 4 == 0);
    for (int32_t i = 0; i < count; i += 2)
        CHECK_OK(mp_process_kill(processes[i]));
    for (int32_t i = 0; i < count; i++)
        CHECK_EQ(i % 2 ? i : -SIGKILL, finish(processes[i]));
    nothing_is_left(before);
}

static void *start_some(void *method) {
    for (int32_t i = 0; i < 25; i++)
        CHECK_EQ(i, run(answer, &i, sizeof i, *(int32_t *)method));
    return NULL;
}

static void threads_start_at_once(int32_t method) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK_EQ(0, pthread_create(&threads[i], NULL, start_some, &method));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(0, pthread_join(threads[i], NULL));
}

static void *join_it(void *process) {
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    return NULL;
}

static void several_may_join(void) {
    pthread_t threads[4];
    mp_process *process = start(sleep_for_ever, "", 0, MP_START_FORK, false);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(0, pthread_create(&threads[i], NULL, join_it, process));
    CHECK_OK(mp_process_kill(process));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(0, pthread_join(threads[i], NULL));
    CHECK_EQ(-SIGKILL, finish(process));
}

int main(int argc, char **argv) {
    if (getenv("MP_CHILD") == NULL)
        check_begin();
    CHECK_OK(mp_main_init(argc, argv));
    /* The first start makes what the library keeps. */
    int32_t one = 1;
    CHECK_EQ(1, finish(start(answer, &one, sizeof one, MP_START_FORK, true)));
    for (int i = 0; i < 2; i++) {
        daemons_die_with_their_parent(METHODS[i]);
        a_host_may_ignore_sigchld(METHODS[i]);
        many_at_a_time(METHODS[i], METHODS[i] == MP_START_FORK ? 200 : 40);
    }
    a_grandchild_keeps_nobody_waiting();
    others_are_awaited_at_exit();
    handles_belong_to_their_maker();
    a_host_may_close_everything();
    a_thousand_starts_leave_nothing();
    a_warning_about_threads_comes_once();
    threads_start_at_once(MP_START_FORK);
    threads_start_at_once(MP_START_SPAWN);
    threads_start_at_once(MP_START_THREAD);
    several_may_join();
    return 0;
}
