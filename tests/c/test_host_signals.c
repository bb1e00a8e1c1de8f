/*
 * A host's handlers, ignored signals, signal masks and alternate stack: libmp changes none of them in the host. A
 * forked child has them all; a child that runs the program anew begins as a fresh program does.
 *
 * check: unsanitized
 */
#include "host.h"

#include <pthread.h>

enum { SIGNALS = 65 };

/* What can be asked of a process about its signals. */
typedef struct {
    void *handlers[SIGNALS];
    uint64_t flags[SIGNALS];
    uint64_t blocked;
    uint64_t stack;
} signals;

static signals look(void) {
    signals s;
    sigset_t mask;
    stack_t stack;
    memset(&s, 0, sizeof s);
    CHECK_EQ(0, pthread_sigmask(SIG_SETMASK, NULL, &mask));
    CHECK_EQ(0, sigaltstack(NULL, &stack));
    s.stack = stack.ss_flags & SS_DISABLE ? 0 : (uint64_t)(uintptr_t)stack.ss_sp;
    for (int i = 1; i < SIGNALS; i++) {
        struct sigaction action;
        if (sigaction(i, NULL, &action) != 0)
            continue;
        memcpy(&s.handlers[i], &action.sa_handler, sizeof s.handlers[i]);
        s.flags[i] = (uint64_t)action.sa_flags & ~UINT64_C(0x04000000); /* SA_RESTORER, which libc adds */
        if (sigismember(&mask, i) == 1)
            s.blocked |= UINT64_C(1) << (i - 1);
    }
    return s;
}

static void same(const signals *expected, const signals *found, int but) {
    for (int i = 1; i < SIGNALS; i++) {
        if (i == but)
            continue;
        if (expected->handlers[i] != found->handlers[i] || expected->flags[i] != found->flags[i]) {
            char detail[100];
            snprintf(detail, sizeof detail, "signal %d: %p instead of %p", i, found->handlers[i],
                     expected->handlers[i]);
            check_fail(__FILE__, __LINE__, "its disposition is as it should be", detail);
        }
    }
    CHECK_EQ(expected->blocked, found->blocked);
    CHECK_EQ(expected->stack, found->stack);
}

/* Arguments: what is expected, a signal whose disposition may be another. */
static int32_t compare(mp_call *call) {
    signals expected, found = look();
    int but;
    CHECK_EQ(sizeof expected, mp_call_arg(call, 0).len);
    memcpy(&expected, mp_call_arg(call, 0).data, sizeof expected);
    memcpy(&but, mp_call_arg(call, 1).data, sizeof but);
    same(&expected, &found, but);
    void (*ignored)(int) = SIG_IGN;
    CHECK(but != SIGINT || memcmp(&found.handlers[SIGINT], &ignored, sizeof ignored) == 0);
    return 0;
}

static void on_signal(int number) { (void)number; }

static void on_sigchld(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)info;
    (void)context;
}

static char other_stack[64 * 1024];

static void set_up_handlers(void) {
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
    CHECK_EQ(0, sigaltstack(&stack, NULL));
    static const int caught[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGSEGV, SIGBUS, SIGIO, SIGALRM};
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART};
        CHECK_EQ(0, sigaction(caught[i], &action, NULL));
    }
    struct sigaction action = {.sa_sigaction = on_sigchld, .sa_flags = SA_SIGINFO | SA_NOCLDSTOP};
    CHECK_EQ(0, sigaction(SIGCHLD, &action, NULL));
    CHECK_EQ(0, sigaction(SIGRTMIN + 3, &action, NULL));
    const int ignored[] = {SIGPIPE, SIGQUIT, SIGWINCH, SIGRTMAX};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
}

static void block(bool all) {
    sigset_t set;
    sigemptyset(&set);
    if (all)
        sigfillset(&set);
    else
        sigaddset(&set, SIGUSR2);
    CHECK_EQ(0, pthread_sigmask(SIG_SETMASK, &set, NULL));
}

static void compare_in_children(int32_t method, const signals *expected) {
    for (int daemon = 0; daemon < 2; daemon++) {
        int none = 0;
        mp_slice args[2] = {{expected, sizeof *expected}, {&none, sizeof none}};
        mp_process *process = make(compare, args, 2, method, daemon, NULL);
        CHECK_OK(mp_process_start(process));
        CHECK_EQ(0, finish(process));
    }
    /* Workers leave Ctrl-C to the host. */
    int but = SIGINT;
    mp_slice args[2] = {{expected, sizeof *expected}, {&but, sizeof but}};
    mp_buffer *buffer = NULL;
    mp_pool *pool = host_pool(method, 1);
    CHECK_OK(mp_pool_apply(pool, compare, args, 2, &buffer));
    mp_buffer_free(buffer);
    host_pool_replaces(pool);
    CHECK_OK(mp_pool_apply(pool, compare, args, 2, &buffer));
    mp_buffer_free(buffer);
    host_pool_ends(pool);
}

