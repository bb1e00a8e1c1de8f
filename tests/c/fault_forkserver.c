/*
 * Fork servers, their owners and their children killed at each point of a start: each start makes one child or fails,
 * and nobody stays behind.
 */
#include "fault.h"

static int32_t seven = 7;

static int32_t run_seven(void) { return run(answer, &seven, sizeof seven, MP_START_FORKSERVER); }

/* Each server is killed when it is asked the second time. */
static void servers_are_replaced(void) {
    for (int i = 0; i < 12; i++)
        CHECK_EQ(7, run_seven());
    CHECK_OK(mp_forkserver_stop());
}

/* Each is killed at once. */
static void all_servers_are_killed(void) {
    mp_process *process = make(answer, NULL, 0, MP_START_FORKSERVER, false, NULL);
    CHECK_STATUS(MP_ERR_STATE, mp_process_start(process));
    CHECK_ERROR_HAS("fork servers in a row");
    mp_process_free(process);
    CHECK_OK(mp_forkserver_stop());
}

static void child_is_killed(void) {
    for (int i = 0; i < 3; i++)
        CHECK_EQ(-SIGKILL, run_seven());
}

static void host_starts(void) { finish(start(sleep_for_ever, "", 0, MP_START_FORKSERVER, true)); }

/* The second child is started by a server that is stopped: its owner waits, and is killed. */
static void host_waits(void) {
    host_starts();
    host_starts();
}

int main(int argc, char **argv) {
    if (getenv("MP_CHILD") != NULL)
        CHECK_OK(mp_main_init(argc, argv));
    check_begin();
    CHECK_EQ(0, with_fault("kill@process.served:prepared#2", argc, argv, servers_are_replaced));
    CHECK_EQ(0, with_fault("kill@process.served:forked#2", argc, argv, servers_are_replaced));
    CHECK_EQ(0, with_fault("kill@process.served:forked", argc, argv, servers_are_replaced));
    CHECK_EQ(0, with_fault("kill@fork.prepare:copied#2", argc, argv, servers_are_replaced));
    CHECK_EQ(0, with_fault("kill@process.served:prepared", argc, argv, all_servers_are_killed));
    CHECK_EQ(0, with_fault("kill@process.served:begun", argc, argv, child_is_killed));
    CHECK_EQ(0, with_fault("kill@process.taken:live#2", argc, argv, child_is_killed));
    CHECK_EQ(0, with_fault("kill@process.fork:ended", argc, argv, child_is_killed));
    CHECK_EQ(-SIGKILL, with_fault("kill@process.served:asking", argc, argv, host_starts));
    CHECK_EQ(-SIGKILL, with_fault("kill@process.served:started", argc, argv, host_starts));
    CHECK_EQ(-SIGKILL, killed_with_fault("stop@process.served:prepared", argc, argv, host_waits, 300000000));
    return 0;
}
