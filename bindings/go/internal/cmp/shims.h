// One C function for each call that Go makes. Each answers the status and, if it failed, the sentence, in one crossing:
// a goroutine may have moved to another thread by its next call, and the sentence belongs to the thread.

#ifndef CMP_SHIMS_H
#define CMP_SHIMS_H

#include <mp.h>

#include <stdint.h>

// What a call answered. `text` is the caller's to free, and NULL on success.
typedef struct cmp_ret {
    int32_t status;
    char *text;
    void *ptr;        // the handle made, or the data
    uint64_t num;     // the number asked for, or the length
    const void *data; // the buffer's bytes
} cmp_ret;

// A task's failure, whose text is the caller's to free.
typedef struct cmp_failure {
    uint64_t index;
    int64_t elapsed;
    int32_t status, code, pid, signal;
    char *text;
} cmp_failure;

// How to submit a task. `user` is a Go handle; 0 means no callbacks.
typedef struct cmp_submit {
    uintptr_t user;
    int64_t timeout;
    int32_t retries;
    bool progress;
} cmp_submit;

// How to make a queue.
typedef struct cmp_queue_how {
    int64_t maxsize;
    uint64_t max_bytes;
    int32_t kind, overflow;
    bool redeliver;
} cmp_queue_how;

// A message that was taken out of a queue.
typedef struct cmp_message {
    mp_buffer *buffer;
    mp_slice bytes;
} cmp_message;

// How to open an arena; zeros are the defaults, but for the user where one is given.
typedef struct cmp_arena_how {
    uint64_t capacity;
    uint32_t mode, uid;
    bool uid_given, must_exist;
} cmp_arena_how;

cmp_ret cmp_main_init(int argc, char **argv);
cmp_ret cmp_register(const char *name);
cmp_ret cmp_set_executable(const char *path);
cmp_ret cmp_cancel_new(void);
cmp_ret cmp_cancel_reset(mp_cancel *c);

cmp_ret cmp_token_keep(const mp_token *t);
cmp_ret cmp_token_drop(const mp_token *t);

// What every kind of shared object has.
#define CMP_OBJECT(kind)                                                                                               \
    cmp_ret cmp_##kind##_from_token(const mp_token *t);                                                                \
    cmp_ret cmp_##kind##_token(const mp_##kind *object, mp_token *out)

CMP_OBJECT(lock);
CMP_OBJECT(rlock);
CMP_OBJECT(semaphore);
CMP_OBJECT(event);
CMP_OBJECT(barrier);
CMP_OBJECT(condition);
CMP_OBJECT(value);
CMP_OBJECT(array);
CMP_OBJECT(shared_memory);
CMP_OBJECT(queue);
CMP_OBJECT(connection);

cmp_ret cmp_lock_new(void);
cmp_ret cmp_lock_acquire(mp_lock *l, int64_t timeout, mp_cancel *c);
cmp_ret cmp_lock_release(mp_lock *l);
cmp_ret cmp_lock_owner(mp_lock *l);

cmp_ret cmp_rlock_new(void);
cmp_ret cmp_rlock_acquire_as(mp_rlock *l, uint64_t owner, int64_t timeout, mp_cancel *c);
cmp_ret cmp_rlock_release_as(mp_rlock *l, uint64_t owner);

cmp_ret cmp_semaphore_new(uint32_t value, uint32_t max, bool robust);
cmp_ret cmp_semaphore_acquire(mp_semaphore *s, int64_t timeout, mp_cancel *c);
cmp_ret cmp_semaphore_release(mp_semaphore *s, uint32_t n);
cmp_ret cmp_semaphore_value(mp_semaphore *s);

cmp_ret cmp_event_new(void);
cmp_ret cmp_event_set(mp_event *e);
cmp_ret cmp_event_clear(mp_event *e);
cmp_ret cmp_event_is_set(mp_event *e);
cmp_ret cmp_event_wait(mp_event *e, int64_t timeout, mp_cancel *c);

