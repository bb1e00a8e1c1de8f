/* Robust semaphores through mp.h. check: valgrind */
#include "check.h"

static mp_semaphore *robust(uint32_t value, uint32_t max) {
    mp_semaphore *semaphore = NULL;
    mp_semaphore_options options;
    CHECK_OK(mp_semaphore_options_init(&options));
    options.robust = true;
    options.max = max;
    CHECK_OK(mp_semaphore_new(value, &options, &semaphore));
    return semaphore;
}

static uint32_t value_of(mp_semaphore *semaphore) {
    uint32_t value = 99;
    CHECK_OK(mp_semaphore_value(semaphore, &value));
    return value;
}

static void counts(void) {
    mp_semaphore *semaphore = robust(3, 0);
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_semaphore_release(semaphore, 1));
    CHECK_ERROR_HAS("0 of them");
    CHECK_OK(mp_semaphore_release(semaphore, 0));
    CHECK_OK(mp_semaphore_acquire(semaphore, 0));
    CHECK_OK(mp_semaphore_acquire(semaphore, MP_FOREVER));
    CHECK_EQ(1, value_of(semaphore));
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_semaphore_release(semaphore, 3));
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_semaphore_release(semaphore, UINT32_MAX));
    CHECK_EQ(1, value_of(semaphore));
    CHECK_OK(mp_semaphore_acquire(semaphore, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_semaphore_acquire(semaphore, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_semaphore_acquire(semaphore, CHECK_SECOND / 100));
    CHECK_OK(mp_semaphore_release(semaphore, 3));
    CHECK_EQ(3, value_of(semaphore));
    mp_semaphore_free(semaphore);

    mp_semaphore_options options;
    CHECK_OK(mp_semaphore_options_init(&options));
    options.robust = true;
    options.max = 2;
    CHECK_STATUS(MP_ERR_INVALID, mp_semaphore_new(3, &options, &semaphore));
    CHECK(semaphore == NULL);
    semaphore = robust(2, 2);
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_semaphore_release(semaphore, 1));
    mp_semaphore_free(semaphore);
}

/* A child takes all there are and ends as it is told, while another waits for one. */
static void comes_back(int how) {
    mp_semaphore *semaphore = robust(5, 0), *told = NULL;
    CHECK_OK(mp_semaphore_new(0, NULL, &told));
    pid_t holder = fork();
    if (holder == 0) {
        for (int i = 0; i < 5; i++)
            CHECK_OK(mp_semaphore_acquire(semaphore, 0));
        CHECK_OK(mp_semaphore_release(semaphore, 1));
        CHECK_OK(mp_semaphore_acquire(semaphore, 0));
        CHECK_OK(mp_semaphore_release(told, 1));
        if (how == 0)
            _exit(0);
        check_sleep(CHECK_SECOND / 20);
        kill(getpid(), how);
    }
    CHECK_OK(mp_semaphore_acquire(told, MP_FOREVER));
    pid_t waiter = fork();
    if (waiter == 0) {
        CHECK_OK(mp_semaphore_acquire(semaphore, MP_FOREVER));
        _exit(0);
    }
    /* Nobody has waited for the holder yet, and nobody's reaper knows of it. */
    CHECK_OK(mp_semaphore_acquire(semaphore, MP_FOREVER));
    CHECK_EQ(0, check_wait(waiter));
    CHECK_EQ(how == 0 ? 0 : -how, check_wait(holder));
    for (int i = 0; i < 4; i++)
        CHECK_OK(mp_semaphore_acquire(semaphore, MP_FOREVER));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_semaphore_acquire(semaphore, 0));
    CHECK_OK(mp_semaphore_release(semaphore, 5));
    CHECK_EQ(5, value_of(semaphore));
    mp_semaphore_free(semaphore);
    mp_semaphore_free(told);
}

/* Permits belong to the process, not to a handle, and not to a child. */
static void whose(void) {
    mp_semaphore *semaphore = robust(4, 0), *other = NULL;
    mp_token token;
    CHECK_OK(mp_semaphore_token(semaphore, &token));
    CHECK_OK(mp_semaphore_from_token(&token, &other));
    CHECK_OK(mp_semaphore_acquire(semaphore, 0));
    CHECK_OK(mp_semaphore_acquire(semaphore, 0));
    CHECK_OK(mp_semaphore_release(other, 1));
    pid_t child = fork();
    if (child == 0) {
        CHECK_STATUS(MP_ERR_NOT_OWNER, mp_semaphore_release(semaphore, 1));
        CHECK_OK(mp_semaphore_acquire(semaphore, 0));
        CHECK_OK(mp_semaphore_acquire(other, 0));
        CHECK_OK(mp_semaphore_release(other, 2));
        CHECK_STATUS(MP_ERR_NOT_OWNER, mp_semaphore_release(semaphore, 1));
        CHECK_OK(mp_semaphore_acquire(semaphore, 0));
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    for (int i = 0; i < 3; i++)
        CHECK_OK(mp_semaphore_acquire(other, MP_FOREVER));
    CHECK_EQ(0, value_of(semaphore));
    /* Both handles go while there are permits, which go on being this process's. */
    mp_semaphore_free(semaphore);
    mp_semaphore_free(other);
    CHECK_OK(mp_semaphore_from_token(&token, &other));
    CHECK_OK(mp_semaphore_release(other, 4));
    CHECK_EQ(4, value_of(other));
    mp_semaphore_free(other);
    CHECK_STATUS(MP_ERR_STALE, mp_semaphore_from_token(&token, &other));
}

/* More permits than an object may have holders. */
static void many(void) {
    enum { MANY = 70000 };
    mp_semaphore *semaphore = robust(MANY, 0);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < MANY; i++)
            CHECK_OK(mp_semaphore_acquire(semaphore, 0));
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    CHECK_OK(mp_semaphore_acquire(semaphore, MP_FOREVER));
    CHECK_OK(mp_semaphore_release(semaphore, 1));
    while (value_of(semaphore) < MANY) /* It has just begun to be settled. */
        check_sleep(CHECK_SECOND / 1000);
    CHECK_EQ(MANY, value_of(semaphore));
    mp_semaphore_free(semaphore);
}

int main(void) {
    check_begin();
    counts();
    comes_back(0);
    comes_back(SIGKILL);
    comes_back(SIGTERM);
    whose();
    many();
    return 0;
}
