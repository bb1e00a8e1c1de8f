/*
 * What a process leaves to its maker: what its function returned, how it failed, and what it used.
 */
#include "process.h"

#include <pthread.h>

/* The process has ended and has this result. */
static void check_result(mp_process *process, const void *bytes, size_t len) {
    mp_buffer *buffer = NULL;
    CHECK_OK(mp_process_result(process, &buffer));
    CHECK_EQ(len, mp_buffer_len(buffer));
    CHECK_EQ(0, memcmp(bytes, mp_buffer_data(buffer), len));
    mp_buffer_free(buffer);
}

static void check_no_result(mp_process *process, mp_status status) {
    mp_buffer *buffer = (mp_buffer *)1;
    CHECK_STATUS(status, mp_process_result(process, &buffer));
    CHECK(buffer == NULL);
}

/* Returns so many bytes as the first number of its argument says, in place if there is a second one; each is the number
 * of its place. */
static int32_t give_bytes(mp_call *call) {
    const int32_t *arg = mp_call_arg(call, 0).data;
    size_t len = (size_t)arg[0];
    unsigned char *bytes = arg[1] ? mp_call_return_buffer(call, len) : malloc(len + 1);
    CHECK(bytes != NULL);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (unsigned char)(i * 7);
    if (!arg[1]) {
        CHECK_OK(mp_call_return(call, bytes, len));
        free(bytes);
    }
    return 0;
}

static void all_lengths_arrive(int32_t method) {
    static const int32_t lengths[] = {0, 1, 16, 47, 48, 49, 1000, 5000, 3 << 20};
    static unsigned char expected[3 << 20];
    for (size_t i = 0; i < sizeof expected; i++)
        expected[i] = (unsigned char)(i * 7);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        int32_t arg[] = {lengths[i], i % 2 == 0};
        mp_process *process = start(give_bytes, arg, sizeof arg, method, false);
        CHECK_OK(mp_process_join(process, MP_FOREVER));
        CHECK_EQ(0, exit_code(process));
        check_result(process, expected, (size_t)lengths[i]);
        check_result(process, expected, (size_t)lengths[i]);
        mp_process_free(process);
    }
}

static int32_t nothing(mp_call *call) {
    (void)call;
    return 0;
}

/* Only the last one counts. */
static int32_t give_thrice(mp_call *call) {
    CHECK(mp_call_return_buffer(call, 100000) != NULL);
    CHECK_OK(mp_call_return(call, "first", 5));
    CHECK_OK(mp_call_return(call, "last one", 8));
    return 256;
}

static void the_last_one_counts(int32_t method) {
    mp_process *process = start(nothing, "", 0, method, false);
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    check_result(process, "", 0);
    mp_process_free(process);
    /* 256 is the exit code 0, and so no failure. */
    process = start(give_thrice, "", 0, method, false);
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    check_result(process, "last one", 8);
    mp_process_free(process);
}

static void a_result_outlives_its_handle(int32_t method) {
    int32_t arg[] = {100000, 1};
    mp_buffer *one, *other;
    mp_process *process = start(give_bytes, arg, sizeof arg, method, false);
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    CHECK_OK(mp_process_result(process, &one));
    CHECK_OK(mp_process_result(process, &other));
    mp_process_free(process);
    mp_buffer_free(one);
    CHECK_EQ(100000, mp_buffer_len(other));
    CHECK_EQ((unsigned char)(99999 * 7), ((const unsigned char *)mp_buffer_data(other))[99999]);
    /* Bytes that are this process's alone can be put into a queue as they are. */
    mp_queue *queue;
    CHECK_OK(mp_queue_new(NULL, &queue));
    CHECK_OK(mp_queue_put_buffer(queue, other, 0));
    CHECK_OK(mp_queue_get(queue, 0, &one));
    CHECK_EQ(100000, mp_buffer_len(one));
    mp_buffer_free(one);
    mp_queue_free(queue);
}

