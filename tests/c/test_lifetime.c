/*
 * Who dies with whom: daemons and pools with their process, however it ends, and all that daemons start with them.
 *
 * check: unsanitized (AddressSanitizer's allocator does not survive a fork beside a thread that allocates)
 */
#include "host.h"

#include <pthread.h>
#include <setjmp.h>

/* -- every end of a process -- */

typedef enum {
    BY_RETURN,
    BY_EXIT,
    BY__EXIT,
    BY_ABORT,
    BY_SIGKILL,
    BY_SIGSEGV,
    BY_SIGTERM,
    BY_EXEC,
    ENDS,
} end;

static const char *const NAMES[] = {"return", "exit", "_exit", "abort", "SIGKILL", "SIGSEGV", "SIGTERM", "exec"};
static end the_end;
static jmp_buf out_of_main;

static void leave(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    switch (the_end) {
    case BY_RETURN:
        longjmp(out_of_main, 1);
    case BY_EXIT:
        exit(0);
    case BY__EXIT:
        _exit(0);
    case BY_ABORT:
        abort();
    case BY_SIGKILL:
        kill(getpid(), SIGKILL);
        break;
    case BY_SIGSEGV:
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
        break;
    case BY_SIGTERM:
        raise(SIGTERM);
        break;
    default:
        /* The other program is none of the family. */
        fcntl(STDOUT_FILENO, F_SETFD, FD_CLOEXEC);
        execlp("sleep", "sleep", "90", NULL);
    }
    _exit(99);
}

/* Starts one of each method, none of them a daemon by itself. */
static int32_t start_others(mp_call *call) {
    for (size_t i = 0; i < HOST_METHODS; i++)
        mp_process_free(start(host_say_and_stay, "", 0, METHODS[i], false));
    return host_say_and_stay(call);
}

/* In a worker, which is below its pool's owner as a daemon is. */
static int32_t start_one_below(mp_call *call) {
    int32_t method;
    memcpy(&method, mp_call_arg(call, 0).data, sizeof method);
    mp_process_free(start(host_say_and_stay, "", 0, method, false));
    return 0;
}

static void daemons_and_a_pool(int32_t method) {
    mp_pool *pool = host_pool(method, 2);
    host_pool_works(pool);
    mp_slice arg = {&method, sizeof method};
    mp_buffer *nothing = NULL;
    CHECK_OK(mp_pool_apply(pool, start_one_below, &arg, 1, &nothing));
    mp_buffer_free(nothing);
    mp_process_free(start(start_others, "", 0, method, true));
    host_await_go();
    leave();
}

static void they_die_however_it_ends(int32_t method) {
    for (the_end = 0; the_end < ENDS; the_end++) {
        host h = host_start(daemons_and_a_pool, method);
        for (size_t i = 0; i < 2 + HOST_METHODS; i++)
            host_hears_pid(&h);
        host_go(&h);
        int64_t took = host_is_gone(&h);
        printf("method %d, %s: gone after %lld us\n", (int)method, NAMES[the_end], (long long)took);
        if (the_end == BY_EXEC) {
            CHECK_EQ(0, waitpid(h.pid, NULL, WNOHANG));
            kill(h.pid, SIGKILL);
        }
        static const int codes[] = {0, 0, 0, -SIGABRT, -SIGKILL, -SIGSEGV, -SIGTERM, -SIGKILL};
        CHECK_EQ(codes[the_end], check_wait(h.pid));
    }
}

/* A pool all of whose processes are stopped goes too. */
enum { WORKERS = 3 };

static void stop_a_pool(int32_t method) {
    pid_t below[WORKERS + 1];
    mp_pool *pool = host_pool(method, WORKERS);
    for (int i = 0; i < WORKERS; i++) {
        mp_result *result = NULL;
        CHECK_OK(mp_pool_apply_async(pool, host_say_and_stay, NULL, 0, NULL, &result));
    }
    host_await_go();
    int n = host_children_of(getpid(), below, WORKERS + 1);
    CHECK(n > 0 && n <= WORKERS + 1);
    for (int i = 0; i < n; i++)
        CHECK_EQ(0, kill(below[i], SIGSTOP));
    kill(getpid(), SIGKILL);
}

