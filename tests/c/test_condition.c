/* Conditions through mp.h: who is notified and when, what a wait answers, and what the dead leave. check: leaks */
#include "check.h"
#include <pthread.h>
#include <sys/mman.h>

/* What the processes of a test share beside the condition; written under its lock. */
struct board {
    volatile int waiting, woken, order[400], returned, done;
    volatile mp_status status[400];
    volatile int64_t items, taken, sum;
    mp_token token, lock_token;
};

static struct board *board;

static void new_board(void) {
    if (board)
        munmap(board, sizeof *board);
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(board != MAP_FAILED);
}

static mp_condition *new_condition(void) {
    mp_condition *condition = NULL;
    CHECK_OK(mp_condition_new(NULL, &condition));
    CHECK(condition);
    return condition;
}

static void acquire(mp_condition *condition) { CHECK_OK(mp_condition_acquire(condition, MP_FOREVER)); }

static void release(mp_condition *condition) { CHECK_OK(mp_condition_release(condition)); }

/* Waits until so many wait: the count is raised under the lock, which only a wait releases. */
static void all_wait(mp_condition *condition, int waiting) {
    for (;;) {
        CHECK(MP_SUCCEEDED(mp_condition_acquire(condition, MP_FOREVER)));
        const int seen = board->waiting;
        release(condition);
        if (seen == waiting)
            return;
        check_sleep(CHECK_SECOND / 5000);
    }
}

static void until(const volatile int *value, int wanted) {
    while (*value != wanted)
        check_sleep(CHECK_SECOND / 5000);
}

/* One wait, and its traces on the board. */
static mp_status wait_once(mp_condition *condition, int number, int64_t timeout) {
    acquire(condition);
    board->waiting++;
    const mp_status status = mp_condition_wait(condition, timeout);
    board->status[number] = status;
    board->order[board->woken++] = number;
    release(condition);
    return status;
}

static pid_t waiter(mp_condition *condition, int number, int64_t timeout) {
    const pid_t child = fork();
    if (child == 0) {
        wait_once(condition, number, timeout);
        _exit(0);
    }
    CHECK(child > 0);
    return child;
}

static void *try_it(void *argument) {
    mp_condition *condition = argument;
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_condition_acquire(condition, 0));
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_condition_wait(condition, 0));
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_condition_notify(condition, 1));
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_condition_release(condition));
    return NULL;
}

/* Another thread of this process does not have the lock. */
static void is_this_threads(mp_condition *condition) {
    pthread_t thread;
    CHECK_EQ(0, pthread_create(&thread, NULL, try_it, condition));
    CHECK_EQ(0, pthread_join(thread, NULL));
}

static void without_the_lock(mp_condition *condition) {
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_condition_wait(condition, MP_FOREVER));
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_condition_notify(condition, 1));
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_condition_notify_all(condition));
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_condition_release(condition));
}

static void basics(void) {
    errno = ENOTTY;
    mp_condition *condition = new_condition();
    without_the_lock(condition);
    CHECK_ERROR_HAS("lock");
    acquire(condition);
    CHECK_OK(mp_condition_notify(condition, 0));
    CHECK_OK(mp_condition_notify(condition, UINT32_MAX));
    CHECK_OK(mp_condition_notify_all(condition));
    CHECK_EQ(ENOTTY, errno);
    /* What was notified before is not kept. */
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_condition_wait(condition, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_condition_wait(condition, INT64_MIN));
    const int64_t before = check_now();
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_condition_wait(condition, CHECK_SECOND / 20));
    CHECK(check_now() - before >= CHECK_SECOND / 20);
    is_this_threads(condition);
    release(condition);
    without_the_lock(condition);
    mp_condition_free(condition);
}

