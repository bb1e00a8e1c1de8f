/*
 * libmp: processes, pools, queues and locks for native programs, in which nobody waits for the dead.
 *
 * This header is the whole interface and its manual. It is generated from the project's src/ffi: do not edit it.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Building      cc program.c $(pkg-config --cflags --libs mp), or find_package(mp) and mp::mp in CMake. Linux on
 *               64-bit machines, C11 or newer, C++17 or newer. A program that uses the start method spawn calls
 *               mp_main_init first in main.
 *
 * Statuses      Nearly every call answers an mp_status: MP_OK, a positive number for success with a notice
 *               (MP_OWNER_DEAD), a negative one for failure. Ask with MP_SUCCEEDED and MP_FAILED, not with == MP_OK.
 *               mp_status_name names the number, mp_last_error says in a sentence what failed, which and why.
 *               A call that succeeds leaves errno as it was. No call throws.
 *
 * Handles       An mp_lock * and its like name an object in this process. mp_X_new makes the object and a first
 *               handle, mp_X_free drops this process's handle, and the object goes with the last handle in any
 *               process, also when its last holder died. NULL, a freed handle or one of another kind is
 *               MP_ERR_INVALID, not a crash; free accepts NULL. A failed call sets its handle output to NULL, so
 *               that it may be freed in any case (map and starmap also give a result of which items failed).
 *               Value outputs are written only on success.
 *
 * Ownership     Arguments are borrowed for the call; names and argument bytes are copied. "The caller frees it"
 *               stands where a call gives something away. Pointers that a getter gives into a handle say how
 *               long they live. mp_last_error's text lives until this thread's next failing call.
 *
 * Timeouts      int64_t nanoseconds on the monotonic clock. MP_FOREVER waits for ever; zero and every negative
 *               number mean "do not wait". A signal never ends a wait.
 *
 * Structs       that are passed by pointer begin with their size. mp_X_options_init writes the defaults and the
 *               size; a NULL options pointer means the defaults; a struct of zeroes does not and is refused. So
 *               programs and libraries of different ages fit together: a shorter struct is extended with zeroes,
 *               a longer one accepted if the rest is zero. Enum parameters and fields are int32_t.
 *
 * Threads       Any thread may use any handle, several at the same time. Freeing a handle while another thread is
 *               inside a call with it is the program's error: close or cancel first. Callbacks say on which
 *               thread they run; they must not throw or longjmp through libmp.
 *
 * fork          by anyone, libmp or the program itself, duplicates all handles before it returns: the child's
 *               count as its own, and it may use them at once. Pools, results, iterators and process handles
 *               belong to the process that made them; in a child they only free their local memory, everything
 *               else is MP_ERR_STATE. After exec a process holds nothing.
 *
 * Death         Whoever dies, at whatever instant, nobody else waits for ever and nothing committed is lost. The
 *               next owner of a lock is told by MP_OWNER_DEAD; a task in a dead worker's hands is
 *               MP_ERR_WORKER_DIED; everything else mends itself unseen.
 *
 * Leak checkers do not look into mapped memory: with MP_HANDLES=malloc in the environment handles come from
 * malloc instead, and a stale one is then for the checker to see.
 */

#ifndef MP_H
#define MP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Marks what the shared library exports. */
#if defined(__GNUC__)
#define MP_API __attribute__((visibility("default")))
#else
#define MP_API
#endif

/** Whether the call did what was asked, possibly with a notice. */
#define MP_SUCCEEDED(status) ((status) >= 0)

/** Whether the call failed. */
#define MP_FAILED(status) ((status) < 0)

/** The header's version as one number that rises: 100 is 0.1.0, 10203 is 1.2.3. */
#define MP_VERSION_NUMBER (MP_VERSION_MAJOR * 10000 + MP_VERSION_MINOR * 100 + MP_VERSION_PATCH)

/**
 * A value's bytes as a `type *`; NULL, with mp_last_error, if the value has not the size of that type:
 *
 *     struct point *p = MP_VALUE(value, struct point);
 */
#define MP_VALUE(value, type) ((type *)mp_value_data_as((value), sizeof(type)))

/**
 * An array's elements as a `type *`; NULL, with mp_last_error, if its elements have not the size of that type:
 *
 *     double *samples = MP_ARRAY(array, double);
 */
#define MP_ARRAY(array, type) ((type *)mp_array_data_as((array), sizeof(type)))

/** Done. */
#define MP_OK 0

/** Done: acquired, but the last owner died holding it, so what it protects may be half-written. */
#define MP_OWNER_DEAD 1

/** An argument is wrong: NULL, out of range, or a wrong or freed handle. */
#define MP_ERR_INVALID (-1)

/** The wrong moment for this call: started twice, joined before it was started. */
#define MP_ERR_STATE (-2)

/** The timeout ran out. */
#define MP_ERR_TIMEOUT (-3)

/** The queue is full, and stayed so for the whole timeout. */
#define MP_ERR_FULL (-4)

/** The queue is empty, and stayed so for the whole timeout. */
#define MP_ERR_EMPTY (-5)

/** The object was closed. */
#define MP_ERR_CLOSED (-6)

/** The end of a pipe or of an iterator. */
#define MP_ERR_END (-7)

/** The caller does not hold what it wants to release. */
#define MP_ERR_NOT_OWNER (-8)

/** Released too often. */
#define MP_ERR_OVERFLOW (-9)

/** The barrier or the pool is broken. */
#define MP_ERR_BROKEN (-10)

/** Not enough memory. */
#define MP_ERR_NO_MEMORY (-11)

/** The caller's buffer is too small, or the object too large. */
#define MP_ERR_TOO_LARGE (-12)

/** The token names an object that has been destroyed. */
#define MP_ERR_STALE (-13)

/** The task's function reported a failure. */
#define MP_ERR_TASK_FAILED (-14)

/** The task ran longer than its timeout. */
#define MP_ERR_TASK_TIMEOUT (-15)

/** The process that had the task in its hands died. */
#define MP_ERR_WORKER_DIED (-16)

/** The wait or the task was cancelled. */
#define MP_ERR_CANCELLED (-17)

/** `mp_main_init` was not called in this program. */
#define MP_ERR_BOOTSTRAP (-18)

/** Not built, or not possible for this object, kind or start method. */
#define MP_ERR_UNSUPPORTED (-19)

/** There is nothing of that name. */
#define MP_ERR_NOT_FOUND (-20)

/** There is already something else of that name. */
#define MP_ERR_EXISTS (-21)

/** Permission was refused. */
#define MP_ERR_ACCESS (-22)

/** The other side could not prove who it is. */
#define MP_ERR_AUTH (-23)

/** A system call failed; `mp_last_error` has the errno's text. */
#define MP_ERR_SYSTEM (-24)

/** A defect in libmp. */
#define MP_ERR_INTERNAL (-25)

/** The timeout that means "wait for ever". */
#define MP_FOREVER INT64_MAX

/** The exit code of a process whose true one nobody can know, because the host took it from the kernel first. */
#define MP_EXIT_UNKNOWN INT32_MIN

/** The version of this header. `mp_version` has that of the library at run time. */
#define MP_VERSION_MAJOR 0

/** See `MP_VERSION_MAJOR`. */
#define MP_VERSION_MINOR 1

/** See `MP_VERSION_MAJOR`. */
#define MP_VERSION_PATCH 0

/** The program's default start method, which is fork unless `mp_set_start_method` was called. */
#define MP_START_DEFAULT 0

/**
 * A copy of this process: cheap, and everything is there. What other threads have locked stays locked in the copy.
 */
#define MP_START_FORK 1

/**
 * A copy of a server process, which is this program, run anew, with one thread: see `mp_forkserver_start`. A clean child
 * for the price of a small fork, however large this process has grown. It needs `mp_main_init`. Its stdin, stdout and
 * stderr are this process's; handlers that other libraries gave to `pthread_atfork` don't run.
 */
#define MP_START_FORKSERVER 2

/** The same program, run anew, or another (`mp_set_executable`): a clean process. It needs `mp_main_init`. */
#define MP_START_SPAWN 3

/**
 * As a thread of this process, for what needs no process of its own: the same calls, without the cost and without the
 * protection. Functions travel by pointer, and `mp_main_init` is not needed. Such a thread has the signal mask of the
 * thread that started it; it can't be killed or sent a signal; what it holds when its function returns, a lock say,
 * stays held by this process. If it crashes, or its function calls `exit`, the program ends, and `exit` there waits
 * for no other such thread. The function must end by returning, not by `pthread_exit`; and not by `exit` once `main`
 * has returned. In a forked child there is no such thread.
 */
#define MP_START_THREAD 4

/** A level for `mp_set_log_callback`: something went wrong that no call can answer for. */
#define MP_LOG_ERROR 1

/** A level for `mp_set_log_callback`: something is likely to go wrong. */
#define MP_LOG_WARNING 2

/** No limit, as `RLIM_INFINITY`. */
#define MP_NO_LIMIT UINT64_MAX

/** For `mp_fd_map.fd`: /dev/null, for reading and writing. */
#define MP_FD_NULL (-1)

/** For `mp_fd_map.fd`: the number is closed in the child. */
#define MP_FD_CLOSED (-2)

/** First in, first out. */
#define MP_QUEUE_FIFO 0

/** Last in, first out. */
#define MP_QUEUE_LIFO 1

/** Lowest priority number first; equals in the order in which they were put. See `mp_queue_put_priority`. */
#define MP_QUEUE_PRIORITY 2

/** A put into a full queue waits. */
#define MP_OVERFLOW_WAIT 0

/** A put into a full queue answers `MP_ERR_FULL` at once, whatever its timeout. */
#define MP_OVERFLOW_FAIL 1

/**
 * A put into a full queue drops the oldest messages until there is room: those that were put first, in a priority queue
 * too. What is dropped counts as done, see `mp_queue_join`. A put waits only where others have reserved all the room.
 */
#define MP_OVERFLOW_DROP_OLDEST 2

/** With a recursive lock: its owner, a thread, may acquire it again, and only the owner may release it. */
#define MP_LOCK_RECURSIVE 0

/** With a plain lock, as `mp_lock`: it belongs to a process, and any thread of any process may release it. */
#define MP_LOCK_PLAIN 1

/** Without a lock: acquire and release are `MP_ERR_UNSUPPORTED`. */
#define MP_LOCK_NONE 2

/**
 * A kind of `mp_waitable`: the descriptor `fd`. Ready: it has bytes to read, its other end was closed, or it failed.
 */
#define MP_WAIT_FD 0

/** A kind of `mp_waitable`: an `mp_queue`. Ready: a get may succeed, or fail for good, as the queue is closed. */
#define MP_WAIT_QUEUE 1

/**
 * A kind of `mp_waitable`: an `mp_connection`. Ready: a receive would not wait, for there is a message, or nobody has the
 * other end any more, or this handle is closed meanwhile.
 */
#define MP_WAIT_CONNECTION 2

/** A kind of `mp_waitable`: an `mp_event`. Ready: it is set. */
#define MP_WAIT_EVENT 3

/** A kind of `mp_waitable`: an `mp_semaphore`. Ready: it has a permit. */
#define MP_WAIT_SEMAPHORE 4

/** A kind of `mp_waitable`: an `mp_process`. Ready: it has ended. */
#define MP_WAIT_PROCESS 5

/** A kind of `mp_waitable`: an `mp_result`. Ready: it is, and its callback has returned. */
#define MP_WAIT_RESULT 6

/**
 * Memory that unrelated programs share: each opens the arena by its name and finds the same objects in it, again by
 * name. It is the file `mp.NAME` in `/dev/shm` (the environment variable `MP_ARENA_DIR` names another directory) that
 * appears whole: a creator that dies half-way leaves nothing. The arena stays until `mp_arena_unlink`, its named
 * objects until `mp_arena_remove`, whoever lives or dies meanwhile; what dead programs have held is given back by the
 * next program that opens it.
 *
 * All who may write the file trust each other. They must be in one pid namespace and one time namespace.
 */
typedef struct mp_arena mp_arena;

/**
 * A fixed number of elements of one size that processes share, with a lock or without. They are plain memory that
 * the program reads and writes through `mp_array_data`, or by `MP_ARRAY(array, type)`, `mp_array_get_i64` and the
 * like; nothing there acquires the lock by itself.
 *
 * The lock knows its owner: if that process ends in any way before the release, the next one who acquires it is told
 * by `MP_OWNER_DEAD` that the array may be half-written.
 */
typedef struct mp_array mp_array;

/**
 * A barrier that processes share: `parties` threads of any processes wait in it until all have come, and then go on
 * together; then the next round begins.
 *
 * A wait that times out or is cancelled breaks the barrier for all, and so does `mp_barrier_abort`; a broken one stays
 * broken until `mp_barrier_reset`. Nobody waits for the dead: see `mp_barrier_new`.
 */
typedef struct mp_barrier mp_barrier;

/**
 * Owned bytes, in shared memory where they can be handed on without a copy. The owner may read and write them.
 * *Threads*: thread-compatible. *Processes*: a forked child has its own handle to the same bytes.
 */
typedef struct mp_buffer mp_buffer;

/**
 * One call of a function in another process: its arguments, and where its result goes. *Lifetime*: until the
 * function returns. *Threads*: thread-compatible, one at a time.
 */
typedef struct mp_call mp_call;

/**
 * Ends blocking calls of this process: those of the threads that use it, once it is fired and until it is reset.
 * It is this process's alone; a forked child has its own copy.
 */
typedef struct mp_cancel mp_cancel;

/**
 * A condition that processes share, with its lock. Who holds the lock looks whether something is so, and waits if it
 * is not: the lock is released for as long as the wait takes. Who changes it, under the same lock, notifies.
 *
 * Notifying never waits for a waiter. Waiters are notified in the order in which they came. If a process dies after it
 * was notified and before its wait has returned, its notification passes to the next who waited then. If a process
 * dies holding the lock, perhaps before it notified anybody, one of those who wait gets the lock and is told.
 *
 * A wait may end although nothing has changed for the one who waited: others may come first. So look in a loop:
 *
 *     while (!it_is_so && MP_SUCCEEDED(status))
 *         status = mp_condition_wait(condition, timeout);
 */
typedef struct mp_condition mp_condition;

/**
 * One end of a pipe, through which processes send each other messages of any length. A message is received whole or
 * not at all, in the order in which they were sent; several threads and processes may use an end, and each message goes
 * to one of them. A process killed inside a call loses at most the message of that call.
 *
 * An end lives while any process has a handle of it. When the last one is closed or freed, or the last process with
 * one has died, the other end receives what was sent before and then `MP_ERR_END`, and its sends answer
 * `MP_ERR_CLOSED`. The death of a child of libmp is noticed at once; that of another process by who waits, within
 * about a second. A forked child has all handles of its parent, those of both ends: so each process should close the
 * end that it does not use, or nobody will ever see the other one gone.
 *
 * *Threads*: thread-safe. *Processes*: a forked child may use it; others get one by a token.
 */
typedef struct mp_connection mp_connection;

/** An event that processes share: it is set or not, and processes wait until it is set. It belongs to nobody. */
typedef struct mp_event mp_event;

/**
 * A lock that processes share. It belongs to the process that acquired it, whichever thread that was: a thread
 * that ends leaves it held. If the owning process ends in any way before the release, the next one who acquires
 * the lock is told by `MP_OWNER_DEAD`; nobody waits for the dead.
 *
 * To signal between processes use a semaphore: a lock that one process acquires and another releases works, but
 * says that its owner died when the first one ends in between.
 */
typedef struct mp_lock mp_lock;

/**
 * A pool of worker processes, or of threads. Each task reaches exactly one outcome: a worker that dies fails only the item in its
 * hands and is replaced. *Threads*: thread-safe. *Processes*: it belongs to the process that made it; in a forked
 * child `mp_pool_free` frees local memory, everything else is `MP_ERR_STATE`.
 */
typedef struct mp_pool mp_pool;

/**
 * A process: made, started once, joined. *Threads*: thread-safe. *Processes*: the handle belongs to the process that
 * made it; in a forked child every call but `mp_process_free` answers `MP_ERR_STATE`.
 */
typedef struct mp_process mp_process;

/**
 * A queue of messages of any length that processes share: many producers, many consumers. A put is complete when
 * it returns: the message is there for every getter, whatever becomes of the putter. A process killed inside loses
 * at most the message of that call. *Threads*: thread-safe. *Processes*: process-shared; a forked child may use
 * it.
 */
typedef struct mp_queue mp_queue;

/**
 * Room for one message in a queue, and the memory in which it is written: see `mp_queue_reserve`. It belongs to the
 * process that made it. *Threads*: thread-compatible.
 */
typedef struct mp_reservation mp_reservation;

/**
 * The result of one submission: one item, or as many as were mapped. *Threads*: thread-safe. *Processes*: it
 * belongs to the process that made the pool; in a forked child `mp_result_free` frees local memory, everything
 * else is `MP_ERR_STATE`. It may outlive the handle of its pool.
 */
typedef struct mp_result mp_result;

/**
 * A recursive lock that processes share. It belongs to the thread that acquired it, which may acquire it again and
 * must release it as often. A thread that ends leaves it held; if the owning process ends in any way before the last
 * release, the next one who acquires the lock is told by `MP_OWNER_DEAD`, and begins with a count of one; nobody waits
 * for the dead.
 *
 * Programs whose threads are not the system's (Go's, those of a scheduler) name the owner themselves, by
 * `mp_rlock_acquire_as`.
 */
