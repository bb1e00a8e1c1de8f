/*
 * Children that run a program which does not call mp_main_init, and runs on: the log tells of a process, and what the
 * library itself would wait for is ended. Programs that end are in test_executable. The limit is made short here.
 */
#include "fault.h"
#include "pool.h"

#include <sys/stat.h>

static char program[] = "/tmp/mp-test-XXXXXX";
static char logged[4096];
static size_t logged_length;

static void keep(void *user, int32_t level, const char *text) {
    (void)user;
    (void)level;
    int n = snprintf(logged + logged_length, sizeof logged - logged_length, "%s\n", text);
    CHECK(n > 0 && (size_t)n < sizeof logged - logged_length);
    logged_length += (size_t)n;
}

/* Waits until that was logged. */
static void await_log(const char *text) {
    for (int i = 0; strstr(logged, text) == NULL; i++) {
        CHECK(i < 6000);
        check_sleep(10000000);
    }
}

static void name_the_program(void) {
    alarm(100);
    CHECK_OK(mp_set_log_callback(keep, NULL, MP_LOG_WARNING));
    CHECK_OK(mp_set_executable(program));
}

static bool is_alive(mp_process *process) {
    bool alive;
    CHECK_OK(mp_process_is_alive(process, &alive));
    return alive;
}

static void a_process_is_told_of(void) {
    name_the_program();
    mp_process *process = start(sleep_for_ever, "", 0, MP_START_SPAWN, true);
    await_log("without a call of mp_main_init");
    CHECK(strstr(logged, program) != NULL);
    CHECK(is_alive(process));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_process_join(process, 10000000));
    CHECK_OK(mp_process_kill(process));
    CHECK_EQ(-SIGKILL, finish(process));
}

/* Whoever is stopped is given time. */
static void a_stopped_process_is_not_told_of(void) {
    name_the_program();
    mp_process *process = start(sleep_for_ever, "", 0, MP_START_SPAWN, true);
    CHECK_OK(mp_process_signal(process, SIGSTOP));
    check_sleep(3000000000);
    CHECK_EQ(0, logged_length);
    CHECK_OK(mp_process_kill(process));
    CHECK_EQ(-SIGKILL, finish(process));
}

static void a_fork_server_is_ended(void) {
    name_the_program();
    CHECK_STATUS(MP_ERR_BOOTSTRAP, mp_forkserver_start(sleep_for_ever, NULL, 0));
    CHECK_ERROR_HAS("mp_main_init");
    mp_process *process = make(sleep_for_ever, NULL, 0, MP_START_FORKSERVER, false, NULL);
    CHECK_STATUS(MP_ERR_BOOTSTRAP, mp_process_start(process));
    CHECK_ERROR_HAS(program);
    /* With the right program it starts. */
    CHECK_OK(mp_set_executable(NULL));
    CHECK_OK(mp_process_start(process));
    CHECK_OK(mp_process_kill(process));
    CHECK_EQ(-SIGKILL, finish(process));
    CHECK_OK(mp_forkserver_stop());
}

static void a_pool_is_broken(void) {
    mp_pool_options options;
    mp_buffer *buffer;
    name_the_program();
    mp_pool *pool = pool_new(MP_START_SPAWN, 2);
    CHECK_STATUS(MP_ERR_BROKEN, mp_pool_apply(pool, sleep_for_ever, NULL, 0, &buffer));
    await_log("can't make new ones");
    CHECK_STATUS(MP_ERR_BROKEN, mp_pool_apply(pool, sleep_for_ever, NULL, 0, &buffer));
    mp_pool_free(pool);
    CHECK_OK(mp_pool_options_init(&options));
    options.start_method = MP_START_FORKSERVER;
    CHECK_STATUS(MP_ERR_BOOTSTRAP, mp_pool_new(&options, &pool));
    CHECK_ERROR_HAS("mp_main_init");
}

/* A program that knows nothing of libmp and takes its time. */
static void write_program(void) {
    static const char text[] = "#!/bin/sh\nexec sleep 100\n";
    int file = mkstemp(program);
    CHECK(file >= 0);
    CHECK_EQ(sizeof text - 1, write(file, text, sizeof text - 1));
    CHECK_EQ(0, fchmod(file, 0700));
    CHECK_EQ(0, close(file));
}

int main(int argc, char **argv) {
    static void (*const bodies[])(void) = {a_process_is_told_of, a_stopped_process_is_not_told_of,
                                           a_fork_server_is_ended, a_pool_is_broken};
    CHECK_OK(mp_register("sleep for ever", sleep_for_ever));
    if (getenv("MP_CHILD") != NULL)
        CHECK_OK(mp_main_init(argc, argv));
    check_begin();
    write_program();
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        CHECK_EQ(0, with_fault("short@process.beginning:limit", argc, argv, bodies[i]));
    CHECK_EQ(0, unlink(program));
    return 0;
}