static void states_are_told(int32_t method) {
    mp_usage usage = {.size = sizeof usage};
    mp_process *process = make(sleep_for_ever, NULL, 0, method, true, NULL);
    check_no_result(process, MP_ERR_STATE);
    CHECK_STATUS(MP_ERR_STATE, mp_process_usage(process, &usage));
    CHECK_OK(mp_process_start(process));
    check_no_result(process, MP_ERR_STATE);
    CHECK_STATUS(MP_ERR_STATE, mp_process_usage(process, &usage));
    CHECK_STATUS(MP_ERR_INVALID, mp_process_result(process, NULL));
    CHECK_OK(mp_process_kill(process));
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    check_no_result(process, MP_ERR_WORKER_DIED);
    CHECK_ERROR_HAS("was killed by signal 9 (SIGKILL) before its function had returned");
    CHECK_OK(mp_process_close(process));
    check_no_result(process, MP_ERR_CLOSED);
    CHECK_STATUS(MP_ERR_CLOSED, mp_process_usage(process, &usage));
    mp_process_free(process);
    check_no_result(process, MP_ERR_INVALID);
    check_no_result(NULL, MP_ERR_INVALID);
}

/* -- failures -- */

static int32_t fail(mp_call *call) {
    mp_slice arg = mp_call_arg(call, 0);
    static char text[5000];
    memset(text, 'x', sizeof text - 1);
    close(STDERR_FILENO);
    CHECK_OK(mp_call_return(call, "partly done", 11));
    switch (((const char *)arg.data)[0]) {
    case 's':
        return mp_call_fail(call, 300, "the disk is full") == MP_OK ? 0 : 1;
    case 'l':
        return mp_call_fail(call, 7, text) == MP_OK ? 0 : 1;
    case 'n':
        return mp_call_fail(call, 0, NULL) == MP_OK ? 0 : 1;
    case 'e':
        exit(6);
    case 'z':
        _exit(0);
    }
    return 99;
}

static mp_process *failed(char how, int32_t method) {
    mp_process *process = start(fail, &how, 1, method, false);
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    return process;
}