typedef struct mp_rlock mp_rlock;

/**
 * A semaphore that processes share: a number of permits. They belong to nobody: any thread of any process may
 * release, and what a dead process had acquired does not come back.
 *
 * The permits of a robust one (`mp_semaphore_options.robust`) belong to the process that acquired them, whichever
 * thread and by whichever handle that was, and come back when that process ends in any way: at once if it was a child
 * of libmp, else within a tenth of a second if somebody waits, or some tenths if dozens of processes have permits.
 */
typedef struct mp_semaphore mp_semaphore;

/**
 * Plain memory that processes share, without a lock, under a name or without one.
 *
 * Without a name it lies in the family's arena, and goes with its last handle in any process.
 *
 * With a name it is a file in /dev/shm (the environment variable `MP_ARENA_DIR` names another directory), the same
 * that `shm_open("/NAME")` and Python's `SharedMemory(name)` mean, with mode 0600. It is there with all its bytes,
 * backed by memory, from the first moment that its name is. Having it open is not owning it: nothing but
 * `mp_shared_memory_unlink` takes the name away, no free, no exit and no death. What is mapped stays until it is
 * freed, also without a name.
 */
typedef struct mp_shared_memory mp_shared_memory;

/**
 * Some bytes that processes share, a number or a struct, with a lock or without. The bytes are plain memory that the
 * program reads and writes through `mp_value_data`, or by `MP_VALUE(value, type)`, `mp_value_get_i64` and the like;
 * nothing there acquires the lock by itself. For a counter and other integers of 4 or 8 bytes there are atomic
 * operations, `mp_value_fetch_add_i64` and its kin, which need no lock.
 *
 * The lock knows its owner: if that process ends in any way before the release, the next one who acquires it is told
 * by `MP_OWNER_DEAD` that the value may be half-written.
 */
typedef struct mp_value mp_value;

/**
 * What a call answered: `MP_OK` (0) is success, a positive number is success with a notice, a negative number
 * is failure. Ask with `MP_SUCCEEDED` and `MP_FAILED`. The numbers never change once released.
 */
typedef int32_t mp_status;

/**
 * A function that runs in another process. It answers 0 if all is well; another number is the exit code of a
 * process, or the error code of a task. No exception and no `longjmp` may leave it: that ends the process by
 * abort.
 */
typedef int32_t (*mp_fn)(struct mp_call *call);

/**
 * Gets what the library has to say: a text, which lives until the callback returns. It may be called on any thread,
 * also by several at once, and in forked children; it must not call libmp.
 */
typedef void (*mp_log_fn)(void *user, int32_t level, const char *text);

/** Borrowed memory: `len` bytes at `data`, which may be NULL if `len` is 0. */
typedef struct mp_slice {
    /** The first byte. */
    const void *data;
    /** How many bytes. */
    size_t len;
} mp_slice;

/** A resource limit, as for setrlimit. */
typedef struct mp_rlimit {
    /** `RLIMIT_NOFILE` or another of the system's numbers. */
    int32_t resource;
    /** What is in force, or `MP_NO_LIMIT`. */
    uint64_t soft;
    /** How far the process may raise it, or `MP_NO_LIMIT`. */
    uint64_t hard;
} mp_rlimit;

/** A descriptor of a child's. */
typedef struct mp_fd_map {
    /** A descriptor of this process, or `MP_FD_NULL` or `MP_FD_CLOSED`. */
    int32_t fd;
    /** Its number in the child: 0, 1 and 2 are stdin, stdout and stderr. */
    int32_t as;
} mp_fd_map;

/**
 * How a process is to be. Use `mp_process_options_init`.
 *
 * Where nothing is said, a process begins as this one is. What can't be had, from `cwd` on, fails the start; it is then
 * set in this order: `cwd`, `fds`, `cpus`, `rlimits`, `nice`. A spawned program begins under them, libmp's part in it
 * too: it needs a few descriptors, and address space for the arena. With `MP_START_THREAD` none may be set from `env`
 * on.
 */
typedef struct mp_process_options {
    /** Set by `mp_process_options_init`. */
    size_t size;
    /** What it is called; NULL means a name like `Process-1`, or `Process-1:2` for the second child of that one. */
    const char *name;
    /**
     * Whether it is killed, by SIGKILL, when this process ends in whatever way. Others are waited for when this
     * process exits. What a daemon starts, or who was started below one, is killed with its own parent too, daemon or
     * not. A thread is not killed: a daemon is just not waited for.
     *
     * A program that takes a daemon's place by exec is killed likewise. The descriptor by which that is done is
     * therefore open in it, and in programs that a daemon starts, to which it does nothing.
     */
    bool daemon;
    /** One of the start methods, `MP_START_FORK` and so on; `MP_START_DEFAULT` means the program's default. */
    int32_t start_method;
    /**
     * `nenv` changes of its environment, against this process's at the start: `NAME=value` sets a variable, `NAME`
     * alone removes it. Of two for one name the last counts. In a spawned child they are made before the program
     * begins. `MP_CHILD` is libmp's own.
     */
    const char *const *env;
    /** How many changes. */
    size_t nenv;
    /** Its working directory. A relative path counts from this process's at the start. */
    const char *cwd;
    /** What is added to its nice value. Less than 0 needs a right: CAP_SYS_NICE, or RLIMIT_NICE. */
    int32_t nice;
    /** The `ncpus` CPUs that it may run on, whether this process may now or not. */
    const int32_t *cpus;
    /** How many CPUs; 0 means those of this process. */
    size_t ncpus;
    /** `nrlimits` resource limits, each resource at most once. */
    const struct mp_rlimit *rlimits;
    /** How many limits. */
    size_t nrlimits;
    /**
     * `nfds` descriptors, up to 250: in the child, descriptor `as` is what `fd` is here. They may overlap in any way,
     * two swapped for example, but each `as` comes once. What they stand for is looked up at the start; they stay the
     * caller's. A forked child has all other descriptors too, a spawned one only 0, 1 and 2, and one of the fork server
     * also what that has open. Descriptors that libmp has given, like `mp_event_fd`'s, can't be passed.
     */
    const struct mp_fd_map *fds;
    /** How many descriptors. */
    size_t nfds;
} mp_process_options;

/** What a process, and the children that it has waited for, have used of the machine. */
typedef struct mp_usage {
    /** Set by the caller: `sizeof(mp_usage)`. */
    size_t size;
    /** Processor time in the program's own code, in nanoseconds. */
    int64_t user;
    /** Processor time in the kernel, in nanoseconds. */
    int64_t system;
    /**
     * The most memory that was resident at once, in bytes: of the process or of one of those children. Pages that
     * several processes share count in each.
     */
    uint64_t max_resident;
    /** Page faults for which no disk was read. */
    uint64_t minor_faults;
    /** Page faults for which one was. */
    uint64_t major_faults;
    /** How often it gave the processor up, to wait. */
    uint64_t voluntary_switches;
    /** How often the processor was given to another. */
    uint64_t involuntary_switches;
} mp_usage;

/**
 * A name for a shared object: 32 plain bytes, which may be copied anywhere, into a struct, a message or a
 * task's argument, and give a handle in any process of the family. The token of a destroyed object is refused.
 */
typedef struct mp_token {
    /** Nobody's business. */
    uint8_t bytes[32];
} mp_token;

/** How a semaphore is made. */
typedef struct mp_semaphore_options {
    /** Set by `mp_semaphore_options_init`. */
    size_t size;
    /** The largest number of permits; 0 is none but the largest possible, 2147483647. Default 0. */
    uint32_t max;
    /** Permits belong to the process that acquired them, and come back when it dies. Default false. */
    bool robust;
} mp_semaphore_options;

/** How a queue is made. Set up by `mp_queue_options_init`. */
typedef struct mp_queue_options {
    /** Set by `mp_queue_options_init`. */
    size_t size;
    /** `MP_QUEUE_FIFO` (the default) or another order. */
    int32_t kind;
    /** The largest number of messages; 0 (the default) and less is unbounded. */
    int64_t maxsize;
    /**
     * The largest number of bytes in all messages together; 0 (the default) is unbounded. A longer message is refused
     * with `MP_ERR_TOO_LARGE`.
     */
    uint64_t max_bytes;
    /** `MP_OVERFLOW_WAIT` (the default) or another policy. */
    int32_t overflow;
    /**
     * Whether messages come back whose taker died before it acknowledged them by `mp_queue_ack`: in their old place,
     * for another taker. So a message may be worked on twice, but is not lost. With its taker it takes up no room in
     * the bounds above, and it comes back even where there is none. Such a queue hands out copies, in buffers only: the
     * calls with `_into` answer `MP_ERR_UNSUPPORTED`.
     */
    bool redeliver;
} mp_queue_options;

/** How an array is made. Set up by `mp_array_options_init`. */
typedef struct mp_array_options {
    /** Set by `mp_array_options_init`. */
    size_t size;
    /** `MP_LOCK_RECURSIVE` (the default), `MP_LOCK_PLAIN` or `MP_LOCK_NONE`. */
    int32_t lock;
    /**
     * Whether an array of 2 MiB and more is aligned to huge pages, and the kernel asked to put such behind it. It is
     * a wish: where the kernel does not grant it (it can since Linux 6.1, and needs free memory in large pieces), the
     * array lies on ordinary pages. Costs up to 2 MiB more. Default false.
     */
    bool huge_pages;
} mp_array_options;

/** How a pool is made. Set up by `mp_pool_options_init`. */
typedef struct mp_pool_options {
    /** Set by `mp_pool_options_init`. */
    size_t size;
    /** How many workers; 0 (the default) is `mp_cpu_count()`. */
    uint32_t processes;
    /** Called once in each worker before its first task. Not built yet: `MP_ERR_UNSUPPORTED`. */
    mp_fn initializer;
    /** The initializer's arguments. */
    const struct mp_slice *initializer_args;
    /** How many. */
    size_t initializer_nargs;
    /** After so many items a worker is replaced, 0 (the default) is never. Not built yet: `MP_ERR_UNSUPPORTED`. */
    uint32_t max_tasks_per_child;
    /** One of the start methods, `MP_START_FORK` and so on; `MP_START_DEFAULT` means the program's default. */
    int32_t start_method;
    /**
     * The longest that a task may run, in nanoseconds, 0 (the default) is no limit. Not built yet:
     * `MP_ERR_UNSUPPORTED`.
     */
    int64_t task_timeout;
    /** How often an item is tried again whose worker died. Not built yet: `MP_ERR_UNSUPPORTED`. */
    uint32_t task_retries;
} mp_pool_options;

/** Called when all items of a submission are done. *Lifetime*: `result` until the callback returns. */
typedef void (*mp_result_fn)(void *user, const struct mp_result *result);

/** Why an item failed. The caller sets `size` to `sizeof(mp_task_error)`. */
typedef struct mp_task_error {
    /** The size of the struct, set by the caller. */
    size_t size;
    /** Which item. */
    size_t index;
    /** `MP_ERR_TASK_FAILED`, `MP_ERR_WORKER_DIED`, `MP_ERR_CANCELLED` or `MP_ERR_BROKEN`. */
    mp_status status;
    /** The task's code, or the exit code of the process that died. */
    int32_t code;
    /** The process that died, else 0. */
    int32_t pid;
    /** The signal that killed it, else 0: `_exit(3)` is code 3, signal 0. */
    int32_t signal;
    /** How long the item was in a worker's hands, in nanoseconds. */
    int64_t elapsed;
    /** A sentence. *Lifetime*: until `mp_result_free`; in a callback until it returns. */
    const char *message;
} mp_task_error;

/** Called when all items of a submission have their outcome and some failed, with the first failure by index. */
typedef void (*mp_error_fn)(void *user, const struct mp_task_error *error);

/** Called now and then while items get their outcomes. */
typedef void (*mp_progress_fn)(void *user, size_t done, size_t total);

/** Called last: `user` is no longer needed. */
typedef void (*mp_release_fn)(void *user);

/**
 * How a task is run, and who is told. Set up by `mp_task_options_init`.
 *
 * The callbacks run on the pool's service thread, one at a time; exactly one of `on_result` and `on_error` is
 * called for each accepted submission, also after the pool was terminated, then `release`; for a refused one none of
 * them is. The result becomes ready when its callback has returned. Waiting for the same pool inside one is
 * `MP_ERR_STATE`.
 */
typedef struct mp_task_options {
    /** Set by `mp_task_options_init`. */
    size_t size;
    /** See `mp_result_fn`; may be NULL. */
    mp_result_fn on_result;
    /** See `mp_error_fn`; may be NULL. */
    mp_error_fn on_error;
    /** See `mp_progress_fn`; may be NULL. */
    mp_progress_fn on_progress;
    /** Handed to the callbacks. It may be used from the service thread as soon as the task is submitted. */
    void *user;
    /** See `mp_release_fn`; may be NULL. */
    mp_release_fn release;
    /**
     * The longest that the task may run, in nanoseconds: 0 is the pool's, -1 none. Another is not built yet:
     * `MP_ERR_UNSUPPORTED`.
     */
    int64_t timeout;
    /**
     * How often an item is tried again whose worker died: 0 is the pool's, -1 none. Another is not built yet:
     * `MP_ERR_UNSUPPORTED`.
     */
    int32_t retries;
} mp_task_options;

/** The arguments of one call of a function: borrowed, like the slices in it. */
typedef struct mp_args {
    /** The first argument. */
    const struct mp_slice *args;
    /** How many arguments. */
    size_t nargs;
} mp_args;

/** How a named arena is opened. Set up by `mp_arena_options_init`. */
typedef struct mp_arena_options {
    /** Set by `mp_arena_options_init`. */
    size_t size;
    /**
     * How large a new arena may grow, in bytes, at least 64 MiB (less is taken for that); memory is used only as it
     * is needed. 0 (the default): the smaller of the machine's memory and 64 GiB, as far as the limits allow. Of no
     * meaning for an arena that is there.
     */
    uint64_t capacity;
    /**
     * The permissions of a new arena's file, whatever the umask; 0600 is the default. The owner must be able to
     * read and write it.
     */
    uint32_t mode;
    /**
     * The user to whom the file must belong, by default this process's effective one. A new arena is made only for
     * that.
     */
    uint32_t uid;
    /** Whether the arena must be there already. Default false. */
    bool must_exist;
} mp_arena_options;

/** One thing that `mp_wait` waits for. */
typedef struct mp_waitable {
    /** `MP_WAIT_FD`, `MP_WAIT_QUEUE` or another: which of the next two counts, and what it is. */
    int32_t kind;
    /** The descriptor, for `MP_WAIT_FD`. */
    int32_t fd;
    /** The handle, for all others. */
    void *handle;
    /** Written by `mp_wait`: whether it is ready. */
    bool ready;
} mp_waitable;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The name of a status, such as `"MP_ERR_FULL"`.
 *
 * *Returns* a string that lives for ever; never NULL: `"MP_STATUS_UNKNOWN"` for a number that is no status.
 *
 * *Threads*: thread-safe, and async-signal-safe.
 */
MP_API const char *mp_status_name(mp_status status);

/**
 * What this thread's last failing call has to say: a sentence with what failed, which and why. Meant for
 * people; do not parse it.
 *
 * *Returns* a string, empty if no call of this thread has failed yet; never NULL. It stays valid until this
 * thread's next failing call; a call that succeeds leaves it alone.
 *
 * *Threads*: each thread has its own. *Processes*: a forked child keeps the forking thread's.
 */
MP_API const char *mp_last_error(void);

/**
 * The version of the library at run time, such as `"0.1.0"`.
 *
 * *Returns* a string that lives for ever. *Threads*: thread-safe.
 */
MP_API const char *mp_version(void);

/**
 * How many CPUs this process may use: its affinity and its cgroup's quota counted.
 *
 * *Returns* at least 1. *Threads*: thread-safe.
 */
MP_API int32_t mp_cpu_count(void);

/**
 * To be called first in `main`, with its arguments, by a program that uses the start methods spawn and
 * forkserver. Such a child runs
 * this program again, with the same arguments; in it, this call runs the child's function and ends the process, as
 * `exit` does. What `main` does before this call, and every initialiser, happens in such children too. Functions
 * that need a name are registered before it.
 *
 * *Returns* `MP_OK`, also when called again; in a spawned child it does not return. *Threads*: to be called once,
 * before the program's own threads use libmp; a runtime's threads (Go's) do no harm.
 */
MP_API mp_status mp_main_init(int argc, char **argv);

/**
 * Sets the start method for processes and pools that name none. `MP_START_DEFAULT` sets it back to fork. Spawned
 * and forked children begin with their parent's; threads share the program's.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` for a number that is no method.
 * *Threads*: thread-safe.
 */
MP_API mp_status mp_set_start_method(int32_t method);

/**
 * The start method of processes and pools that name none: never `MP_START_DEFAULT`.
 *
 * *Threads*: thread-safe.
 */
MP_API int32_t mp_get_start_method(void);