static void bad_arguments(void) {
    mp_condition *condition = NULL, *none = (mp_condition *)&condition;
    mp_lock *lock = NULL;
    mp_rlock *rlock = NULL;
    mp_token token;
    CHECK_STATUS(MP_ERR_INVALID, mp_condition_new(NULL, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_condition_new_with_lock(NULL, &condition));
    CHECK(!condition);
    CHECK_STATUS(MP_ERR_INVALID, mp_condition_acquire(NULL, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_condition_release(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_condition_wait(NULL, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_condition_notify(NULL, 1));
    CHECK_STATUS(MP_ERR_INVALID, mp_condition_notify_all(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_condition_token(NULL, &token));
    CHECK_STATUS(MP_ERR_INVALID, mp_condition_from_token(NULL, &condition));
    CHECK_STATUS(MP_ERR_INVALID, mp_condition_wait(none, 0));
    mp_condition_free(NULL);
    mp_condition_free(none);
    CHECK_OK(mp_lock_new(&lock));
    CHECK_OK(mp_rlock_new(&rlock));
    CHECK_STATUS(MP_ERR_INVALID, mp_condition_new((mp_rlock *)lock, &condition));
    CHECK_ERROR_HAS("mp_lock");
    CHECK_STATUS(MP_ERR_INVALID, mp_condition_new_with_lock((mp_lock *)rlock, &condition));
    CHECK(!condition);
    CHECK_OK(mp_rlock_token(rlock, &token));
    CHECK_STATUS(MP_ERR_INVALID, mp_condition_from_token(&token, &condition));
    CHECK(!condition);
    CHECK_STATUS(MP_ERR_INVALID, mp_condition_acquire((mp_condition *)rlock, 0));
    mp_lock_free(lock);
    mp_rlock_free(rlock);
    condition = new_condition();
    CHECK_STATUS(MP_ERR_INVALID, mp_condition_token(condition, NULL));
    mp_condition_free(condition);
}

/* As many are notified as are asked for, in the order in which they came. */
static void counts_and_order(void) {
    enum { N = 9 };
    mp_condition *condition = new_condition();
    pid_t children[N];
    new_board();
    for (int i = 0; i < N; i++) {
        children[i] = waiter(condition, i, MP_FOREVER);
        all_wait(condition, i + 1);
    }
    int expected = 0;
    static const uint32_t steps[] = {0, 1, 1, 0, 3};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        acquire(condition);
        CHECK_EQ(expected, board->woken);
        CHECK_OK(mp_condition_notify(condition, steps[i]));
        release(condition);
        expected += (int)steps[i];
        until(&board->woken, expected);
        check_sleep(CHECK_SECOND / 50);
    }
    /* The first two came one by one; of the next three only that they are the next three is sure. */
    acquire(condition);
    CHECK_EQ(5, board->woken);
    CHECK_EQ(0, board->order[0]);
    CHECK_EQ(1, board->order[1]);
    CHECK_EQ(2 + 3 + 4, board->order[2] + board->order[3] + board->order[4]);
    CHECK_OK(mp_condition_notify(condition, 1));
    CHECK_OK(mp_condition_notify_all(condition));
    release(condition);
    for (int i = 0; i < N; i++) {
        CHECK_EQ(0, check_wait(children[i]));
        CHECK_STATUS(MP_OK, board->status[i]);
    }
    CHECK_EQ(N, board->woken);
    mp_condition_free(condition);
}

/* More than one in the same breath: notify counts those who still wait, not those already notified. */
static void notified_twice(void) {
    mp_condition *condition = new_condition();
    pid_t children[3];
    new_board();
    for (int i = 0; i < 3; i++)
        children[i] = waiter(condition, i, MP_FOREVER);
    all_wait(condition, 3);
    acquire(condition);
    CHECK_OK(mp_condition_notify(condition, 1));
    CHECK_OK(mp_condition_notify(condition, 1));
    CHECK_OK(mp_condition_notify(condition, 1));
    release(condition);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(0, check_wait(children[i]));
    CHECK_EQ(3, board->woken);
    mp_condition_free(condition);
}

struct task {
    mp_condition *condition;
    mp_cancel *cancel;
    int number;
    int64_t timeout;
    mp_status status;
};

static void *wait_in_thread(void *argument) {
    struct task *task = argument;
    if (task->cancel)
        CHECK_OK(mp_cancel_use(task->cancel));
    task->status = wait_once(task->condition, task->number, task->timeout);
    return NULL;
}

/* A wait that was notified is a success, though its time ran out before it had the lock. */
static void notified_late(void) {
    for (int64_t timeout = CHECK_SECOND / 10;; timeout *= 2) {
        struct task task = {new_condition(), NULL, 0, timeout, MP_ERR_INTERNAL};
        pthread_t thread;
        new_board();
        CHECK_EQ(0, pthread_create(&thread, NULL, wait_in_thread, &task));
        until(&board->waiting, 1);
        acquire(task.condition);
        /* On a slow machine the time may have run out by now. */
        const int too_late = board->woken;
        check_sleep(timeout + CHECK_SECOND / 50);
        CHECK_OK(mp_condition_notify(task.condition, 1));
        release(task.condition);
        CHECK_EQ(0, pthread_join(thread, NULL));
        mp_condition_free(task.condition);
        if (!too_late) {
            CHECK_STATUS(MP_OK, task.status);
            return;
        }
    }
}

static void cancelled(void) {
    struct task task = {new_condition(), NULL, 0, MP_FOREVER, MP_ERR_INTERNAL};
    pthread_t thread;
    new_board();
    CHECK_OK(mp_cancel_new(&task.cancel));
    CHECK_EQ(0, pthread_create(&thread, NULL, wait_in_thread, &task));
    all_wait(task.condition, 1);
    check_sleep(CHECK_SECOND / 50);
    CHECK_OK(mp_cancel_fire(task.cancel));
    CHECK_EQ(0, pthread_join(thread, NULL));
    CHECK_STATUS(MP_ERR_CANCELLED, task.status);
    /* Fired before: the wait ends at once, with the lock. */
    CHECK_OK(mp_cancel_use(task.cancel));
    acquire(task.condition);
    CHECK_STATUS(MP_ERR_CANCELLED, mp_condition_wait(task.condition, MP_FOREVER));
    is_this_threads(task.condition);
    release(task.condition);
    CHECK_OK(mp_cancel_use(NULL));
    mp_cancel_free(task.cancel);
    mp_condition_free(task.condition);
}

/* A wait leaves a recursive lock altogether, and has it as often as before when it returns. */
static void recursion(void) {
    mp_condition *condition = new_condition();
    new_board();
    for (int i = 0; i < 3; i++)
        acquire(condition);
    const pid_t child = fork();
    if (child == 0) {
        CHECK_STATUS(MP_ERR_NOT_OWNER, mp_condition_notify(condition, 1));
        acquire(condition);
        acquire(condition);
        CHECK_OK(mp_condition_notify(condition, 1));
        release(condition);
        release(condition);
        _exit(0);
    }
    CHECK_OK(mp_condition_wait(condition, MP_FOREVER));
    CHECK_EQ(0, check_wait(child));
    for (int i = 0; i < 3; i++) {
        is_this_threads(condition);
        release(condition);
    }
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_condition_release(condition));
    acquire(condition);
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_condition_wait(condition, 1000));
    release(condition);
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_condition_release(condition));
    mp_condition_free(condition);
}

/* Several conditions share a lock, which lives as long as they do. */
static void shared_rlock(void) {
    mp_rlock *rlock = NULL, *again = NULL;
    mp_condition *one = NULL, *two = NULL, *same = NULL;
    mp_token lock_token, token;
    CHECK_OK(mp_rlock_new(&rlock));
    CHECK_OK(mp_rlock_token(rlock, &lock_token));
    CHECK_OK(mp_condition_new(rlock, &one));
    CHECK_OK(mp_condition_new(rlock, &two));
    CHECK_OK(mp_condition_token(one, &token));
    CHECK_OK(mp_rlock_acquire(rlock, 0));
    CHECK_OK(mp_condition_notify(one, 1));
    CHECK_OK(mp_condition_acquire(two, 0));
    CHECK_OK(mp_condition_notify(two, 1));
    CHECK_OK(mp_rlock_release(rlock));
    CHECK_OK(mp_condition_release(one));
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_condition_release(two));
    mp_rlock_free(rlock);

    mp_condition_free(two);
    CHECK_OK(mp_condition_from_token(&token, &same));
    mp_condition_free(one);
    CHECK_OK(mp_rlock_from_token(&lock_token, &again));
    CHECK_OK(mp_rlock_acquire(again, 0));
    CHECK_OK(mp_condition_notify(same, 1));
    CHECK_OK(mp_condition_release(same));
    mp_rlock_free(again);
    mp_condition_free(same);
    CHECK_STATUS(MP_ERR_STALE, mp_condition_from_token(&token, &same));
    CHECK_STATUS(MP_ERR_STALE, mp_rlock_from_token(&lock_token, &again));
}