static void stopped_pools_die(int32_t method) {
    host h = host_start(stop_a_pool, method);
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(0, kill(host_hears_pid(&h), SIGSTOP));
    host_go(&h);
    CHECK_EQ(-SIGKILL, check_wait(h.pid));
    host_is_gone(&h);
}

/* A daemon that hangs or is stopped before it has begun, as in the initialiser of a library, dies as others do. */
__attribute__((constructor)) static void stop_early(void) {
    if (getenv("MP_TEST_STOP") && getenv("MP_CHILD")) {
        pid_t pid = getpid();
        CHECK_EQ(sizeof pid, write(STDOUT_FILENO, &pid, sizeof pid));
        raise(SIGSTOP);
    }
}

static void start_one_that_stops(int32_t method) {
    CHECK_EQ(0, setenv("MP_TEST_STOP", "1", 1));
    start(sleep_for_ever, "", 0, method, true);
    host_await_go();
    kill(getpid(), SIGKILL);
}

static void stopped_beginners_die(void) {
    host h = host_start(start_one_that_stops, MP_START_SPAWN);
    host_hears_pid(&h);
    /* It has said so before it stops. */
    check_sleep(CHECK_SECOND / 50);
    host_go(&h);
    CHECK_EQ(-SIGKILL, check_wait(h.pid));
    host_is_gone(&h);
}

/* -- what is no end -- */

static mp_process *started;

static void *start_one(void *method) {
    started = start(host_say_and_stay, "", 0, *(int32_t *)method, true);
    return NULL;
}

static void is_alive(mp_process *process) {
    check_sleep(CHECK_SECOND / 10);
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_process_join(process, CHECK_SECOND / 10));
    CHECK_OK(mp_process_kill(process));
    CHECK_EQ(-SIGKILL, finish(process));
}

static void thread_starts_and_ends(int32_t method) {
    pthread_t thread;
    CHECK_EQ(0, pthread_create(&thread, NULL, start_one, &method));
    CHECK_EQ(0, pthread_join(thread, NULL));
    host_await_go();
    is_alive(started);
}

static void *outlive_main(void *main_thread) {
    CHECK_EQ(0, pthread_join(*(pthread_t *)main_thread, NULL));
    host_await_go();
    is_alive(started);
    for (size_t i = 0; i < HOST_METHODS; i++) {
        int32_t six = 6;
        CHECK_EQ(6, run(answer, &six, sizeof six, METHODS[i]));
    }
    exit(0);
}

static void main_thread_ends(int32_t method) {
    static pthread_t main_thread;
    pthread_t thread;
    main_thread = pthread_self();
    start_one(&method);
    CHECK_EQ(0, pthread_create(&thread, NULL, outlive_main, &main_thread));
    pthread_exit(NULL);
}

static void a_thread_is_no_parent(int32_t method) {
    void (*const bodies[])(int32_t) = {thread_starts_and_ends, main_thread_ends};
    for (int i = 0; i < 2; i++) {
        host h = host_start(bodies[i], method);
        host_hears_pid(&h);
        host_go(&h);
        CHECK_EQ(0, check_wait(h.pid));
        host_is_gone(&h);
    }
}

/* -- chains -- */

enum { LINKS = 4 };

typedef struct {
    int32_t methods[LINKS];
    int32_t link;
    /* Whether they are daemons by themselves, or only below the first. */
    int32_t daemons;
} chain;

static mp_process *start_link(const chain *c);

static int32_t be_a_link(mp_call *call) {
    chain c;
    memcpy(&c, mp_call_arg(call, 0).data, sizeof c);
    c.link++;
    if (c.link < LINKS)
        start_link(&c);
    return host_say_and_stay(call);
}