/**
 * Names the program that spawned children run, instead of this one: for a plug-in, whose host does not call
 * `mp_main_init`. After that children can be spawned here without it. The named program must call `mp_main_init`; its
 * only argument is its own path. It holds for processes and pools from then on, and for their children; NULL sets it
 * back.
 *
 * A function reaches such a child by its registered name, or by its place in a shared library, which the child loads
 * by its path if it has not done so itself. One that lies in this program can't be found there: `mp_process_start`
 * refuses it.
 *
 * A program that ends without a call of `mp_main_init` has failed as a child: the exit code is not 0 (70 in its place),
 * `mp_process_result` answers `MP_ERR_BOOTSTRAP`, and the log says so. Of one that has not called it after a minute, and
 * was not stopped meanwhile, the log tells; a fork server and the workers of a pool are killed then, and whoever waits for
 * them gets `MP_ERR_BOOTSTRAP` or `MP_ERR_BROKEN`.
 *
 * *Returns* `MP_OK`; `MP_ERR_NOT_FOUND` if there is no such file; `MP_ERR_ACCESS` if it can't be executed;
 * `MP_ERR_INVALID` for a path that is empty or not UTF-8; `MP_ERR_SYSTEM`. After a failure all is as before.
 * *Ownership*: `path` is copied, as an absolute one. *Threads*: thread-safe.
 */
MP_API mp_status mp_set_executable(const char *path);

/**
 * Gives a function a name, by which it travels to spawned children. Needed only where a pointer can't travel: for a
 * function that lies in no loaded object, made at run time or by another language. To be called before
 * `mp_main_init`, so that the children know the name as well.
 *
 * *Returns* `MP_OK`, also for the same function again; `MP_ERR_EXISTS` if another function has the name;
 * `MP_ERR_INVALID` for NULL, an empty name or one that is not UTF-8. *Ownership*: `name` is copied. *Threads*:
 * thread-safe.
 */
MP_API mp_status mp_register(const char *name, mp_fn function);

/**
 * From now on the library says to `callback` what is at least as important as `level`. Without a callback errors
 * and warnings are lines on stderr; NULL goes back to that. It holds in forked children too, and for spawned ones
 * if it is set before `mp_main_init`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` for a `level` that is none. *Ownership*: `user` must stay valid until the
 * process ends. *Threads*: thread-safe.
 */
MP_API mp_status mp_set_log_callback(mp_log_fn callback, void *user, int32_t level);

/**
 * Makes a buffer of `len` zero bytes.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` if out is NULL; `MP_ERR_NO_MEMORY`. *Ownership*: the caller frees it with
 * `mp_buffer_free`.
 */
MP_API mp_status mp_buffer_new(size_t len, mp_buffer **out);

/**
 * The buffer's bytes, aligned to 16, from 4 KiB on to 64. Never NULL for a live buffer. *Lifetime*: until the
 * buffer is freed.
 *
 * *Returns* NULL for a bad handle, with `mp_last_error`.
 */
MP_API const void *mp_buffer_data(const mp_buffer *buffer);

/**
 * How many bytes the buffer has.
 *
 * *Returns* 0 for a bad handle, with `mp_last_error`.
 */
MP_API size_t mp_buffer_len(const mp_buffer *buffer);

/** Frees a buffer. NULL is fine. */
MP_API void mp_buffer_free(mp_buffer *buffer);

/**
 * How many arguments the call has.
 *
 * *Returns* the number; 0 if `call` is NULL.
 */
MP_API size_t mp_call_argc(const mp_call *call);

/**
 * An argument of the call: its bytes as they were when the call was made.
 *
 * *Returns* the argument; an empty slice with NULL if there is no argument `i`, which `mp_last_error` then says.
 * *Lifetime*: until the function returns.
 */
MP_API mp_slice mp_call_arg(const mp_call *call, size_t i);

/**
 * Returns a copy of `len` bytes at `data`. What was returned before is forgotten.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` for a NULL `call`, or NULL `data` with a `len`; `MP_ERR_NO_MEMORY`.
 * *Ownership*: `data` stays the caller's.
 */
MP_API mp_status mp_call_return(mp_call *call, const void *data, size_t len);

/**
 * Room for a result of `len` bytes, to be written in place: nothing is copied. What was returned before is
 * forgotten. The content is undefined until it is written.
 *
 * *Returns* the room, aligned to 16 bytes; NULL on failure, which `mp_last_error` explains. *Lifetime*: until the
 * next `mp_call_return` or `mp_call_return_buffer`, or until the function returns.
 */
MP_API void *mp_call_return_buffer(mp_call *call, size_t len);

/**
 * Says that the call has failed, and why. A task's submitter gets code and message; a process writes the message to
 * the log, its maker gets both by `mp_process_result`, and the code becomes its exit code. The function still has to
 * return; what it returns counts only if `code` is 0. A failure whose code, or whose exit code, would be 0 has the
 * code 1.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` for a NULL `call`. *Ownership*: `message` is copied; NULL means no text, and
 * what is not UTF-8 in it is replaced.
 */
MP_API mp_status mp_call_fail(mp_call *call, int32_t code, const char *message);

/**
 * Writes the defaults into options of `size` bytes; programs call `mp_process_options_init`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` for NULL or a size that no such struct has.
 */
MP_API mp_status mp_process_options_defaults(mp_process_options *options, size_t size);

/**
 * Makes a process that will call `fn` with `nargs` arguments. It is not started yet. `options` NULL means the
 * defaults.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` for NULL where something must be, a name that is not UTF-8, a start method
 * that is none, or another option that can never be had; `MP_ERR_TOO_LARGE` for more than 250 descriptors;
 * `MP_ERR_BOOTSTRAP` in a spawned child before `mp_main_init`; `MP_ERR_NO_MEMORY`. *Ownership*: options and arguments are copied, with all that they point at;
 * free the handle with `mp_process_free`.
 */
MP_API mp_status mp_process_new(mp_fn function, const mp_slice *args, size_t nargs, const mp_process_options *options,
    mp_process **out);

/**
 * Starts the process. It does not wait for the child to begin. A spawned child gets this process's stdin, stdout and
 * stderr, and no other descriptor but those that its options name; its signals are as in a fresh program. A child of the
 * fork server gets the same, and whatever its warm-up function has opened; where its options say nothing, its environment,
 * working directory, limits and nice value are the server's. A thread has this thread's signal mask.
 *
 * *Returns* `MP_OK`; `MP_ERR_STATE` if it was started before, or if a child is spawned after the program closed
 * libmp's descriptors; `MP_ERR_CLOSED`; `MP_ERR_BOOTSTRAP` if it is to be spawned and the program has not called
 * `mp_main_init`, or if this process is itself a spawned child that is still starting; `MP_ERR_INVALID` if `fn` lies
 * in no loaded object and can't travel to a spawned child: register it by name; `MP_ERR_NO_MEMORY`; `MP_ERR_SYSTEM`.
 * If the child can't begin as its options say: `MP_ERR_NOT_FOUND` for a directory that is not there;
 * `MP_ERR_INVALID` for a descriptor that is not open, or a CPU that there is not; `MP_ERR_ACCESS` for what this process
 * has no right to; `MP_ERR_UNSUPPORTED` for a thread. After a failure there is no child, and it may be tried again.
 */
MP_API mp_status mp_process_start(mp_process *process);

/**
 * Waits until the process has ended. It may be called again and by several threads. `mp_process_exitcode` then says
 * how it ended. A thread has left, and the destructors of its thread-local data have run, when this answers `MP_OK`;
 * other ways to hear of its end tell that its function has returned.
 *
 * *Returns* `MP_OK`; `MP_ERR_TIMEOUT`; `MP_ERR_STATE` if it was not started, or for a thread that waits for itself;
 * `MP_ERR_CLOSED`; `MP_ERR_CANCELLED`.
 */
MP_API mp_status mp_process_join(mp_process *process, int64_t timeout);

/**
 * Sends SIGTERM to the process, and to nobody else. Its own children go on.
 *
 * *Returns* `MP_OK`, also if it has ended already; `MP_ERR_STATE` if it was not started; `MP_ERR_UNSUPPORTED` for a
 * thread; `MP_ERR_CLOSED`; `MP_ERR_SYSTEM`.
 */
MP_API mp_status mp_process_terminate(mp_process *process);

/**
 * Sends SIGKILL to the process, as `mp_process_terminate` does SIGTERM. It dies at once; what it held of libmp's is
 * mended.
 *
 * *Returns* as `mp_process_terminate`.
 */
MP_API mp_status mp_process_kill(mp_process *process);

/**
 * Sends a signal to the process, as `mp_process_terminate` does SIGTERM.
 *
 * *Returns* as `mp_process_terminate`; `MP_ERR_INVALID` for a number that is no signal.
 */
MP_API mp_status mp_process_signal(mp_process *process, int32_t signal);

/**
 * Sends SIGINT to the process, as Ctrl-C does, but to nobody else.
 *
 * *Returns* as `mp_process_terminate`.
 */
MP_API mp_status mp_process_interrupt(mp_process *process);

/**
 * Ends the process: SIGTERM, and if it has not ended `grace` nanoseconds later, SIGKILL. It returns when the process
 * has ended. A `grace` of 0 or less sends both at once; with `MP_FOREVER` there is no SIGKILL. Its own children go on.
 *
 * *Returns* `MP_OK` when it has ended, also if it had before; `MP_ERR_CANCELLED` if the wait was cancelled (see
 * `mp_cancel_use`): during `grace`, no SIGKILL was sent; `MP_ERR_STATE` if it was not started; `MP_ERR_CLOSED`;
 * `MP_ERR_SYSTEM`.
 */
MP_API mp_status mp_process_stop(mp_process *process, int64_t grace);

/**
 * Kills the process and all its descendants by SIGKILL, and waits until they have ended: its children, theirs, and
 * programs that any of them started. All are stopped first, so that nobody escapes by forking. If the process itself
 * has ended already, what is left of its descendants is killed.
 *
 * Processes that use libmp's objects or were made by libmp are known by their forebears, wherever those have gone.
 * Others are found by /proc as long as all processes between them and the first have not ended: an orphan of theirs has
 * become another's child, and stays. Nobody is killed who merely got the process id of one that has ended.
 *
 * *Returns* `MP_OK`; `MP_ERR_CANCELLED` if the wait was cancelled: those that were found were killed, but may not have
 * ended yet; `MP_ERR_STATE` if it was not started; `MP_ERR_CLOSED`; `MP_ERR_ACCESS` or `MP_ERR_SYSTEM` if one of them
 * can't be killed (it runs as another user), or /proc can't be read: the process itself is killed nevertheless.
 */
MP_API mp_status mp_process_kill_tree(mp_process *process);

/**
 * Ends the use of a process that was never started or has ended: from then on only its name and description are
 * told. Twice is fine.
 *
 * *Returns* `MP_OK`; `MP_ERR_STATE` while the process runs.
 */
MP_API mp_status mp_process_close(mp_process *process);

/**
 * How the process ended: 0 to 255, the low byte of what the function returned or of what was given to `exit`; -N if
 * signal N killed it; 70 if libmp itself failed in the child, or never began in it, which the log explains; `MP_EXIT_UNKNOWN` if the
 * program itself collected the child (by `waitpid(-1)`, or since it ignores SIGCHLD) and the child ended by a signal
 * or by its own `exit`.
 *
 * *Returns* `MP_OK`; `MP_ERR_STATE` while it runs, or if it was not started; `MP_ERR_CLOSED`; `MP_ERR_INVALID` for
 * NULL.
 */
MP_API mp_status mp_process_exitcode(const mp_process *process, int32_t *code);

/**
 * Writes a descriptor into `*fd` that is readable when the process has ended, for poll, select and epoll. Then
 * `mp_process_exitcode` answers. The handle has one descriptor, made at the first request, and with this process's
 * first one a thread that looks after them.
 *
 * *Returns* `MP_OK`; `MP_ERR_STATE` if it was not started; `MP_ERR_CLOSED`; `MP_ERR_INVALID` for NULL; `MP_ERR_SYSTEM`
 * if none can be had, or no thread.
 *
 * *Ownership*: as for `mp_event_fd`.
 */
MP_API mp_status mp_process_sentinel(mp_process *process, int32_t *fd);

/**
 * Whether the process runs: false before its start and after its end.
 *
 * *Returns* `MP_OK`; `MP_ERR_CLOSED`; `MP_ERR_INVALID` for NULL.
 */
MP_API mp_status mp_process_is_alive(const mp_process *process, bool *alive);

/**
 * The process id; a thread has this process's. After the end of a process the system may give the number to another.
 *
 * *Returns* `MP_OK`; `MP_ERR_STATE` if it was not started; `MP_ERR_CLOSED`; `MP_ERR_INVALID` for NULL.
 */
MP_API mp_status mp_process_pid(const mp_process *process, int32_t *pid);

/**
 * What the process is called.
 *
 * *Returns* the name; NULL for a bad handle. *Lifetime*: until the handle is freed.
 */
MP_API const char *mp_process_name(const mp_process *process);

/**
 * Describes the process in a line like `<Process(Process-1, started)>`, which always ends in NUL. The word after
 * the name is `initial`, `started`, `stopped` or `closed`.
 *
 * *Returns* `MP_OK`; `MP_ERR_TOO_LARGE` if the line was cut to fit into `cap` bytes; `MP_ERR_INVALID` for NULL.
 */
MP_API mp_status mp_process_repr(const mp_process *process, char *buf, size_t cap);

/**
 * Drops the handle; NULL is fine. A running process, or thread, goes on, and is waited for when this process exits
 * unless it is a daemon.
 */
MP_API void mp_process_free(mp_process *process);

/**
 * Starts this process's fork server and has it call `warm_up` with `nargs` arguments, before it forks any child: what
 * that function loads, opens and computes is in the memory of every child from then on, shared until it is changed. It
 * waits until the function has returned. The function should leave no threads behind. Without this call the server is
 * started by the first process or pool of `MP_START_FORKSERVER`, and nothing is warmed up.
 *
 * The server is a clean process: this program, run anew, with one thread, no other descriptors than stdin, stdout,
 * stderr and libmp's, and the environment and working directory of this moment. It ends with this process. If it is
 * killed, the next start makes another, which calls the function again.
 *
 * *Returns* `MP_OK`; `MP_ERR_STATE` if the server runs already (`mp_forkserver_stop` ends it) or the program has closed
 * libmp's descriptors; `MP_ERR_TASK_FAILED` if the function failed: its code is in the text, and there is no server;
 * `MP_ERR_WORKER_DIED` if the server ended meanwhile; `MP_ERR_BOOTSTRAP` if the program has not called `mp_main_init`,
 * or the one that the server runs does not (`mp_set_executable`),
 * or this process is itself a child that is still starting; `MP_ERR_INVALID` for NULL, or a function that can't travel:
 * register it by name; `MP_ERR_NO_MEMORY`; `MP_ERR_SYSTEM`. *Ownership*: the arguments are copied. *Threads*:
 * thread-safe.
 */
MP_API mp_status mp_forkserver_start(mp_fn warm_up, const mp_slice *args, size_t nargs);

/**
 * Ends this process's fork server and waits for its end; its children go on. The next start makes another, which warms nothing up.
 *
 * *Returns* `MP_OK`, also if there is none. *Threads*: thread-safe.
 */
MP_API mp_status mp_forkserver_stop(void);

/**
 * What the function returned by `mp_call_return` or `mp_call_return_buffer`: an empty buffer if nothing. It counts from
 * the moment the function has returned, whatever happens to the process afterwards. It may be called again and by
 * several threads: all the buffers then have the same bytes, which may be the same memory; who writes into one must
 * have no other.
 *
 * *Returns* `MP_OK`; `MP_ERR_STATE` while the process runs, or if it was not started; `MP_ERR_CLOSED`;
 * `MP_ERR_TASK_FAILED` if the exit code that follows from what the function answered, or from `mp_call_fail`, is not 0:
 * `mp_last_error` then has code and message, and what it had returned is dropped; the same if libmp could not run the
 * function; `MP_ERR_WORKER_DIED` if the process ended before its function had returned: `mp_last_error` has the signal
 * or the exit code; `MP_ERR_BOOTSTRAP` if the program that it ran never called `mp_main_init` (`mp_set_executable`);
 * `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID` for NULL. *Ownership*: the caller frees the buffer with
 * `mp_buffer_free`; it outlives the process's handle.
 */
MP_API mp_status mp_process_result(const mp_process *process, mp_buffer **out);

/**
 * Writes into `*usage` what the process has used of the machine, as the kernel told at its end. The caller sets
 * `usage->size`.
 *
 * *Returns* `MP_OK`; `MP_ERR_STATE` while the process runs, or if it was not started; `MP_ERR_CLOSED`;
 * `MP_ERR_NOT_FOUND` if the program itself collected the child (by `waitpid(-1)`, or since it ignores SIGCHLD): then
 * only it was told; `MP_ERR_INVALID` for NULL or a size that was not set.
 */
MP_API mp_status mp_process_usage(const mp_process *process, mp_usage *usage);

/**
 * What this process is called: the name that its maker gave it, or one like `Process-1:2`; `MainProcess` in one that
 * libmp did not start. A child that the program forks by itself is called like the process that forked it.
 *
 * *Returns* the name, never NULL. *Lifetime*: until the process ends, in forked children too. *Threads*: thread-safe.
 */
MP_API const char *mp_current_process_name(void);

/**
 * The process that has made this one by libmp; 0 in one that libmp did not start. The number stays the same when that
 * process has ended, and may then be another's. For a pool's worker it is the process that made the pool. A child that
 * the program forks by itself gets the same answer as the process that forked it.
 *
 * *Returns* the process id, or 0. *Threads*: thread-safe.
 */
MP_API int32_t mp_parent_pid(void);

