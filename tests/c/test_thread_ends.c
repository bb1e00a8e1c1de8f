/*
 * Processes that are threads, and the ends and forks of the process that they are in.
 * check: unsanitized (the sanitizer's allocator is not made for forks beside threads)
 */
#include "thread.h"

#include <fcntl.h>

/* -- exit: each in a process of its own -- */

static int said[2];

static int32_t linger(mp_call *call) {
    (void)call;
    check_sleep(CHECK_SECOND / 5);
    return write(said[1], "x", 1) == 1 ? 0 : 1;
}

static void expect_bytes(size_t n) {
    char bytes[8];
    CHECK_EQ(0, fcntl(said[0], F_SETFL, O_NONBLOCK));
    ssize_t found = read(said[0], bytes, sizeof bytes);
    CHECK_EQ(n, found > 0 ? found : 0);
}

static void others_are_awaited_at_exit(void) {
    pid_t parent = fork();
    if (parent == 0) {
        gate at = gate_new();
        mp_process_free(start(linger, NULL, 0, TWIN, false));
        start(linger, NULL, 0, TWIN, false);
        mp_process *daemon = start_thread_with(wait_at_gate, &at, true);
        CHECK_OK(mp_event_wait(at.begun, MP_FOREVER));
        mp_process_free(daemon);
        exit(3);
    }
    CHECK_EQ(3, check_wait(parent));
    expect_bytes(2);
}

static int32_t leave_a_twin(mp_call *call) {
    (void)call;
    mp_process_free(start(linger, NULL, 0, TWIN, false));
    return 21;
}

static void a_child_waits_for_its_threads(void) {
    CHECK_EQ(21, run(leave_a_twin, "", 0, MP_START_FORK));
    expect_bytes(1);
}

/* Below a daemon everything dies with its own parent, but a thread is awaited as elsewhere. */
static void a_daemon_waits_for_its_threads(void) {
    CHECK_EQ(21, finish(start(leave_a_twin, "", 0, MP_START_FORK, true)));
    expect_bytes(1);
}

/* A thread that starts another before it ends, when main has gone already. */
static int32_t chain(mp_call *call) {
    check_sleep(CHECK_SECOND / 20);
    return leave_a_twin(call);
}

static void threads_may_start_others_late(void) {
    pid_t parent = fork();
    if (parent == 0) {
        start(chain, "", 0, TWIN, false);
        exit(4);
    }
    CHECK_EQ(4, check_wait(parent));
    expect_bytes(1);
}

static int32_t call_exit(mp_call *call) { exit(answer(call)); }

static int32_t join_pointed(mp_call *call) {
    CHECK_OK(mp_process_join(pointed(call), MP_FOREVER));
    return 0;
}

/* The others wait for the one that ends the program: it waits for none of them. */
static void exit_ends_the_program(void) {
    pid_t parent = fork();
    if (parent == 0) {
        gate at = gate_new();
        int32_t five = 5;
        start_thread_with(wait_at_gate, &at, false);
        CHECK_OK(mp_event_wait(at.begun, MP_FOREVER));
        mp_slice arg = {&five, sizeof five};
        mp_process *last = make(call_exit, &arg, 1, TWIN, false, NULL);
        CHECK_OK(mp_process_start(last));
        start_thread_with(join_pointed, last, false);
        CHECK_OK(mp_process_join(last, MP_FOREVER));
        for (;;)
            pause();
    }
    CHECK_EQ(5, check_wait(parent));
}

/* -- forks -- */

/* A process that such a thread starts is its child by name, and begins to count anew. */
static int32_t count_anew(mp_call *call) {
    char expected[100];
    mp_slice name = mp_call_arg(call, 0);
    mp_process *process = make(answer, NULL, 0, TWIN, false, NULL);
    snprintf(expected, sizeof expected, "%.*s:1", (int)name.len, (const char *)name.data);
    CHECK_STRING(expected, mp_process_name(process));
    mp_process_free(process);
    return 8;
}

