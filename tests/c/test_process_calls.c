/*
 * Calls about processes: gentle ends, names, parents, and which children there are.
 */
#include "process.h"

#include <pthread.h>

/* -- interrupt and stop -- */

/* Writes a byte when it is ready, and then lives on whatever it is told. */
static int32_t ignore_sigterm(mp_call *call) {
    mp_queue *ready;
    CHECK_OK(mp_queue_from_token(mp_call_arg(call, 0).data, &ready));
    signal(SIGTERM, SIG_IGN);
    CHECK_OK(mp_queue_put(ready, "x", 1, 0));
    return sleep_for_ever(call);
}

static void leave_with_12(int number) {
    (void)number;
    _exit(12);
}

static int32_t handle_signals(mp_call *call) {
    mp_queue *ready;
    CHECK_OK(mp_queue_from_token(mp_call_arg(call, 0).data, &ready));
    signal(SIGTERM, leave_with_12);
    signal(SIGINT, leave_with_12);
    CHECK_OK(mp_queue_put(ready, "x", 1, 0));
    return sleep_for_ever(call);
}

/* A process that has begun to run `fn`. */
static mp_process *begun(mp_fn fn, int32_t method) {
    static mp_queue *ready;
    mp_token token;
    mp_buffer *byte;
    if (ready == NULL)
        CHECK_OK(mp_queue_new(NULL, &ready));
    CHECK_OK(mp_queue_token(ready, &token));
    mp_process *process = start(fn, &token, sizeof token, method, false);
    CHECK_OK(mp_queue_get(ready, MP_FOREVER, &byte));
    mp_buffer_free(byte);
    return process;
}

/* It has ended already: stop waits for that. */
static int32_t finish_stopped(mp_process *process) {
    int32_t code = exit_code(process);
    mp_process_free(process);
    return code;
}

static void interrupts(int32_t method) {
    mp_process *process = begun(handle_signals, method);
    CHECK_OK(mp_process_interrupt(process));
    CHECK_EQ(12, finish(process));
    process = start(sleep_for_ever, "", 0, method, false);
    CHECK_OK(mp_process_interrupt(process));
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    CHECK_OK(mp_process_interrupt(process));
    CHECK_EQ(-SIGINT, finish(process));
}

static void stops(int32_t method) {
    siginfo_t stopped;
    int32_t pid;
    mp_process *process = make(sleep_for_ever, NULL, 0, method, false, NULL);
    CHECK_STATUS(MP_ERR_STATE, mp_process_stop(process, 0));
    CHECK_STATUS(MP_ERR_STATE, mp_process_interrupt(process));
    CHECK_STATUS(MP_ERR_STATE, mp_process_kill_tree(process));
    mp_process_free(process);

    process = begun(handle_signals, method);
    CHECK_OK(mp_process_stop(process, MP_FOREVER));
    CHECK_OK(mp_process_stop(process, MP_FOREVER));
    CHECK_EQ(12, finish_stopped(process));

    process = begun(ignore_sigterm, method);
    CHECK_OK(mp_process_stop(process, CHECK_SECOND / 20));
    CHECK_EQ(-SIGKILL, finish_stopped(process));
    process = begun(ignore_sigterm, method);
    CHECK_OK(mp_process_stop(process, INT64_MIN));
    CHECK_EQ(-SIGKILL, finish_stopped(process));
    CHECK_STATUS(MP_ERR_INVALID, mp_process_stop(NULL, 0));

    /* A stopped process hears SIGTERM only when it goes on. */
    process = begun(handle_signals, method);
    CHECK_OK(mp_process_signal(process, SIGSTOP));
    CHECK_OK(mp_process_pid(process, &pid));
    CHECK_EQ(0, waitid(P_PID, (id_t)pid, &stopped, WSTOPPED | WNOWAIT));
    CHECK_OK(mp_process_stop(process, CHECK_SECOND / 100));
    CHECK_EQ(-SIGKILL, finish_stopped(process));
}

static void *fire_soon(void *cancel) {
    check_sleep(CHECK_SECOND / 20);
    CHECK_OK(mp_cancel_fire(cancel));
    return NULL;
}