/* A notification of one is none of the other, though they share the lock. */
static void two_of_one_lock(void) {
    mp_rlock *rlock = NULL;
    mp_condition *one = NULL, *two = NULL;
    new_board();
    CHECK_OK(mp_rlock_new(&rlock));
    CHECK_OK(mp_condition_new(rlock, &one));
    CHECK_OK(mp_condition_new(rlock, &two));
    const pid_t child = waiter(one, 0, MP_FOREVER);
    all_wait(two, 1);
    acquire(two);
    CHECK_OK(mp_condition_notify_all(two));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_condition_wait(two, CHECK_SECOND / 20));
    CHECK_EQ(0, board->woken);
    CHECK_OK(mp_condition_notify_all(one));
    release(two);
    CHECK_EQ(0, check_wait(child));
    CHECK_STATUS(MP_OK, board->status[0]);
    mp_condition_free(one);
    mp_condition_free(two);
    mp_rlock_free(rlock);
}

/* A plain lock belongs to the process. */
static void plain_lock(void) {
    mp_lock *lock = NULL;
    mp_condition *condition = NULL;
    mp_token token;
    new_board();
    CHECK_OK(mp_lock_new(&lock));
    CHECK_OK(mp_lock_token(lock, &token));
    CHECK_OK(mp_condition_new_with_lock(lock, &condition));
    without_the_lock(condition);
    acquire(condition);
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_condition_acquire(condition, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_lock_acquire(lock, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_condition_wait(condition, 1000));
    CHECK_OK(mp_lock_release(lock));
    without_the_lock(condition);
    /* The lock lives as long as its condition. */
    mp_lock_free(lock);
    acquire(condition);
    release(condition);
    mp_condition_free(condition);
    CHECK_STATUS(MP_ERR_STALE, mp_lock_from_token(&token, &lock));

    CHECK_OK(mp_lock_new(&lock));
    CHECK_OK(mp_condition_new_with_lock(lock, &condition));
    pid_t child = waiter(condition, 0, MP_FOREVER);
    all_wait(condition, 1);
    CHECK_OK(mp_lock_acquire(lock, MP_FOREVER));
    CHECK_OK(mp_condition_notify(condition, 1));
    CHECK_OK(mp_lock_release(lock));
    CHECK_EQ(0, check_wait(child));
    CHECK_STATUS(MP_OK, board->status[0]);
    acquire(condition);
    child = fork();
    if (child == 0) {
        without_the_lock(condition);
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    release(condition);
    mp_condition_free(condition);
    mp_lock_free(lock);
}

static bool wait_for(mp_condition *condition, bool (*is_so)(void), int64_t timeout) {
    const int64_t end = timeout == MP_FOREVER ? 0 : check_now() + timeout;
    while (!is_so()) {
        const mp_status status = mp_condition_wait(condition, timeout == MP_FOREVER ? timeout : end - check_now());
        if (MP_FAILED(status)) {
            CHECK_STATUS(MP_ERR_TIMEOUT, status);
            return is_so();
        }
    }
    return true;
}

static bool has_room(void) { return board->items < 3; }

static bool has_items(void) { return board->items > 0 || board->done; }

static bool never(void) { return false; }

enum { PRODUCERS = 2, CONSUMERS = 3, ITEMS = 1000 };

static void produce(mp_condition *room, mp_condition *items) {
    for (int i = 1; i <= ITEMS; i++) {
        acquire(room);
        CHECK(wait_for(room, has_room, MP_FOREVER));
        board->items++;
        CHECK_OK(mp_condition_notify(items, 1));
        release(room);
    }
}

static void consume(mp_condition *room, mp_condition *items) {
    for (;;) {
        acquire(items);
        CHECK(wait_for(items, has_items, MP_FOREVER));
        if (board->items == 0) {
            release(items);
            return;
        }
        board->items--;
        board->taken++;
        CHECK_OK(mp_condition_notify(room, 1));
        release(items);
    }
}

/* Two conditions with one lock, of either kind. */
static void producers_and_consumers(bool plain) {
    mp_condition *room = NULL, *items = NULL;
    pid_t children[PRODUCERS + CONSUMERS];
    mp_rlock *rlock = NULL;
    mp_lock *lock = NULL;
    new_board();
    if (plain) {
        CHECK_OK(mp_lock_new(&lock));
        CHECK_OK(mp_condition_new_with_lock(lock, &room));
        CHECK_OK(mp_condition_new_with_lock(lock, &items));
    } else {
        CHECK_OK(mp_rlock_new(&rlock));
        CHECK_OK(mp_condition_new(rlock, &room));
        CHECK_OK(mp_condition_new(rlock, &items));
    }
    for (int i = 0; i < PRODUCERS + CONSUMERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            if (i < PRODUCERS)
                produce(room, items);
            else
                consume(room, items);
            _exit(0);
        }
    }
    for (int i = 0; i < PRODUCERS; i++)
        CHECK_EQ(0, check_wait(children[i]));
    acquire(items);
    CHECK(!wait_for(items, never, CHECK_SECOND / 100));
    board->done = 1;
    CHECK_OK(mp_condition_notify_all(items));
    release(items);
    for (int i = PRODUCERS; i < PRODUCERS + CONSUMERS; i++)
        CHECK_EQ(0, check_wait(children[i]));
    CHECK_EQ(PRODUCERS * ITEMS, board->taken);
    CHECK_EQ(0, board->items);
    mp_condition_free(room);
    mp_condition_free(items);
    mp_lock_free(lock);
    mp_rlock_free(rlock);
}

/* More waiters than the condition has room for at first, in threads of two processes, several times. */
static void crowd(void) {
    enum { N = 80 };
    mp_condition *condition = new_condition();
    new_board();
    const pid_t child = fork();
    struct task tasks[N];
    pthread_t threads[N];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i++) {
            const struct task task = {condition, NULL, i, i % 4 == 3 ? 1000 * i : MP_FOREVER, MP_OK};
            tasks[i] = task;
            CHECK_EQ(0, pthread_create(&threads[i], NULL, wait_in_thread, &tasks[i]));
        }
        if (child != 0) {
            all_wait(condition, 2 * N * (round + 1));
            acquire(condition);
            CHECK_OK(mp_condition_notify_all(condition));
            release(condition);
        }
        for (int i = 0; i < N; i++) {
            CHECK_EQ(0, pthread_join(threads[i], NULL));
            if (tasks[i].timeout == MP_FOREVER)
                CHECK_STATUS(MP_OK, tasks[i].status);
        }
    }
    if (child == 0)
        _exit(0);
    CHECK_EQ(0, check_wait(child));
    CHECK_EQ(4 * N, board->woken);
    mp_condition_free(condition);
}

