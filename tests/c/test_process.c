/*
 * Processes: how they are started and how they end, their arguments, states and names.
 */
#include "process.h"

/* -- ends -- */

static int32_t call_exit(mp_call *call) { exit(answer(call)); }

static int32_t call__exit(mp_call *call) { _exit(answer(call)); }

static int32_t kill_itself(mp_call *call) {
    int signal_number = answer(call);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
    return 0;
}

static void codes_are_told(int32_t method) {
    static const struct { int32_t value, code; } codes[] = {{0, 0}, {7, 7}, {255, 255}, {256, 0}, {300, 44}, {-1, 255}};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        CHECK_EQ(codes[i].code, run(answer, &codes[i].value, sizeof codes[i].value, method));
}

static void ends_are_told(int32_t method) {
    int32_t five = 5, killed = SIGKILL, user = SIGUSR1;
    CHECK_EQ(5, run(call_exit, &five, sizeof five, method));
    CHECK_EQ(5, run(call__exit, &five, sizeof five, method));
    CHECK_EQ(-SIGKILL, run(kill_itself, &killed, sizeof killed, method));
    CHECK_EQ(-SIGUSR1, run(kill_itself, &user, sizeof user, method));

    mp_process *process = start(sleep_for_ever, "", 0, method, false);
    CHECK_OK(mp_process_kill(process));
    CHECK_EQ(-SIGKILL, finish(process));
    process = start(sleep_for_ever, "", 0, method, true);
    CHECK_OK(mp_process_terminate(process));
    CHECK_EQ(-SIGTERM, finish(process));
    process = start(sleep_for_ever, "", 0, method, false);
    CHECK_STATUS(MP_ERR_INVALID, mp_process_signal(process, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_process_signal(process, 65));
    CHECK_OK(mp_process_signal(process, SIGUSR2));
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    CHECK_OK(mp_process_kill(process));
    CHECK_EQ(-SIGUSR2, finish(process));
}

/* -- arguments and failures -- */

static int32_t add_up(mp_call *call) {
    size_t sum = 0, bytes = 0;
    CHECK_EQ(40, mp_call_argc(call));
    for (size_t i = 0; i < mp_call_argc(call); i++) {
        mp_slice arg = mp_call_arg(call, i);
        CHECK_EQ(i * 1000, arg.len);
        for (size_t at = 0; at < arg.len; at++)
            sum += ((const unsigned char *)arg.data)[at] == (unsigned char)i;
        bytes += arg.len;
    }
    CHECK(mp_call_arg(call, 40).data == NULL);
    CHECK_ERROR_HAS("there is no argument 40");
    CHECK_OK(mp_call_return(call, "a result", 8));
    CHECK(mp_call_return_buffer(call, 100000) != NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_call_return(call, NULL, 1));
    return sum == bytes ? 21 : 1;
}

static void arguments_arrive(int32_t method) {
    static unsigned char bytes[40][40000];
    mp_slice args[40];
    for (size_t i = 0; i < 40; i++) {
        memset(bytes[i], (int)i, sizeof bytes[i]);
        args[i] = (mp_slice){bytes[i], i * 1000};
    }
    mp_process *process = make(add_up, args, 40, method, false, NULL);
    memset(bytes, 99, sizeof bytes);
    CHECK_OK(mp_process_start(process));
    CHECK_EQ(21, finish(process));
}

static pid_t first_process;
static int failures;

static void count_failures(void *user, int32_t level, const char *text) {
    CHECK_EQ(MP_LOG_ERROR, level);
    CHECK(strstr(text, "it did not work") != NULL);
    ++*(int *)user;
}

static int32_t fail(mp_call *call) {
    mp_slice arg = mp_call_arg(call, 0);
    if (getpid() != first_process)
        close(STDERR_FILENO);
    CHECK_OK(mp_call_fail(call, ((const int32_t *)arg.data)[0], "it did not work"));
    return ((const int32_t *)arg.data)[1];
}

static void failures_have_a_code(int32_t method) {
    static const int32_t cases[][3] = {{3, 0, 3}, {3, 4, 3}, {0, 4, 4}, {0, 0, 1}, {256, 0, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_EQ(cases[i][2], run(fail, cases[i], 2 * sizeof(int32_t), method));
}

/* This process has the log of its threads. */
static void failures_of_threads_are_logged(void) {
    CHECK_OK(mp_set_log_callback(count_failures, &failures, MP_LOG_WARNING));
    failures_have_a_code(MP_START_THREAD);
    CHECK_EQ(5, failures);
    CHECK_OK(mp_set_log_callback(NULL, NULL, 0));
}

/* -- names and states -- */

static void check_repr(mp_process *process, const char *name, const char *state) {
    char expected[100], found[100];
    snprintf(expected, sizeof expected, "<Process(%s, %s)>", name, state);
    memset(found, 'x', sizeof found);
    CHECK_OK(mp_process_repr(process, found, sizeof found));
    CHECK_STRING(expected, found);
    CHECK_STATUS(MP_ERR_TOO_LARGE, mp_process_repr(process, found, strlen(expected)));
    CHECK_EQ(strlen(expected) - 1, strlen(found));
    CHECK_OK(mp_process_repr(process, found, strlen(expected) + 1));
    CHECK_STATUS(MP_ERR_TOO_LARGE, mp_process_repr(process, found, 1));
    CHECK_STRING("", found);
    CHECK_STATUS(MP_ERR_TOO_LARGE, mp_process_repr(process, found, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_process_repr(process, NULL, 10));
}

/* A child's own first child continues its name. */
static int32_t name_a_child(mp_call *call) {
    char expected[100];
    int32_t twelve = 12;
    mp_slice name = mp_call_arg(call, 0);
    mp_process *process = start(answer, &twelve, sizeof twelve, MP_START_DEFAULT, false);
    snprintf(expected, sizeof expected, "%.*s:1", (int)name.len, (const char *)name.data);
    CHECK_STRING(expected, mp_process_name(process));
    return finish(process) == 12 ? mp_get_start_method() : 0;
}

static void names_are_paths(int32_t method) {
    mp_process *process = make(answer, NULL, 0, method, false, NULL);
    int number = 0;
    CHECK_EQ(1, sscanf(mp_process_name(process), "Process-%d", &number));
    mp_process_free(process);

    char name[40];
    int length = snprintf(name, sizeof name, "Process-%d", number + 1);
    CHECK_OK(mp_set_start_method(method));
    process = start(name_a_child, name, (size_t)length, MP_START_DEFAULT, false);
    CHECK_STRING(name, mp_process_name(process));
    CHECK_EQ(method, finish(process));
    CHECK_OK(mp_set_start_method(MP_START_DEFAULT));
    CHECK_EQ(MP_START_FORK, mp_get_start_method());

    char own[] = "gr\xc3\xbc\xc3\x9f"
                 "e";
    process = make(answer, NULL, 0, method, false, own);
    own[0] = 'x';
    CHECK_STRING("gr\xc3\xbc\xc3\x9f"
                 "e",
                 mp_process_name(process));
    mp_process_free(process);
}

static void states_follow_each_other(int32_t method) {
    int32_t number = -5;
    bool alive = true;
    mp_process *process = make(sleep_for_ever, NULL, 0, method, true, "states");
    check_repr(process, "states", "initial");
    CHECK_STATUS(MP_ERR_STATE, mp_process_join(process, 0));
    CHECK_STATUS(MP_ERR_STATE, mp_process_terminate(process));
    CHECK_STATUS(MP_ERR_STATE, mp_process_kill(process));
    CHECK_STATUS(MP_ERR_STATE, mp_process_pid(process, &number));
    CHECK_STATUS(MP_ERR_STATE, mp_process_exitcode(process, &number));
    CHECK_EQ(-5, number);
    CHECK_OK(mp_process_is_alive(process, &alive));
    CHECK(!alive);

    CHECK_OK(mp_process_start(process));
    check_repr(process, "states", "started");
    CHECK_STATUS(MP_ERR_STATE, mp_process_start(process));
    CHECK_STATUS(MP_ERR_STATE, mp_process_exitcode(process, &number));
    CHECK_STATUS(MP_ERR_STATE, mp_process_close(process));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_process_join(process, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_process_join(process, -1));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_process_join(process, INT64_MIN));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_process_join(process, CHECK_SECOND / 100));
    CHECK_OK(mp_process_is_alive(process, &alive));
    CHECK(alive);
    CHECK_OK(mp_process_pid(process, &number));
    CHECK_EQ(0, kill(number, 0));

    CHECK_OK(mp_process_kill(process));
    CHECK_OK(mp_process_join(process, INT64_MAX - 1));
    CHECK_OK(mp_process_join(process, 0));
    CHECK_OK(mp_process_is_alive(process, &alive));
    CHECK(!alive);
    check_repr(process, "states", "stopped");
    CHECK_EQ(-SIGKILL, exit_code(process));
    CHECK_OK(mp_process_terminate(process));
    CHECK_STATUS(MP_ERR_STATE, mp_process_start(process));

    CHECK_OK(mp_process_close(process));
    CHECK_OK(mp_process_close(process));
    check_repr(process, "states", "closed");
    CHECK_STATUS(MP_ERR_CLOSED, mp_process_start(process));
    CHECK_STATUS(MP_ERR_CLOSED, mp_process_join(process, 0));
    CHECK_STATUS(MP_ERR_CLOSED, mp_process_is_alive(process, &alive));
    mp_process_free(process);
}

static void wrong_arguments_are_refused(void) {
    mp_process *process = (mp_process *)1;
    mp_process_options options;
    bool alive;
    int32_t number;
    CHECK_STATUS(MP_ERR_INVALID, mp_process_new(NULL, NULL, 0, NULL, &process));
    CHECK(process == NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_process_new(answer, NULL, 1, NULL, &process));
    CHECK_STATUS(MP_ERR_INVALID, mp_process_new(answer, NULL, 0, NULL, NULL));
    memset(&options, 0, sizeof options);
    CHECK_STATUS(MP_ERR_INVALID, mp_process_new(answer, NULL, 0, &options, &process));
    CHECK_OK(mp_process_options_init(&options));
    options.start_method = 77;
    CHECK_STATUS(MP_ERR_INVALID, mp_process_new(answer, NULL, 0, &options, &process));
    options.start_method = MP_START_FORK;
    options.name = "\xff";
    CHECK_STATUS(MP_ERR_INVALID, mp_process_new(answer, NULL, 0, &options, &process));
    CHECK_STATUS(MP_ERR_INVALID, mp_set_start_method(-1));
    CHECK_EQ(MP_START_FORK, mp_get_start_method());

    CHECK_STATUS(MP_ERR_INVALID, mp_process_start(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_process_join(NULL, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_process_is_alive(NULL, &alive));
    CHECK(mp_process_name(NULL) == NULL);
    mp_process_free(NULL);
    process = make(answer, NULL, 0, MP_START_FORK, false, NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_process_is_alive(process, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_process_pid(process, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_process_exitcode(process, NULL));
    mp_process_free(process);
    CHECK_STATUS(MP_ERR_INVALID, mp_process_start(process));
    CHECK_STATUS(MP_ERR_INVALID, mp_process_pid(process, &number));

    CHECK_EQ(0, mp_call_argc(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_call_fail(NULL, 1, "x"));
}

/* -- functions -- */

static int32_t named(mp_call *call) { return 80 + (int32_t)mp_call_argc(call); }

static void functions_travel(void) {
    static char memory[64];
    union {
        void *data;
        mp_fn fn;
    } nowhere = {.data = memory};
    CHECK_STATUS(MP_ERR_EXISTS, mp_register("named", answer));
    CHECK_OK(mp_register("named", named));
    CHECK_STATUS(MP_ERR_INVALID, mp_register(NULL, named));
    CHECK_STATUS(MP_ERR_INVALID, mp_register("other", NULL));
    CHECK_EQ(81, run(named, "", 0, MP_START_SPAWN));
    /* A name that only this process knows. */
    CHECK_OK(mp_register("too late", call__exit));
    int32_t zero = 0;
    fprintf(stderr, "(one line about a function of unknown name is expected:)\n");
    CHECK_EQ(70, run(call__exit, &zero, sizeof zero, MP_START_SPAWN));
    /* The fork server has looked before it forks. */
    mp_process *unknown = make(call__exit, NULL, 0, MP_START_FORKSERVER, false, NULL);
    CHECK_STATUS(MP_ERR_NOT_FOUND, mp_process_start(unknown));
    CHECK_ERROR_HAS("no function is registered by the name too late");
    mp_process_free(unknown);
    /* An address in no code. */
    mp_process *process = make(nowhere.fn, NULL, 0, MP_START_SPAWN, false, NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_process_start(process));
    CHECK_ERROR_HAS("register it by name");
    check_repr(process, mp_process_name(process), "initial");
    mp_process_free(process);
}

/* -- stdio -- */

static int32_t print(mp_call *call) {
    (void)call;
    printf("child ");
    return 0;
}

static void every_word_is_printed_once(int32_t method) {
    int ends[2];
    char text[100] = "";
    size_t length = 0;
    ssize_t n;
    CHECK_EQ(0, pipe(ends));
    pid_t parent = fork();
    if (parent == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        printf("before ");
        CHECK_EQ(0, run(print, "", 0, method));
        printf("after");
        exit(0);
    }
    close(ends[1]);
    while ((n = read(ends[0], text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)n;
    close(ends[0]);
    CHECK_EQ(0, check_wait(parent));
    /* Nothing is flushed where the child has no copy of the buffer. */
    bool copied = method == MP_START_FORK || method == MP_START_THREAD;
    CHECK_STRING(copied ? "before child after" : "child before after", text);
}

static void spawn_needs_main_init(void) {
    mp_process *process = make(answer, NULL, 0, MP_START_SPAWN, false, NULL);
    CHECK_STATUS(MP_ERR_BOOTSTRAP, mp_process_start(process));
    CHECK_ERROR_HAS("mp_main_init");
    mp_process_free(process);
}

/* In a spawned child, which runs this first, it must not start a chain of children. */
__attribute__((constructor)) static void start_too_early(void) {
    mp_process *process;
    if (getenv("MP_CHILD") != NULL)
        CHECK_STATUS(MP_ERR_BOOTSTRAP, mp_process_new(answer, NULL, 0, NULL, &process));
}

int main(int argc, char **argv) {
    /* A spawned child runs this too, and must not make anything before mp_main_init. */
    CHECK_OK(mp_register("named", named));
    if (getenv("MP_CHILD") == NULL) {
        check_begin();
        first_process = getpid();
        spawn_needs_main_init();
    }
    CHECK_OK(mp_main_init(argc, argv));
    CHECK_OK(mp_main_init(argc, argv));
    wrong_arguments_are_refused();
    for (int i = 0; i < 2; i++) {
        codes_are_told(METHODS[i]);
        ends_are_told(METHODS[i]);
        arguments_arrive(METHODS[i]);
        failures_have_a_code(METHODS[i]);
        names_are_paths(METHODS[i]);
        states_follow_each_other(METHODS[i]);
        every_word_is_printed_once(METHODS[i]);
    }
    /* test_thread.c has what is special about threads. */
    codes_are_told(MP_START_THREAD);
    arguments_arrive(MP_START_THREAD);
    failures_of_threads_are_logged();
    names_are_paths(MP_START_THREAD);
    every_word_is_printed_once(MP_START_THREAD);
    functions_travel();
    return 0;
}
