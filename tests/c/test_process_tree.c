/*
 * Trees of processes: all of them are killed, whoever made them, and nobody else.
 */
#include "process.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* Shared with all that are forked: who is there. */
enum { MOST = 4000 };
static struct shared {
    _Atomic int count, ready;
    _Atomic pid_t pids[MOST];
} * shared;

static pid_t note(pid_t pid) {
    int i = shared->count++;
    if (i < MOST)
        shared->pids[i] = pid;
    return pid;
}

/* The letter of a process's state; 0 if it has gone. */
static char state_of(pid_t pid) {
    char path[40], line[300];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    char *end = file != NULL && fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (file != NULL)
        fclose(file);
    return end != NULL ? end[2] : 0;
}

static bool runs(pid_t pid) {
    char state = state_of(pid);
    return state != 0 && state != 'Z' && state != 'X';
}

/* Nobody who was noted runs. */
static void check_nobody_runs(void) {
    CHECK(shared->count > 0 && shared->count <= MOST);
    for (int i = 0; i < shared->count; i++) {
        if (runs(shared->pids[i]))
            fprintf(stderr, "%d of %d, %d, is %c\n", i, (int)shared->count, (int)shared->pids[i],
                    state_of(shared->pids[i]));
        CHECK(!runs(shared->pids[i]));
    }
    shared->count = shared->ready = 0;
}

static void await_ready(int n) {
    while (shared->ready < n)
        check_sleep(CHECK_SECOND / 1000);
}

static void sleep_here(void) {
    alarm(120);
    note(getpid());
    shared->ready++;
    for (;;)
        pause();
}

static pid_t fork_sleeper(void) {
    pid_t pid = fork();
    if (pid == 0)
        sleep_here();
    CHECK(pid > 0);
    return pid;
}

/* A stranger, and a sibling of the tree: they stay. */
static void check_others_stay(pid_t stranger, mp_process *sibling) {
    bool alive = false;
    CHECK(runs(stranger));
    CHECK_OK(mp_process_is_alive(sibling, &alive));
    CHECK(alive);
}

/* -- a tree of all kinds -- */

/* The depth is its argument: two children by libmp, one by fork, and a shell with children of its own. */
static int32_t branch(mp_call *call) {
    int32_t depth;
    memcpy(&depth, mp_call_arg(call, 0).data, sizeof depth);
    note(getpid());
    alarm(120);
    if (depth > 0) {
        int32_t next = depth - 1;
        start(branch, &next, sizeof next, MP_START_FORK, true);
        start(branch, &next, sizeof next, MP_START_FORK, false);
        pid_t pid = fork();
        if (pid == 0) {
            fork_sleeper();
            sleep_here();
        }
        pid = fork();
        if (pid == 0) {
            execl("/bin/sh", "sh", "-c", "sleep 100 & (sleep 101 & sleep 102) & sleep 103; true", (char *)NULL);
            _exit(1);
        }
        note(pid);
    }
    shared->ready++;
    return sleep_for_ever(call);
}

/* How many processes named `sleep` have this number of seconds. */
static int count_sleeps(const char *seconds) {
    int found = 0;
    struct dirent *entry;
    DIR *folder = opendir("/proc");
    CHECK(folder != NULL);
    while ((entry = readdir(folder)) != NULL) {
        char path[300], line[100] = "";
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        FILE *file = atoi(entry->d_name) > 0 ? fopen(path, "r") : NULL;
        size_t n = file != NULL ? fread(line, 1, sizeof line - 1, file) : 0;
        if (file != NULL)
            fclose(file);
        found += n == 7 + strlen(seconds) && memcmp(line, "sleep", 6) == 0 && strcmp(line + 6, seconds) == 0 &&
                 getpgid(atoi(entry->d_name)) == getpgrp();
    }
    closedir(folder);
    return found;
}