/* A waiter comes from a process that knows the token alone. */
static void tokens(void) {
    mp_condition *condition = new_condition(), *same = NULL;
    new_board();
    CHECK_OK(mp_condition_token(condition, &board->token));
    const pid_t child = fork();
    if (child == 0) {
        mp_condition_free(condition);
        CHECK_OK(mp_condition_from_token(&board->token, &same));
        wait_once(same, 0, MP_FOREVER);
        mp_condition_free(same);
        _exit(0);
    }
    all_wait(condition, 1);
    acquire(condition);
    CHECK_OK(mp_condition_notify_all(condition));
    release(condition);
    CHECK_EQ(0, check_wait(child));
    CHECK_STATUS(MP_OK, board->status[0]);
    mp_condition_free(condition);
    CHECK_STATUS(MP_ERR_STALE, mp_condition_from_token(&board->token, &same));
    CHECK(!same);
}

/* Who notified dies holding the lock: the waiter is told, whatever else it would have been told. */
static void notifier_dies(bool notifies, int64_t timeout) {
    mp_condition *condition = new_condition();
    new_board();
    const pid_t child = waiter(condition, 0, timeout);
    until(&board->waiting, 1);
    const pid_t notifier = fork();
    if (notifier == 0) {
        acquire(condition);
        CHECK_EQ(0, board->woken);
        if (notifies)
            CHECK_OK(mp_condition_notify(condition, 1));
        raise(SIGKILL);
    }
    CHECK_EQ(-SIGKILL, check_wait(notifier));
    CHECK_EQ(0, check_wait(child));
    CHECK_STATUS(MP_OWNER_DEAD, board->status[0]);
    acquire(condition);
    release(condition);
    mp_condition_free(condition);
}