/**
 * Writes the process ids of this process's running children that `mp_process_start` made, also of those whose handles
 * were freed, but not of a pool's workers. `*n` is how many there are, even when `cap` is smaller; `pids` NULL with
 * `cap` 0 asks only for that. The order means nothing.
 *
 * *Returns* `MP_OK`; `MP_ERR_TOO_LARGE` if there are more than `cap`: then the first `cap` are written;
 * `MP_ERR_INVALID` if `n` is NULL, or `pids` with a `cap`. *Threads*: thread-safe. By the time of the answer some may
 * have ended.
 */
MP_API mp_status mp_active_children(int32_t *pids, size_t cap, size_t *n);

/**
 * Makes a free lock.
 *
 * *Returns* `MP_OK`; `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID` if `out` is NULL; `MP_ERR_STATE` in a process without
 * a part in its parent's arena (made by a raw clone, or forked when there was no room for one more).
 *
 * *Ownership*: free it with `mp_lock_free`. *Threads*: thread-safe. *Processes*: a forked child has the handle
 * too; others get one by a token.
 */
MP_API mp_status mp_lock_new(mp_lock **out);

/**
 * Acquires the lock for this process, waiting up to `timeout` nanoseconds.
 *
 * *Returns* `MP_OK`; `MP_OWNER_DEAD` (acquired, but the last owner died holding it: what the lock protects may
 * be half-written); `MP_ERR_TIMEOUT`, also if this process holds it already; `MP_ERR_CANCELLED` (see
 * `mp_cancel_use`); `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Threads*: thread-safe; threads of one process exclude each other too. *Processes*: a child that was forked
 * while its parent held the lock does not hold it.
 */
MP_API mp_status mp_lock_acquire(mp_lock *lock, int64_t timeout);

/**
 * Releases the lock, whoever holds it: any thread of any process may do so.
 *
 * *Returns* `MP_OK`; `MP_ERR_OVERFLOW` if the lock is free; `MP_ERR_INVALID`; `MP_ERR_STATE` as for
 * `mp_lock_new`. Releasing for an owner that has died is fine; the next one to acquire is told all the same.
 *
 * *Threads*: thread-safe.
 */
MP_API mp_status mp_lock_release(mp_lock *lock);

/**
 * Writes the pid of the process that holds the lock into `*pid`; 0 if it is free, or its owner is known to have
 * died. It may have changed by the time the caller looks.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
 */
MP_API mp_status mp_lock_owner(const mp_lock *lock, int32_t *pid);

/**
 * Writes the lock's token into `*out`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`. *Ownership*: a token is plain bytes and keeps nothing alive by itself,
 * see `mp_token_keep`. *Threads*: thread-safe.
 */
MP_API mp_status mp_lock_token(const mp_lock *lock, mp_token *out);

/**
 * Makes a handle of the lock that a token names.
 *
 * *Returns* `MP_OK`; `MP_ERR_STALE` if the lock has been destroyed; `MP_ERR_INVALID` if the token is NULL, not one
 * of this family of processes, or of another kind of object; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for
 * `mp_lock_new`.
 *
 * *Ownership*: free it with `mp_lock_free`. *Threads*: thread-safe. *Processes*: any process of the family.
 */
MP_API mp_status mp_lock_from_token(const mp_token *token, mp_lock **out);

/**
 * Drops this process's handle; NULL is nothing. The lock goes with its last handle in any process. Freeing the
 * handle does not release the lock.
 *
 * *Threads*: thread-safe, but no other call may be using the handle.
 */
MP_API void mp_lock_free(mp_lock *lock);

/**
 * Makes a free recursive lock.
 *
 * *Returns* `MP_OK`; `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID` if `out` is NULL; `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Ownership*: free it with `mp_rlock_free`. *Threads*: thread-safe. *Processes*: a forked child has the handle
 * too; others get one by a token.
 */
MP_API mp_status mp_rlock_new(mp_rlock **out);

/**
 * Acquires the lock for this thread, waiting up to `timeout` nanoseconds; at once if the thread has it already.
 *
 * *Returns* `MP_OK`; `MP_OWNER_DEAD` (acquired, but the last owner died holding it: what the lock protects may
 * be half-written); `MP_ERR_TIMEOUT`; `MP_ERR_CANCELLED` (see `mp_cancel_use`); `MP_ERR_OVERFLOW` if the thread has
 * acquired it 4294967296 times; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Threads*: thread-safe. *Processes*: a child that was forked while its parent held the lock does not hold it.
 */
MP_API mp_status mp_rlock_acquire(mp_rlock *rlock, int64_t timeout);

/**
 * Releases the lock once, for this thread has it. It is free after as many releases as acquisitions.
 *
 * *Returns* `MP_OK`; `MP_ERR_NOT_OWNER` if this thread does not have the lock, also if nobody has; `MP_ERR_INVALID`;
 * `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Threads*: thread-safe.
 */
MP_API mp_status mp_rlock_release(mp_rlock *rlock);

/**
 * Acquires the lock for an owner that the caller names, in place of this thread: whichever thread of this process calls
 * with the same number is the same owner. The number means nothing in other processes. The calls of one owner must
 * follow each other, as a thread's do.
 *
 * *Returns* as `mp_rlock_acquire`.
 *
 * *Threads*: thread-safe for different owners.
 */
MP_API mp_status mp_rlock_acquire_as(mp_rlock *rlock, uint64_t owner, int64_t timeout);

/**
 * Releases the lock once, for the named owner has it: see `mp_rlock_acquire_as`.
 *
 * *Returns* as `mp_rlock_release`.
 *
 * *Threads*: thread-safe for different owners.
 */
MP_API mp_status mp_rlock_release_as(mp_rlock *rlock, uint64_t owner);

/**
 * Writes the lock's token into `*out`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`. *Ownership*: a token is plain bytes and keeps nothing alive by itself,
 * see `mp_token_keep`. *Threads*: thread-safe.
 */
MP_API mp_status mp_rlock_token(const mp_rlock *rlock, mp_token *out);

/**
 * Makes a handle of the recursive lock that a token names.
 *
 * *Returns* `MP_OK`; `MP_ERR_STALE` if the lock has been destroyed; `MP_ERR_INVALID` if the token is NULL, not one
 * of this family of processes, or of another kind of object; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for
 * `mp_lock_new`.
 *
 * *Ownership*: free it with `mp_rlock_free`. *Threads*: thread-safe. *Processes*: any process of the family.
 */
MP_API mp_status mp_rlock_from_token(const mp_token *token, mp_rlock **out);

/**
 * Drops this process's handle; NULL is nothing. The lock goes with its last handle in any process. Freeing the
 * handle does not release the lock.
 *
 * *Threads*: thread-safe, but no other call may be using the handle.
 */
MP_API void mp_rlock_free(mp_rlock *rlock);

/**
 * Writes the defaults into a struct of `size` bytes. Programs call `mp_semaphore_options_init`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` if `options` is NULL or `size` absurd. *Threads*: thread-safe.
 */
MP_API mp_status mp_semaphore_options_defaults(mp_semaphore_options *options, size_t size);

/**
 * Makes a semaphore with `value` permits.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` if `out` is NULL or `value` is more than the maximum; `MP_ERR_NO_MEMORY`;
 * `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Ownership*: free it with `mp_semaphore_free`. *Threads*: thread-safe. *Processes*: a forked child has the handle
 * too; others get one by a token.
 */
MP_API mp_status mp_semaphore_new(uint32_t value, const mp_semaphore_options *options, mp_semaphore **out);

/**
 * Makes a semaphore with `value` permits that never has more than those.
 *
 * *Returns* as `mp_semaphore_new`. *Ownership*: free it with `mp_semaphore_free`. *Threads*: thread-safe.
 */
MP_API mp_status mp_bounded_semaphore_new(uint32_t value, mp_semaphore **out);

/**
 * Takes a permit, waiting for one up to `timeout` nanoseconds.
 *
 * *Returns* `MP_OK`; `MP_ERR_TIMEOUT`; `MP_ERR_CANCELLED` (see `mp_cancel_use`); `MP_ERR_INVALID`; `MP_ERR_NO_MEMORY`
 * (a robust semaphore only: each of its permits has a place in the process's table); `MP_ERR_STATE` as for
 * `mp_lock_new`.
 *
 * *Threads*: thread-safe. *Processes*: a child that was forked while its parent had permits of a robust semaphore has
 * none of them.
 */
MP_API mp_status mp_semaphore_acquire(mp_semaphore *semaphore, int64_t timeout);

/**
 * Gives `n` permits, and wakes as many waiters. Of a robust semaphore it gives back permits of this process, which
 * any of its threads may have acquired.
 *
 * *Returns* `MP_OK`; `MP_ERR_OVERFLOW` if there would be more than the maximum, and `MP_ERR_NOT_OWNER` if this process
 * has fewer than `n` permits of a robust semaphore: then nothing has changed; `MP_ERR_INVALID`; `MP_ERR_STATE` as for
 * `mp_lock_new`. *Threads*: thread-safe.
 */
MP_API mp_status mp_semaphore_release(mp_semaphore *semaphore, uint32_t n);

/**
 * Writes the number of permits at this moment into `*value`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
 */
MP_API mp_status mp_semaphore_value(const mp_semaphore *semaphore, uint32_t *value);

/**
 * Writes a descriptor into `*fd` that is readable while there are permits, for poll, select and epoll
 * (level-triggered). It follows a change within moments, so that it may tell of an earlier state: acquire without
 * waiting, and poll again if there is none. The handle has one descriptor, made at the first request, and with the
 * process's first one a thread that looks after them.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_SYSTEM` if none can be had, or no thread; `MP_ERR_STATE` as for
 * `mp_lock_new`.
 *
 * *Ownership*, *Threads* and *Processes*: as for `mp_event_fd`.
 */
MP_API mp_status mp_semaphore_fd(mp_semaphore *semaphore, int32_t *fd);

/**
 * Writes the semaphore's token into `*out`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`. *Ownership*: a token is plain bytes and keeps nothing alive by itself,
 * see `mp_token_keep`. *Threads*: thread-safe.
 */
MP_API mp_status mp_semaphore_token(const mp_semaphore *semaphore, mp_token *out);

/**
 * Makes a handle of the semaphore that a token names.
 *
 * *Returns* `MP_OK`; `MP_ERR_STALE` if the semaphore has been destroyed; `MP_ERR_INVALID` if the token is NULL, not
 * one of this family of processes, or of another kind of object; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for
 * `mp_lock_new`.
 *
 * *Ownership*: free it with `mp_semaphore_free`. *Threads*: thread-safe. *Processes*: any process of the family.
 */
MP_API mp_status mp_semaphore_from_token(const mp_token *token, mp_semaphore **out);

/**
 * Drops this process's handle, and its descriptor; NULL is nothing. The semaphore goes with its last handle in any
 * process. Permits of a robust one that this process still has stay its own, and keep the semaphore alive: it may
 * release them by another handle of it, else they come back when it ends.
 *
 * *Threads*: thread-safe, but no other call may be using the handle.
 */
MP_API void mp_semaphore_free(mp_semaphore *semaphore);

/**
 * Makes an event that is not set.
 *
 * *Returns* `MP_OK`; `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID` if `out` is NULL; `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Ownership*: free it with `mp_event_free`. *Threads*: thread-safe. *Processes*: a forked child has the handle
 * too; others get one by a token.
 */
MP_API mp_status mp_event_new(mp_event **out);

/**
 * Sets the event and wakes all who wait for it, in every process. Setting one that is set changes nothing.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Threads*: thread-safe, and async-signal-safe: it takes no lock, allocates nothing and keeps errno, also where it
 * fails; a failure's text for `mp_last_error` is a fixed one.
 */
MP_API mp_status mp_event_set(mp_event *event);

/**
 * Makes the event not set.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
 */
MP_API mp_status mp_event_clear(mp_event *event);

/**
 * Writes whether the event is set at this moment into `*set`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
 */
MP_API mp_status mp_event_is_set(const mp_event *event, bool *set);

/**
 * Waits until the event is set, up to `timeout` nanoseconds. Who waits when it is set gets `MP_OK`, also if it is
 * cleared at once afterwards.
 *
 * *Returns* `MP_OK`; `MP_ERR_TIMEOUT`; `MP_ERR_CANCELLED` (see `mp_cancel_use`); `MP_ERR_INVALID`; `MP_ERR_STATE` as
 * for `mp_lock_new`. *Threads*: thread-safe.
 */
MP_API mp_status mp_event_wait(mp_event *event, int64_t timeout);

/**
 * Writes a descriptor into `*fd` that is readable while the event is set, for poll, select and epoll
 * (level-triggered). It follows a change within moments, so that it may tell of an earlier state: ask the event
 * itself, without waiting, and poll again if it says otherwise. The handle has one descriptor, made at the first
 * request, and with the process's first one a thread that looks after them.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_SYSTEM` if none can be had, or no thread; `MP_ERR_STATE` as for
 * `mp_lock_new`.
 *
 * *Ownership*: the library's: do not read, write or close it; it goes with the handle. If the program has closed it
 * all the same, the next request makes another. *Threads*: thread-safe. *Processes*: it is this process's alone; a
 * forked child's copy is closed, and it asks for its own.
 */
MP_API mp_status mp_event_fd(mp_event *event, int32_t *fd);

/**
 * Writes the event's token into `*out`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`. *Ownership*: a token is plain bytes and keeps nothing alive by itself,
 * see `mp_token_keep`. *Threads*: thread-safe.
 */
MP_API mp_status mp_event_token(const mp_event *event, mp_token *out);

/**
 * Makes a handle of the event that a token names.
 *
 * *Returns* `MP_OK`; `MP_ERR_STALE` if the event has been destroyed; `MP_ERR_INVALID` if the token is NULL, not one
 * of this family of processes, or of another kind of object; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for
 * `mp_lock_new`.
 *
 * *Ownership*: free it with `mp_event_free`. *Threads*: thread-safe. *Processes*: any process of the family.
 */
MP_API mp_status mp_event_from_token(const mp_token *token, mp_event **out);

/**
 * Drops this process's handle, and its descriptor; NULL is nothing. The event goes with its last handle in any
 * process.
 *
 * *Threads*: thread-safe, but no other call may be using the handle.
 */
MP_API void mp_event_free(mp_event *event);

/**
 * Makes a condition with the recursive lock `rlock`, or, for NULL, with one of its own.
 *
 * *Returns* `MP_OK`; `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID` if `out` is NULL or `rlock` is no live handle;
 * `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Ownership*: free it with `mp_condition_free`. The handle `rlock` remains the caller's, and may be freed at any time;
 * the lock itself lives as long as the condition. *Threads*: thread-safe. *Processes*: a forked child has the handle
 * too; others get one by a token.
 */
MP_API mp_status mp_condition_new(mp_rlock *rlock, mp_condition **out);

/**
 * Makes a condition with the plain lock `lock`. That lock belongs to a process: whichever thread of the process that has
 * acquired it may wait and notify, and the program sees to it that it is the one which did.
 *
 * *Returns* and *Ownership* as for `mp_condition_new`; `lock` must not be NULL. *Threads*: thread-safe.
 */
MP_API mp_status mp_condition_new_with_lock(mp_lock *lock, mp_condition **out);

/**
 * Acquires the condition's lock, waiting up to `timeout` nanoseconds.
 *
 * *Returns* as `mp_rlock_acquire`, or as `mp_lock_acquire` if the condition was made with a plain lock.
 *
 * *Threads*: thread-safe.
 */
MP_API mp_status mp_condition_acquire(mp_condition *condition, int64_t timeout);

/**
 * Releases the condition's lock once.
 *
 * *Returns* `MP_OK`; `MP_ERR_NOT_OWNER` if the caller does not hold it; `MP_ERR_INVALID`; `MP_ERR_STATE` as for
 * `mp_lock_new`.
 *
 * *Threads*: thread-safe.
 */
MP_API mp_status mp_condition_release(mp_condition *condition);

/**
 * Releases the lock, however often it was acquired, waits up to `timeout` nanoseconds for a notification, and acquires
 * the lock again as often. The caller has the lock again whatever the answer is, unless it never had it; getting it
 * back may take longer than `timeout`, and is not cancelled.
 *
 * *Returns* `MP_OK` if notified, even if the time ran out before the lock was back; `MP_OWNER_DEAD`, before all that
 * follows: whoever held the lock meanwhile died holding it, so what it protects may be half-written, and there may or
 * may not have been a notification: look whether to wait on, and notify the others if they should look too; `MP_ERR_TIMEOUT`; `MP_ERR_CANCELLED` (see `mp_cancel_use`). Without having waited:
 * `MP_ERR_NOT_OWNER` if the caller does not hold the lock; `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for
 * `mp_lock_new`.
 *
 * *Threads*: thread-safe. *Processes*: a child that was forked while its parent held the lock does not hold it.
 */
MP_API mp_status mp_condition_wait(mp_condition *condition, int64_t timeout);

/**
 * Notifies the `n` who have waited longest, or as many as wait. They go on when the lock is free; this call waits for
 * nobody. Notifications are not kept for who comes later.
 *
 * *Returns* `MP_OK`; `MP_ERR_NOT_OWNER` if the caller does not hold the lock; `MP_ERR_INVALID`; `MP_ERR_STATE` as for
 * `mp_lock_new`.
 *
 * *Threads*: thread-safe.
 */
MP_API mp_status mp_condition_notify(mp_condition *condition, uint32_t n);