static mp_process *start_link(const chain *c) {
    bool daemon = c->link == 0 || c->daemons;
    return start(be_a_link, c, sizeof *c, c->methods[c->link], daemon);
}

static chain the_chain;

/* Kills the first of the chain and lives on. */
static void hold_a_chain(int32_t method) {
    (void)method;
    mp_process *first = start_link(&the_chain);
    host_await_go();
    CHECK_OK(mp_process_kill(first));
    CHECK_EQ(-SIGKILL, finish(first));
    close(STDOUT_FILENO);
    int32_t six = 6;
    for (size_t i = 0; i < HOST_METHODS; i++)
        CHECK_EQ(6, run(answer, &six, sizeof six, METHODS[i]));
    /* It would live as long as this process. */
    CHECK_OK(mp_forkserver_stop());
    while (pause() < 0) {
    }
}

static void chains_fall(void) {
    size_t all = 1;
    int64_t longest = 0;
    for (int i = 0; i < LINKS; i++)
        all *= HOST_METHODS;
    for (size_t n = 0; n < all; n++) {
        pid_t pids[LINKS];
        size_t rest = n;
        the_chain = (chain){.daemons = n % 3 == 0};
        for (int i = 0; i < LINKS; i++, rest /= HOST_METHODS)
            the_chain.methods[i] = METHODS[rest % HOST_METHODS];
        host h = host_start(hold_a_chain, 0);
        for (int i = 0; i < LINKS; i++)
            pids[i] = host_hears_pid(&h);
        /* Who is stopped dies too. */
        for (int i = 0; i < LINKS; i++)
            if (n >> i & 1)
                CHECK_EQ(0, kill(pids[i], SIGSTOP));
        host_go(&h);
        int64_t took = host_is_gone(&h);
        longest = took > longest ? took : longest;
        CHECK_EQ(0, kill(h.pid, SIGKILL));
        CHECK_EQ(-SIGKILL, check_wait(h.pid));
    }
    printf("%zu chains of %d: gone after %lld us at most\n", all, LINKS, (long long)longest);
}

/* -- below a daemon, those who are none are awaited all the same -- */

static int32_t linger(mp_call *call) {
    (void)call;
    check_sleep(CHECK_SECOND / 5);
    return write(STDOUT_FILENO, "x", 1) == 1 ? 0 : 1;
}

static int32_t leave_some_behind(mp_call *call) {
    for (size_t i = 0; i < HOST_METHODS; i++) {
        mp_process_free(start(linger, "", 0, METHODS[i], false));
        mp_process_free(start(sleep_for_ever, "", 0, METHODS[i], true));
    }
    return answer(call);
}

static bool daemon_leaves_some;

static void leave_by_return(int32_t method) {
    int32_t five = 5;
    CHECK_EQ(5, finish(start(leave_some_behind, &five, sizeof five, method, daemon_leaves_some)));
    /* All have written by now. */
    CHECK_EQ(1, write(STDOUT_FILENO, "e", 1));
}

static void a_normal_end_awaits_them(int32_t method) {
    for (int daemon = 0; daemon < 2; daemon++) {
        char text[HOST_METHODS + 1] = "";
        daemon_leaves_some = daemon;
        host h = host_start(leave_by_return, method);
        host_hears(&h, text, HOST_METHODS + 1);
        for (size_t i = 0; i < HOST_METHODS; i++)
            CHECK_EQ('x', text[i]);
        CHECK_EQ('e', text[HOST_METHODS]);
        CHECK_EQ(0, check_wait(h.pid));
        host_is_gone(&h);
    }
}

/* The children of who is no daemon are let go of when it is killed: nothing of the sort is promised for them. */
static void die_beside_a_child(int32_t method) {
    mp_process_free(start(host_say_and_stay, "", 0, method, false));
    host_await_go();
    kill(getpid(), SIGKILL);
}