/* Notifying never waits for the dead, and the living get theirs. */
static void waiters_die(void) {
    mp_condition *condition = new_condition();
    pid_t children[4];
    new_board();
    for (int i = 0; i < 4; i++) {
        children[i] = waiter(condition, i, MP_FOREVER);
        all_wait(condition, i + 1);
    }
    kill(children[0], SIGKILL);
    kill(children[2], SIGKILL);
    acquire(condition);
    CHECK_OK(mp_condition_notify_all(condition));
    release(condition);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(i % 2 ? 0 : -SIGKILL, check_wait(children[i]));
    CHECK_EQ(2, board->woken);
    acquire(condition);
    CHECK_OK(mp_condition_notify_all(condition));
    release(condition);
    mp_condition_free(condition);
}

/* Those who were notified are killed before they can have the lock: their notifications are the next ones'. */
static void notified_die(int victims, mp_lock *lock) {
    enum { N = 6 };
    mp_condition *condition = NULL;
    pid_t children[N];
    new_board();
    if (lock)
        CHECK_OK(mp_condition_new_with_lock(lock, &condition));
    else
        condition = new_condition();
    for (int i = 0; i < N; i++) {
        children[i] = waiter(condition, i, MP_FOREVER);
        all_wait(condition, i + 1);
    }
    acquire(condition);
    CHECK_OK(mp_condition_notify(condition, (uint32_t)victims));
    for (int i = 0; i < victims; i++) {
        kill(children[i], SIGKILL);
        CHECK_EQ(-SIGKILL, check_wait(children[i]));
    }
    release(condition);
    for (int i = victims; i < 2 * victims; i++) {
        CHECK_EQ(0, check_wait(children[i]));
        CHECK_STATUS(MP_OK, board->status[i]);
    }
    /* No more than were notified. */
    check_sleep(CHECK_SECOND / 50);
    acquire(condition);
    CHECK_EQ(victims, board->woken);
    CHECK_OK(mp_condition_notify_all(condition));
    release(condition);
    for (int i = 2 * victims; i < N; i++)
        CHECK_EQ(0, check_wait(children[i]));
    mp_condition_free(condition);
}

int main(void) {
    mp_lock *lock = NULL;
    check_begin();
    basics();
    bad_arguments();
    counts_and_order();
    notified_twice();
    notified_late();
    cancelled();
    recursion();
    shared_rlock();
    two_of_one_lock();
    plain_lock();
    producers_and_consumers(false);
    producers_and_consumers(true);
    crowd();
    tokens();
    notifier_dies(true, MP_FOREVER);
    notifier_dies(true, CHECK_SECOND * 3);
    notifier_dies(false, CHECK_SECOND * 3);
    waiters_die();
    notified_die(1, NULL);
    notified_die(3, NULL);
    CHECK_OK(mp_lock_new(&lock));
    notified_die(2, lock);
    mp_lock_free(lock);
    return 0;
}