static void whole_trees_are_killed(void) {
    static const char *sleeps[] = {"100", "101", "102", "103"};
    int32_t depth = 2;
    pid_t stranger = fork();
    if (stranger == 0)
        for (;;)
            pause();
    mp_process *sibling = start(sleep_for_ever, "", 0, MP_START_FORK, true);
    mp_process *process = start(branch, &depth, sizeof depth, MP_START_FORK, false);
    /* 1 + 2 + 4 branches, and three times two sleepers. */
    await_ready(13);
    for (int i = 0; i < 4; i++)
        while (count_sleeps(sleeps[i]) < 3)
            check_sleep(CHECK_SECOND / 1000);
    CHECK_OK(mp_process_kill_tree(process));
    check_nobody_runs();
    for (int i = 0; i < 4; i++)
        CHECK_EQ(0, count_sleeps(sleeps[i]));
    /* The end is known at once. */
    CHECK_EQ(-SIGKILL, exit_code(process));
    check_others_stay(stranger, sibling);
    CHECK_OK(mp_process_kill_tree(process));
    check_others_stay(stranger, sibling);
    mp_process_free(process);
    CHECK_OK(mp_process_kill_tree(sibling));
    CHECK_EQ(-SIGKILL, exit_code(sibling));
    mp_process_free(sibling);
    CHECK(runs(stranger));
    kill(stranger, SIGKILL);
    CHECK_EQ(-SIGKILL, check_wait(stranger));
}

/* -- spawned ones, by their own start method -- */

static int32_t spawn_line(mp_call *call) {
    mp_queue *queue;
    int32_t depth, pid = getpid();
    memcpy(&depth, mp_call_arg(call, 1).data, sizeof depth);
    CHECK_OK(mp_queue_from_token(mp_call_arg(call, 0).data, &queue));
    CHECK_OK(mp_queue_put(queue, &pid, sizeof pid, 0));
    int32_t next = depth - 1;
    mp_slice args[] = {mp_call_arg(call, 0), {&next, sizeof next}};
    if (depth > 0)
        CHECK_OK(mp_process_start(make(spawn_line, args, 2, depth % 2 ? MP_START_FORK : MP_START_SPAWN, false, NULL)));
    /* Every second one ends: but not before its child has begun, for what libmp made is known by its forebears. */
    return depth % 2 ? sleep_for_ever(call) : depth == 0 ? sleep_for_ever(call) : (_exit(0), 0);
}

static void lines_with_gaps_are_followed(int32_t method) {
    enum { DEPTH = 14 };
    mp_queue *queue;
    mp_token token;
    int32_t depth = DEPTH, pid;
    size_t length;
    CHECK_OK(mp_queue_new(NULL, &queue));
    CHECK_OK(mp_queue_token(queue, &token));
    mp_slice args[] = {{&token, sizeof token}, {&depth, sizeof depth}};
    mp_process *process = make(spawn_line, args, 2, method, false, NULL);
    CHECK_OK(mp_process_start(process));
    for (int i = 0; i <= DEPTH; i++) {
        CHECK_OK(mp_queue_get_into(queue, &pid, sizeof pid, &length, MP_FOREVER));
        note(pid);
    }
    /* The process itself has ended by then, or does so. */
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    CHECK_EQ(0, exit_code(process));
    CHECK(runs(shared->pids[DEPTH]));
    CHECK_OK(mp_process_kill_tree(process));
    check_nobody_runs();
    mp_process_free(process);
    mp_queue_free(queue);
}

/* -- those who never stand still -- */

/* A child of which libmp knows nothing: past fork handlers, so that it has no slot. */
static pid_t clone_sleeper(void) {
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        note(getpid());
        for (;;)
            pause();
    }
    return pid;
}

/* Makes children for ever, and ends them: there is always somebody new, who stays if its parent dies first. */
static int32_t fork_on(mp_call *call) {
    (void)call;
    alarm(120);
    note(getpid());
    for (int i = 0; i < 3; i++)
        if (fork() == 0)
            note(getpid());
    while (shared->count < MOST - 100) {
        shared->ready++;
        pid_t pid = clone_sleeper();
        for (int i = 0; i < 20; i++)
            sched_yield();
        if (pid > 0) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
        }
    }
    return sleep_for_ever(call);
}

