/*
 * Hosts that may have few processes, or little address space, or that give up their privileges; and the warning about
 * forks beside threads.
 *
 * check: alone (others of this user count as well)
 * check: unsanitized (AddressSanitizer's allocator does not survive a fork beside a thread that allocates)
 */
#include "host.h"

#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* -- few processes -- */

/* Nobody else has this one: for root is exempt from the limit, and the processes of a user count together. */
static void become_nobody_else(void) {
    if (geteuid() != 0)
        return;
    uid_t id = 61000 + (uid_t)getpid() % 3000;
    CHECK_EQ(0, setgroups(0, NULL));
    CHECK_EQ(0, setresgid(id, id, id));
    CHECK_EQ(0, setresuid(id, id, id));
}

/* Whether this process, whoever it is by now, could run its program again. */
static bool may_run_again(int32_t method) {
    char path[4096] = "";
    CHECK(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    if (method == MP_START_FORK || access(path, X_OK) == 0)
        return true;
    printf("skipped for method %d: another user can't run %s\n", (int)method, path);
    return false;
}

static void limit_processes(rlim_t count) {
    struct rlimit limit = {count, count};
    CHECK_EQ(0, setrlimit(RLIMIT_NPROC, &limit));
    /* The next fork server has it too. */
    CHECK_OK(mp_forkserver_stop());
}

enum { MOST = 60 };

static void too_many_processes(int32_t method) {
    mp_process *processes[MOST];
    int32_t eight = 8;
    mp_slice arg = {&eight, sizeof eight};
    become_nobody_else();
    if (!may_run_again(method))
        return;
    CHECK_EQ(8, finish(start(answer, &eight, sizeof eight, method, true)));
    int descriptors = host_descriptors();
    limit_processes(12);
    for (int round = 0; round < 3; round++) {
        int n = 0;
        mp_status status = MP_OK;
        while (status == MP_OK) {
            CHECK(n < MOST);
            processes[n] = make(sleep_for_ever, NULL, 0, method, n % 2 == 0, NULL);
            status = mp_process_start(processes[n++]);
        }
        CHECK_STATUS(MP_ERR_SYSTEM, status);
        CHECK_ERROR_HAS("Resource temporarily unavailable");
        CHECK(n > 4);
        /* Nothing came of it, and it may be tried again. */
        mp_process *refused = processes[--n];
        CHECK_EQ(n, host_children());
        for (int i = 0; i < 5; i++)
            CHECK_STATUS(MP_ERR_SYSTEM, mp_process_start(refused));
        CHECK_EQ(n, host_children());
        mp_process_free(refused);
        for (int i = 0; i < n; i++)
            CHECK_OK(mp_process_kill(processes[i]));
        for (int i = 0; i < n; i++)
            CHECK_EQ(-SIGKILL, finish(processes[i]));
        CHECK_EQ(0, host_children());
        CHECK_EQ(descriptors, host_descriptors());
        mp_process *process = make(answer, &arg, 1, method, false, NULL);
        CHECK_OK(mp_process_start(process));
        CHECK_EQ(8, finish(process));
    }
}

/* Not even the thread that watches the children can be had. */
static void no_process_at_all(int32_t method) {
    int32_t eight = 8;
    mp_slice arg = {&eight, sizeof eight};
    become_nobody_else();
    if (!may_run_again(method))
        return;
    struct rlimit before, none = {.rlim_cur = 1};
    CHECK_EQ(0, getrlimit(RLIMIT_NPROC, &before));
    none.rlim_max = before.rlim_max;
    CHECK_EQ(0, setrlimit(RLIMIT_NPROC, &none));
    mp_process *process = make(answer, &arg, 1, method, false, NULL);
    for (int i = 0; i < 5; i++) {
        CHECK_STATUS(MP_ERR_SYSTEM, mp_process_start(process));
        CHECK_ERROR_HAS("Resource temporarily unavailable");
    }
    mp_pool_options options;
    mp_pool *pool = NULL;
    CHECK_OK(mp_pool_options_init(&options));
    options.start_method = method;
    CHECK_STATUS(MP_ERR_SYSTEM, mp_pool_new(&options, &pool));
    CHECK(pool == NULL);
    CHECK_EQ(0, host_children());
    CHECK_EQ(0, setrlimit(RLIMIT_NPROC, &before));
    CHECK_OK(mp_process_start(process));
    CHECK_EQ(8, finish(process));
    pool = host_pool(method, 2);
    host_pool_works(pool);
    host_pool_ends(pool);
}

/* A pool that can't have all its workers works with those it has, and one that can't have any says so. */
static void a_pool_of_few(int32_t method) {
    become_nobody_else();
    if (!may_run_again(method))
        return;
    int32_t eight = 8;
    CHECK_EQ(8, run(answer, &eight, sizeof eight, method));
    limit_processes(9);
    mp_pool_options options;
    mp_pool *pool = NULL;
    CHECK_OK(mp_pool_options_init(&options));
    options.processes = 20;
    options.start_method = method;
    mp_status status = mp_pool_new(&options, &pool);
    if (status == MP_OK) {
        host_pool_works(pool);
        host_pool_ends(pool);
    } else {
        CHECK_STATUS(MP_ERR_SYSTEM, status);
        CHECK(pool == NULL);
    }
    CHECK_EQ(0, host_children());
    pool = host_pool(method, 2);
    host_pool_works(pool);
    host_pool_ends(pool);
}

/* -- other rights than at the start -- */

static void rights_are_given_up(int32_t method) {
    /* The pipe that daemons watch is made by root. */
    mp_process *old = start(host_say_and_stay, "", 0, method, true);
    mp_pool *pool = host_pool(method, 2);
    host_pool_works(pool);
    host_await_go();
    become_nobody_else();
    if (may_run_again(method)) {
        int32_t eight = 8;
        CHECK_EQ(8, finish(start(answer, &eight, sizeof eight, method, true)));
        CHECK_EQ(8, finish(start(answer, &eight, sizeof eight, method, false)));
        mp_pool *other = host_pool(method, 2);
        host_pool_works(other);
        host_pool_replaces(other);
        host_pool_ends(other);
        mp_process_free(start(sleep_for_ever, "", 0, method, true));
    }
    host_pool_works(pool);
    host_pool_ends(pool);
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_process_join(old, 0));
    kill(getpid(), SIGKILL);
}

