/*
 * What the tests of processes share.
 */
#ifndef MP_TEST_PROCESS_H
#define MP_TEST_PROCESS_H

#include "check.h"

#include <stdbool.h>

static const int32_t METHODS[] = {MP_START_FORK, MP_START_FORKSERVER, MP_START_SPAWN};

static inline mp_process *make(mp_fn fn, const mp_slice *args, size_t nargs, int32_t method, bool daemon,
                               const char *name) {
    mp_process_options options;
    mp_process *process = NULL;
    CHECK_OK(mp_process_options_init(&options));
    options.start_method = method;
    options.daemon = daemon;
    options.name = name;
    CHECK_OK(mp_process_new(fn, args, nargs, &options, &process));
    CHECK(process != NULL);
    return process;
}

/* A process with one argument and options, of which the last things are set here. */
static inline mp_process *make_with(mp_fn fn, const void *arg, size_t len, int32_t method,
                                    const mp_process_options *options) {
    mp_process_options all = *options;
    mp_slice slice = {arg, len};
    mp_process *process = NULL;
    all.start_method = method;
    CHECK_OK(mp_process_new(fn, &slice, 1, &all, &process));
    CHECK(process != NULL);
    return process;
}

static inline mp_process *start(mp_fn fn, const void *arg, size_t len, int32_t method, bool daemon) {
    mp_slice slice = {arg, len};
    mp_process *process = make(fn, &slice, 1, method, daemon, NULL);
    CHECK_OK(mp_process_start(process));
    return process;
}

static inline int32_t exit_code(mp_process *process) {
    int32_t code = -1000;
    CHECK_OK(mp_process_exitcode(process, &code));
    return code;
}

static inline int32_t finish(mp_process *process) {
    int32_t code;
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    code = exit_code(process);
    mp_process_free(process);
    return code;
}

static inline int32_t run(mp_fn fn, const void *arg, size_t len, int32_t method) {
    return finish(start(fn, arg, len, method, false));
}

static inline int32_t run_with(mp_fn fn, const void *arg, size_t len, int32_t method,
                               const mp_process_options *options) {
    mp_process *process = make_with(fn, arg, len, method, options);
    CHECK_OK(mp_process_start(process));
    return finish(process);
}

/* Answers its argument. */
static inline int32_t answer(mp_call *call) {
    int32_t code;
    CHECK_EQ(sizeof code, mp_call_arg(call, 0).len);
    memcpy(&code, mp_call_arg(call, 0).data, sizeof code);
    return code;
}

static inline int32_t sleep_for_ever(mp_call *call) {
    (void)call;
    alarm(120);
    while (pause() < 0) {
    }
    return 0;
}

#endif
