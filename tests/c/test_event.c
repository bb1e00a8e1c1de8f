/* Events through mp.h. check: valgrind */
#include "check.h"

#include <pthread.h>
#include <sys/mman.h>

static bool is_set(mp_event *event) {
    bool set = false;
    CHECK_OK(mp_event_is_set(event, &set));
    return set;
}

static void states(void) {
    mp_event *event = NULL;
    CHECK_OK(mp_event_new(&event));
    CHECK(!is_set(event));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_event_wait(event, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_event_wait(event, -5));
    int64_t begun = check_now();
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_event_wait(event, CHECK_SECOND / 50));
    CHECK(check_now() - begun >= CHECK_SECOND / 50);
    CHECK_ERROR_HAS("not set");
    for (int i = 0; i < 3; i++) {
        CHECK_OK(mp_event_set(event));
        CHECK_OK(mp_event_set(event));
        CHECK(is_set(event));
        CHECK_OK(mp_event_wait(event, 0));
        CHECK_OK(mp_event_wait(event, MP_FOREVER));
        CHECK_OK(mp_event_clear(event));
        CHECK_OK(mp_event_clear(event));
        CHECK(!is_set(event));
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_event_wait(event, 0));
    }
    mp_event_free(event);
}

static void bad_arguments(void) {
    mp_event *event = NULL, *stale = NULL;
    mp_semaphore *semaphore = NULL;
    mp_token token;
    bool set;
    CHECK_STATUS(MP_ERR_INVALID, mp_event_new(NULL));
    CHECK_OK(mp_event_new(&event));
    CHECK_STATUS(MP_ERR_INVALID, mp_event_is_set(event, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_event_is_set(NULL, &set));
    CHECK_STATUS(MP_ERR_INVALID, mp_event_wait(NULL, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_event_clear(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_event_token(event, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_event_from_token(NULL, &stale));
    CHECK_OK(mp_event_token(event, &token));
    CHECK_STATUS(MP_ERR_INVALID, mp_semaphore_from_token(&token, &semaphore));
    CHECK_ERROR_HAS("event");
    CHECK(semaphore == NULL);
    mp_event_free(event);
    CHECK_STATUS(MP_ERR_STALE, mp_event_from_token(&token, &stale));
    CHECK(stale == NULL);
    mp_event_free(NULL);

    /* Set alone is also for signal handlers: a text all the same, and errno as it was. */
    errno = ENOTTY;
    CHECK_STATUS(MP_ERR_INVALID, mp_event_set(NULL));
    CHECK_EQ(ENOTTY, errno);
    CHECK_ERROR_HAS("event");
    CHECK_STATUS(MP_ERR_INVALID, mp_event_set(event));
    CHECK_STATUS(MP_ERR_INVALID, mp_event_set((mp_event *)(void *)&token));
    CHECK_EQ(ENOTTY, errno);
    CHECK_STATUS(MP_ERR_INVALID, mp_event_clear(NULL));
    CHECK_ERROR_HAS("NULL");
}

enum { WAITERS = 4, ROUNDS = 50 };

/* Children wait in rounds; each round ends with a set that is cleared at once. */
static void set_and_cleared(void) {
    mp_event *event = NULL;
    mp_semaphore *ready = NULL, *through = NULL, *next = NULL;
    CHECK_OK(mp_event_new(&event));
    CHECK_OK(mp_semaphore_new(0, NULL, &next));
    CHECK_OK(mp_semaphore_new(0, NULL, &ready));
    CHECK_OK(mp_semaphore_new(0, NULL, &through));
    pid_t children[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            for (int round = 0; round < ROUNDS; round++) {
                CHECK_OK(mp_semaphore_release(ready, 1));
                CHECK_OK(mp_event_wait(event, MP_FOREVER));
                CHECK_OK(mp_semaphore_release(through, 1));
                /* Else one child could go through twice in a round, and another not at all. */
                CHECK_OK(mp_semaphore_acquire(next, MP_FOREVER));
            }
            _exit(0);
        }
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < WAITERS; i++)
            CHECK_OK(mp_semaphore_acquire(ready, MP_FOREVER));
        uint32_t done = 0;
        do { /* Whoever had not begun to wait yet is met by the next one. */
            CHECK_OK(mp_event_set(event));
            CHECK_OK(mp_event_clear(event));
            check_sleep(CHECK_SECOND / 1000);
            CHECK_OK(mp_semaphore_value(through, &done));
        } while (done < WAITERS);
        for (int i = 0; i < WAITERS; i++)
            CHECK_OK(mp_semaphore_acquire(through, 0));
        CHECK_OK(mp_semaphore_release(next, WAITERS));
    }
    for (int i = 0; i < WAITERS; i++)
        CHECK_EQ(0, check_wait(children[i]));
    mp_event_free(event);
    mp_semaphore_free(ready);
    mp_semaphore_free(through);
    mp_semaphore_free(next);
}

static mp_event *in_handler;
static volatile sig_atomic_t handled;

static void set_in_handler(int signal) {
    (void)signal;
    errno = EDOM;
    if (mp_event_set(in_handler) != MP_OK || mp_event_set(NULL) != MP_ERR_INVALID || errno != EDOM)
        _exit(3);
    handled++;
}

/* The handler interrupts malloc, and waits of the library's, wherever they are. */
static void from_signal_handlers(void) {
    CHECK_OK(mp_event_new(&in_handler));
    signal(SIGUSR1, set_in_handler);
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        while (getppid() == parent) { /* Several at once count as one, so nobody knows how many it takes. */
            kill(parent, SIGUSR1);
            check_sleep(200000);
        }
        _exit(0);
    }
    int sets = 0;
    while (handled < 200) {
        void *volatile memory = malloc(100);
        free(memory);
        if (mp_event_wait(in_handler, CHECK_SECOND / 2000) == MP_OK) {
            CHECK_OK(mp_event_clear(in_handler));
            sets++;
        }
    }
    CHECK(sets > 0);
    kill(child, SIGKILL);
    check_wait(child);
    signal(SIGUSR1, SIG_IGN);
    mp_event_free(in_handler);
}

static void *fire_soon(void *cancel) {
    check_sleep(CHECK_SECOND / 50);
    CHECK_OK(mp_cancel_fire(cancel));
    return NULL;
}

static void cancelled(void) {
    mp_event *event = NULL;
    mp_cancel *cancel = NULL;
    pthread_t thread;
    CHECK_OK(mp_event_new(&event));
    CHECK_OK(mp_cancel_new(&cancel));
    CHECK_OK(mp_cancel_use(cancel));
    CHECK_EQ(0, pthread_create(&thread, NULL, fire_soon, cancel));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_event_wait(event, MP_FOREVER));
    CHECK_EQ(0, pthread_join(thread, NULL));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_event_wait(event, 0));
    CHECK_OK(mp_event_set(event));
    CHECK_OK(mp_event_wait(event, MP_FOREVER));
    CHECK_OK(mp_cancel_use(NULL));
    mp_cancel_free(cancel);
    mp_event_free(event);
}

/* A token in plain shared memory, to a child that was there before the event. */
static void by_token(void) {
    struct {
        mp_token token;
        volatile int there;
    } *page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    mp_event *event = NULL, *same = NULL;
    pid_t child = fork();
    if (child == 0) {
        while (!__atomic_load_n(&page->there, __ATOMIC_ACQUIRE))
            check_sleep(100000);
        CHECK_OK(mp_event_from_token(&page->token, &same));
        CHECK_OK(mp_event_set(same));
        mp_event_free(same);
        _exit(0);
    }
    CHECK_OK(mp_event_new(&event));
    CHECK_OK(mp_event_token(event, &page->token));
    __atomic_store_n(&page->there, 1, __ATOMIC_RELEASE);
    CHECK_OK(mp_event_wait(event, MP_FOREVER));
    CHECK_EQ(0, check_wait(child));
    mp_event_free(event);
    munmap(page, sizeof *page);
}

int main(void) {
    check_begin();
    states();
    bad_arguments();
    set_and_cleared();
    from_signal_handlers();
    cancelled();
    by_token();
    return 0;
}
