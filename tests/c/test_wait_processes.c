/* mp_wait between processes: ended by what others do and by their death; children that wait themselves; several arenas;
 * hosts that close what is not theirs. */
#include "process.h"
#include "wait.h"

#include <pthread.h>
#include <sys/resource.h>

enum { ROUNDS = 100, CROWD = 4 };

/* -- changes that another process makes -- */

static void by_another_process(void) {
    mp_event *event = new_event();
    mp_semaphore *semaphore = new_semaphore(0, false), *robust = new_semaphore(0, true),
                 *next = new_semaphore(0, false);
    mp_queue *queue = queue_of(0);
    /* It runs before anybody waits. */
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < ROUNDS; i++) {
            CHECK_OK(mp_semaphore_acquire(next, MP_FOREVER));
            if (i % 3 == 0)
                CHECK_OK(mp_event_set(event));
            else if (i % 3 == 1)
                CHECK_OK(mp_semaphore_release(semaphore, 1));
            else
                put_number(queue, (uint64_t)i);
        }
        CHECK_OK(mp_semaphore_acquire(next, MP_FOREVER));
        CHECK_OK(mp_queue_close(queue));
        _exit(0);
    }
    mp_waitable items[] = {of(MP_WAIT_EVENT, event), of(MP_WAIT_SEMAPHORE, semaphore), of(MP_WAIT_QUEUE, queue),
                           of(MP_WAIT_SEMAPHORE, robust)};
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_STATUS(MP_ERR_TIMEOUT, wait_for(items, 4, i % 2 ? 0 : CHECK_SECOND / 1000));
        CHECK_OK(mp_semaphore_release(next, 1));
        CHECK_OK(wait_for(items, 4, MP_FOREVER));
        check_ready(items, 4, 1U << i % 3);
        if (i % 3 == 0)
            CHECK_OK(mp_event_clear(event));
        else if (i % 3 == 1)
            CHECK_OK(mp_semaphore_acquire(semaphore, 0));
        else
            CHECK_EQ(i, get_number(queue));
    }
    CHECK_OK(mp_semaphore_release(next, 1));
    CHECK_OK(wait_for(items, 4, MP_FOREVER));
    check_ready(items, 4, 4);
    CHECK_EQ(0, check_wait(child));
    mp_event_free(event);
    mp_semaphore_free(semaphore);
    mp_semaphore_free(robust);
    mp_semaphore_free(next);
    mp_queue_free(queue);
}

/* More processes wait for one queue than it has entries for watchers. */
static void a_crowd(void) {
    mp_queue *work = queue_of(0), *done = queue_of(0);
    mp_event *stop = new_event();
    pid_t children[CROWD];
    for (int i = 0; i < CROWD; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            for (;;) {
                mp_waitable items[] = {of(MP_WAIT_QUEUE, work), of(MP_WAIT_EVENT, stop)};
                uint64_t number;
                size_t length;
                CHECK_OK(wait_for(items, 2, MP_FOREVER));
                if (items[1].ready)
                    _exit(0);
                if (mp_queue_get_into(work, &number, sizeof number, &length, 0) == MP_OK)
                    put_number(done, number);
            }
        }
    }
    for (uint64_t i = 0; i < ROUNDS; i++) {
        put_number(work, i);
        await(of(MP_WAIT_QUEUE, done));
        CHECK_EQ(i, get_number(done));
    }
    CHECK_OK(mp_event_set(stop));
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(0, check_wait(children[i]));
    mp_queue_free(work);
    mp_queue_free(done);
    mp_event_free(stop);
}

/* -- deaths -- */

static pid_t holder(mp_semaphore *semaphore) {
    mp_semaphore *taken = new_semaphore(0, false);
    pid_t child = fork();
    if (child == 0) {
        CHECK_OK(mp_semaphore_acquire(semaphore, 0));
        CHECK_OK(mp_semaphore_release(taken, 1));
        pause();
    }
    CHECK_OK(mp_semaphore_acquire(taken, MP_FOREVER));
    mp_semaphore_free(taken);
    return child;
}