static void with_mask(int32_t method, bool all) {
    signals fresh = {.blocked = 0};
    set_up_handlers();
    block(all);
    signals before = look();
    compare_in_children(method, method == MP_START_FORK ? &before : &fresh);
    mp_process *process = start(sleep_for_ever, "", 0, method, true);
    CHECK_OK(mp_process_kill(process));
    CHECK_EQ(-SIGKILL, finish(process));
    signals after = look();
    same(&before, &after, 0);
}

static void some_are_blocked(int32_t method) { with_mask(method, false); }

static void all_are_blocked(int32_t method) { with_mask(method, true); }

/* The signal is one that the host blocks: a forked child goes on, another is ended by it. */
static void terminate_a_child(int32_t method) {
    block(true);
    mp_process *process = start(host_say_and_stay, "", 0, method, false);
    host_await_go();
    CHECK_OK(mp_process_terminate(process));
    if (method == MP_START_FORK) {
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_process_join(process, CHECK_SECOND / 10));
        CHECK_OK(mp_process_kill(process));
        CHECK_EQ(-SIGKILL, finish(process));
    } else {
        CHECK_EQ(-SIGTERM, finish(process));
    }
}

/* -- signals that come while libmp works -- */

/* What a callback starts, on a thread of libmp's that blocks all signals, blocks none. */
static int32_t nothing_is_blocked(mp_call *call) {
    sigset_t mask;
    (void)call;
    CHECK_EQ(0, pthread_sigmask(SIG_SETMASK, NULL, &mask));
    for (int i = 1; i < 32; i++)
        CHECK_EQ(0, sigismember(&mask, i));
    return 6;
}

static int32_t start_in_callback;

static void start_there(void *user, const mp_result *result) {
    (void)result;
    CHECK_EQ(6, run(nothing_is_blocked, NULL, 0, start_in_callback));
    CHECK_EQ(6, run(nothing_is_blocked, NULL, 0, MP_START_THREAD));
    *(int *)user = 1;
}

static void callbacks_start(int32_t method) {
    int called = 0;
    int64_t two = 2;
    mp_slice arg = {&two, sizeof two};
    mp_result *result;
    mp_task_options options;
    mp_pool *pool = host_pool(method, 1);
    start_in_callback = method;
    CHECK_OK(mp_task_options_init(&options));
    options.on_result = start_there;
    options.user = &called;
    CHECK_OK(mp_pool_apply_async(pool, host_square, &arg, 1, &options, &result));
    CHECK_OK(mp_result_get(result, MP_FOREVER));
    CHECK_EQ(1, called);
    mp_result_free(result);
    host_pool_ends(pool);
}

static volatile sig_atomic_t alarms;

static void count_alarm(int number) {
    (void)number;
    alarms++;
}

/* Every call of the library is interrupted again and again. */
static void interrupted_all_the_time(int32_t method) {
    struct sigaction action = {.sa_handler = count_alarm}; /* without SA_RESTART */
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec often = {{0, 300000}, {0, 300000}};
    int32_t nine = 9;
    CHECK_EQ(0, sigaction(SIGUSR1, &action, NULL));
    CHECK_EQ(0, timer_create(CLOCK_MONOTONIC, &event, &timer));
    CHECK_EQ(0, timer_settime(timer, 0, &often, NULL));
    mp_pool *pool = host_pool(method, 2);
    for (int i = 0; i < 30; i++) {
        CHECK_EQ(9, run(answer, &nine, sizeof nine, method));
        host_pool_works(pool);
    }
    host_pool_replaces(pool);
    host_pool_ends(pool);
    CHECK(alarms > 10);
}

int main(int argc, char **argv) {
    if (getenv("MP_CHILD") == NULL)
        check_begin();
    CHECK_OK(mp_main_init(argc, argv));
    for (size_t i = 0; i < HOST_METHODS; i++) {
        HOST_RUN(some_are_blocked, METHODS[i]);
        HOST_RUN(all_are_blocked, METHODS[i]);
        HOST_RUN(callbacks_start, METHODS[i]);
        HOST_RUN(interrupted_all_the_time, METHODS[i]);
        host h = host_start(terminate_a_child, METHODS[i]);
        host_hears_pid(&h);
        host_go(&h);
        CHECK_EQ(0, check_wait(h.pid));
        host_is_gone(&h);
    }
    return 0;
}