static void a_stop_can_be_cancelled(int32_t method) {
    pthread_t thread;
    mp_cancel *cancel;
    bool alive = false;
    mp_process *process = begun(ignore_sigterm, method);
    CHECK_OK(mp_cancel_new(&cancel));
    CHECK_OK(mp_cancel_use(cancel));
    CHECK_EQ(0, pthread_create(&thread, NULL, fire_soon, cancel));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_process_stop(process, MP_FOREVER));
    CHECK_EQ(0, pthread_join(thread, NULL));
    CHECK_OK(mp_cancel_use(NULL));
    mp_cancel_free(cancel);
    /* It was not killed, and SIGTERM it ignores. */
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_process_join(process, CHECK_SECOND / 50));
    CHECK_OK(mp_process_is_alive(process, &alive));
    CHECK(alive);
    CHECK_OK(mp_process_stop(process, 0));
    CHECK_EQ(-SIGKILL, finish_stopped(process));
}

/* -- names and parents -- */

/* Returns its own name and its parent. */
static int32_t tell_itself(mp_call *call) {
    char text[200];
    const char *name = mp_current_process_name();
    int length = snprintf(text, sizeof text, "%s of %d", name, (int)mp_parent_pid());
    CHECK(name == mp_current_process_name());
    CHECK_OK(mp_call_return(call, text, (size_t)length));
    pid_t child = fork();
    if (child == 0) {
        /* A child that libmp did not make answers as this one. */
        char again[200];
        snprintf(again, sizeof again, "%s of %d", mp_current_process_name(), (int)mp_parent_pid());
        _exit(strcmp(text, again) == 0 ? 0 : 1);
    }
    return check_wait(child);
}

/* Has a child tell itself, and returns that. */
static int32_t ask_a_child(mp_call *call) {
    mp_buffer *buffer;
    mp_process *process = start(tell_itself, "", 0, MP_START_DEFAULT, false);
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    CHECK_OK(mp_process_result(process, &buffer));
    char text[300];
    int length = snprintf(text, sizeof text, "%.*s in %d", (int)mp_buffer_len(buffer),
                          (const char *)mp_buffer_data(buffer), (int)getpid());
    mp_buffer_free(buffer);
    mp_process_free(process);
    return mp_call_return(call, text, (size_t)length) == MP_OK ? 0 : 1;
}

static void check_answer(mp_process *process, const char *expected) {
    mp_buffer *buffer;
    char found[300];
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    CHECK_OK(mp_process_result(process, &buffer));
    snprintf(found, sizeof found, "%.*s", (int)mp_buffer_len(buffer), (const char *)mp_buffer_data(buffer));
    CHECK_STRING(expected, found);
    mp_buffer_free(buffer);
    mp_process_free(process);
}

static void processes_know_themselves(int32_t method) {
    char expected[300];
    int32_t pid;
    CHECK_STRING("MainProcess", mp_current_process_name());
    CHECK_EQ(0, mp_parent_pid());
    mp_process *process = make(tell_itself, NULL, 0, method, false,
                               "gr\xc3\xbc"
                               "n");
    CHECK_OK(mp_process_start(process));
    snprintf(expected, sizeof expected, "%s of %d", mp_process_name(process), (int)getpid());
    check_answer(process, expected);

    CHECK_OK(mp_set_start_method(method));
    process = start(ask_a_child, "", 0, method, false);
    CHECK_OK(mp_process_pid(process, &pid));
    snprintf(expected, sizeof expected, "%s:1 of %d in %d", mp_process_name(process), (int)pid, (int)pid);
    check_answer(process, expected);
    CHECK_OK(mp_set_start_method(MP_START_DEFAULT));
    CHECK_STRING("MainProcess", mp_current_process_name());
}

/* Its parent's number stays when the parent has gone. */
static int32_t outlive_the_parent(mp_call *call) {
    mp_queue *queue;
    int32_t parent;
    CHECK_OK(mp_queue_from_token(mp_call_arg(call, 0).data, &queue));
    while (getppid() == mp_parent_pid())
        check_sleep(CHECK_SECOND / 1000);
    parent = mp_parent_pid();
    return mp_queue_put(queue, &parent, sizeof parent, 0) == MP_OK ? 0 : 1;
}

static void a_parents_number_stays(int32_t method) {
    mp_queue *queue;
    mp_token token;
    mp_buffer *answer;
    CHECK_OK(mp_queue_new(NULL, &queue));
    CHECK_OK(mp_queue_token(queue, &token));
    pid_t parent = fork();
    if (parent == 0) {
        CHECK_OK(mp_process_start(make(outlive_the_parent, &(mp_slice){&token, sizeof token}, 1, method, false, NULL)));
        _exit(0);
    }
    CHECK_EQ(0, check_wait(parent));
    CHECK_OK(mp_queue_get(queue, MP_FOREVER, &answer));
    CHECK_EQ(parent, *(const int32_t *)mp_buffer_data(answer));
    mp_buffer_free(answer);
    mp_queue_free(queue);
}

