/* The layout of every public struct and the numbers of every constant: they never change once released. */
#include "check.h"

#define FIELD(type, field, offset) _Static_assert(offsetof(type, field) == (offset), #type "." #field " is elsewhere")
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " has another size")
#define NUMBER(name, number) _Static_assert((name) == (number), #name " is another number")

SIZE(mp_status, 4);
SIZE(mp_slice, 16);
FIELD(mp_slice, data, 0);
FIELD(mp_slice, len, 8);
SIZE(mp_args, 16);
FIELD(mp_args, args, 0);
FIELD(mp_args, nargs, 8);
SIZE(mp_token, 32);

SIZE(mp_process_options, 104);
FIELD(mp_process_options, size, 0);
FIELD(mp_process_options, name, 8);
FIELD(mp_process_options, daemon, 16);
FIELD(mp_process_options, start_method, 20);
FIELD(mp_process_options, env, 24);
FIELD(mp_process_options, nenv, 32);
FIELD(mp_process_options, cwd, 40);
FIELD(mp_process_options, nice, 48);
FIELD(mp_process_options, cpus, 56);
FIELD(mp_process_options, ncpus, 64);
FIELD(mp_process_options, rlimits, 72);
FIELD(mp_process_options, nrlimits, 80);
FIELD(mp_process_options, fds, 88);
FIELD(mp_process_options, nfds, 96);

SIZE(mp_rlimit, 24);
FIELD(mp_rlimit, resource, 0);
FIELD(mp_rlimit, soft, 8);
FIELD(mp_rlimit, hard, 16);

SIZE(mp_fd_map, 8);
FIELD(mp_fd_map, fd, 0);
FIELD(mp_fd_map, as, 4);

SIZE(mp_usage, 64);
FIELD(mp_usage, size, 0);
FIELD(mp_usage, user, 8);
FIELD(mp_usage, system, 16);
FIELD(mp_usage, max_resident, 24);
FIELD(mp_usage, minor_faults, 32);
FIELD(mp_usage, major_faults, 40);
FIELD(mp_usage, voluntary_switches, 48);
FIELD(mp_usage, involuntary_switches, 56);

SIZE(mp_semaphore_options, 16);
FIELD(mp_semaphore_options, size, 0);
FIELD(mp_semaphore_options, max, 8);
FIELD(mp_semaphore_options, robust, 12);

SIZE(mp_queue_options, 40);
FIELD(mp_queue_options, size, 0);
FIELD(mp_queue_options, kind, 8);
FIELD(mp_queue_options, maxsize, 16);
FIELD(mp_queue_options, max_bytes, 24);
FIELD(mp_queue_options, overflow, 32);
FIELD(mp_queue_options, redeliver, 36);

SIZE(mp_array_options, 16);
FIELD(mp_array_options, size, 0);
FIELD(mp_array_options, lock, 8);
FIELD(mp_array_options, huge_pages, 12);

SIZE(mp_pool_options, 64);
FIELD(mp_pool_options, size, 0);
FIELD(mp_pool_options, processes, 8);
FIELD(mp_pool_options, initializer, 16);
FIELD(mp_pool_options, initializer_args, 24);
FIELD(mp_pool_options, initializer_nargs, 32);
FIELD(mp_pool_options, max_tasks_per_child, 40);
FIELD(mp_pool_options, start_method, 44);
FIELD(mp_pool_options, task_timeout, 48);
FIELD(mp_pool_options, task_retries, 56);

SIZE(mp_task_options, 64);
FIELD(mp_task_options, size, 0);
FIELD(mp_task_options, on_result, 8);
FIELD(mp_task_options, on_error, 16);
FIELD(mp_task_options, on_progress, 24);
FIELD(mp_task_options, user, 32);
FIELD(mp_task_options, release, 40);
FIELD(mp_task_options, timeout, 48);
FIELD(mp_task_options, retries, 56);

SIZE(mp_task_error, 48);
FIELD(mp_task_error, size, 0);
FIELD(mp_task_error, index, 8);
FIELD(mp_task_error, status, 16);
FIELD(mp_task_error, code, 20);
FIELD(mp_task_error, pid, 24);
FIELD(mp_task_error, signal, 28);
FIELD(mp_task_error, elapsed, 32);
FIELD(mp_task_error, message, 40);

