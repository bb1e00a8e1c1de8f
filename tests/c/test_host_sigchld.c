/*
 * Hosts that see to their children's ends themselves: who ignore SIGCHLD, reap everything in a handler or in a
 * thread. An exit code is known all the same; a death by a signal is known unless the host has stolen it.
 *
 * check: once
 * check: unsanitized (AddressSanitizer's allocator does not survive a fork beside a thread that allocates)
 */
#include "host.h"

#include <pthread.h>

static void reap_all(int number) {
    int kept = errno;
    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    errno = kept;
}

static void *reap_for_ever(void *unused) {
    (void)unused;
    for (;;)
        if (waitpid(-1, NULL, 0) < 0)
            check_sleep(20000);
    return NULL;
}

static void ignore(void) { signal(SIGCHLD, SIG_IGN); }

static void no_zombies(void) {
    struct sigaction action = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
    CHECK_EQ(0, sigaction(SIGCHLD, &action, NULL));
}

static void no_zombies_but_a_handler(void) {
    struct sigaction action = {.sa_handler = reap_all, .sa_flags = SA_NOCLDWAIT | SA_RESTART};
    CHECK_EQ(0, sigaction(SIGCHLD, &action, NULL));
}

static void reap_in_a_handler(void) {
    struct sigaction action = {.sa_handler = reap_all, .sa_flags = 0};
    CHECK_EQ(0, sigaction(SIGCHLD, &action, NULL));
}

static void reap_in_a_thread(void) {
    pthread_t thread;
    CHECK_EQ(0, pthread_create(&thread, NULL, reap_for_ever, NULL));
}

static const struct {
    const char *name;
    void (*set)(void);
    /* Whether nothing is ever left to be reaped. */
    bool always;
} HOSTS[] = {
    {"ignores SIGCHLD", ignore, true},
    {"asks for no zombies", no_zombies, true},
    {"asks for no zombies, with a handler", no_zombies_but_a_handler, true},
    {"reaps in a handler", reap_in_a_handler, false},
    {"reaps in a thread", reap_in_a_thread, false},
};

enum { HOSTS_COUNT = sizeof HOSTS / sizeof *HOSTS, STARTS = 30 };

static size_t which;

static int32_t exit_past_libmp(mp_call *call) { _exit(answer(call)); }

static void processes(int32_t method) {
    int32_t seven = 7;
    HOSTS[which].set();
    for (int i = 0; i < STARTS; i++)
        CHECK_EQ(7, run(answer, &seven, sizeof seven, method));
    for (int i = 0; i < STARTS; i++) {
        mp_process *process = start(sleep_for_ever, "", 0, method, i % 2 == 0);
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_process_join(process, 0));
        CHECK_OK(mp_process_kill(process));
        int32_t code = finish(process);
        CHECK(code == MP_EXIT_UNKNOWN || (code == -SIGKILL && !HOSTS[which].always));
    }
    /* Who leaves without a word to the library is known only to who reaps it. */
    int32_t code = run(exit_past_libmp, &seven, sizeof seven, method);
    CHECK(code == MP_EXIT_UNKNOWN || (code == 7 && !HOSTS[which].always));
    /* Many at a time. */
    mp_process *many[STARTS];
    for (int32_t i = 0; i < STARTS; i++)
        many[i] = start(answer, &i, sizeof i, method, false);
    for (int32_t i = 0; i < STARTS; i++)
        CHECK_EQ(i, finish(many[i]));
    CHECK_EQ(0, host_children());
}

static void pools(int32_t method) {
    HOSTS[which].set();
    mp_pool *pool = host_pool(method, 2);
    host_pool_works(pool);
    host_pool_replaces(pool);
    host_pool_ends(pool);
    /* Freed while it is open: its processes are killed. */
    pool = host_pool(method, 2);
    host_pool_works(pool);
    mp_pool_free(pool);
    CHECK_EQ(0, host_children());
}

/* The host's choice is for itself: what a worker's task starts by itself is the task's to wait for. */
static int32_t wait_for_a_child(mp_call *call) {
    struct sigaction action;
    CHECK_EQ(0, sigaction(SIGCHLD, NULL, &action));
    void (*expected)(int);
    memcpy(&expected, mp_call_arg(call, 0).data, sizeof expected);
    CHECK(action.sa_handler == expected);
    return 0;
}

static void workers_have_the_hosts_handler(int32_t method) {
    void (*expected)(int) = method == MP_START_FORK ? reap_all : SIG_DFL;
    mp_slice arg = {&expected, sizeof expected};
    mp_buffer *buffer = NULL;
    reap_in_a_handler();
    mp_pool *pool = host_pool(method, 1);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(mp_pool_apply(pool, wait_for_a_child, &arg, 1, &buffer));
        mp_buffer_free(buffer);
        CHECK_STATUS(MP_ERR_WORKER_DIED, mp_pool_apply(pool, host_die, NULL, 0, &buffer));
    }
    host_pool_ends(pool);
}

int main(int argc, char **argv) {
    if (getenv("MP_CHILD") == NULL)
        check_begin();
    CHECK_OK(mp_main_init(argc, argv));
    for (size_t i = 0; i < HOST_METHODS; i++) {
        for (which = 0; which < HOSTS_COUNT; which++) {
            printf("method %d: a host that %s\n", (int)METHODS[i], HOSTS[which].name);
            host_run(HOSTS[which].name, processes, METHODS[i]);
            host_run(HOSTS[which].name, pools, METHODS[i]);
        }
        HOST_RUN(workers_have_the_hosts_handler, METHODS[i]);
    }
    return 0;
}