/**
 * Notifies all who wait.
 *
 * *Returns* as `mp_condition_notify`. *Threads*: thread-safe.
 */
MP_API mp_status mp_condition_notify_all(mp_condition *condition);

/**
 * Writes the condition's token into `*out`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`. *Ownership*: a token is plain bytes and keeps nothing alive by itself,
 * see `mp_token_keep`. *Threads*: thread-safe.
 */
MP_API mp_status mp_condition_token(const mp_condition *condition, mp_token *out);

/**
 * Makes a handle of the condition that a token names, lock included.
 *
 * *Returns* `MP_OK`; `MP_ERR_STALE` if the condition has been destroyed; `MP_ERR_INVALID` if the token is NULL, not one
 * of this family of processes, or of another kind of object; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for
 * `mp_lock_new`.
 *
 * *Ownership*: free it with `mp_condition_free`. *Threads*: thread-safe. *Processes*: any process of the family.
 */
MP_API mp_status mp_condition_from_token(const mp_token *token, mp_condition **out);

/**
 * Drops this process's handle; NULL is nothing. The condition goes with its last handle in any process. Freeing the
 * handle does not release the lock.
 *
 * *Threads*: thread-safe, but no other call may be using the handle.
 */
MP_API void mp_condition_free(mp_condition *condition);

/**
 * Makes a barrier for `parties` threads.
 *
 * It breaks when a process ends, in whatever way,
 * - that waits in it, or took part in the round before (since the last reset); or
 * - that held a handle of it, and no live process that holds one is left besides those that wait: a kept token
 *   (`mp_token_keep`) and a name in a named arena count as such a process, since by them somebody may still come.
 *
 * The waiters learn it at once if the dead process was started by libmp, else within a second. What a barrier can't know
 * is who its parties are before they have come for the first time: if one dies before, while others that hold a
 * handle live on without ever coming, its waiters wait for as long as they said. A timeout is for that.
 *
 * The second rule counts processes. Of a process that waits with one thread, and took part in the round before with
 * one at the most, no other thread is expected when a holder dies meanwhile: threads that share a barrier with each
 * other and with no other process should use it once before such a process ends, or come within the time that matters.
 * If the holder had died before the wait began, other threads of the waiting process, apart from libmp's own, are
 * expected. A process that only frees its handle breaks nothing, but one that took part in the last round does when it
 * ends, unless another round has been completed since.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` if `parties` is 0 or `out` is NULL; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for
 * `mp_lock_new`.
 *
 * *Ownership*: free it with `mp_barrier_free`. *Threads*: thread-safe. *Processes*: a forked child has the handle
 * too; others get one by a token.
 */
MP_API mp_status mp_barrier_new(uint32_t parties, mp_barrier **out);

/**
 * Waits until all parties have come, up to `timeout` nanoseconds, and writes this one's number among those of its round
 * into `*index`: 0 for the first that came, `parties` - 1 for the last. `index` may be NULL; it is written only
 * with `MP_OK`.
 *
 * *Returns* `MP_OK`, also if the barrier was broken, reset or went on after this round was complete; `MP_ERR_TIMEOUT` and
 * `MP_ERR_CANCELLED` (see `mp_cancel_use`): this wait has broken the barrier; `MP_ERR_BROKEN`: it was broken, by
 * another or by a death, or reset; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. A timeout of 0 succeeds only
 * for the last one to come.
 *
 * *Threads*: thread-safe; each waiting thread is a party.
 */
MP_API mp_status mp_barrier_wait(mp_barrier *barrier, int64_t timeout, uint32_t *index);

/**
 * Makes the barrier as new: whoever waits in it gets `MP_ERR_BROKEN`, and it is not broken any more.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
 */
MP_API mp_status mp_barrier_reset(mp_barrier *barrier);

/**
 * Breaks the barrier: whoever waits in it, or comes before a reset, gets `MP_ERR_BROKEN`.
 *
 * *Returns* `MP_OK`, also if it was broken; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*:
 * thread-safe.
 */
MP_API mp_status mp_barrier_abort(mp_barrier *barrier);

/**
 * Writes for how many parties the barrier is into `*parties`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
 */
MP_API mp_status mp_barrier_parties(const mp_barrier *barrier, uint32_t *parties);

/**
 * Writes how many threads wait in the barrier at this moment into `*waiting`; 0 if it is broken.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
 */
MP_API mp_status mp_barrier_waiting(const mp_barrier *barrier, uint32_t *waiting);

/**
 * Writes whether the barrier is broken into `*broken`. Looks whether the processes live on which the barrier depends: a
 * few system calls for each.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
 */
MP_API mp_status mp_barrier_broken(const mp_barrier *barrier, bool *broken);

/**
 * Writes the barrier's token into `*out`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`. *Ownership*: a token is plain bytes and keeps nothing alive by itself,
 * see `mp_token_keep`. *Threads*: thread-safe.
 */
MP_API mp_status mp_barrier_token(const mp_barrier *barrier, mp_token *out);

/**
 * Makes a handle of the barrier that a token names.
 *
 * *Returns* `MP_OK`; `MP_ERR_STALE` if the barrier has been destroyed; `MP_ERR_INVALID` if the token is NULL, not one of
 * this family of processes, or of another kind of object; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Ownership*: free it with `mp_barrier_free`. *Threads*: thread-safe. *Processes*: any process of the family.
 */
MP_API mp_status mp_barrier_from_token(const mp_token *token, mp_barrier **out);

/**
 * Drops this process's handle; NULL is nothing. The barrier goes with its last handle in any process.
 *
 * *Threads*: thread-safe, but no other call may be using the handle: abort the barrier first, or cancel the waits.
 */
MP_API void mp_barrier_free(mp_barrier *barrier);

/**
 * Writes the defaults into options of `size` bytes. Programs call `mp_queue_options_init`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` if options is NULL or the size impossible.
 */
MP_API mp_status mp_queue_options_defaults(mp_queue_options *options, size_t size);

/**
 * Makes an empty queue. NULL options mean the defaults: unbounded, first in first out.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`, naming the field; `MP_ERR_NO_MEMORY`. *Ownership*: the caller frees the handle with `mp_queue_free`.
 */
MP_API mp_status mp_queue_new(const mp_queue_options *options, mp_queue **out);

/**
 * Puts a copy of `len` bytes into the queue, waiting for room for `timeout` nanoseconds at the longest. In a priority
 * queue its priority is 0. When it returns the message is there for every getter, whatever becomes of this process.
 *
 * *Returns* `MP_OK`; `MP_ERR_FULL` if there was no room in time; `MP_ERR_CLOSED`; `MP_ERR_TOO_LARGE` if it is longer
 * than the queue's `max_bytes`; `MP_ERR_CANCELLED`; `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID`. On failure nothing was put.
 */
MP_API mp_status mp_queue_put(mp_queue *queue, const void *data, size_t len, int64_t timeout);

/**
 * Takes the next message, waiting for one for `timeout` nanoseconds at the longest. Long messages are handed over
 * without a copy.
 *
 * *Returns* `MP_OK`; `MP_ERR_EMPTY` if there was none in time; `MP_ERR_CLOSED` when the queue is closed and
 * drained; `MP_ERR_CANCELLED`; `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID`. On failure nothing was taken. *Ownership*: the
 * caller frees the buffer with `mp_buffer_free`.
 */
MP_API mp_status mp_queue_get(mp_queue *queue, int64_t timeout, mp_buffer **out);

/**
 * Copies the next message into `buf`, which has room for `cap` bytes, and sets `*len`.
 *
 * *Returns* as `mp_queue_get`, and `MP_ERR_TOO_LARGE` if the message has more than `cap` bytes: then it stays in
 * the queue, and `*len` says how many are needed.
 */
MP_API mp_status mp_queue_get_into(mp_queue *queue, void *buf, size_t cap, size_t *len, int64_t timeout);

/**
 * Puts a copy of `len` bytes with a priority: the lowest leaves first, equals in the order in which they were put.
 *
 * *Returns* as `mp_queue_put`, and `MP_ERR_UNSUPPORTED` if the queue is not of the kind `MP_QUEUE_PRIORITY`.
 */
MP_API mp_status mp_queue_put_priority(mp_queue *queue, int64_t priority, const void *data, size_t len,
    int64_t timeout);

/**
 * Hands a buffer on: the getter's buffer is its memory, not a copy, if it is in shared memory and nobody else has it (a
 * forked child may), and longer than a kilobyte. In a priority queue its priority is 0.
 *
 * *Returns* as `mp_queue_put`. *Ownership*: on success the buffer is consumed, and its handle no longer one; on failure
 * it stays the caller's.
 */
MP_API mp_status mp_queue_put_buffer(mp_queue *queue, mp_buffer *buffer, int64_t timeout);

/**
 * How many messages are in the queue at this moment.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` in a process that has no part in the arena.
 */
MP_API mp_status mp_queue_size(const mp_queue *queue, size_t *size);

/**
 * Tells that one of the messages that were taken is done: whoever joins the queue waits until that was told of all. It
 * is for a message of this process if it has such, else for any. In a queue that redelivers `mp_queue_ack` tells it;
 * there the same process may call this as well, before or after that: the two count once. A message that was told to be
 * done, but not acknowledged, is unfinished again when it comes back.
 *
 * *Returns* `MP_OK`; `MP_ERR_OVERFLOW` if no message is unfinished; `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID`;
 * `MP_ERR_CANCELLED` while another process is stopped in the middle of a get; `MP_ERR_STATE` in a process that has no
 * part in the arena.
 */
MP_API mp_status mp_queue_task_done(mp_queue *queue);

/**
 * Acknowledges a message that was got from a queue that redelivers: it is done, and does not come back. The buffer
 * stays the caller's; if it is freed without this, the message comes back when this process has ended.
 *
 * *Returns* `MP_OK`; `MP_ERR_UNSUPPORTED` if the queue does not redeliver; `MP_ERR_INVALID` if the buffer was not got
 * from it; `MP_ERR_STATE` if the message was acknowledged before, or went back when its taker died;
 * `MP_ERR_NO_MEMORY`; `MP_ERR_CANCELLED` while another process is stopped in the middle of a call.
 */
MP_API mp_status mp_queue_ack(mp_queue *queue, const mp_buffer *buffer);

/**
 * Waits until every message that was put into the queue is done, for `timeout` nanoseconds at the longest. A message
 * is done when `mp_queue_task_done` was called for it, when it was dropped, or when a process that took it has died;
 * if the queue redelivers, when it was acknowledged.
 *
 * *Returns* `MP_OK`; `MP_ERR_TIMEOUT`; `MP_ERR_CANCELLED`; `MP_ERR_INVALID`; `MP_ERR_STATE` in a process that has no
 * part in the arena.
 */
MP_API mp_status mp_queue_join(mp_queue *queue, int64_t timeout);

/**
 * Closes the queue for all processes: puts answer `MP_ERR_CLOSED` at once, gets drain it and then answer that too,
 * and whoever waits is woken. Twice is fine.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` in a process that has no part in the arena.
 */
MP_API mp_status mp_queue_close(mp_queue *queue);

/**
 * Writes a descriptor into `*fd` that is readable while a get may succeed, or fail for good because the queue is
 * closed, for poll, select and epoll (level-triggered). It follows a change within moments, so that it may tell of an
 * earlier state: get without waiting, and poll again if there is nothing. The handle has one such descriptor, made at
 * the first request, and with the process's first one a thread that looks after them.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_SYSTEM` if none can be had, or no thread; `MP_ERR_STATE` in a process
 * that has no part in the arena.
 *
 * *Ownership*, *Threads* and *Processes*: as for `mp_event_fd`.
 */
MP_API mp_status mp_queue_fd(mp_queue *queue, int32_t *fd);

/**
 * The same for the other end: readable while a put may succeed, or fail for good because the queue is closed. That of
 * an unbounded queue is always readable.
 *
 * *Returns*, *Ownership*, *Threads* and *Processes*: as for `mp_queue_fd`.
 */
MP_API mp_status mp_queue_put_fd(mp_queue *queue, int32_t *fd);

/**
 * Writes the queue's token: 32 bytes that name it in every process of the family.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`.
 */
MP_API mp_status mp_queue_token(const mp_queue *queue, mp_token *out);

/**
 * A handle to the queue that a token names.
 *
 * *Returns* `MP_OK`; `MP_ERR_STALE` if the queue was destroyed; `MP_ERR_INVALID` if the token names no queue of
 * this family; `MP_ERR_NO_MEMORY`. *Ownership*: the caller frees the handle with `mp_queue_free`.
 */
MP_API mp_status mp_queue_from_token(const mp_token *token, mp_queue **out);

/**
 * Drops this process's handle; the queue goes, with its messages, with the last handle in any process. NULL is
 * fine.
 */
MP_API void mp_queue_free(mp_queue *queue);

/**
 * Puts copies of `n` messages, in this order, waiting for room for `timeout` nanoseconds at the longest, and writes how
 * many were put into `*done`. Much cheaper for each message than `mp_queue_put`, if they are of a kilobyte at most and
 * the queue is of the kind `MP_QUEUE_FIFO` with defaults, or with a `maxsize`: then nobody else's messages come between
 * those that there is room for at once.
 *
 * *Returns* as `mp_queue_put`. After a failure the first `*done` messages are in the queue, and no other.
 */
MP_API mp_status mp_queue_put_many(mp_queue *queue, const mp_slice *messages, size_t n, int64_t timeout,
    size_t *done);

/**
 * Waits for a message for `timeout` nanoseconds at the longest, then takes what is there, at most `cap` messages: their
 * buffers go into `out[0]` and on, and how many there are into `*n`.
 *
 * *Returns* as `mp_queue_get`; `MP_ERR_INVALID` also if `cap` is 0. On failure nothing was taken, `*n` is 0, and all of
 * `out` is NULL.
 * *Ownership*: the caller frees each buffer with `mp_buffer_free`.
 */
MP_API mp_status mp_queue_get_many(mp_queue *queue, mp_buffer **out, size_t cap, int64_t timeout, size_t *n);

/**
 * Waits for a message for `timeout` nanoseconds at the longest, then copies what is there into `buf`, which has room for
 * `cap` bytes: at most `max` messages, as many as fit, one directly behind the other. `out[0]` and on say where each
 * lies in `buf` and how long it is, and `*n` how many there are. Messages of one size are aligned as `buf` and the
 * size are. Much cheaper for each message than `mp_queue_get_into`.
 *
 * *Returns* as `mp_queue_get_into`; `MP_ERR_TOO_LARGE` if not even the first fits: then it stays, and `out[0].len` says
 * how many bytes are needed, with a NULL `data`. `MP_ERR_INVALID` also if `max` is 0. On failure `*n` is 0.
 */
MP_API mp_status mp_queue_get_many_into(mp_queue *queue, void *buf, size_t cap, mp_slice *out, size_t max,
    int64_t timeout, size_t *n);

/**
 * Reserves room in the queue for a message of `len` bytes, and the memory for it, waiting for `timeout` nanoseconds at
 * the longest. The message is written at `*data`, which is aligned as a buffer's is, with undefined contents at first; the
 * getter's buffer is that very memory, if it is longer than a kilobyte. Order and visibility come from the commit. A
 * process that dies before it leaves nothing behind.
 *
 * *Returns* as `mp_queue_put`; on failure `*data` and `*reservation` are NULL. *Ownership*: `*reservation` is to be ended by `mp_queue_commit`, `mp_queue_commit_len` or
 * `mp_queue_abandon`. *Lifetime* of `*data`: until then.
 */
MP_API mp_status mp_queue_reserve(mp_queue *queue, size_t len, int64_t timeout, void **data,
    mp_reservation **reservation);

/**
 * Puts the whole message that was reserved.
 *
 * *Returns* `MP_OK`; `MP_ERR_CLOSED` if the queue was closed meanwhile; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` in another
 * process than the one that reserved; `MP_ERR_CANCELLED` while another process is stopped in the middle of a put;
 * `MP_ERR_INVALID`. On failure nothing was put. *Ownership*: the reservation has
 * ended, whatever this answers.
 */
MP_API mp_status mp_queue_commit(mp_reservation *reservation);

/**
 * Puts the first `len` bytes of the message that was reserved.
 *
 * *Returns* as `mp_queue_commit`, and `MP_ERR_INVALID` if fewer were reserved. *Ownership*: the reservation has ended,
 * whatever this answers.
 */
MP_API mp_status mp_queue_commit_len(mp_reservation *reservation, size_t len);

/**
 * Gives back what was reserved. NULL is nothing.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`.
 */
MP_API mp_status mp_queue_abandon(mp_reservation *reservation);

/**
 * Makes a pipe and gives its two ends. If it is `duplex` both send and receive; otherwise `*a` only receives and `*b`
 * only sends. Each direction has room for 64 MiB in 1,048,576 messages, or for one message of any length.
 *
 * *Returns* `MP_OK`; `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID` if `a` or `b` is NULL, or both are the same; `MP_ERR_STATE`
 * as for `mp_lock_new`. After a failure both are NULL.
 *
 * *Ownership*: free each with `mp_connection_free`. *Threads*: thread-safe.
 */
MP_API mp_status mp_pipe(bool duplex, mp_connection **a, mp_connection **b);