static void failures_say_why(int32_t method) {
    static const struct {
        char how;
        int32_t code;
        mp_status status;
        const char *text;
    } cases[] = {
        {'s', 44, MP_ERR_TASK_FAILED, "failed with code 300: the disk is full"},
        {'l', 7, MP_ERR_TASK_FAILED, "failed with code 7: xxxxx"},
        {'n', 1, MP_ERR_TASK_FAILED, "failed with code 1"},
        {'r', 99, MP_ERR_TASK_FAILED, "failed with code 99"},
        {'e', 6, MP_ERR_WORKER_DIED, "exited with code 6 before"},
        {'z', 0, MP_ERR_WORKER_DIED, "exited with code 0 before"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mp_process *process = failed(cases[i].how, method);
        CHECK_EQ(cases[i].code, exit_code(process));
        check_no_result(process, cases[i].status);
        CHECK_ERROR_HAS(cases[i].text);
        CHECK_ERROR_HAS(mp_process_name(process));
        if (cases[i].how == 'l')
            CHECK(strlen(mp_last_error()) > 4900);
        check_no_result(process, cases[i].status);
        mp_process_free(process);
    }
}

static void die_at_exit(void) { raise(SIGKILL); }

static int32_t give_and_die(mp_call *call) {
    signal(SIGABRT, SIG_DFL);
    atexit(die_at_exit);
    CHECK_OK(mp_call_return(call, "safe", 4));
    return 0;
}

/* The result is committed when the function has returned. A forked child runs no exit handlers. */
static void what_is_committed_is_not_lost(void) {
    mp_process *process = start(give_and_die, "", 0, MP_START_SPAWN, false);
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    CHECK_EQ(-SIGKILL, exit_code(process));
    check_result(process, "safe", 4);
    mp_process_free(process);
}

/* -- many -- */

static void *ask(void *process) {
    static const char expected[3] = {0, 7, 14};
    for (int i = 0; i < 50; i++)
        check_result(process, expected, 3);
    return NULL;
}

static void threads_share_a_result(int32_t method) {
    pthread_t threads[4];
    int32_t arg[] = {3, 0};
    mp_process *process = start(give_bytes, arg, sizeof arg, method, false);
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(0, pthread_create(&threads[i], NULL, ask, process));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(0, pthread_join(threads[i], NULL));
    mp_process_free(process);
}

/* Results wait for nobody to fetch them: processes whose handles are freed leave nothing behind. */
static void results_that_nobody_wants(void) {
    int32_t arg[] = {100000, 1};
    size_t n = 1;
    for (int i = 0; i < 200; i++)
        mp_process_free(start(give_bytes, arg, sizeof arg, MP_START_FORK, false));
    while (n > 0) {
        CHECK_OK(mp_active_children(NULL, 0, &n));
        check_sleep(CHECK_SECOND / 1000);
    }
}

static int32_t read_its_parents_buffer(mp_call *call) {
    mp_buffer *buffer;
    memcpy(&buffer, mp_call_arg(call, 0).data, sizeof buffer);
    CHECK_EQ(7, ((const unsigned char *)mp_buffer_data(buffer))[1]);
    mp_buffer_free(buffer);
    return 0;
}

static void a_forked_child_has_the_buffer_too(void) {
    int32_t arg[] = {100000, 1};
    mp_buffer *buffer;
    mp_process *process = start(give_bytes, arg, sizeof arg, MP_START_FORK, false);
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    CHECK_OK(mp_process_result(process, &buffer));
    pid_t child = fork();
    if (child == 0) {
        check_no_result(process, MP_ERR_STATE);
        mp_process_free(process);
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    CHECK_EQ(0, run(read_its_parents_buffer, &buffer, sizeof buffer, MP_START_FORK));
    CHECK_EQ(7, ((const unsigned char *)mp_buffer_data(buffer))[1]);
    mp_buffer_free(buffer);
    mp_process_free(process);
}

/* -- usage -- */

static int32_t work_hard(mp_call *call) {
    volatile uint64_t sum = 0;
    struct timespec now;
    size_t bytes = 40 << 20;
    char *memory = malloc(bytes);
    (void)call;
    CHECK(memory != NULL);
    memset(memory, 1, bytes);
    do {
        for (int i = 0; i < 100000; i++)
            sum += (uint64_t)memory[(sum + (uint64_t)i) % bytes];
        CHECK_EQ(0, clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now));
    } while (now.tv_sec == 0 && now.tv_nsec < 200000000);
    free(memory);
    check_sleep(CHECK_SECOND / 100);
    return 0;
}

static void usage_is_told(int32_t method) {
    mp_usage usage = {.size = sizeof usage};
    mp_process *process = start(work_hard, "", 0, method, false);
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    CHECK_OK(mp_process_usage(process, &usage));
    CHECK_EQ(sizeof usage, usage.size);
    CHECK(usage.user + usage.system >= CHECK_SECOND * 19 / 100);
    CHECK(usage.max_resident >= 40 << 20);
    CHECK(usage.minor_faults > 0);
    CHECK(usage.voluntary_switches > 0);
    /* An older program has a shorter struct. */
    mp_usage shorter = {.size = offsetof(mp_usage, max_resident), .max_resident = 5};
    CHECK_OK(mp_process_usage(process, &shorter));
    CHECK_EQ(usage.user, shorter.user);
    CHECK_EQ(5, shorter.max_resident);
    CHECK_STATUS(MP_ERR_INVALID, mp_process_usage(process, NULL));
    usage.size = 0;
    CHECK_STATUS(MP_ERR_INVALID, mp_process_usage(process, &usage));
    mp_process_free(process);
}

/* A host that ignores SIGCHLD has all its children reaped by the kernel. */
static void a_host_that_reaps_is_told_so(void) {
    mp_usage usage = {.size = sizeof usage};
    int32_t arg[] = {3, 0};
    pid_t host = fork();
    if (host == 0) {
        signal(SIGCHLD, SIG_IGN);
        mp_process *process = start(give_bytes, arg, sizeof arg, MP_START_FORK, false);
        CHECK_OK(mp_process_join(process, MP_FOREVER));
        CHECK_EQ(0, exit_code(process));
        check_result(process, "\0\7\16", 3);
        CHECK_STATUS(MP_ERR_NOT_FOUND, mp_process_usage(process, &usage));
        CHECK_ERROR_HAS("SIGCHLD");
        mp_process_free(process);
        _exit(0);
    }
    CHECK_EQ(0, check_wait(host));
}

int main(int argc, char **argv) {
    if (getenv("MP_CHILD") == NULL)
        check_begin();
    CHECK_OK(mp_main_init(argc, argv));
    for (int i = 0; i < 2; i++) {
        all_lengths_arrive(METHODS[i]);
        the_last_one_counts(METHODS[i]);
        a_result_outlives_its_handle(METHODS[i]);
        states_are_told(METHODS[i]);
        failures_say_why(METHODS[i]);
        threads_share_a_result(METHODS[i]);
        usage_is_told(METHODS[i]);
    }
    what_is_committed_is_not_lost();
    results_that_nobody_wants();
    a_forked_child_has_the_buffer_too();
    a_host_that_reaps_is_told_so();
    return 0;
}