static void gives_up_rights(int32_t method) {
    host h = host_start(rights_are_given_up, method);
    host_hears_pid(&h);
    host_go(&h);
    CHECK_EQ(-SIGKILL, check_wait(h.pid));
    host_is_gone(&h);
}

/* -- little address space -- */

static void little_address_space(int32_t method) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    CHECK(file && fscanf(file, "%ld", &pages) == 1);
    fclose(file);
    rlim_t bytes = (rlim_t)pages * 4096 + (UINT64_C(400) << 20);
    struct rlimit limit = {bytes, bytes};
    CHECK_EQ(0, setrlimit(RLIMIT_AS, &limit));
    int32_t eight = 8;
    for (int i = 0; i < 20; i++)
        CHECK_EQ(8, finish(start(answer, &eight, sizeof eight, method, i % 2)));
    mp_pool *pool = host_pool(method, 3);
    host_pool_works(pool);
    host_pool_replaces(pool);
    host_pool_ends(pool);
}

/* -- few descriptors -- */

enum { FILES = 200, FEW = 64 };

static void open_files(int *files) {
    for (int i = 0; i < FILES; i++)
        CHECK((files[i] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
}

/* The child's limit is below the numbers of what libmp has here. */
static void children_with_few_descriptors(int32_t method) {
    int files[FILES];
    int32_t eight = 8;
    mp_process_options options;
    mp_rlimit few = {.resource = RLIMIT_NOFILE, .soft = FEW, .hard = FEW};
    open_files(files);
    CHECK_OK(mp_process_options_init(&options));
    options.rlimits = &few;
    options.nrlimits = 1;
    for (int i = 0; i < 4; i++) {
        options.daemon = i % 2 == 0;
        CHECK_EQ(8, run_with(answer, &eight, sizeof eight, method, &options));
    }
}

/* As in an old sandbox. */
static void lose_close_range(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_EQ(0, prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
    CHECK_EQ(-1, syscall(SYS_close_range, 1000, 1000, 0));
}

static int32_t is_open(mp_call *call) {
    int32_t fd;
    memcpy(&fd, mp_call_arg(call, 0).data, sizeof fd);
    return fcntl(fd, F_GETFD) >= 0;
}

/* A spawned child with few descriptors has none above its limit either. */
static void nothing_is_left_above_the_limit(int32_t method) {
    int files[FILES];
    mp_process_options options;
    mp_rlimit few = {.resource = RLIMIT_NOFILE, .soft = FEW, .hard = FEW};
    if (method == MP_START_FORK)
        return;
    open_files(files);
    int32_t last = files[FILES - 1];
    CHECK_EQ(0, fcntl(last, F_SETFD, 0));
    lose_close_range();
    CHECK_OK(mp_process_options_init(&options));
    options.rlimits = &few;
    options.nrlimits = 1;
    CHECK_EQ(0, run_with(is_open, &last, sizeof last, method, &options));
}

/* This process's own is, by now. */
static void few_descriptors_by_now(int32_t method) {
    int files[FILES];
    int32_t eight = 8;
    open_files(files);
    CHECK_EQ(8, finish(start(answer, &eight, sizeof eight, method, true)));
    struct rlimit few;
    CHECK_EQ(0, getrlimit(RLIMIT_NOFILE, &few));
    few.rlim_cur = FEW;
    CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
    for (int i = 0; i < FILES; i++)
        close(files[i]);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 4; i++)
            CHECK_EQ(8, finish(start(answer, &eight, sizeof eight, method, i % 2 == 0)));
        mp_pool *pool = host_pool(method, 2);
        host_pool_works(pool);
        host_pool_replaces(pool);
        host_pool_ends(pool);
        /* The next fork server begins with the limit. */
        CHECK_OK(mp_forkserver_stop());
    }
}

/* Answers how many descriptors it has of those that it was passed, and that the standard three are open. */
static int32_t count_passed(mp_call *call) {
    int32_t count, open = 0;
    memcpy(&count, mp_call_arg(call, 0).data, sizeof count);
    for (int fd = 0; fd < 3 + count; fd++)
        open += fcntl(fd, F_GETFD) == 0;
    return open;
}

/* Either the start says that they are too many, or the child has them all. */
static void as_many_as_can_be(int32_t method) {
    mp_fd_map map[FEW];
    mp_process_options options;
    mp_process *process;
    struct rlimit few = {FEW, FEW};
    bool refused = false;
    CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
    CHECK_OK(mp_process_options_init(&options));
    options.fds = map;
    /* A program needs some for itself, before main already. */
    int32_t most = method == MP_START_SPAWN ? FEW - 12 : FEW - 4;
    for (int32_t count = 40; count <= most; count++) {
        for (int way = 0; way < 4; way++) {
            for (int i = 0; i < count; i++)
                map[i] = (mp_fd_map){.fd = 0, .as = way % 2 ? 3 + i : 2 + count - i};
            options.nfds = (size_t)count;
            options.daemon = way < 2;
            process = make_with(count_passed, &count, sizeof count, method, &options);
            mp_status status = mp_process_start(process);
            if (status == MP_OK) {
                CHECK_EQ(3 + count, finish(process));
                continue;
            }
            refused = true;
            printf("method %d refuses %d: %s\n", (int)method, (int)count, mp_last_error());
            CHECK_STATUS(MP_ERR_SYSTEM, status);
            mp_process_free(process);
        }
    }
    CHECK_EQ(method != MP_START_SPAWN, refused);
}

static int32_t use_all_numbers(mp_call *call) {
    (void)call;
    while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
        ;
    return 0;
}

/* What a request brings along finds no numbers: that is no reason to begin without stdin, stdout and stderr. */
static void a_server_with_no_numbers_left(int32_t method) {
    int32_t none = 0;
    struct rlimit few = {FEW, FEW};
    mp_slice arg = {&none, sizeof none};
    if (method != MP_START_FORKSERVER)
        return;
    CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
    CHECK_OK(mp_forkserver_start(use_all_numbers, NULL, 0));
    mp_process *process = make(count_passed, &arg, 1, method, false, NULL);
    for (int i = 0; i < 3; i++) {
        CHECK_STATUS(MP_ERR_SYSTEM, mp_process_start(process));
        CHECK_ERROR_HAS("descriptors");
    }
    CHECK_EQ(0, host_children());
    CHECK_OK(mp_process_start(process));
    CHECK_EQ(3, finish(process));
}

/* -- the warning about threads -- */

static atomic_int warnings;

static void count_warning(void *user, int32_t level, const char *text) {
    (void)user;
    CHECK_EQ(MP_LOG_WARNING, level);
    CHECK(strstr(text, "threads") != NULL);
    warnings++;
}

static atomic_bool over;

static void *just_be(void *unused) {
    (void)unused;
    while (!over)
        check_sleep(1000000);
    return NULL;
}

static void *start_five(void *method) {
    int32_t six = 6;
    for (int i = 0; i < 5; i++)
        CHECK_EQ(6, run(answer, &six, sizeof six, *(int32_t *)method));
    return NULL;
}

static void on_result(void *user, const mp_result *result) {
    (void)user;
    (void)result;
}

/* libmp's own threads are no reason to warn; the host's are, once, however many start children at once. */
static void warned_once(int32_t method) {
    enum { THREADS = 4 };
    pthread_t threads[THREADS], other;
    mp_task_options options;
    mp_result *result = NULL;
    int64_t two = 2;
    mp_slice arg = {&two, sizeof two};
    CHECK_OK(mp_set_log_callback(count_warning, NULL, MP_LOG_WARNING));
    mp_pool *pool = host_pool(method, 2);
    /* The reaper and the thread that calls back both run. */
    CHECK_OK(mp_task_options_init(&options));
    options.on_result = on_result;
    CHECK_OK(mp_pool_apply_async(pool, host_square, &arg, 1, &options, &result));
    CHECK_OK(mp_result_wait(result, MP_FOREVER));
    start_five(&method);
    mp_pool *another = host_pool(method, 2);
    start_five(&method);
    CHECK_EQ(0, warnings);
    CHECK_EQ(0, pthread_create(&other, NULL, just_be, NULL));
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(0, pthread_create(&threads[i], NULL, start_five, &method));
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(0, pthread_join(threads[i], NULL));
    start_five(&method);
    host_pool_ends(host_pool(method, 2));
    CHECK_EQ(method == MP_START_FORK, warnings);
    over = true;
    CHECK_EQ(0, pthread_join(other, NULL));
    mp_result_free(result);
    host_pool_ends(another);
    host_pool_ends(pool);
}

int main(int argc, char **argv) {
    if (getenv("MP_CHILD") == NULL)
        check_begin();
    CHECK_OK(mp_main_init(argc, argv));
    if (geteuid() != 0)
        printf("skipped: other users, and a number of processes, need root\n");
    for (size_t i = 0; i < HOST_METHODS; i++) {
        if (geteuid() == 0) {
            HOST_RUN(too_many_processes, METHODS[i]);
            HOST_RUN(a_pool_of_few, METHODS[i]);
            gives_up_rights(METHODS[i]);
        }
        HOST_RUN(no_process_at_all, METHODS[i]);
        HOST_RUN(little_address_space, METHODS[i]);
        HOST_RUN(children_with_few_descriptors, METHODS[i]);
        HOST_RUN(nothing_is_left_above_the_limit, METHODS[i]);
        HOST_RUN(few_descriptors_by_now, METHODS[i]);
        HOST_RUN(as_many_as_can_be, METHODS[i]);
        HOST_RUN(a_server_with_no_numbers_left, METHODS[i]);
        HOST_RUN(warned_once, METHODS[i]);
    }
    return 0;
}
