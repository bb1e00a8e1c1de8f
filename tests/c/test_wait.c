/* mp_wait within a process: every kind, timeouts, mistakes, descriptors, cancelling, signals, many objects, threads.
 * check: valgrind */
#include "wait.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>

enum { MANY = 200, ROUNDS = 200 };

static void each_kind(void) {
    mp_event *event = new_event();
    mp_semaphore *plain = new_semaphore(0, false), *robust = new_semaphore(1, true);
    mp_queue *queue = queue_of(0);
    for (int i = 0; i < 3; i++) {
        CHECK(!is_ready(of(MP_WAIT_EVENT, event)));
        CHECK_OK(mp_event_set(event));
        CHECK(is_ready(of(MP_WAIT_EVENT, event)) && is_ready(of(MP_WAIT_EVENT, event)));
        CHECK_OK(mp_event_clear(event));

        CHECK(!is_ready(of(MP_WAIT_SEMAPHORE, plain)));
        CHECK_OK(mp_semaphore_release(plain, 2));
        CHECK_OK(mp_semaphore_acquire(plain, 0));
        CHECK(is_ready(of(MP_WAIT_SEMAPHORE, plain)));
        CHECK_OK(mp_semaphore_acquire(plain, 0));

        CHECK(is_ready(of(MP_WAIT_SEMAPHORE, robust)));
        CHECK_OK(mp_semaphore_acquire(robust, 0));
        CHECK(!is_ready(of(MP_WAIT_SEMAPHORE, robust)));
        CHECK_OK(mp_semaphore_release(robust, 1));

        CHECK(!is_ready(of(MP_WAIT_QUEUE, queue)));
        put_number(queue, 7);
        CHECK(is_ready(of(MP_WAIT_QUEUE, queue)));
        CHECK_EQ(7, get_number(queue));
    }
    /* A closed queue is ready: a get fails for good. */
    put_number(queue, 8);
    CHECK_OK(mp_queue_close(queue));
    CHECK(is_ready(of(MP_WAIT_QUEUE, queue)));
    CHECK_EQ(8, get_number(queue));
    CHECK(is_ready(of(MP_WAIT_QUEUE, queue)));
    mp_event_free(event);
    mp_semaphore_free(plain);
    mp_semaphore_free(robust);
    mp_queue_free(queue);
}

static void all_that_are_ready(void) {
    mp_event *events[4];
    mp_waitable items[5];
    for (int i = 0; i < 4; i++)
        items[i] = of(MP_WAIT_EVENT, events[i] = new_event());
    items[4] = items[2]; /* twice the same */
    CHECK_OK(mp_event_set(events[0]));
    CHECK_OK(mp_event_set(events[2]));
    CHECK_OK(wait_for(items, 5, MP_FOREVER));
    check_ready(items, 5, 0x15);
    for (int i = 0; i < 4; i++)
        CHECK_OK(mp_event_set(events[i]));
    CHECK_OK(wait_for(items, 5, -1));
    check_ready(items, 5, 0x1f);
    for (int i = 0; i < 4; i++)
        CHECK_OK(mp_event_clear(events[i]));
    const int64_t timeouts[] = {0, -1, INT64_MIN, 1, CHECK_SECOND / 50};
    for (size_t i = 0; i < sizeof timeouts / sizeof *timeouts; i++) {
        int64_t start = check_now();
        items[0].ready = true;
        CHECK_STATUS(MP_ERR_TIMEOUT, wait_for(items, 5, timeouts[i]));
        CHECK(check_now() - start >= timeouts[i]);
        check_ready(items, 5, 0);
    }
    for (int i = 0; i < 4; i++)
        mp_event_free(events[i]);
}

static void nothing_to_wait_for(void) {
    int64_t start = check_now();
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_wait(NULL, 0, CHECK_SECOND / 20));
    CHECK(check_now() - start >= CHECK_SECOND / 20);
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_wait(NULL, 0, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_wait(NULL, 0, -3));
    CHECK_STATUS(MP_ERR_INVALID, mp_wait(NULL, 0, MP_FOREVER));
    CHECK_ERROR_HAS("nothing to wait for");
    CHECK_STATUS(MP_ERR_INVALID, mp_wait(NULL, 2, 0));
    CHECK_ERROR_HAS("items is NULL");
}