static int32_t tell_parent(mp_call *call) {
    int32_t parent = mp_parent_pid();
    return mp_call_return(call, &parent, sizeof parent) == MP_OK ? 0 : 1;
}

static void a_workers_parent_is_the_pools_maker(int32_t method) {
    mp_pool_options options;
    mp_pool *pool;
    mp_buffer *buffer;
    size_t n = 9;
    CHECK_OK(mp_pool_options_init(&options));
    options.processes = 1;
    options.start_method = method;
    CHECK_OK(mp_pool_new(&options, &pool));
    CHECK_OK(mp_pool_apply(pool, tell_parent, NULL, 0, &buffer));
    CHECK_EQ(getpid(), *(const int32_t *)mp_buffer_data(buffer));
    mp_buffer_free(buffer);
    /* A pool's processes are its own. */
    CHECK_OK(mp_active_children(NULL, 0, &n));
    CHECK_EQ(0, n);
    mp_pool_free(pool);
}

/* -- active children -- */

static bool has(const int32_t *pids, size_t n, int32_t pid) {
    while (n > 0 && pids[n - 1] != pid)
        n--;
    return n > 0;
}

static int32_t count_children(mp_call *call) {
    size_t n = 77;
    (void)call;
    CHECK_OK(mp_active_children(NULL, 0, &n));
    return (int32_t)n;
}

static void active_children_are_listed(int32_t method) {
    enum { MANY = 5 };
    mp_process *processes[MANY];
    int32_t pids[MANY + 1], pid;
    size_t n = 99;
    CHECK_OK(mp_active_children(pids, MANY + 1, &n));
    CHECK_EQ(0, n);
    for (int i = 0; i < MANY; i++)
        processes[i] = start(sleep_for_ever, "", 0, method, i % 2 == 0);
    mp_process *never = make(sleep_for_ever, NULL, 0, method, false, NULL);
    /* Whose children they are. */
    CHECK_EQ(0, run(count_children, "", 0, method));

    memset(pids, 0, sizeof pids);
    CHECK_OK(mp_active_children(pids, MANY, &n));
    CHECK_EQ(MANY, n);
    CHECK_EQ(0, pids[MANY]);
    for (int i = 0; i < MANY; i++) {
        CHECK_OK(mp_process_pid(processes[i], &pid));
        CHECK(has(pids, n, pid));
    }
    memset(pids, 0, sizeof pids);
    CHECK_STATUS(MP_ERR_TOO_LARGE, mp_active_children(pids, 2, &n));
    CHECK_EQ(MANY, n);
    CHECK(pids[0] > 0 && pids[1] > 0 && pids[2] == 0);
    CHECK_STATUS(MP_ERR_TOO_LARGE, mp_active_children(pids, 0, &n));
    CHECK_OK(mp_active_children(NULL, 0, &n));
    CHECK_EQ(MANY, n);
    CHECK_STATUS(MP_ERR_INVALID, mp_active_children(NULL, 1, &n));
    CHECK_STATUS(MP_ERR_INVALID, mp_active_children(pids, 1, NULL));

    /* Who was joined is not among them; whose handle was freed is. */
    CHECK_OK(mp_process_stop(processes[0], 0));
    CHECK_OK(mp_process_pid(processes[1], &pid));
    mp_process_free(processes[1]);
    CHECK_OK(mp_active_children(pids, MANY, &n));
    CHECK_EQ(MANY - 1, n);
    CHECK(has(pids, n, pid));
    CHECK_EQ(0, kill(pid, SIGKILL));
    for (int i = 2; i < MANY; i++)
        CHECK_OK(mp_process_stop(processes[i], 0));
    while (n > 0) {
        CHECK_OK(mp_active_children(NULL, 0, &n));
        check_sleep(CHECK_SECOND / 1000);
    }
    mp_process_free(processes[0]);
    for (int i = 2; i < MANY; i++)
        mp_process_free(processes[i]);
    mp_process_free(never);
}

int main(int argc, char **argv) {
    if (getenv("MP_CHILD") == NULL)
        check_begin();
    CHECK_OK(mp_main_init(argc, argv));
    for (int i = 0; i < 2; i++) {
        interrupts(METHODS[i]);
        stops(METHODS[i]);
        a_stop_can_be_cancelled(METHODS[i]);
        processes_know_themselves(METHODS[i]);
        a_parents_number_stays(METHODS[i]);
        a_workers_parent_is_the_pools_maker(METHODS[i]);
        active_children_are_listed(METHODS[i]);
    }
    return 0;
}