cmp_ret cmp_barrier_new(uint32_t parties);
cmp_ret cmp_barrier_wait(mp_barrier *b, int64_t timeout, mp_cancel *c);
cmp_ret cmp_barrier_reset(mp_barrier *b);
cmp_ret cmp_barrier_abort(mp_barrier *b);
cmp_ret cmp_barrier_parties(mp_barrier *b);
cmp_ret cmp_barrier_waiting(mp_barrier *b);
cmp_ret cmp_barrier_broken(mp_barrier *b);

cmp_ret cmp_condition_new(mp_lock *l);
cmp_ret cmp_condition_acquire(mp_condition *d, int64_t timeout, mp_cancel *c);
cmp_ret cmp_condition_release(mp_condition *d);
cmp_ret cmp_condition_wait(mp_condition *d, int64_t timeout, mp_cancel *c);
cmp_ret cmp_condition_notify(mp_condition *d, uint32_t n);
cmp_ret cmp_condition_notify_all(mp_condition *d);

cmp_ret cmp_value_new(size_t size, const void *init, int32_t lock);
cmp_ret cmp_value_acquire_as(mp_value *v, uint64_t owner, int64_t timeout, mp_cancel *c);
cmp_ret cmp_value_release_as(mp_value *v, uint64_t owner);

cmp_ret cmp_array_new(size_t elem_size, size_t count, int32_t lock, bool huge_pages);
cmp_ret cmp_array_acquire_as(mp_array *a, uint64_t owner, int64_t timeout, mp_cancel *c);
cmp_ret cmp_array_release_as(mp_array *a, uint64_t owner);

cmp_ret cmp_shared_memory_create(const char *name, size_t size);
cmp_ret cmp_shared_memory_open(const char *name);
cmp_ret cmp_shared_memory_unlink(const char *name);

mp_queue_options cmp_queue_options(const cmp_queue_how *how);
cmp_ret cmp_queue_new(const cmp_queue_how *how);
cmp_ret cmp_queue_put(mp_queue *q, const void *data, size_t len, int64_t timeout, mp_cancel *c);
cmp_ret cmp_queue_get(mp_queue *q, int64_t timeout, mp_cancel *c);
cmp_ret cmp_queue_get_into(mp_queue *q, void *data, size_t cap, int64_t timeout, mp_cancel *c);
cmp_ret cmp_queue_put_priority(mp_queue *q, int64_t priority, const void *data, size_t len, int64_t timeout,
                               mp_cancel *c);
cmp_ret cmp_queue_put_buffer(mp_queue *q, mp_buffer *buffer, int64_t timeout, mp_cancel *c);
cmp_ret cmp_queue_put_many(mp_queue *q, const mp_slice *messages, size_t n, int64_t timeout, mp_cancel *c);
// ptr: the messages, num of them, to be given to cmp_messages_free.
cmp_ret cmp_queue_get_many(mp_queue *q, size_t cap, int64_t timeout, mp_cancel *c);
void cmp_messages_free(cmp_message *messages, size_t n);
cmp_ret cmp_queue_reserve(mp_queue *q, size_t len, int64_t timeout, mp_cancel *c); // data: where to write
cmp_ret cmp_queue_commit(mp_reservation *r);
cmp_ret cmp_queue_commit_len(mp_reservation *r, size_t len);
cmp_ret cmp_queue_task_done(mp_queue *q);
cmp_ret cmp_queue_ack(mp_queue *q, const mp_buffer *buffer);
cmp_ret cmp_queue_redelivers(mp_queue *q); // num
cmp_ret cmp_queue_join(mp_queue *q, int64_t timeout, mp_cancel *c);
cmp_ret cmp_queue_size(mp_queue *q);
cmp_ret cmp_queue_close(mp_queue *q);

cmp_ret cmp_pipe(bool duplex, mp_connection **other);
cmp_ret cmp_connection_send(mp_connection *n, const void *data, size_t len, int64_t timeout, mp_cancel *c);
cmp_ret cmp_connection_recv(mp_connection *n, int64_t timeout, mp_cancel *c);
cmp_ret cmp_connection_recv_into(mp_connection *n, void *data, size_t cap, int64_t timeout, mp_cancel *c);
cmp_ret cmp_connection_poll(mp_connection *n, int64_t timeout, mp_cancel *c);