static void others_outlive_a_killed_parent(int32_t method) {
    host h = host_start(die_beside_a_child, method);
    pid_t child = host_hears_pid(&h);
    host_go(&h);
    CHECK_EQ(-SIGKILL, check_wait(h.pid));
    struct pollfd entry = {.fd = h.out, .events = POLLIN};
    CHECK_EQ(0, poll(&entry, 1, 200));
    CHECK_EQ(0, kill(child, SIGKILL));
    host_is_gone(&h);
}

/* -- programs that take a daemon's place -- */

/* How many descriptors signal this process something, as the one does by which a daemon dies. */
static int signalling(void) {
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFL);
        if (flags >= 0 && flags & O_ASYNC) {
            CHECK_EQ(getpid(), fcntl(fd, F_GETOWN));
            count++;
        }
    }
    return count;
}

static int32_t one_signals(mp_call *call) {
    (void)call;
    CHECK_EQ(1, signalling());
    return 3;
}

static int32_t become_sleep(mp_call *call) {
    (void)call;
    pid_t pid = getpid(), other = fork();
    /* Who is forked by the daemon, and not by libmp, has nothing of it. */
    if (other == 0)
        _exit(signalling() == 0 ? 0 : 1);
    CHECK_EQ(0, check_wait(other));
    /* Each child of libmp's, of which none outlives who is below a daemon, has its own alone. */
    CHECK_EQ(1, signalling());
    for (size_t i = 0; i < HOST_METHODS; i++)
        CHECK_EQ(3, finish(start(one_signals, "", 0, METHODS[i], false)));
    CHECK_OK(mp_forkserver_stop());
    CHECK_EQ(sizeof pid, write(STDOUT_FILENO, &pid, sizeof pid));
    execl("/bin/sleep", "sleep", "100", NULL);
    return 1;
}

static void start_programs(int32_t method) {
    mp_process_options options;
    mp_fd_map map[16];
    CHECK_OK(mp_process_options_init(&options));
    options.daemon = true;
    for (int round = 0; round < 2; round++) {
        mp_process *process = make_with(become_sleep, "", 0, method, &options);
        CHECK_OK(mp_process_start(process));
        mp_process_free(process);
        /* And once more with what is libmp's under other numbers. */
        for (int i = 0; i < 16; i++)
            map[i] = (mp_fd_map){.fd = MP_FD_NULL, .as = 3 + i};
        options.fds = map;
        options.nfds = 16;
    }
    host_await_go();
    kill(getpid(), SIGKILL);
}

static void await_sleep(pid_t pid) {
    char path[64], name[16];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    for (int64_t end = check_now() + HOST_PATIENCE * INT64_C(1000000);; check_sleep(1000000)) {
        CHECK(check_now() < end);
        FILE *file = fopen(path, "re");
        CHECK(file != NULL);
        bool is_sleep = fgets(name, sizeof name, file) && strcmp(name, "sleep\n") == 0;
        fclose(file);
        if (is_sleep)
            return;
    }
}

static void programs_in_daemons_die(int32_t method) {
    host h = host_start(start_programs, method);
    for (int i = 0; i < 2; i++)
        await_sleep(host_hears_pid(&h));
    host_go(&h);
    CHECK_EQ(-SIGKILL, check_wait(h.pid));
    host_is_gone(&h);
}

int main(int argc, char **argv) {
    if (getenv("MP_CHILD") == NULL)
        check_begin();
    CHECK_OK(mp_main_init(argc, argv));
    if (setjmp(out_of_main) != 0)
        return 0;
    for (size_t i = 0; i < HOST_METHODS; i++) {
        they_die_however_it_ends(METHODS[i]);
        stopped_pools_die(METHODS[i]);
        programs_in_daemons_die(METHODS[i]);
        a_thread_is_no_parent(METHODS[i]);
        a_normal_end_awaits_them(METHODS[i]);
        others_outlive_a_killed_parent(METHODS[i]);
    }
    stopped_beginners_die();
    chains_fall();
    return 0;
}