static int32_t fork_a_child(mp_call *call) {
    char expected[100];
    mp_slice name = mp_call_arg(call, 0);
    int length = snprintf(expected, sizeof expected, "%.*s:1", (int)name.len, (const char *)name.data);
    mp_process *process = start(count_anew, expected, (size_t)length, MP_START_FORK, false);
    CHECK_STRING(expected, mp_process_name(process));
    return finish(process);
}

static void children_of_threads_have_their_names(void) {
    char name[100];
    int number = 0;
    mp_process *process = make(answer, NULL, 0, TWIN, false, NULL);
    CHECK_EQ(1, sscanf(mp_process_name(process), "Process-%d", &number));
    mp_process_free(process);
    int length = snprintf(name, sizeof name, "Process-%d", number + 1);
    CHECK_EQ(8, run(fork_a_child, name, (size_t)length, TWIN));
}

static void a_forked_child_has_no_thread(void) {
    gate at = gate_new();
    char text[100];
    int32_t number, nine = 9;
    bool alive;
    mp_process *process = start_thread_with(wait_at_gate, &at, false);
    CHECK_OK(mp_event_wait(at.begun, MP_FOREVER));
    pid_t child = fork();
    if (child == 0) {
        CHECK_STATUS(MP_ERR_STATE, mp_process_join(process, 0));
        CHECK_STATUS(MP_ERR_STATE, mp_process_kill(process));
        CHECK_STATUS(MP_ERR_STATE, mp_process_close(process));
        CHECK_STATUS(MP_ERR_STATE, mp_process_exitcode(process, &number));
        CHECK_STATUS(MP_ERR_STATE, mp_process_pid(process, &number));
        CHECK_STATUS(MP_ERR_STATE, mp_process_is_alive(process, &alive));
        CHECK_STATUS(MP_ERR_STATE, mp_process_repr(process, text, sizeof text));
        mp_process_free(process);
        CHECK_EQ(9, run(answer, &nine, sizeof nine, TWIN));
        CHECK_EQ(9, run(answer, &nine, sizeof nine, MP_START_FORK));
        start(linger, NULL, 0, TWIN, false);
        exit(8);
    }
    CHECK_EQ(8, check_wait(child));
    expect_bytes(1);
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_process_join(process, 0));
    CHECK_OK(mp_event_set(at.go));
    CHECK_EQ(0, finish(process));
    gate_free(&at);
}

/* The host's own fork, inside such a thread: that thread is the child's main thread, and its exit is the child's. */
static int32_t fork_inside(mp_call *call) {
    (void)call;
    pid_t child = fork();
    if (child == 0) {
        start(linger, NULL, 0, TWIN, false);
        exit(7);
    }
    return check_wait(child);
}

static int32_t spawned_leaves_a_twin(mp_call *call) {
    said[1] = STDOUT_FILENO;
    return leave_a_twin(call);
}

static void a_spawned_child_waits_for_its_threads(void) {
    int out = dup(STDOUT_FILENO);
    dup2(said[1], STDOUT_FILENO);
    CHECK_EQ(21, run(spawned_leaves_a_twin, "", 0, MP_START_SPAWN));
    dup2(out, STDOUT_FILENO);
    close(out);
    expect_bytes(1);
}

int main(int argc, char **argv) {
    if (getenv("MP_CHILD") == NULL) {
        check_begin();
        CHECK_EQ(0, pipe(said));
        others_are_awaited_at_exit();
        a_child_waits_for_its_threads();
        a_daemon_waits_for_its_threads();
        threads_may_start_others_late();
        exit_ends_the_program();
        children_of_threads_have_their_names();
        a_forked_child_has_no_thread();
        CHECK_EQ(7, run(fork_inside, "", 0, TWIN));
        expect_bytes(1);
    }
    CHECK_OK(mp_main_init(argc, argv));
    a_spawned_child_waits_for_its_threads();
    return 0;
}