static void refused(mp_status status, mp_waitable bad, const char *why) {
    mp_event *event = new_event();
    CHECK_OK(mp_event_set(event));
    mp_waitable items[] = {of(MP_WAIT_EVENT, event), bad};
    for (int64_t timeout = 0; timeout < 2; timeout++) {
        CHECK_STATUS(status, mp_wait(items, 2, timeout * MP_FOREVER));
        CHECK_ERROR_HAS("items[1]");
        CHECK_ERROR_HAS(why);
        check_ready(items, 2, 0);
        items[0].ready = true;
    }
    mp_event_free(event);
}

static int32_t no_function(mp_call *call) { return call == NULL; }

static void mistakes(void) {
    const int32_t kinds[] = {MP_WAIT_QUEUE,   MP_WAIT_EVENT,  MP_WAIT_SEMAPHORE,
                             MP_WAIT_PROCESS, MP_WAIT_RESULT, MP_WAIT_CONNECTION};
    mp_lock *lock = NULL;
    mp_process *process = NULL;
    CHECK_OK(mp_lock_new(&lock));
    CHECK_OK(mp_process_new(no_function, NULL, 0, NULL, &process));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        refused(MP_ERR_INVALID, of(kinds[i], NULL), "NULL");
        refused(MP_ERR_INVALID, of(kinds[i], lock), "mp_lock");
        refused(MP_ERR_INVALID, of(kinds[i], &lock), "libmp did not make it");
    }
    refused(MP_ERR_STATE, of(MP_WAIT_PROCESS, process), "not started");
    refused(MP_ERR_INVALID, of(7, lock), "kind is 7");
    refused(MP_ERR_INVALID, of(-1, lock), "kind is -1");
    refused(MP_ERR_INVALID, of_fd(-1), "-1 is no open descriptor");
    int closed = dup(1);
    close(closed);
    refused(MP_ERR_INVALID, of_fd(closed), "no open descriptor");
    mp_queue *queue = queue_of(0);
    mp_queue_free(queue);
    refused(MP_ERR_INVALID, of(MP_WAIT_QUEUE, queue), "it was freed");
    CHECK_OK(mp_process_close(process));
    refused(MP_ERR_CLOSED, of(MP_WAIT_PROCESS, process), "closed");
    mp_process_free(process);
    mp_lock_free(lock);
}

static void descriptors(void) {
    int left[2], right[2];
    mp_event *event = new_event();
    CHECK_EQ(0, pipe(left));
    CHECK_EQ(0, pipe(right));
    mp_waitable items[] = {of_fd(left[0]), of(MP_WAIT_EVENT, event), of_fd(right[0])};
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_wait(items, 3, CHECK_SECOND / 100));
    CHECK_EQ(1, write(right[1], "x", 1));
    CHECK_OK(mp_wait(items, 3, MP_FOREVER));
    check_ready(items, 3, 4);
    CHECK_OK(mp_event_set(event));
    CHECK_OK(mp_wait(items, 3, MP_FOREVER));
    check_ready(items, 3, 6);
    CHECK_OK(mp_wait(items, 1, 0) == MP_ERR_TIMEOUT ? MP_OK : MP_ERR_STATE);
    /* The end of a pipe is something to read. */
    close(left[1]);
    CHECK_OK(mp_wait(items, 3, MP_FOREVER));
    check_ready(items, 3, 7);
    CHECK_OK(mp_wait(items, 1, MP_FOREVER));
    /* Nothing was taken. */
    char byte = 0;
    CHECK_EQ(1, read(right[0], &byte, 1));
    CHECK_EQ('x', byte);
    mp_event_free(event);
    close(left[0]);
    close(right[0]);
    close(right[1]);
}

/* -- a thread beside -- */