NUMBER(MP_OK, 0);
NUMBER(MP_OWNER_DEAD, 1);
NUMBER(MP_ERR_INVALID, -1);
NUMBER(MP_ERR_STATE, -2);
NUMBER(MP_ERR_TIMEOUT, -3);
NUMBER(MP_ERR_FULL, -4);
NUMBER(MP_ERR_EMPTY, -5);
NUMBER(MP_ERR_CLOSED, -6);
NUMBER(MP_ERR_END, -7);
NUMBER(MP_ERR_NOT_OWNER, -8);
NUMBER(MP_ERR_OVERFLOW, -9);
NUMBER(MP_ERR_BROKEN, -10);
NUMBER(MP_ERR_NO_MEMORY, -11);
NUMBER(MP_ERR_TOO_LARGE, -12);
NUMBER(MP_ERR_STALE, -13);
NUMBER(MP_ERR_TASK_FAILED, -14);
NUMBER(MP_ERR_TASK_TIMEOUT, -15);
NUMBER(MP_ERR_WORKER_DIED, -16);
NUMBER(MP_ERR_CANCELLED, -17);
NUMBER(MP_ERR_BOOTSTRAP, -18);
NUMBER(MP_ERR_UNSUPPORTED, -19);
NUMBER(MP_ERR_NOT_FOUND, -20);
NUMBER(MP_ERR_EXISTS, -21);
NUMBER(MP_ERR_ACCESS, -22);
NUMBER(MP_ERR_AUTH, -23);
NUMBER(MP_ERR_SYSTEM, -24);
NUMBER(MP_ERR_INTERNAL, -25);
NUMBER(MP_FOREVER, INT64_MAX);
NUMBER(MP_EXIT_UNKNOWN, INT32_MIN);
NUMBER(MP_START_DEFAULT, 0);
NUMBER(MP_START_FORK, 1);
NUMBER(MP_START_FORKSERVER, 2);
NUMBER(MP_START_SPAWN, 3);
NUMBER(MP_START_THREAD, 4);
NUMBER(MP_QUEUE_FIFO, 0);
NUMBER(MP_QUEUE_LIFO, 1);
NUMBER(MP_QUEUE_PRIORITY, 2);
NUMBER(MP_OVERFLOW_WAIT, 0);
NUMBER(MP_OVERFLOW_FAIL, 1);
NUMBER(MP_OVERFLOW_DROP_OLDEST, 2);
NUMBER(MP_LOCK_RECURSIVE, 0);
NUMBER(MP_LOCK_PLAIN, 1);
NUMBER(MP_LOCK_NONE, 2);

/* What the defaults of an options struct must be: its size set, and nothing written beyond the caller's struct. */
#define CHECK_DEFAULTS(type)                                                                                           \
    do {                                                                                                               \
        struct {                                                                                                       \
            type options;                                                                                              \
            unsigned char beyond[16];                                                                                  \
        } room;                                                                                                        \
        memset(&room, 0xa5, sizeof room);                                                                              \
        CHECK_OK(type##_init(&room.options));                                                                          \
        CHECK_EQ(sizeof(type), room.options.size);                                                                     \
        for (size_t i = 0; i < sizeof room.beyond; i++)                                                                \
            CHECK_EQ(0xa5, room.beyond[i]);                                                                            \
        memset(&room, 0xa5, sizeof room);                                                                              \
        CHECK_OK(type##_defaults(&room.options, sizeof(size_t)));                                                      \
        CHECK_EQ(0xa5, ((unsigned char *)&room)[sizeof(size_t)]);                                                      \
        CHECK_STATUS(MP_ERR_INVALID, type##_defaults(&room.options, 0));                                               \
        CHECK_STATUS(MP_ERR_INVALID, type##_defaults(NULL, sizeof(type)));                                             \
    } while (0)

int main(void) {
    check_begin();
    CHECK_DEFAULTS(mp_process_options);
    CHECK_DEFAULTS(mp_semaphore_options);
    CHECK_DEFAULTS(mp_queue_options);
    CHECK_DEFAULTS(mp_array_options);
    CHECK_DEFAULTS(mp_pool_options);
    CHECK_DEFAULTS(mp_task_options);
    return 0;
}