static void *fork_by_thread(void *call) {
    fork_on(call);
    return NULL;
}

static int32_t fork_by_threads(mp_call *call) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK_EQ(0, pthread_create(&threads[i], NULL, fork_by_thread, call));
    return fork_on(call);
}

static void forkers_do_not_escape(mp_fn fn) {
    for (int round = 0; round < 5; round++) {
        mp_process *process = start(fn, "", 0, MP_START_FORK, false);
        await_ready(30);
        CHECK_OK(mp_process_kill_tree(process));
        int count = shared->count;
        check_nobody_runs();
        check_sleep(CHECK_SECOND / 200);
        CHECK_EQ(0, shared->count);
        CHECK(count > 8);
        mp_process_free(process);
    }
}

/* -- those who have no parent any more -- */

static int32_t leave_an_orphan(mp_call *call) {
    note(getpid());
    pid_t pid = fork();
    if (pid == 0) {
        fork_sleeper();
        _exit(0);
    }
    CHECK_EQ(0, check_wait(pid));
    return sleep_for_ever(call);
}

/* An orphan is known by its slot: it was forked by a process that uses libmp. */
static void orphans_are_found_by_their_slots(void) {
    mp_process *process = start(leave_an_orphan, "", 0, MP_START_FORK, false);
    await_ready(1);
    CHECK_OK(mp_process_kill_tree(process));
    CHECK_EQ(2, shared->count);
    check_nobody_runs();
    mp_process_free(process);
}

static int32_t keep_a_rich_child(mp_call *call) {
    fork_sleeper();
    CHECK_EQ(0, setuid(65534));
    shared->ready++;
    return sleep_for_ever(call);
}

/* Somebody in the tree runs as another user: the others are killed, and it is said. */
static void who_cannot_be_killed_is_told(void) {
    if (geteuid() != 0) {
        printf("not root: nobody whom this user can't kill\n");
        return;
    }
    pid_t host = fork();
    if (host == 0) {
        mp_process *process = start(keep_a_rich_child, "", 0, MP_START_FORK, false);
        await_ready(2);
        CHECK_EQ(0, setuid(65534));
        CHECK_STATUS(MP_ERR_ACCESS, mp_process_kill_tree(process));
        CHECK_ERROR_HAS("another user");
        CHECK_OK(mp_process_join(process, MP_FOREVER));
        CHECK_EQ(-SIGKILL, exit_code(process));
        CHECK(runs(shared->pids[0]) && state_of(shared->pids[0]) != 'T');
        _exit(0);
    }
    CHECK_EQ(0, check_wait(host));
    CHECK_EQ(1, shared->count);
    CHECK_EQ(0, kill(shared->pids[0], SIGKILL));
    while (runs(shared->pids[0]))
        check_sleep(CHECK_SECOND / 1000);
    check_nobody_runs();
}

static void stopped_ones_and_zombies(void) {
    mp_process *process = start(leave_an_orphan, "", 0, MP_START_FORK, false);
    await_ready(1);
    CHECK_OK(mp_process_signal(process, SIGSTOP));
    for (int i = 0; i < shared->count; i++)
        kill(shared->pids[i], SIGSTOP);
    CHECK_OK(mp_process_kill_tree(process));
    check_nobody_runs();
    CHECK_EQ(-SIGKILL, exit_code(process));
    mp_process_free(process);
    CHECK_STATUS(MP_ERR_INVALID, mp_process_kill_tree(process));
}

int main(int argc, char **argv) {
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (getenv("MP_CHILD") == NULL)
        check_begin();
    CHECK_OK(mp_main_init(argc, argv));
    whole_trees_are_killed();
    for (int i = 0; i < 2; i++)
        lines_with_gaps_are_followed(METHODS[i]);
    forkers_do_not_escape(fork_on);
    forkers_do_not_escape(fork_by_threads);
    orphans_are_found_by_their_slots();
    stopped_ones_and_zombies();
    who_cannot_be_killed_is_told();
    return 0;
}