/**
 * Sends a copy of `len` bytes, waiting for room up to `timeout` nanoseconds. When it returns the message is there for
 * whoever receives at the other end, whatever becomes of this process. There is never a SIGPIPE.
 *
 * *Returns* `MP_OK`; `MP_ERR_TIMEOUT` if there was no room in time; `MP_ERR_CLOSED` if nobody has the other end any
 * more, or this handle was closed; `MP_ERR_UNSUPPORTED` if the pipe is one-way and this end only receives;
 * `MP_ERR_CANCELLED` (see `mp_cancel_use`); `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for
 * `mp_lock_new`. On failure nothing was sent. *Threads*: thread-safe.
 */
MP_API mp_status mp_connection_send(mp_connection *connection, const void *data, size_t len, int64_t timeout);

/**
 * Receives the next message, waiting for one up to `timeout` nanoseconds. A message longer than a kilobyte is handed
 * over without a copy.
 *
 * *Returns* `MP_OK`; `MP_ERR_TIMEOUT` if none came in time; `MP_ERR_END` when nobody has the other end any more, and
 * all that was sent is received; `MP_ERR_CLOSED` if this handle was closed; `MP_ERR_UNSUPPORTED` if the pipe is one-way
 * and this end only sends; `MP_ERR_CANCELLED` (see `mp_cancel_use`); `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID`;
 * `MP_ERR_STATE` as for `mp_lock_new`. On failure nothing was received, and `*out` is NULL.
 *
 * *Ownership*: free the buffer with `mp_buffer_free`. *Threads*: thread-safe.
 */
MP_API mp_status mp_connection_recv(mp_connection *connection, int64_t timeout, mp_buffer **out);

/**
 * Copies the next message into `buf`, which has room for `cap` bytes, and sets `*len`.
 *
 * *Returns* as `mp_connection_recv`, and `MP_ERR_TOO_LARGE` if the message has more than `cap` bytes: then it is still
 * the next one, and `*len` says how many are needed. *Threads*: thread-safe.
 */
MP_API mp_status mp_connection_recv_into(mp_connection *connection, void *buf, size_t cap, size_t *len,
    int64_t timeout);

/**
 * Waits up to `timeout` nanoseconds until a receive would not wait, and writes into `*ready` whether that is so: a
 * message is there, or the other end has gone. It takes nothing; another thread or process may be faster.
 *
 * *Returns* `MP_OK`, also if it is not ready; `MP_ERR_CLOSED` if this handle was closed; `MP_ERR_UNSUPPORTED` if the
 * pipe is one-way and this end only sends; `MP_ERR_CANCELLED` (see `mp_cancel_use`); `MP_ERR_INVALID`; `MP_ERR_STATE`
 * as for `mp_lock_new`. *Threads*: thread-safe.
 */
MP_API mp_status mp_connection_poll(mp_connection *connection, int64_t timeout, bool *ready);

/**
 * Closes this handle. Other threads that are inside a call with it are woken, and their calls answer `MP_ERR_CLOSED`,
 * as do all later ones but this and `mp_connection_free`. The other end sees this one gone when every process that has
 * a handle of it has closed or freed that, or died; what was sent can be received. Twice is fine.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe. *Processes*: closes
 * this process's handle only.
 */
MP_API mp_status mp_connection_close(mp_connection *connection);

/**
 * Writes a descriptor into `*fd` that is readable while a receive would not wait, or when this handle was closed: for
 * poll, select and epoll (level-triggered). It follows a change within moments, so that it may tell of an earlier
 * state: receive without waiting, and poll again if there is nothing. The handle has one descriptor, made at the first
 * request, and with the process's first one a thread that looks after them.
 *
 * *Returns* `MP_OK`; `MP_ERR_CLOSED` if this handle was closed; `MP_ERR_UNSUPPORTED` if the pipe is one-way and this end
 * only sends; `MP_ERR_INVALID`; `MP_ERR_SYSTEM` if none can be had, or no thread; `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Ownership*: the library's: do not read, write or close it; it goes with the handle, when that is freed. If the program
 * has closed it all the same, the next request makes another. *Threads*: thread-safe. *Processes*: it is this process's
 * alone; a forked child's copy is closed, and it asks for its own.
 */
MP_API mp_status mp_connection_fd(mp_connection *connection, int32_t *fd);

/**
 * Writes the token of this end into `*out`: by it, another process gets a handle of the same end. It may be sent through
 * a queue or a connection, or be an argument of a process.
 *
 * *Returns* `MP_OK`; `MP_ERR_CLOSED` if this handle was closed; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Ownership*: a token is plain bytes and keeps nothing alive by itself, see `mp_token_keep`; an end that is kept is
 * not gone, though no process has it. *Threads*: thread-safe.
 */
MP_API mp_status mp_connection_token(const mp_connection *connection, mp_token *out);

/**
 * Makes a handle of the end of a pipe that a token names.
 *
 * *Returns* `MP_OK`; `MP_ERR_STALE` if that end has gone; `MP_ERR_INVALID` if the token is NULL, not one of this family
 * of processes, or of another kind of object; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Ownership*: free it with `mp_connection_free`. *Threads*: thread-safe. *Processes*: any process of the family.
 */
MP_API mp_status mp_connection_from_token(const mp_token *token, mp_connection **out);

/**
 * Closes this process's handle and ends it; NULL is nothing.
 *
 * *Threads*: thread-safe, but no other call may be using the handle: close it first, and wait for those who do.
 */
MP_API void mp_connection_free(mp_connection *connection);

/**
 * Makes a value of `size` bytes: a copy of those at `init`, or zeroes if that is NULL. `lock` is
 * `MP_LOCK_RECURSIVE`, `MP_LOCK_PLAIN` or `MP_LOCK_NONE`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` if `size` is 0, `lock` none of these or `out` NULL; `MP_ERR_NO_MEMORY`;
 * `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Ownership*: free it with `mp_value_free`. *Threads*: thread-safe. *Processes*: a forked child has the handle too;
 * others get one by a token.
 */
MP_API mp_status mp_value_new(size_t size, const void *init, int32_t lock, mp_value **out);

/**
 * The value's bytes, aligned to 16, those of more than 48 bytes to 64. Every process sees the same bytes, each at an
 * address of its own. *Lifetime*: until the handle is freed; in a forked child until its own is.
 *
 * *Returns* NULL for a bad handle, with `mp_last_error`. *Threads*: thread-safe; who may touch the bytes when is the
 * program's affair: hold the lock, or use atomics only.
 */
MP_API void *mp_value_data(const mp_value *value);

/**
 * The same for a type of `size` bytes, which must be the value's size: what `MP_VALUE(value, type)` calls.
 *
 * *Returns* NULL for a bad handle and for another size, with `mp_last_error`. *Lifetime* and *Threads* as for
 * `mp_value_data`.
 */
MP_API void *mp_value_data_as(const mp_value *value, size_t size);

/**
 * How many bytes the value has.
 *
 * *Returns* 0 for a bad handle, with `mp_last_error`. *Threads*: thread-safe.
 */
MP_API size_t mp_value_size(const mp_value *value);

/**
 * Copies the value into the `size` bytes at `to`. Plain reading: whoever may write meanwhile must be kept away by
 * the lock, which this call leaves alone.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`, also if the value has another size; `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Threads*: as any reading of the bytes.
 */
MP_API mp_status mp_value_get(const mp_value *value, void *to, size_t size);

/**
 * Copies the `size` bytes at `from` into the value. Plain writing: everybody else must be kept away by the lock,
 * which this call leaves alone.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`, also if the value has another size; `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Threads*: as any writing of the bytes.
 */
MP_API mp_status mp_value_set(mp_value *value, const void *from, size_t size);

/**
 * Acquires the value's lock, waiting up to `timeout` nanoseconds. A recursive one counts: it wants as many releases.
 *
 * *Returns* `MP_OK`; `MP_OWNER_DEAD` (acquired, but the last owner died holding it: the value may be
 * half-written); `MP_ERR_TIMEOUT`; `MP_ERR_CANCELLED` (see `mp_cancel_use`); `MP_ERR_UNSUPPORTED` if it was made
 * with `MP_LOCK_NONE`; `MP_ERR_OVERFLOW` if a recursive lock was acquired more often than can be counted;
 * `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Threads*: thread-safe; a recursive lock belongs to the calling thread. *Processes*: a child that was forked while
 * its parent held the lock does not hold it.
 */
MP_API mp_status mp_value_acquire(mp_value *value, int64_t timeout);

/**
 * The same for a recursive lock's owner that the caller names, instead of a thread: for languages whose code moves
 * between threads. Every number is a name. A plain lock belongs to the process as always.
 *
 * *Returns* and *Threads* as `mp_value_acquire`.
 */
MP_API mp_status mp_value_acquire_as(mp_value *value, uint64_t owner, int64_t timeout);

/**
 * Releases the value's lock, once.
 *
 * *Returns* `MP_OK`; `MP_ERR_NOT_OWNER` if a recursive lock is not this thread's; `MP_ERR_OVERFLOW` if a plain
 * lock is free; `MP_ERR_UNSUPPORTED` if there is no lock; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Threads*: thread-safe.
 */
MP_API mp_status mp_value_release(mp_value *value);

/**
 * The same for an owner that the caller names.
 *
 * *Returns* and *Threads* as `mp_value_release`.
 */
MP_API mp_status mp_value_release_as(mp_value *value, uint64_t owner);

/**
 * Writes the value's token into `*out`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`. *Ownership*: a token is plain bytes and keeps nothing alive by itself, see
 * `mp_token_keep`. *Threads*: thread-safe.
 */
MP_API mp_status mp_value_token(const mp_value *value, mp_token *out);

/**
 * Makes a handle of the value that a token names.
 *
 * *Returns* `MP_OK`; `MP_ERR_STALE` if the value has been destroyed; `MP_ERR_INVALID` if the token is NULL, not
 * one of this family of processes, or of another kind of object; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for
 * `mp_lock_new`.
 *
 * *Ownership*: free it with `mp_value_free`. *Threads*: thread-safe. *Processes*: any process of the family.
 */
MP_API mp_status mp_value_from_token(const mp_token *token, mp_value **out);

/**
 * Drops this process's handle; NULL is nothing. The value goes with its last handle in any process; pointers into it
 * end with this one. Freeing the handle does not release the lock.
 *
 * *Threads*: thread-safe, but no other call may be using the handle.
 */
MP_API void mp_value_free(mp_value *value);

/**
 * Reads the value into `*out`.
 *
 * All `mp_value_..._i64`, `_u64`, `_i32` and `_u32` are sequentially consistent atomic operations, also between
 * processes: each happens at once and whole, whoever dies. They leave the value's lock alone, and mix with plain
 * access through a pointer only as C's memory model allows: plain reading or writing beside an atomic write is a
 * race unless something else, such as a lock, keeps them apart.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` for a bad handle, a NULL where a result goes, or a value of another size
 * than the type; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
 */
MP_API mp_status mp_value_load_i64(const mp_value *value, int64_t *out);

/**
 * Makes the value `n`.
 *
 * *Returns* and *Threads* as `mp_value_load_i64`.
 */
MP_API mp_status mp_value_store_i64(mp_value *value, int64_t n);

/**
 * Makes the value `n`. What it was before goes to `*previous`, unless that is NULL.
 *
 * *Returns* and *Threads* as `mp_value_load_i64`.
 */
MP_API mp_status mp_value_exchange_i64(mp_value *value, int64_t n, int64_t *previous);

/**
 * Adds `n` to the value; what is beyond the type wraps around. What it was before goes to `*previous`,
 * unless that is NULL.
 *
 * *Returns* and *Threads* as `mp_value_load_i64`.
 */
MP_API mp_status mp_value_fetch_add_i64(mp_value *value, int64_t n, int64_t *previous);

/**
 * Subtracts `n` from the value; what is beyond the type wraps around. What it was before goes to
 * `*previous`, unless that is NULL.
 *
 * *Returns* and *Threads* as `mp_value_load_i64`.
 */
MP_API mp_status mp_value_fetch_sub_i64(mp_value *value, int64_t n, int64_t *previous);

/**
 * Keeps only the bits of the value that `n` has too. What it was before goes to `*previous`, unless that is
 * NULL.
 *
 * *Returns* and *Threads* as `mp_value_load_i64`.
 */
MP_API mp_status mp_value_fetch_and_i64(mp_value *value, int64_t n, int64_t *previous);

/**
 * Adds the bits that `n` has. What it was before goes to `*previous`, unless that is NULL.
 *
 * *Returns* and *Threads* as `mp_value_load_i64`.
 */
MP_API mp_status mp_value_fetch_or_i64(mp_value *value, int64_t n, int64_t *previous);

/**
 * Makes the value `desired` if it is `*expected`, and `*exchanged` says whether; if it is not, what it is
 * goes to `*expected`.
 *
 * *Returns* and *Threads* as `mp_value_load_i64`.
 */
MP_API mp_status mp_value_compare_exchange_i64(mp_value *value, int64_t *expected, int64_t desired, bool *exchanged);

/** As `mp_value_load_i64`, for `uint64_t`. */
MP_API mp_status mp_value_load_u64(const mp_value *value, uint64_t *out);

/** As `mp_value_store_i64`, for `uint64_t`. */
MP_API mp_status mp_value_store_u64(mp_value *value, uint64_t n);

/** As `mp_value_exchange_i64`, for `uint64_t`. */
MP_API mp_status mp_value_exchange_u64(mp_value *value, uint64_t n, uint64_t *previous);

/** As `mp_value_fetch_add_i64`, for `uint64_t`. */
MP_API mp_status mp_value_fetch_add_u64(mp_value *value, uint64_t n, uint64_t *previous);

/** As `mp_value_fetch_sub_i64`, for `uint64_t`. */
MP_API mp_status mp_value_fetch_sub_u64(mp_value *value, uint64_t n, uint64_t *previous);

/** As `mp_value_fetch_and_i64`, for `uint64_t`. */
MP_API mp_status mp_value_fetch_and_u64(mp_value *value, uint64_t n, uint64_t *previous);

/** As `mp_value_fetch_or_i64`, for `uint64_t`. */
MP_API mp_status mp_value_fetch_or_u64(mp_value *value, uint64_t n, uint64_t *previous);

/** As `mp_value_compare_exchange_i64`, for `uint64_t`. */
MP_API mp_status mp_value_compare_exchange_u64(mp_value *value, uint64_t *expected, uint64_t desired,
    bool *exchanged);

/** As `mp_value_load_i64`, for `int32_t`. */
MP_API mp_status mp_value_load_i32(const mp_value *value, int32_t *out);

/** As `mp_value_store_i64`, for `int32_t`. */
MP_API mp_status mp_value_store_i32(mp_value *value, int32_t n);

/** As `mp_value_exchange_i64`, for `int32_t`. */
MP_API mp_status mp_value_exchange_i32(mp_value *value, int32_t n, int32_t *previous);

/** As `mp_value_fetch_add_i64`, for `int32_t`. */
MP_API mp_status mp_value_fetch_add_i32(mp_value *value, int32_t n, int32_t *previous);

/** As `mp_value_fetch_sub_i64`, for `int32_t`. */
MP_API mp_status mp_value_fetch_sub_i32(mp_value *value, int32_t n, int32_t *previous);

/** As `mp_value_fetch_and_i64`, for `int32_t`. */
MP_API mp_status mp_value_fetch_and_i32(mp_value *value, int32_t n, int32_t *previous);

/** As `mp_value_fetch_or_i64`, for `int32_t`. */
MP_API mp_status mp_value_fetch_or_i32(mp_value *value, int32_t n, int32_t *previous);

/** As `mp_value_compare_exchange_i64`, for `int32_t`. */
MP_API mp_status mp_value_compare_exchange_i32(mp_value *value, int32_t *expected, int32_t desired, bool *exchanged);

/** As `mp_value_load_i64`, for `uint32_t`. */
MP_API mp_status mp_value_load_u32(const mp_value *value, uint32_t *out);

/** As `mp_value_store_i64`, for `uint32_t`. */
MP_API mp_status mp_value_store_u32(mp_value *value, uint32_t n);

/** As `mp_value_exchange_i64`, for `uint32_t`. */
MP_API mp_status mp_value_exchange_u32(mp_value *value, uint32_t n, uint32_t *previous);

/** As `mp_value_fetch_add_i64`, for `uint32_t`. */
MP_API mp_status mp_value_fetch_add_u32(mp_value *value, uint32_t n, uint32_t *previous);

/** As `mp_value_fetch_sub_i64`, for `uint32_t`. */
MP_API mp_status mp_value_fetch_sub_u32(mp_value *value, uint32_t n, uint32_t *previous);

/** As `mp_value_fetch_and_i64`, for `uint32_t`. */
MP_API mp_status mp_value_fetch_and_u32(mp_value *value, uint32_t n, uint32_t *previous);

/** As `mp_value_fetch_or_i64`, for `uint32_t`. */
MP_API mp_status mp_value_fetch_or_u32(mp_value *value, uint32_t n, uint32_t *previous);

/** As `mp_value_compare_exchange_i64`, for `uint32_t`. */
MP_API mp_status mp_value_compare_exchange_u32(mp_value *value, uint32_t *expected, uint32_t desired,
    bool *exchanged);

/**
 * Writes the defaults into options of `size` bytes. Programs call `mp_array_options_init`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` if `options` is NULL or `size` absurd. *Threads*: thread-safe.
 */
MP_API mp_status mp_array_options_defaults(mp_array_options *options, size_t size);

