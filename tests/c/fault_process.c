/*
 * Processes killed at each point of a start and of an end: whoever is left sees it, and nobody stays behind.
 */
#include "process.h"

/* Runs `body` in a process where the fault is armed, which its spawned children inherit. The pipe ends only when all
 * of them have gone. Answers how the process ended. */
static int with_fault(const char *fault, int argc, char **argv, void (*body)(void)) {
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
    int end = check_wait(host);
    CHECK_EQ(0, read(ends[0], &byte, 1));
    close(ends[0]);
    return end;
}

static void child_is_killed(int32_t method) {
    int32_t five = 5;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(-SIGKILL, run(answer, &five, sizeof five, method));
}

static void forked_child_is_killed(void) { child_is_killed(MP_START_FORK); }

static void spawned_child_is_killed(void) { child_is_killed(MP_START_SPAWN); }

static void host_forks(void) { finish(start(sleep_for_ever, "", 0, MP_START_FORK, true)); }

static void host_spawns(void) { finish(start(sleep_for_ever, "", 0, MP_START_SPAWN, true)); }

static void host_reaps(void) {
    mp_process *daemon = start(sleep_for_ever, "", 0, MP_START_FORK, true);
    mp_process *process = start(sleep_for_ever, "", 0, MP_START_FORK, false);
    CHECK_OK(mp_process_kill(process));
    finish(process);
    finish(daemon);
}

int main(int argc, char **argv) {
    if (getenv("MP_CHILD") != NULL)
        CHECK_OK(mp_main_init(argc, argv));
    check_begin();
    CHECK_EQ(0, with_fault("kill@process.fork:begun", argc, argv, forked_child_is_killed));
    CHECK_EQ(0, with_fault("kill@process.fork:ended", argc, argv, forked_child_is_killed));
    CHECK_EQ(0, with_fault("kill@process.spawn:attached", argc, argv, spawned_child_is_killed));
    CHECK_EQ(-SIGKILL, with_fault("kill@process.fork:forked", argc, argv, host_forks));
    CHECK_EQ(-SIGKILL, with_fault("kill@process.spawn:pending", argc, argv, host_spawns));
    CHECK_EQ(-SIGKILL, with_fault("kill@process.spawn:started", argc, argv, host_spawns));
    CHECK_EQ(-SIGKILL, with_fault("kill@reaper.bury:taken", argc, argv, host_reaps));
    CHECK_EQ(-SIGKILL, with_fault("kill@reaper.bury:reaped", argc, argv, host_reaps));
    return 0;
}
