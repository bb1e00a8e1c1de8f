#include "shims.h"
#include "answer.h"

#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

// Runtime.

static int32_t trampoline(mp_call *call) { return cmpRunCall(call); }

cmp_ret cmp_main_init(int argc, char **argv) { return answer(mp_main_init(argc, argv)); }

cmp_ret cmp_register(const char *name) { return answer(mp_register(name, trampoline)); }

cmp_ret cmp_set_executable(const char *path) { return answer(mp_set_executable(path)); }

cmp_ret cmp_cancel_new(void) {
    mp_cancel *out = NULL;
    mp_status s = mp_cancel_new(&out);
    return answer_ptr(s, out);
}

cmp_ret cmp_cancel_reset(mp_cancel *c) { return answer(mp_cancel_reset(c)); }

cmp_ret cmp_token_keep(const mp_token *t) { return answer(mp_token_keep(t)); }

cmp_ret cmp_token_drop(const mp_token *t) { return answer(mp_token_drop(t)); }

#define OBJECT(kind)                                                                                                   \
    cmp_ret cmp_##kind##_from_token(const mp_token *t) {                                                               \
        mp_##kind *out = NULL;                                                                                         \
        mp_status s = mp_##kind##_from_token(t, &out);                                                                 \
        return answer_ptr(s, out);                                                                                     \
    }                                                                                                                  \
    cmp_ret cmp_##kind##_token(const mp_##kind *object, mp_token *out) {                                               \
        return answer(mp_##kind##_token(object, out));                                                                 \
    }

OBJECT(lock)
OBJECT(rlock)
OBJECT(semaphore)
OBJECT(event)
OBJECT(barrier)
OBJECT(condition)
OBJECT(value)
OBJECT(array)
OBJECT(shared_memory)
OBJECT(queue)
OBJECT(connection)

// Lock.

cmp_ret cmp_lock_new(void) {
    mp_lock *out = NULL;
    mp_status s = mp_lock_new(&out);
    return answer_ptr(s, out);
}

cmp_ret cmp_lock_acquire(mp_lock *l, int64_t timeout, mp_cancel *c) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_lock_acquire(l, timeout);
    return disobey(c, answer(s));
}

cmp_ret cmp_lock_release(mp_lock *l) { return answer(mp_lock_release(l)); }

cmp_ret cmp_lock_owner(mp_lock *l) {
    int32_t pid = 0;
    mp_status s = mp_lock_owner(l, &pid);
    return answer_num(s, (uint64_t)pid);
}

// Recursive lock.

cmp_ret cmp_rlock_new(void) {
    mp_rlock *out = NULL;
    mp_status s = mp_rlock_new(&out);
    return answer_ptr(s, out);
}

cmp_ret cmp_rlock_acquire_as(mp_rlock *l, uint64_t owner, int64_t timeout, mp_cancel *c) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_rlock_acquire_as(l, owner, timeout);
    return disobey(c, answer(s));
}

cmp_ret cmp_rlock_release_as(mp_rlock *l, uint64_t owner) { return answer(mp_rlock_release_as(l, owner)); }

// Semaphore.

static mp_semaphore_options semaphore_options(uint32_t max, bool robust) {
    mp_semaphore_options o;
    mp_semaphore_options_init(&o);
    o.max = max;
    o.robust = robust;
    return o;
}

cmp_ret cmp_semaphore_new(uint32_t value, uint32_t max, bool robust) {
    mp_semaphore_options o = semaphore_options(max, robust);
    mp_semaphore *out = NULL;
    mp_status s = mp_semaphore_new(value, &o, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_semaphore_acquire(mp_semaphore *sem, int64_t timeout, mp_cancel *c) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_semaphore_acquire(sem, timeout);
    return disobey(c, answer(s));
}

cmp_ret cmp_semaphore_release(mp_semaphore *sem, uint32_t n) { return answer(mp_semaphore_release(sem, n)); }

cmp_ret cmp_semaphore_value(mp_semaphore *sem) {
    uint32_t n = 0;
    mp_status s = mp_semaphore_value(sem, &n);
    return answer_num(s, n);
}

// Event.

cmp_ret cmp_event_new(void) {
    mp_event *out = NULL;
    mp_status s = mp_event_new(&out);
    return answer_ptr(s, out);
}

cmp_ret cmp_event_set(mp_event *e) { return answer(mp_event_set(e)); }

cmp_ret cmp_event_clear(mp_event *e) { return answer(mp_event_clear(e)); }

cmp_ret cmp_event_is_set(mp_event *e) {
    bool set = false;
    mp_status s = mp_event_is_set(e, &set);
    return answer_num(s, set);
}

cmp_ret cmp_event_wait(mp_event *e, int64_t timeout, mp_cancel *c) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_event_wait(e, timeout);
    return disobey(c, answer(s));
}