cmp_ret cmp_arena_open(const char *name, const cmp_arena_how *how);
cmp_ret cmp_arena_queue(mp_arena *a, const char *name, const cmp_queue_how *how); // NULL: it must be there
cmp_ret cmp_arena_lock(mp_arena *a, const char *name);
cmp_ret cmp_arena_rlock(mp_arena *a, const char *name);
cmp_ret cmp_arena_semaphore(mp_arena *a, const char *name, uint32_t value, uint32_t max, bool robust);
cmp_ret cmp_arena_condition(mp_arena *a, const char *name, mp_lock *l);
cmp_ret cmp_arena_barrier(mp_arena *a, const char *name, uint32_t parties);
cmp_ret cmp_arena_value(mp_arena *a, const char *name, size_t size, const void *init, int32_t lock);
cmp_ret cmp_arena_array(mp_arena *a, const char *name, size_t elem_size, size_t count, int32_t lock);
cmp_ret cmp_arena_event(mp_arena *a, const char *name);
cmp_ret cmp_arena_remove(mp_arena *a, const char *name);
cmp_ret cmp_arena_unlink(const char *name);

cmp_ret cmp_process_new(const mp_slice *args, size_t nargs, const mp_process_options *o);
cmp_ret cmp_process_start(mp_process *p);
cmp_ret cmp_process_join(mp_process *p, int64_t timeout, mp_cancel *c);
cmp_ret cmp_process_terminate(mp_process *p);
cmp_ret cmp_process_kill(mp_process *p);
cmp_ret cmp_process_interrupt(mp_process *p);
cmp_ret cmp_process_stop(mp_process *p, int64_t grace, mp_cancel *c);
cmp_ret cmp_process_kill_tree(mp_process *p, mp_cancel *c);
cmp_ret cmp_process_result(mp_process *p);
cmp_ret cmp_process_usage(mp_process *p, mp_usage *usage);
cmp_ret cmp_active_children(int32_t *pids, size_t cap); // num: how many there are
cmp_ret cmp_process_is_alive(mp_process *p);
cmp_ret cmp_process_pid(mp_process *p);
cmp_ret cmp_process_exitcode(mp_process *p);
cmp_ret cmp_process_text(mp_process *p, bool name_only); // ptr: text, the caller's to free

cmp_ret cmp_pool_new(uint32_t processes, const mp_slice *init, size_t ninit, uint32_t max_tasks, int32_t start,
                     int64_t task_timeout, uint32_t task_retries);
cmp_ret cmp_pool_apply(mp_pool *p, const mp_slice *args, size_t nargs, const cmp_submit *o);
// Item i is called with the two arguments from pairs[2 * i] on.
cmp_ret cmp_pool_map(mp_pool *p, const mp_slice *pairs, size_t n, size_t chunk, const cmp_submit *o);
cmp_ret cmp_pool_close(mp_pool *p);
cmp_ret cmp_pool_terminate(mp_pool *p);
cmp_ret cmp_pool_join(mp_pool *p, int64_t timeout, mp_cancel *c);

cmp_ret cmp_result_get(mp_result *r, int64_t timeout, mp_cancel *c, cmp_failure *failure);
cmp_ret cmp_result_ready(mp_result *r);
cmp_ret cmp_result_error_at(mp_result *r, size_t i, cmp_failure *failure);
cmp_ret cmp_result_progress(mp_result *r, size_t *total);
void cmp_result_items(mp_result *r, mp_slice *out, size_t n); // a failed item's data is NULL, and its len SIZE_MAX

cmp_ret cmp_wait(mp_waitable *items, size_t n, int64_t timeout, mp_cancel *c);

cmp_ret cmp_call_return(mp_call *c, const void *data, size_t len);
cmp_ret cmp_call_return_buffer(mp_call *c, size_t len);
void cmp_call_args(const mp_call *c, mp_slice *out, size_t n);

#endif