/**
 * Makes an array of `count` elements of `elem_size` bytes: copies of those at `init`, or zeroes if that is NULL.
 * `lock` is `MP_LOCK_RECURSIVE`, `MP_LOCK_PLAIN` or `MP_LOCK_NONE`. An array of no elements is fine.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` if `elem_size` is 0, `lock` none of these or `out` NULL; `MP_ERR_TOO_LARGE`
 * if all memory together could not hold it; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Ownership*: free it with `mp_array_free`. *Threads*: thread-safe. *Processes*: a forked child has the handle too;
 * others get one by a token.
 */
MP_API mp_status mp_array_new(size_t elem_size, size_t count, const void *init, int32_t lock, mp_array **out);

/**
 * The same with options; NULL options mean the defaults.
 *
 * *Returns*, *Ownership*, *Threads*, *Processes* as `mp_array_new`.
 */
MP_API mp_status mp_array_new_with(size_t elem_size, size_t count, const void *init, const mp_array_options *options,
    mp_array **out);

/**
 * The first element, aligned to 64 bytes, a cache line; not NULL for an array of no elements either. Every process
 * sees the same bytes, each at an address of its own. *Lifetime*: until the handle is freed; in a forked child
 * until its own is.
 *
 * *Returns* NULL for a bad handle, with `mp_last_error`. *Threads*: thread-safe; who may touch the elements when
 * is the program's affair.
 */
MP_API void *mp_array_data(const mp_array *array);

/**
 * The same for elements of `elem_size` bytes, which must be the array's size of them: what `MP_ARRAY(array, type)`
 * calls.
 *
 * *Returns* NULL for a bad handle and for another size, with `mp_last_error`. *Lifetime* and *Threads* as for
 * `mp_array_data`.
 */
MP_API void *mp_array_data_as(const mp_array *array, size_t elem_size);

/**
 * How many elements the array has.
 *
 * *Returns* 0 for a bad handle, with `mp_last_error`. *Threads*: thread-safe.
 */
MP_API size_t mp_array_len(const mp_array *array);

/**
 * How many bytes an element has.
 *
 * *Returns* 0 for a bad handle, with `mp_last_error`. *Threads*: thread-safe.
 */
MP_API size_t mp_array_elem_size(const mp_array *array);

/**
 * Copies the element at `index` into the `elem_size` bytes at `to`. Plain reading, as `mp_value_get`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`, also if there is no such element or elements have another size;
 * `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Threads*: as any reading of the element.
 */
MP_API mp_status mp_array_get(const mp_array *array, size_t index, void *to, size_t elem_size);

/**
 * Copies the `elem_size` bytes at `from` into the element at `index`. Plain writing, as `mp_value_set`.
 *
 * *Returns* as `mp_array_get`.
 *
 * *Threads*: as any writing of the element.
 */
MP_API mp_status mp_array_set(mp_array *array, size_t index, const void *from, size_t elem_size);

/**
 * Acquires the array's lock, waiting up to `timeout` nanoseconds; see `mp_value_acquire`.
 *
 * *Returns* and *Threads* as `mp_value_acquire`.
 */
MP_API mp_status mp_array_acquire(mp_array *array, int64_t timeout);

/**
 * The same for a recursive lock's owner that the caller names, see `mp_value_acquire_as`.
 *
 * *Returns* and *Threads* as `mp_value_acquire`.
 */
MP_API mp_status mp_array_acquire_as(mp_array *array, uint64_t owner, int64_t timeout);

/**
 * Releases the array's lock, once.
 *
 * *Returns* and *Threads* as `mp_value_release`.
 */
MP_API mp_status mp_array_release(mp_array *array);

/**
 * The same for an owner that the caller names.
 *
 * *Returns* and *Threads* as `mp_value_release`.
 */
MP_API mp_status mp_array_release_as(mp_array *array, uint64_t owner);

/**
 * Writes the array's token into `*out`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`. *Ownership*: a token is plain bytes and keeps nothing alive by itself, see
 * `mp_token_keep`. *Threads*: thread-safe.
 */
MP_API mp_status mp_array_token(const mp_array *array, mp_token *out);

/**
 * Makes a handle of the array that a token names.
 *
 * *Returns* `MP_OK`; `MP_ERR_STALE` if the array has been destroyed; `MP_ERR_INVALID` if the token is NULL, not
 * one of this family of processes, or of another kind of object; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for
 * `mp_lock_new`.
 *
 * *Ownership*: free it with `mp_array_free`. *Threads*: thread-safe. *Processes*: any process of the family.
 */
MP_API mp_status mp_array_from_token(const mp_token *token, mp_array **out);

/**
 * Drops this process's handle; NULL is nothing. The array goes with its last handle in any process; pointers into it
 * end with this one. Freeing the handle does not release the lock.
 *
 * *Threads*: thread-safe, but no other call may be using the handle.
 */
MP_API void mp_array_free(mp_array *array);

/**
 * Makes shared memory of `size` zero bytes, under `name` or, if that is NULL, without one. A name is that of a
 * file: up to 255 bytes of UTF-8 without '/'; one at its beginning, as `shm_open` wants it, is dropped.
 *
 * *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is taken; `MP_ERR_INVALID` if `size` is 0, the name not one, or
 * `out` NULL; `MP_ERR_NO_MEMORY` if there is no room for all of it, or it is larger than the limit on files
 * (RLIMIT_FSIZE) allows; `MP_ERR_NOT_FOUND` if the directory is missing; `MP_ERR_UNSUPPORTED` if its file system
 * has no O_TMPFILE; `MP_ERR_ACCESS`; `MP_ERR_SYSTEM`; `MP_ERR_STATE` as for `mp_lock_new`. On failure there is
 * nothing of it.
 *
 * *Ownership*: free it with `mp_shared_memory_free`; the name stays until `mp_shared_memory_unlink`. *Threads*:
 * thread-safe. *Processes*: a forked child has the handle too; others get one by a token, or open the name.
 */
MP_API mp_status mp_shared_memory_create(const char *name, size_t size, mp_shared_memory **out);

/**
 * Opens the shared memory of that name, whoever made it: libmp, `shm_open` or Python. Its size is what its maker
 * gave it; bytes that the maker left without memory behind them get it now.
 *
 * *Returns* `MP_OK`; `MP_ERR_NOT_FOUND`; `MP_ERR_ACCESS` if it belongs to another user; `MP_ERR_INVALID` if the
 * name is none, or what it stands for is not a regular file: symbolic links are not followed; `MP_ERR_STATE` if it
 * has no bytes yet, and as for `mp_lock_new`; `MP_ERR_NO_MEMORY`; `MP_ERR_SYSTEM`.
 *
 * *Ownership*: free it with `mp_shared_memory_free`. *Threads*: thread-safe.
 */
MP_API mp_status mp_shared_memory_open(const char *name, mp_shared_memory **out);

/**
 * The bytes, aligned to 64; with a name, to a page. *Lifetime*: until the handle is freed; in a forked child until
 * its own is. Another program that makes the file shorter meanwhile takes the bytes away (SIGBUS).
 *
 * *Returns* NULL for a bad handle, with `mp_last_error`. *Threads*: thread-safe; who may touch the bytes when is the
 * program's affair.
 */
MP_API void *mp_shared_memory_data(const mp_shared_memory *memory);

/**
 * How many bytes: exactly as many as were asked for.
 *
 * *Returns* 0 for a bad handle, with `mp_last_error`. *Threads*: thread-safe.
 */
MP_API size_t mp_shared_memory_size(const mp_shared_memory *memory);

/**
 * The name, without a '/'; an empty string for memory without one. *Lifetime*: until the handle is freed.
 *
 * *Returns* NULL for a bad handle, with `mp_last_error`. *Threads*: thread-safe.
 */
MP_API const char *mp_shared_memory_name(const mp_shared_memory *memory);

/**
 * Takes a name away. Whoever has the memory keeps it until it is freed; tokens of it are stale from now on; the
 * name may be given anew.
 *
 * *Returns* `MP_OK`; `MP_ERR_NOT_FOUND` if there is none of that name, as when it was unlinked already;
 * `MP_ERR_ACCESS` if it belongs to another user; `MP_ERR_INVALID` as for `mp_shared_memory_open`; `MP_ERR_SYSTEM`.
 *
 * *Threads*: thread-safe.
 */
MP_API mp_status mp_shared_memory_unlink(const char *name);

/**
 * Writes the memory's token into `*out`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`. *Ownership*: a token is plain bytes and keeps nothing alive by itself, see
 * `mp_token_keep`. *Threads*: thread-safe.
 */
MP_API mp_status mp_shared_memory_token(const mp_shared_memory *memory, mp_token *out);

/**
 * Makes a handle of the shared memory that a token names. With a name, it is opened by that name, and must still
 * be the very file that the token was made of.
 *
 * *Returns* `MP_OK`; `MP_ERR_STALE` if the memory has been destroyed, its name unlinked, or given to another;
 * `MP_ERR_INVALID` if the token is NULL, not one of this family of processes, or of another kind of object;
 * `MP_ERR_NO_MEMORY`; `MP_ERR_ACCESS`; `MP_ERR_SYSTEM`; `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Ownership*: free it with `mp_shared_memory_free`. *Threads*: thread-safe. *Processes*: any process of the family.
 */
MP_API mp_status mp_shared_memory_from_token(const mp_token *token, mp_shared_memory **out);

/**
 * Drops this process's handle; NULL is nothing. Pointers into the memory end with it; a name stays.
 *
 * *Threads*: thread-safe, but no other call may be using the handle.
 */
MP_API void mp_shared_memory_free(mp_shared_memory *memory);

/**
 * Writes the defaults into options of `size` bytes. Programs call `mp_pool_options_init`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` if options is NULL or the size impossible.
 */
MP_API mp_status mp_pool_options_defaults(mp_pool_options *options, size_t size);

/**
 * Makes a pool and starts its workers. NULL options mean the defaults. Forked workers have the memory of this
 * process as it is now, their replacements too; spawned ones run the program anew up to `mp_main_init`. Workers
 * ignore SIGINT, and die with this process, however it ends.
 *
 * With `MP_START_THREAD` the workers are threads of this process, with the signal mask of the calling one. They can't
 * be killed: see `mp_pool_terminate`. A task that crashes or calls `exit` ends the program, and the end of the program
 * ends tasks. Inside a task its own pool can be submitted to, closed and terminated, but every wait for it is
 * `MP_ERR_STATE`: all workers could be waiting.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_UNSUPPORTED` for an option that is not built yet, naming it;
 * `MP_ERR_BOOTSTRAP` for spawn and forkserver without `mp_main_init`; `MP_ERR_NO_MEMORY`; `MP_ERR_SYSTEM`. *Ownership*: the
 * caller frees it with `mp_pool_free`.
 */
MP_API mp_status mp_pool_new(const mp_pool_options *options, mp_pool **out);

/**
 * Runs `fn` with these arguments in a worker and waits for its result, however long it takes.
 *
 * *Returns* `MP_OK`; `MP_ERR_TASK_FAILED`, `MP_ERR_WORKER_DIED` or `MP_ERR_CANCELLED` with the text, the code, the
 * pid and the signal in `mp_last_error`; `MP_ERR_CLOSED`; `MP_ERR_BROKEN`; `MP_ERR_STATE` in a callback of the
 * same pool, or in a task on one of its threads; `MP_ERR_INVALID`; `MP_ERR_NO_MEMORY`. *Ownership*: the caller frees
 * the buffer with `mp_buffer_free`.
 */
MP_API mp_status mp_pool_apply(mp_pool *pool, mp_fn fn, const mp_slice *args, size_t nargs, mp_buffer **out);

/**
 * Submits one task: `fn` with these arguments. Does not wait.
 *
 * *Returns* `MP_OK`; `MP_ERR_CLOSED`; `MP_ERR_BROKEN`; `MP_ERR_INVALID`; `MP_ERR_UNSUPPORTED`;
 * `MP_ERR_NO_MEMORY`. A refused submission has no callback. *Ownership*: the arguments are copied; the caller frees
 * the result with `mp_result_free`; `out` may be NULL when options are given.
 */
MP_API mp_status mp_pool_apply_async(mp_pool *pool, mp_fn fn, const mp_slice *args, size_t nargs,
    const mp_task_options *options, mp_result **out);

/**
 * Runs `fn` once for each of `n` items, its one argument, and waits until each has its outcome. A failed item
 * fails alone. `chunksize` items are handed to a worker at a time; 0 is automatic.
 *
 * *Returns* `MP_OK`; the first failure by index, with `*out` set all the same: `MP_ERR_TASK_FAILED`,
 * `MP_ERR_WORKER_DIED`, `MP_ERR_CANCELLED`; on any other failure `*out` is NULL: `MP_ERR_CLOSED`,
 * `MP_ERR_BROKEN`, `MP_ERR_STATE` in a callback of the same pool or in a task on one of its threads,
 * `MP_ERR_INVALID`, `MP_ERR_NO_MEMORY`.
 * *Ownership*: the caller frees the result with `mp_result_free`.
 */
MP_API mp_status mp_pool_map(mp_pool *pool, mp_fn fn, const mp_slice *items, size_t n, size_t chunksize,
    mp_result **out);

/**
 * As `mp_pool_map`, but does not wait.
 *
 * *Returns* and *Ownership* as `mp_pool_apply_async`. With `n` 0 the result is ready at once, callback included.
 */
MP_API mp_status mp_pool_map_async(mp_pool *pool, mp_fn fn, const mp_slice *items, size_t n, size_t chunksize,
    const mp_task_options *options, mp_result **out);

/**
 * As `mp_pool_map`, with any number of arguments for each item.
 *
 * *Returns* and *Ownership* as `mp_pool_map`.
 */
MP_API mp_status mp_pool_starmap(mp_pool *pool, mp_fn fn, const mp_args *items, size_t n, size_t chunksize,
    mp_result **out);

/**
 * As `mp_pool_starmap`, but does not wait.
 *
 * *Returns* and *Ownership* as `mp_pool_apply_async`.
 */
MP_API mp_status mp_pool_starmap_async(mp_pool *pool, mp_fn fn, const mp_args *items, size_t n, size_t chunksize,
    const mp_task_options *options, mp_result **out);

/**
 * Closes the pool: submissions answer `MP_ERR_CLOSED` from now on; what was submitted is finished, then the
 * workers leave. Twice is fine.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` in a forked child.
 */
MP_API mp_status mp_pool_close(mp_pool *pool);

/**
 * Ends the workers at once by SIGKILL. Every item without an outcome gets `MP_ERR_CANCELLED`, and every callback
 * that is due is called. Workers that are threads leave after the task in their hands, whose outcome no longer counts;
 * `mp_pool_join` waits for that. Twice is fine.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` in a forked child.
 */
MP_API mp_status mp_pool_terminate(mp_pool *pool);

/**
 * Waits until all workers have gone and all callbacks have returned, for `timeout` nanoseconds at the longest.
 *
 * *Returns* `MP_OK`; `MP_ERR_TIMEOUT`; `MP_ERR_STATE` before `mp_pool_close` or `mp_pool_terminate`, in a callback
 * of the same pool, in a task on one of its threads, and in a forked child; `MP_ERR_CANCELLED`; `MP_ERR_INVALID`.
 */
MP_API mp_status mp_pool_join(mp_pool *pool, int64_t timeout);

/**
 * Terminates the pool and frees it. Results that were made by it stay usable until they are freed. With workers that
 * are threads it takes as long as the tasks that run, but for a call inside such a task or a callback of the same pool,
 * which does not wait. NULL is fine.
 */
MP_API void mp_pool_free(mp_pool *pool);

/**
 * Writes the defaults into options of `size` bytes. Programs call `mp_task_options_init`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` if options is NULL or the size impossible.
 */
MP_API mp_status mp_task_options_defaults(mp_task_options *options, size_t size);

/**
 * Waits until the result is ready, for `timeout` nanoseconds at the longest.
 *
 * *Returns* `MP_OK`, also if items failed; `MP_ERR_TIMEOUT`; `MP_ERR_CANCELLED`; `MP_ERR_STATE` in a callback of
 * the same pool or in a task on one of its threads, if it is not ready, and in a forked child; `MP_ERR_INVALID`.
 */
MP_API mp_status mp_result_wait(const mp_result *result, int64_t timeout);

/**
 * Whether the result is ready: every item has its outcome, and its callback has returned.
 *
 * *Returns* `MP_OK`; `MP_ERR_STATE` in a forked child; `MP_ERR_INVALID`.
 */
MP_API mp_status mp_result_ready(const mp_result *result, bool *ready);

/**
 * Whether all items are done.
 *
 * *Returns* `MP_OK`; `MP_ERR_STATE` while the result is not ready; `MP_ERR_INVALID`.
 */
MP_API mp_status mp_result_successful(const mp_result *result, bool *successful);

/**
 * Waits until the result is ready and answers how it went.
 *
 * *Returns* `MP_OK` if all items are done; `MP_ERR_TIMEOUT`; `MP_ERR_CANCELLED`; else the first failure by index.
 */
MP_API mp_status mp_result_get(const mp_result *result, int64_t timeout);

/**
 * How many items the result has: 1 after apply.
 *
 * *Returns* 0 for a bad handle, with `mp_last_error`.
 */
MP_API size_t mp_result_count(const mp_result *result);

/**
 * What item `i` gave back. *Lifetime*: the slice until `mp_result_free`.
 *
 * *Returns* `MP_OK`; the item's own failure: `MP_ERR_TASK_FAILED`, `MP_ERR_WORKER_DIED`, `MP_ERR_CANCELLED`,
 * `MP_ERR_BROKEN`; `MP_ERR_STATE` while it has no outcome; `MP_ERR_INVALID` if there is no such item.
 */