// Barrier.

cmp_ret cmp_barrier_new(uint32_t parties) {
    mp_barrier *out = NULL;
    mp_status s = mp_barrier_new(parties, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_barrier_wait(mp_barrier *b, int64_t timeout, mp_cancel *c) {
    uint32_t index = 0;
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_barrier_wait(b, timeout, &index);
    return disobey(c, answer_num(s, index));
}

cmp_ret cmp_barrier_reset(mp_barrier *b) { return answer(mp_barrier_reset(b)); }

cmp_ret cmp_barrier_abort(mp_barrier *b) { return answer(mp_barrier_abort(b)); }

cmp_ret cmp_barrier_parties(mp_barrier *b) {
    uint32_t n = 0;
    mp_status s = mp_barrier_parties(b, &n);
    return answer_num(s, n);
}

cmp_ret cmp_barrier_waiting(mp_barrier *b) {
    uint32_t n = 0;
    mp_status s = mp_barrier_waiting(b, &n);
    return answer_num(s, n);
}

cmp_ret cmp_barrier_broken(mp_barrier *b) {
    bool broken = false;
    mp_status s = mp_barrier_broken(b, &broken);
    return answer_num(s, broken);
}

// Condition.

cmp_ret cmp_condition_new(mp_lock *l) {
    mp_condition *out = NULL;
    mp_status s = mp_condition_new_with_lock(l, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_condition_acquire(mp_condition *d, int64_t timeout, mp_cancel *c) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_condition_acquire(d, timeout);
    return disobey(c, answer(s));
}

cmp_ret cmp_condition_release(mp_condition *d) { return answer(mp_condition_release(d)); }

cmp_ret cmp_condition_wait(mp_condition *d, int64_t timeout, mp_cancel *c) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_condition_wait(d, timeout);
    return disobey(c, answer(s));
}

cmp_ret cmp_condition_notify(mp_condition *d, uint32_t n) { return answer(mp_condition_notify(d, n)); }

cmp_ret cmp_condition_notify_all(mp_condition *d) { return answer(mp_condition_notify_all(d)); }

// Value.

cmp_ret cmp_value_new(size_t size, const void *init, int32_t lock) {
    mp_value *out = NULL;
    mp_status s = mp_value_new(size, init, lock, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_value_acquire_as(mp_value *v, uint64_t owner, int64_t timeout, mp_cancel *c) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_value_acquire_as(v, owner, timeout);
    return disobey(c, answer(s));
}

cmp_ret cmp_value_release_as(mp_value *v, uint64_t owner) { return answer(mp_value_release_as(v, owner)); }

// Array.

cmp_ret cmp_array_new(size_t elem_size, size_t count, int32_t lock, bool huge_pages) {
    mp_array_options o;
    mp_array_options_init(&o);
    o.lock = lock;
    o.huge_pages = huge_pages;
    mp_array *out = NULL;
    mp_status s = mp_array_new_with(elem_size, count, NULL, &o, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_array_acquire_as(mp_array *a, uint64_t owner, int64_t timeout, mp_cancel *c) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_array_acquire_as(a, owner, timeout);
    return disobey(c, answer(s));
}

cmp_ret cmp_array_release_as(mp_array *a, uint64_t owner) { return answer(mp_array_release_as(a, owner)); }

// Shared memory.

cmp_ret cmp_shared_memory_create(const char *name, size_t size) {
    mp_shared_memory *out = NULL;
    mp_status s = mp_shared_memory_create(name, size, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_shared_memory_open(const char *name) {
    mp_shared_memory *out = NULL;
    mp_status s = mp_shared_memory_open(name, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_shared_memory_unlink(const char *name) { return answer(mp_shared_memory_unlink(name)); }

// Connection.

cmp_ret cmp_pipe(bool duplex, mp_connection **other) {
    mp_connection *out = NULL;
    mp_status s = mp_pipe(duplex, &out, other);
    return answer_ptr(s, out);
}

cmp_ret cmp_connection_send(mp_connection *n, const void *data, size_t len, int64_t timeout, mp_cancel *c) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_connection_send(n, data, len, timeout);
    return disobey(c, answer(s));
}

cmp_ret cmp_connection_recv(mp_connection *n, int64_t timeout, mp_cancel *c) {
    mp_buffer *out = NULL;
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_connection_recv(n, timeout, &out);
    return answer_buffer(c, s, out);
}

cmp_ret cmp_connection_recv_into(mp_connection *n, void *data, size_t cap, int64_t timeout, mp_cancel *c) {
    size_t len = 0;
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_connection_recv_into(n, data, cap, &len, timeout);
    return disobey(c, answer_num(s, len));
}

cmp_ret cmp_connection_poll(mp_connection *n, int64_t timeout, mp_cancel *c) {
    bool ready = false;
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_connection_poll(n, timeout, &ready);
    return disobey(c, answer_num(s, ready));
}

// Arena.

cmp_ret cmp_arena_open(const char *name, const cmp_arena_how *how) {
    mp_arena_options o;
    mp_arena_options_init(&o);
    o.capacity = how->capacity;
    if (how->mode != 0)
        o.mode = how->mode;
    if (how->uid_given)
        o.uid = how->uid;
    o.must_exist = how->must_exist;
    mp_arena *out = NULL;
    mp_status s = mp_arena_open(name, &o, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_arena_queue(mp_arena *a, const char *name, const cmp_queue_how *how) {
    mp_queue_options o;
    if (how != NULL)
        o = cmp_queue_options(how);
    mp_queue *out = NULL;
    mp_status s = mp_arena_queue(a, name, how != NULL ? &o : NULL, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_arena_lock(mp_arena *a, const char *name) {
    mp_lock *out = NULL;
    mp_status s = mp_arena_lock(a, name, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_arena_rlock(mp_arena *a, const char *name) {
    mp_rlock *out = NULL;
    mp_status s = mp_arena_rlock(a, name, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_arena_semaphore(mp_arena *a, const char *name, uint32_t value, uint32_t max, bool robust) {
    mp_semaphore_options o = semaphore_options(max, robust);
    mp_semaphore *out = NULL;
    mp_status s = mp_arena_semaphore(a, name, value, &o, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_arena_condition(mp_arena *a, const char *name, mp_lock *l) {
    mp_condition *out = NULL;
    mp_status s = mp_arena_condition_with_lock(a, name, l, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_arena_barrier(mp_arena *a, const char *name, uint32_t parties) {
    mp_barrier *out = NULL;
    mp_status s = mp_arena_barrier(a, name, parties, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_arena_value(mp_arena *a, const char *name, size_t size, const void *init, int32_t lock) {
    mp_value *out = NULL;
    mp_status s = mp_arena_value(a, name, size, init, lock, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_arena_array(mp_arena *a, const char *name, size_t elem_size, size_t count, int32_t lock) {
    mp_array *out = NULL;
    mp_status s = mp_arena_array(a, name, elem_size, count, NULL, lock, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_arena_event(mp_arena *a, const char *name) {
    mp_event *out = NULL;
    mp_status s = mp_arena_event(a, name, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_arena_remove(mp_arena *a, const char *name) { return answer(mp_arena_remove(a, name)); }

cmp_ret cmp_arena_unlink(const char *name) { return answer(mp_arena_unlink(name)); }

// Process.

cmp_ret cmp_process_new(const mp_slice *args, size_t nargs, const mp_process_options *o) {
    mp_process *out = NULL;
    mp_status s = mp_process_new(trampoline, args, nargs, o, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_process_start(mp_process *p) { return answer(mp_process_start(p)); }

cmp_ret cmp_process_join(mp_process *p, int64_t timeout, mp_cancel *c) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_process_join(p, timeout);
    return disobey(c, answer(s));
}

cmp_ret cmp_process_terminate(mp_process *p) { return answer(mp_process_terminate(p)); }

cmp_ret cmp_process_kill(mp_process *p) { return answer(mp_process_kill(p)); }

cmp_ret cmp_process_interrupt(mp_process *p) { return answer(mp_process_interrupt(p)); }

cmp_ret cmp_process_stop(mp_process *p, int64_t grace, mp_cancel *c) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_process_stop(p, grace);
    return disobey(c, answer(s));
}

cmp_ret cmp_process_kill_tree(mp_process *p, mp_cancel *c) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_process_kill_tree(p);
    return disobey(c, answer(s));
}

cmp_ret cmp_process_result(mp_process *p) {
    mp_buffer *out = NULL;
    mp_status s = mp_process_result(p, &out);
    return answer_buffer(NULL, s, out);
}

cmp_ret cmp_process_usage(mp_process *p, mp_usage *usage) {
    usage->size = sizeof *usage;
    return answer(mp_process_usage(p, usage));
}

cmp_ret cmp_active_children(int32_t *pids, size_t cap) {
    size_t n = 0;
    mp_status s = mp_active_children(pids, cap, &n);
    return answer_num(s, n);
}

cmp_ret cmp_process_is_alive(mp_process *p) {
    bool alive = false;
    mp_status s = mp_process_is_alive(p, &alive);
    return answer_num(s, alive);
}

cmp_ret cmp_process_pid(mp_process *p) {
    int32_t pid = 0;
    mp_status s = mp_process_pid(p, &pid);
    return answer_num(s, (uint64_t)pid);
}

cmp_ret cmp_process_exitcode(mp_process *p) {
    int32_t code = 0;
    mp_status s = mp_process_exitcode(p, &code);
    return answer_num(s, (uint64_t)(int64_t)code);
}

cmp_ret cmp_process_text(mp_process *p, bool name_only) {
    char text[512] = "";
    if (name_only) {
        const char *name = mp_process_name(p);
        return answer_ptr(MP_OK, strdup(name != NULL ? name : ""));
    }
    mp_status s = mp_process_repr(p, text, sizeof text);
    if (s == MP_ERR_TOO_LARGE)
        s = MP_OK; // cut, and good enough to print
    return answer_ptr(s, MP_SUCCEEDED(s) ? strdup(text) : NULL);
}

// Pool.

cmp_ret cmp_pool_new(uint32_t processes, const mp_slice *init, size_t ninit, uint32_t max_tasks, int32_t start,
                     int64_t task_timeout, uint32_t task_retries) {
    mp_pool_options o;
    mp_pool_options_init(&o);
    o.processes = processes;
    if (ninit > 0) {
        o.initializer = trampoline;
        o.initializer_args = init;
        o.initializer_nargs = ninit;
    }
    o.max_tasks_per_child = max_tasks;
    o.start_method = start;
    o.task_timeout = task_timeout;
    o.task_retries = task_retries;
    mp_pool *out = NULL;
    mp_status s = mp_pool_new(&o, &out);
    return answer_ptr(s, out);
}

static cmp_failure copy_failure(const mp_task_error *e) {
    cmp_failure f = {.index = e->index,
                     .elapsed = e->elapsed,
                     .status = e->status,
                     .code = e->code,
                     .pid = e->pid,
                     .signal = e->signal,
                     .text = copy_text(e->message, e->status)};
    return f;
}

static void on_result(void *user, const mp_result *r) { cmpOnResult((uintptr_t)user, (mp_result *)r); }

static void on_error(void *user, const mp_task_error *e) {
    cmp_failure f = copy_failure(e);
    cmpOnError((uintptr_t)user, &f);
    free(f.text);
}

static void on_progress(void *user, size_t done, size_t total) { cmpOnProgress((uintptr_t)user, done, total); }

static void on_release(void *user) { cmpOnRelease((uintptr_t)user); }

static mp_task_options task_options(const cmp_submit *in) {
    mp_task_options o;
    mp_task_options_init(&o);
    o.timeout = in->timeout;
    o.retries = in->retries;
    if (in->user == 0)
        return o;
    o.on_result = on_result;
    o.on_error = on_error;
    if (in->progress)
        o.on_progress = on_progress;
    o.user = (void *)in->user;
    o.release = on_release;
    return o;
}

cmp_ret cmp_pool_apply(mp_pool *p, const mp_slice *args, size_t nargs, const cmp_submit *submit) {
    mp_task_options o = task_options(submit);
    mp_result *out = NULL;
    mp_status s = mp_pool_apply_async(p, trampoline, args, nargs, &o, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_pool_map(mp_pool *p, const mp_slice *pairs, size_t n, size_t chunk, const cmp_submit *submit) {
    mp_task_options o = task_options(submit);
    mp_args *items = calloc(n + 1, sizeof *items);
    if (items == NULL)
        return (cmp_ret){.status = MP_ERR_NO_MEMORY, .text = strdup("no memory for the items' arguments")};
    for (size_t i = 0; i < n; i++)
        items[i] = (mp_args){.args = &pairs[2 * i], .nargs = 2};
    mp_result *out = NULL;
    mp_status s = mp_pool_starmap_async(p, trampoline, items, n, chunk, &o, &out);
    free(items);
    return answer_ptr(s, out);
}

cmp_ret cmp_pool_close(mp_pool *p) { return answer(mp_pool_close(p)); }

cmp_ret cmp_pool_terminate(mp_pool *p) { return answer(mp_pool_terminate(p)); }

cmp_ret cmp_pool_join(mp_pool *p, int64_t timeout, mp_cancel *c) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_pool_join(p, timeout);
    return disobey(c, answer(s));
}

// Result.

cmp_ret cmp_result_get(mp_result *r, int64_t timeout, mp_cancel *c, cmp_failure *failure) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_result_get(r, timeout);
    cmp_ret ret = disobey(c, answer(s));
    mp_task_error e = {.size = sizeof e};
    // Only a result that is ready has an error: otherwise it was the wait that failed.
    if (MP_FAILED(s) && s != MP_ERR_TIMEOUT && MP_SUCCEEDED(mp_result_error(r, &e)))
        *failure = copy_failure(&e);
    return ret;
}

cmp_ret cmp_result_ready(mp_result *r) {
    bool ready = false;
    mp_status s = mp_result_ready(r, &ready);
    return answer_num(s, ready);
}

cmp_ret cmp_result_error_at(mp_result *r, size_t i, cmp_failure *failure) {
    mp_task_error e = {.size = sizeof e};
    mp_status s = mp_result_error_at(r, i, &e);
    if (MP_SUCCEEDED(s))
        *failure = copy_failure(&e);
    return answer(s);
}

cmp_ret cmp_result_progress(mp_result *r, size_t *total) {
    size_t done = 0;
    mp_status s = mp_result_progress(r, &done, total);
    return answer_num(s, done);
}

void cmp_result_items(mp_result *r, mp_slice *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (MP_FAILED(mp_result_item(r, i, &out[i])))
            out[i] = (mp_slice){.data = NULL, .len = SIZE_MAX};
    }
}

// Waiting for any of many.

cmp_ret cmp_wait(mp_waitable *items, size_t n, int64_t timeout, mp_cancel *c) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_wait(items, n, timeout);
    return disobey(c, answer(s));
}

// Call.

cmp_ret cmp_call_return(mp_call *c, const void *data, size_t len) { return answer(mp_call_return(c, data, len)); }

cmp_ret cmp_call_return_buffer(mp_call *c, size_t len) {
    void *data = mp_call_return_buffer(c, len);
    return answer_ptr(data != NULL || len == 0 ? MP_OK : MP_ERR_NO_MEMORY, data);
}

void cmp_call_args(const mp_call *c, mp_slice *out, size_t n) {
    for (size_t i = 0; i < n; i++)
        out[i] = mp_call_arg(c, i);
}