/* A permit of a dead process comes back, also for who only tries. */
static void dead_holder(void) {
    mp_semaphore *semaphore = new_semaphore(1, true);
    mp_waitable item = of(MP_WAIT_SEMAPHORE, semaphore);
    for (int tries = 0; tries < 2; tries++) {
        pid_t child = holder(semaphore);
        CHECK_STATUS(MP_ERR_TIMEOUT, wait_for(&item, 1, CHECK_SECOND / 100));
        pid_t killer = fork();
        if (killer == 0) {
            check_sleep(CHECK_SECOND / 50);
            kill(child, SIGKILL);
            _exit(0);
        }
        if (tries)
            while (!is_ready(item))
                check_sleep(CHECK_SECOND / 1000);
        else
            await(item);
        CHECK_EQ(-SIGKILL, check_wait(child));
        CHECK_EQ(0, check_wait(killer));
    }
    mp_semaphore_free(semaphore);
}

/* -- children that wait -- */

struct sleeper {
    mp_event *event;
    mp_waitable item;
};

static void *sleep_on(void *argument) {
    struct sleeper *sleeper = argument;
    await(sleeper->item);
    return NULL;
}

/* Another thread of the parent waits while it forks; child and grandchild wait for themselves. */
static void forked(void) {
    mp_event *go = new_event(), *gone = new_event();
    struct sleeper sleeper = {go, of(MP_WAIT_EVENT, go)};
    pthread_t thread;
    CHECK_EQ(0, pthread_create(&thread, NULL, sleep_on, &sleeper));
    check_sleep(CHECK_SECOND / 50);
    pid_t child = fork();
    if (child == 0) {
        pid_t grandchild = fork();
        await(of(MP_WAIT_EVENT, go));
        if (grandchild == 0)
            _exit(0);
        CHECK_EQ(0, check_wait(grandchild));
        CHECK_OK(mp_event_set(gone));
        _exit(0);
    }
    check_sleep(CHECK_SECOND / 20);
    CHECK_OK(mp_event_set(go));
    CHECK_EQ(0, pthread_join(thread, NULL));
    await(of(MP_WAIT_EVENT, gone));
    CHECK_EQ(0, check_wait(child));
    mp_event_free(go);
    mp_event_free(gone);
}

/* Echoes numbers until the queue is closed, and looks at an event beside. */
static int32_t echo(mp_call *call) {
    mp_token tokens[3];
    mp_queue *in = NULL, *out = NULL;
    mp_event *stop = NULL;
    mp_waitable items[2];
    memcpy(tokens, mp_call_arg(call, 0).data, sizeof tokens);
    CHECK_OK(mp_queue_from_token(&tokens[0], &in));
    CHECK_OK(mp_queue_from_token(&tokens[1], &out));
    CHECK_OK(mp_event_from_token(&tokens[2], &stop));
    items[0] = of(MP_WAIT_QUEUE, in);
    items[1] = of(MP_WAIT_EVENT, stop);
    do {
        CHECK_OK(mp_wait(items, 2, MP_FOREVER));
        if (items[0].ready)
            put_number(out, get_number(in));
    } while (!items[1].ready);
    mp_queue_free(in);
    mp_queue_free(out);
    mp_event_free(stop);
    return 0;
}

static void helper(int32_t method) {
    mp_queue *in = queue_of(0), *out = queue_of(0);
    mp_event *stop = new_event();
    mp_token tokens[3];
    CHECK_OK(mp_queue_token(in, &tokens[0]));
    CHECK_OK(mp_queue_token(out, &tokens[1]));
    CHECK_OK(mp_event_token(stop, &tokens[2]));
    mp_process *process = start(echo, tokens, sizeof tokens, method, false);
    mp_waitable items[] = {of(MP_WAIT_PROCESS, process), of(MP_WAIT_QUEUE, out)};
    for (uint64_t i = 0; i < ROUNDS; i++) {
        put_number(in, i);
        CHECK_OK(wait_for(items, 2, MP_FOREVER));
        check_ready(items, 2, 2);
        CHECK_EQ(i, get_number(out));
    }
    CHECK_OK(mp_event_set(stop));
    CHECK_OK(wait_for(items, 2, MP_FOREVER));
    check_ready(items, 2, 1);
    CHECK_EQ(0, finish(process));
    mp_queue_free(in);
    mp_queue_free(out);
    mp_event_free(stop);
}