static void *set_later(void *event) {
    check_sleep(CHECK_SECOND / 50);
    CHECK_OK(mp_event_set(event));
    return NULL;
}

static void *write_later(void *fd) {
    check_sleep(CHECK_SECOND / 50);
    CHECK_EQ(1, write(*(int *)fd, "x", 1));
    return NULL;
}

static void *fire_later(void *cancel) {
    check_sleep(CHECK_SECOND / 50);
    CHECK_OK(mp_cancel_fire(cancel));
    return NULL;
}

static void woken_by_a_thread(void) {
    pthread_t thread;
    int ends[2];
    mp_event *event = new_event();
    CHECK_EQ(0, pipe(ends));
    CHECK_EQ(0, pthread_create(&thread, NULL, set_later, event));
    await(of(MP_WAIT_EVENT, event));
    CHECK_EQ(0, pthread_join(thread, NULL));
    CHECK_OK(mp_event_clear(event));
    mp_waitable items[] = {of(MP_WAIT_EVENT, event), of_fd(ends[0])};
    CHECK_EQ(0, pthread_create(&thread, NULL, write_later, &ends[1]));
    CHECK_OK(wait_for(items, 2, MP_FOREVER));
    check_ready(items, 2, 2);
    CHECK_EQ(0, pthread_join(thread, NULL));
    mp_event_free(event);
    close(ends[0]);
    close(ends[1]);
}

static void cancelled(void) {
    pthread_t thread;
    mp_cancel *cancel = NULL;
    mp_event *event = new_event();
    mp_waitable item = of(MP_WAIT_EVENT, event);
    CHECK_OK(mp_cancel_new(&cancel));
    CHECK_OK(mp_cancel_use(cancel));
    CHECK_STATUS(MP_ERR_TIMEOUT, wait_for(&item, 1, CHECK_SECOND / 40));
    CHECK_EQ(0, pthread_create(&thread, NULL, fire_later, cancel));
    CHECK_STATUS(MP_ERR_CANCELLED, wait_for(&item, 1, MP_FOREVER));
    CHECK(!item.ready);
    CHECK_EQ(0, pthread_join(thread, NULL));
    CHECK_STATUS(MP_ERR_CANCELLED, wait_for(&item, 1, 0));
    CHECK_STATUS(MP_ERR_CANCELLED, wait_for(&item, 1, MP_FOREVER));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_wait(NULL, 0, CHECK_SECOND * 3600));
    /* Who need not wait is not cancelled. */
    CHECK_OK(mp_event_set(event));
    CHECK_OK(wait_for(&item, 1, MP_FOREVER));
    CHECK_OK(mp_event_clear(event));
    CHECK_OK(mp_cancel_reset(cancel));
    /* In use, and not fired. */
    CHECK_EQ(0, pthread_create(&thread, NULL, set_later, event));
    CHECK_OK(wait_for(&item, 1, MP_FOREVER));
    CHECK_EQ(0, pthread_join(thread, NULL));
    CHECK_OK(mp_cancel_use(NULL));
    mp_cancel_free(cancel);
    mp_event_free(event);
}

/* -- signals -- */

static void on_signal(int number) { (void)number; }

struct storm {
    pthread_t victim;
    volatile int over;
};

static void *blow(void *argument) {
    struct storm *storm = argument;
    while (!__atomic_load_n(&storm->over, __ATOMIC_ACQUIRE)) {
        pthread_kill(storm->victim, SIGUSR1);
        check_sleep(CHECK_SECOND / 20000);
    }
    return NULL;
}