MP_API mp_status mp_result_item(const mp_result *result, size_t i, mp_slice *item);

/**
 * Fills `*error`, whose `size` the caller has set, with the first failure by index.
 *
 * *Returns* `MP_OK`; `MP_ERR_NOT_FOUND` if no item failed; `MP_ERR_STATE` while the result is not ready;
 * `MP_ERR_INVALID`.
 */
MP_API mp_status mp_result_error(const mp_result *result, mp_task_error *error);

/**
 * Fills `*error`, whose `size` the caller has set, with the failure of item `i`.
 *
 * *Returns* `MP_OK`; `MP_ERR_NOT_FOUND` if the item has not failed; `MP_ERR_INVALID` if there is no such item.
 */
MP_API mp_status mp_result_error_at(const mp_result *result, size_t i, mp_task_error *error);

/**
 * How many items have their outcome, of how many. Either pointer may be NULL.
 *
 * *Returns* `MP_OK`; `MP_ERR_STATE` in a forked child; `MP_ERR_INVALID`.
 */
MP_API mp_status mp_result_progress(const mp_result *result, size_t *done, size_t *total);

/** Frees a result. Its task goes on, and its callbacks come all the same. NULL is fine. */
MP_API void mp_result_free(mp_result *result);

/**
 * Writes the defaults into options of `size` bytes. Programs call `mp_arena_options_init`.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` if options is NULL or the size impossible.
 */
MP_API mp_status mp_arena_options_defaults(mp_arena_options *options, size_t size);

/**
 * Opens the arena of this name, and makes it if there is none. NULL options mean the defaults. Opening it again gives
 * another handle of the same arena. A name has 1 to 252 bytes of UTF-8 without '/'.
 *
 * *Returns* `MP_OK`; `MP_ERR_NOT_FOUND` if it is not there and must be, or is to belong to another user, or the
 * directory is missing; `MP_ERR_ACCESS` if the file's mode refuses this process, or the file belongs to a user whom
 * the options do not name; `MP_ERR_UNSUPPORTED` if it was made in another pid or time
 * namespace or by a version of libmp with another layout; `MP_ERR_INVALID`, also for a symbolic link or a file that is no arena;
 * `MP_ERR_NO_MEMORY`; `MP_ERR_TOO_LARGE` for a capacity of more than 64 GiB; `MP_ERR_SYSTEM`; `MP_ERR_STATE` as for
 * `mp_lock_new`.
 *
 * *Ownership*: free the handle with `mp_arena_free`; the name is copied. *Threads*: thread-safe. *Processes*: a forked
 * child has the handle too; a spawned one opens the arena itself.
 */
MP_API mp_status mp_arena_open(const char *name, const mp_arena_options *options, mp_arena **out);

/**
 * Takes the name away from its object, which goes with its last handle. The name is free again at once.
 *
 * *Returns* `MP_OK`; `MP_ERR_NOT_FOUND`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
 */
MP_API mp_status mp_arena_remove(mp_arena *arena, const char *name);

/**
 * Takes the arena's name away, and gives back what dead programs have left in it, if this process has it open. Programs
 * that have it open go on with it; who opens the name from now on makes a new arena. Its memory goes with the last
 * process that uses it.
 *
 * *Returns* `MP_OK`; `MP_ERR_NOT_FOUND`; `MP_ERR_ACCESS`; `MP_ERR_INVALID`; `MP_ERR_SYSTEM`. *Threads*: thread-safe.
 */
MP_API mp_status mp_arena_unlink(const char *name);

/**
 * Drops this handle; NULL is nothing. Objects that were found in the arena go on, with handles of their own; the arena
 * stays mapped as long as the process lives.
 *
 * *Threads*: thread-safe, but no other call may be using the handle.
 */
MP_API void mp_arena_free(mp_arena *arena);

/**
 * The queue of this name in the arena, made with these options if there is none. With NULL options it must be there.
 *
 * *Returns* `MP_OK`; `MP_ERR_NOT_FOUND`; `MP_ERR_EXISTS` if the name is another kind of object's, or a queue's with
 * other options; otherwise as `mp_queue_new`.
 *
 * *Ownership*: free the handle with `mp_queue_free`; the queue stays until `mp_arena_remove`. Names are up to 255 bytes
 * of UTF-8. *Threads*: thread-safe.
 */
MP_API mp_status mp_arena_queue(mp_arena *arena, const char *name, const mp_queue_options *options, mp_queue **out);

/**
 * The lock of this name in the arena, made if there is none.
 *
 * *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is another kind of object's; otherwise as `mp_lock_new`.
 * *Ownership*: free the handle with `mp_lock_free`; the lock stays until `mp_arena_remove`. *Threads*: thread-safe.
 */
MP_API mp_status mp_arena_lock(mp_arena *arena, const char *name, mp_lock **out);

/**
 * The recursive lock of this name in the arena, made if there is none.
 *
 * *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is another kind of object's; otherwise as `mp_rlock_new`.
 * *Ownership*: free the handle with `mp_rlock_free`; the lock stays until `mp_arena_remove`. *Threads*: thread-safe.
 */
MP_API mp_status mp_arena_rlock(mp_arena *arena, const char *name, mp_rlock **out);

/**
 * The semaphore of this name in the arena, made with `value` permits if there is none.
 *
 * *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is another kind of object's, or a semaphore's that was made with
 * another value or other options; otherwise as `mp_semaphore_new`. *Ownership*: free the handle with
 * `mp_semaphore_free`; the semaphore stays until `mp_arena_remove`. *Threads*: thread-safe.
 */
MP_API mp_status mp_arena_semaphore(mp_arena *arena, const char *name, uint32_t value,
    const mp_semaphore_options *options, mp_semaphore **out);

/**
 * The event of this name in the arena, made if there is none.
 *
 * *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is another kind of object's; otherwise as `mp_event_new`.
 * *Ownership*: free the handle with `mp_event_free`; the event stays until `mp_arena_remove`. *Threads*: thread-safe.
 */
MP_API mp_status mp_arena_event(mp_arena *arena, const char *name, mp_event **out);

/**
 * The condition of this name in the arena, made, with this recursive lock or, for NULL, with one of its own, if there is none.
 *
 * *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is another kind of object's, or a condition's with another lock; otherwise
 * as `mp_condition_new`. `MP_ERR_INVALID` if the lock is not in this arena. *Ownership*: free the handle with `mp_condition_free`; the condition stays until
 * `mp_arena_remove`. *Threads*: thread-safe.
 */
MP_API mp_status mp_arena_condition(mp_arena *arena, const char *name, mp_rlock *rlock, mp_condition **out);

/**
 * The condition of this name in the arena, made, with this lock, if there is none.
 *
 * *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is another kind of object's, or a condition's with another lock; otherwise
 * as `mp_condition_new_with_lock`. `MP_ERR_INVALID` if the lock is not in this arena. *Ownership*: free the handle with `mp_condition_free`; the condition stays until
 * `mp_arena_remove`. *Threads*: thread-safe.
 */
MP_API mp_status mp_arena_condition_with_lock(mp_arena *arena, const char *name, mp_lock *lock, mp_condition **out);

/**
 * The barrier of this name in the arena, made for so many parties if there is none.
 *
 * *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is another kind of object's, or a barrier's for another number of parties; otherwise
 * as `mp_barrier_new`. *Ownership*: free the handle with `mp_barrier_free`; the barrier stays until
 * `mp_arena_remove`. *Threads*: thread-safe.
 */
MP_API mp_status mp_arena_barrier(mp_arena *arena, const char *name, uint32_t parties, mp_barrier **out);

/**
 * The value of this name in the arena, made with these bytes if there is none.
 *
 * *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is another kind of object's, or a value's of another size or with another lock; otherwise
 * as `mp_value_new`. `init` is of no meaning for a value that is there. *Ownership*: free the handle with `mp_value_free`; the value stays until
 * `mp_arena_remove`. *Threads*: thread-safe.
 */
MP_API mp_status mp_arena_value(mp_arena *arena, const char *name, size_t size, const void *init, int32_t lock,
    mp_value **out);

/**
 * The array of this name in the arena, made with these elements if there is none.
 *
 * *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is another kind of object's, or an array's of another form or with another lock; otherwise
 * as `mp_array_new`. `init` is of no meaning for an array that is there. *Ownership*: free the handle with `mp_array_free`; the array stays until
 * `mp_arena_remove`. *Threads*: thread-safe.
 */
MP_API mp_status mp_arena_array(mp_arena *arena, const char *name, size_t elem_size, size_t count, const void *init,
    int32_t lock, mp_array **out);

/**
 * Waits until at least one of `n` things is ready, up to `timeout` nanoseconds, and says which: `ready` becomes true
 * of all that are, and false of the others. It takes nothing: others may be faster, so take what is ready without
 * waiting, and wait again if it has gone. The same thing may stand there twice. `n` may be 0, with a timeout that
 * ends.
 *
 * Objects of one arena need no descriptor. With descriptors or a second arena among the items, it has one descriptor of
 * its own for each arena while it sleeps, which the thread of `mp_event_fd` looks after. Where these can't be had, and
 * where a cancel object is in use meanwhile, it looks every 10 ms.
 *
 * *Returns* `MP_OK` if at least one is ready; `MP_ERR_TIMEOUT`; `MP_ERR_CANCELLED` (see `mp_cancel_use`);
 * `MP_ERR_INVALID` if `items` is NULL, if `n` is 0 and `timeout` is `MP_FOREVER`, or for an item whose kind is none,
 * whose handle is not a live one of that kind or belongs to another process, or whose descriptor is not open;
 * `MP_ERR_STATE` for a process that was not started, a result of the pool in whose callback this is, and as for
 * `mp_lock_new`; `MP_ERR_CLOSED` for a process or a connection whose handle was closed; `MP_ERR_UNSUPPORTED` for the
 * sending end of a one-way pipe; `MP_ERR_SYSTEM`. The text says which item it is. After a failure no `ready` is true.
 *
 * *Threads*: thread-safe, each thread with an array of its own; no handle in it may be freed meanwhile. *Processes*:
 * what another process does counts as what this one does. *Signals*: none ends the wait.
 */
MP_API mp_status mp_wait(mp_waitable *items, size_t n, int64_t timeout);

/**
 * Makes a cancel object that is not fired.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID` if `out` is NULL; `MP_ERR_NO_MEMORY`.
 *
 * *Ownership*: free it with `mp_cancel_free`. *Threads*: thread-safe.
 */
MP_API mp_status mp_cancel_new(mp_cancel **out);

/**
 * Ends the waits of all threads that use it: they answer `MP_ERR_CANCELLED`, and so do the waits that those threads
 * begin, until `mp_cancel_reset`. A call that need not wait is not cancelled; one that would have to is,
 * with a timeout of 0 too.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`.
 *
 * *Threads*: thread-safe, and async-signal-safe for a live handle.
 */
MP_API mp_status mp_cancel_fire(mp_cancel *cancel);

/**
 * Makes the object as new: waits that begin from now on are not ended by an earlier fire.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`. *Threads*: thread-safe.
 */
MP_API mp_status mp_cancel_reset(mp_cancel *cancel);

/**
 * From now on this thread's blocking calls end when the object is fired; with NULL, nothing ends them. A thread uses
 * one object at a time, any number of threads may use the same one.
 *
 * *Returns* `MP_OK`; `MP_ERR_INVALID`. *Threads*: it is about the calling thread. *Processes*: in a forked child the
 * thread that forked goes on using its copy.
 */
MP_API mp_status mp_cancel_use(mp_cancel *cancel);

/**
 * Frees the object; NULL is nothing. A thread that still uses it is not cancelled by it any more; it should choose
 * another, or none, by `mp_cancel_use`. The calling thread need not.
 *
 * *Threads*: thread-safe, but no other call may be using the handle, `mp_cancel_fire` in a signal handler included.
 */
MP_API void mp_cancel_free(mp_cancel *cancel);

/**
 * Keeps the object of a token alive without any handle, until `mp_token_drop`: for a token in flight, which may be
 * the last trace of its object. May be called several times; each needs its drop. A keep belongs to nobody, and
 * outlives the process that made it.
 *
 * *Returns* `MP_OK`; `MP_ERR_STALE` if the object has been destroyed; `MP_ERR_INVALID` if the token is NULL or not
 * one of this family of processes; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for `mp_lock_new`.
 *
 * *Threads*: thread-safe.
 */
MP_API mp_status mp_token_keep(const mp_token *token);

/**
 * Ends one `mp_token_keep`, of this or any other process. If there is no handle and no other keep, the object goes.
 *
 * *Returns* `MP_OK`; `MP_ERR_OVERFLOW` if the token is not kept; otherwise as `mp_token_keep`.
 *
 * *Threads*: thread-safe.
 */
MP_API mp_status mp_token_drop(const mp_token *token);

/** Writes the defaults into `options` and sets its size. *Returns* `MP_OK`, or `MP_ERR_INVALID` for NULL. */
static inline mp_status mp_arena_options_init(mp_arena_options *options) {
    return mp_arena_options_defaults(options, sizeof *options);
}

/** Writes the defaults into `options` and sets its size. *Returns* `MP_OK`, or `MP_ERR_INVALID` for NULL. */
static inline mp_status mp_array_options_init(mp_array_options *options) {
    return mp_array_options_defaults(options, sizeof *options);
}

/** Writes the defaults into `options` and sets its size. *Returns* `MP_OK`, or `MP_ERR_INVALID` for NULL. */
static inline mp_status mp_pool_options_init(mp_pool_options *options) {
    return mp_pool_options_defaults(options, sizeof *options);
}

/** Writes the defaults into `options` and sets its size. *Returns* `MP_OK`, or `MP_ERR_INVALID` for NULL. */
static inline mp_status mp_process_options_init(mp_process_options *options) {
    return mp_process_options_defaults(options, sizeof *options);
}

/** Writes the defaults into `options` and sets its size. *Returns* `MP_OK`, or `MP_ERR_INVALID` for NULL. */
static inline mp_status mp_queue_options_init(mp_queue_options *options) {
    return mp_queue_options_defaults(options, sizeof *options);
}

/** Writes the defaults into `options` and sets its size. *Returns* `MP_OK`, or `MP_ERR_INVALID` for NULL. */
static inline mp_status mp_semaphore_options_init(mp_semaphore_options *options) {
    return mp_semaphore_options_defaults(options, sizeof *options);
}

/** Writes the defaults into `options` and sets its size. *Returns* `MP_OK`, or `MP_ERR_INVALID` for NULL. */
static inline mp_status mp_task_options_init(mp_task_options *options) {
    return mp_task_options_defaults(options, sizeof *options);
}

/*
 * Values and arrays of the common types. For T in i8, u8, i16, u16, i32, u32, i64, u64, f32 (float), f64 (double) and
 * bool:
 *
 *     mp_value_new_T(init, lock, &value)         mp_array_new_T(count, init_or_NULL, lock, &array)
 *     mp_value_T(value)                          mp_array_T(array)
 *     mp_value_get_T(value, &x)                  mp_array_get_T(array, index, &x)
 *     mp_value_set_T(value, x)                   mp_array_set_T(array, index, x)
 *
 * mp_value_T and mp_array_T answer a pointer as MP_VALUE and MP_ARRAY do. get and set are plain, not atomic, accesses and
 * leave the lock alone: hold it.
 */
#define MP_TYPED(T, type)                                                                                              \
    static inline mp_status mp_value_new_##T(type init, int32_t lock, mp_value **out) {                                \
        return mp_value_new(sizeof init, &init, lock, out);                                                            \
    }                                                                                                                  \
    static inline type *mp_value_##T(const mp_value *value) {                                                          \
        return MP_VALUE(value, type);                                                                                  \
    }                                                                                                                  \
    static inline mp_status mp_value_get_##T(const mp_value *value, type *out) {                                       \
        return mp_value_get(value, out, sizeof *out);                                                                  \
    }                                                                                                                  \
    static inline mp_status mp_value_set_##T(mp_value *value, type x) {                                                \
        return mp_value_set(value, &x, sizeof x);                                                                      \
    }                                                                                                                  \
    static inline mp_status mp_array_new_##T(size_t count, const type *init, int32_t lock, mp_array **out) {           \
        return mp_array_new(sizeof *init, count, init, lock, out);                                                     \
    }                                                                                                                  \
    static inline type *mp_array_##T(const mp_array *array) {                                                          \
        return MP_ARRAY(array, type);                                                                                  \
    }                                                                                                                  \
    static inline mp_status mp_array_get_##T(const mp_array *array, size_t index, type *out) {                         \
        return mp_array_get(array, index, out, sizeof *out);                                                           \
    }                                                                                                                  \
    static inline mp_status mp_array_set_##T(mp_array *array, size_t index, type x) {                                  \
        return mp_array_set(array, index, &x, sizeof x);                                                               \
    }

MP_TYPED(i8, int8_t)
MP_TYPED(u8, uint8_t)
MP_TYPED(i16, int16_t)
MP_TYPED(u16, uint16_t)
MP_TYPED(i32, int32_t)
MP_TYPED(u32, uint32_t)
MP_TYPED(i64, int64_t)
MP_TYPED(u64, uint64_t)
MP_TYPED(f32, float)
MP_TYPED(f64, double)
MP_TYPED(bool, bool)
#undef MP_TYPED

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MP_H */