static void helpers(void) {
    for (size_t m = 0; m < sizeof METHODS / sizeof *METHODS; m++)
        helper(METHODS[m]);
    helper(MP_START_THREAD);
}

/* -- several arenas -- */

static void arenas(void) {
    char name[64];
    mp_arena *arena = NULL;
    mp_event *theirs = NULL, *own = new_event();
    snprintf(name, sizeof name, "test-wait-%d", (int)getpid());
    CHECK_OK(mp_arena_open(name, NULL, &arena));
    CHECK_OK(mp_arena_event(arena, "event", &theirs));
    pid_t child = fork();
    if (child == 0) {
        mp_waitable items[] = {of(MP_WAIT_EVENT, theirs), of(MP_WAIT_EVENT, own)};
        for (unsigned i = 0; i < ROUNDS; i++) {
            CHECK_OK(wait_for(items, 2, MP_FOREVER));
            check_ready(items, 2, 1U << i % 2);
            CHECK_OK(mp_event_clear(items[i % 2].handle));
        }
        _exit(0);
    }
    for (int i = 0; i < ROUNDS; i++) {
        mp_event *event = i % 2 ? own : theirs;
        bool set = true;
        CHECK_OK(mp_event_set(event));
        while (set) {
            check_sleep(CHECK_SECOND / 5000);
            CHECK_OK(mp_event_is_set(event, &set));
        }
    }
    CHECK_EQ(0, check_wait(child));
    mp_event_free(theirs);
    mp_event_free(own);
    CHECK_OK(mp_arena_unlink(name));
    mp_arena_free(arena);
}

/* -- hosts -- */

/* Another thread closes all that it does not know, while this one waits. */
static void *close_all(void *argument) {
    struct sleeper *sleeper = argument;
    check_sleep(CHECK_SECOND / 20);
    for (int fd = 3; fd < 200; fd++)
        if (fd != silent)
            close(fd);
    CHECK_OK(mp_event_set(sleeper->event));
    return NULL;
}

static void closed_by_the_host(void) {
    pid_t child = fork();
    if (child == 0) {
        mp_event *event = new_event();
        struct sleeper sleeper = {event, of(MP_WAIT_EVENT, event)};
        pthread_t thread;
        CHECK_EQ(0, pthread_create(&thread, NULL, close_all, &sleeper));
        await(sleeper.item);
        CHECK_EQ(0, pthread_join(thread, NULL));
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
}

/* No descriptor is free: it looks from time to time. */
static void none_to_be_had(void) {
    pid_t child = fork();
    if (child == 0) {
        mp_event *event = new_event();
        struct rlimit low = {4, 4};
        CHECK_OK(mp_event_set(event));
        CHECK(is_ready(of(MP_WAIT_EVENT, event)));
        CHECK_OK(mp_event_clear(event));
        CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &low));
        pid_t setter = fork();
        if (setter == 0) {
            check_sleep(CHECK_SECOND / 20);
            CHECK_OK(mp_event_set(event));
            _exit(0);
        }
        await(of(MP_WAIT_EVENT, event));
        CHECK_EQ(0, check_wait(setter));
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
}

int main(int argc, char **argv) {
    check_begin();
    CHECK_OK(mp_main_init(argc, argv));
    both_ways(by_another_process);
    both_ways(a_crowd);
    both_ways(dead_holder);
    both_ways(forked);
    both_ways(helpers);
    both_ways(arenas);
    both_ways(closed_by_the_host);
    both_ways(none_to_be_had);
    return 0;
}