static void interrupted(void) {
    struct storm storm = {pthread_self(), 0};
    struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART */
    pthread_t thread, setter;
    mp_event *event = new_event();
    mp_waitable item = of(MP_WAIT_EVENT, event);
    CHECK_EQ(0, sigaction(SIGUSR1, &action, NULL));
    CHECK_EQ(0, pthread_create(&thread, NULL, blow, &storm));
    for (int i = 0; i < 5; i++) {
        int64_t start = check_now();
        CHECK_STATUS(MP_ERR_TIMEOUT, wait_for(&item, 1, CHECK_SECOND / 50));
        CHECK(check_now() - start >= CHECK_SECOND / 50);
        CHECK_STATUS(MP_ERR_TIMEOUT, wait_for(&item, 1, 0));
    }
    CHECK_EQ(0, pthread_create(&setter, NULL, set_later, event));
    CHECK_OK(wait_for(&item, 1, MP_FOREVER));
    CHECK_EQ(0, pthread_join(setter, NULL));
    __atomic_store_n(&storm.over, 1, __ATOMIC_RELEASE);
    CHECK_EQ(0, pthread_join(thread, NULL));
    mp_event_free(event);
}

/* -- many -- */

static void many(void) {
    mp_waitable items[MANY];
    for (int i = 0; i < MANY; i++) {
        if (i % 3 == 0)
            items[i] = of(MP_WAIT_EVENT, new_event());
        else if (i % 3 == 1)
            items[i] = of(MP_WAIT_SEMAPHORE, new_semaphore(0, i % 2));
        else
            items[i] = of(MP_WAIT_QUEUE, queue_of(0));
    }
    CHECK_STATUS(MP_ERR_TIMEOUT, wait_for(items, MANY, CHECK_SECOND / 100));
    for (int i = 0; i < MANY; i += 3)
        CHECK_OK(mp_event_set(items[i].handle));
    for (int i = 2; i < MANY; i += 3)
        put_number(items[i].handle, 1);
    CHECK_OK(wait_for(items, MANY, MP_FOREVER));
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(i % 3 != 1, items[i].ready);
        if (i % 3 == 0)
            mp_event_free(items[i].handle);
        else if (i % 3 == 1)
            mp_semaphore_free(items[i].handle);
        else
            mp_queue_free(items[i].handle);
    }
}

/* -- two threads at once, each with queues of its own -- */

struct side {
    mp_queue *queue;
    mp_event *never;
    mp_semaphore *taken;
};

static void *take_all(void *argument) {
    struct side *side = argument;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        mp_waitable items[] = {of(MP_WAIT_EVENT, side->never), of(MP_WAIT_QUEUE, side->queue)};
        CHECK_OK(wait_for(items, 2, MP_FOREVER));
        check_ready(items, 2, 2);
        CHECK_EQ(round, get_number(side->queue));
        CHECK_OK(mp_semaphore_release(side->taken, 1));
    }
    return NULL;
}

static void two_threads(void) {
    struct side sides[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        sides[i] = (struct side){queue_of(0), new_event(), new_semaphore(1, false)};
        CHECK_EQ(0, pthread_create(&threads[i], NULL, take_all, &sides[i]));
    }
    for (uint64_t round = 0; round < ROUNDS; round++)
        for (int i = 0; i < 2; i++) {
            CHECK_OK(mp_semaphore_acquire(sides[i].taken, MP_FOREVER));
            put_number(sides[i].queue, round);
        }
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(0, pthread_join(threads[i], NULL));
        mp_queue_free(sides[i].queue);
        mp_event_free(sides[i].never);
        mp_semaphore_free(sides[i].taken);
    }
}

/* The descriptors that it needs itself are gone afterwards. */
static void no_descriptor_is_left(void) {
    int before = dup(1), after;
    close(before);
    mp_event *event = new_event();
    int counter = eventfd(0, EFD_CLOEXEC);
    mp_waitable items[] = {of(MP_WAIT_EVENT, event), of_fd(counter)};
    for (int i = 0; i < 20; i++)
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_wait(items, 2, CHECK_SECOND / 1000));
    close(counter);
    mp_event_free(event);
    after = dup(1);
    close(after);
    CHECK_EQ(before, after);
}

int main(void) {
    check_begin();
    nothing_to_wait_for();
    mistakes();
    both_ways(each_kind);
    both_ways(all_that_are_ready);
    descriptors();
    both_ways(woken_by_a_thread);
    both_ways(cancelled);
    both_ways(interrupted);
    both_ways(many);
    both_ways(two_threads);
    no_descriptor_is_left();
    return 0;
}
