/*
 * Processes killed at each point of a start and of an end: whoever is left sees it, and nobody stays behind.
 */
#include "fault.h"

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
    CHECK_EQ(0, with_fault("kill@process.taken:live", argc, argv, forked_child_is_killed));
    CHECK_EQ(0, with_fault("kill@process.taken:live", argc, argv, spawned_child_is_killed));
    CHECK_EQ(0, with_fault("kill@process.fork:ended", argc, argv, forked_child_is_killed));
    CHECK_EQ(0, with_fault("kill@process.spawn:attached", argc, argv, spawned_child_is_killed));
    CHECK_EQ(-SIGKILL, with_fault("kill@process.fork:forked", argc, argv, host_forks));
    CHECK_EQ(-SIGKILL, with_fault("kill@process.spawn:pending", argc, argv, host_spawns));
    CHECK_EQ(-SIGKILL, with_fault("kill@process.spawn:started", argc, argv, host_spawns));
    CHECK_EQ(-SIGKILL, with_fault("kill@reaper.bury:taken", argc, argv, host_reaps));
    CHECK_EQ(-SIGKILL, with_fault("kill@reaper.bury:reaped", argc, argv, host_reaps));
    return 0;
}
