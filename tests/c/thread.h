/* What the tests of processes that are threads share. */
#ifndef MP_TEST_THREAD_H
#define MP_TEST_THREAD_H

#include "process.h"

enum { TWIN = MP_START_THREAD };

/* What a function and its maker agree upon: a thread gets pointers. */
typedef struct {
    mp_event *begun, *go;
    mp_process *process;
    int32_t answer;
} gate;

static inline gate gate_new(void) {
    gate made = {0};
    CHECK_OK(mp_event_new(&made.begun));
    CHECK_OK(mp_event_new(&made.go));
    return made;
}

static inline void gate_free(const gate *made) {
    mp_event_free(made->begun);
    mp_event_free(made->go);
}

/* The pointer that is the first argument. */
static inline void *pointed(mp_call *call) {
    void *pointer;
    CHECK_EQ(sizeof pointer, mp_call_arg(call, 0).len);
    memcpy(&pointer, mp_call_arg(call, 0).data, sizeof pointer);
    return pointer;
}

static inline mp_process *start_thread_with(mp_fn fn, void *pointer, bool daemon) {
    return start(fn, &pointer, sizeof pointer, TWIN, daemon);
}

static inline int32_t run_thread(mp_fn fn, void *pointer) { return finish(start_thread_with(fn, pointer, false)); }

static inline int32_t wait_at_gate(mp_call *call) {
    gate *at = pointed(call);
    CHECK_OK(mp_event_set(at->begun));
    CHECK_OK(mp_event_wait(at->go, MP_FOREVER));
    return at->answer;
}

#endif
