/* Semaphores through mp.h. check: valgrind */
#include "check.h"

static void counts(void) {
    mp_semaphore *semaphore = NULL;
    uint32_t value = 99;
    CHECK_OK(mp_semaphore_new(2, NULL, &semaphore));
    CHECK_OK(mp_semaphore_acquire(semaphore, MP_FOREVER));
    CHECK_OK(mp_semaphore_acquire(semaphore, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_semaphore_acquire(semaphore, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_semaphore_acquire(semaphore, CHECK_SECOND / 100));
    CHECK_OK(mp_semaphore_release(semaphore, 0));
    CHECK_OK(mp_semaphore_value(semaphore, &value));
    CHECK_EQ(0, value);
    CHECK_OK(mp_semaphore_release(semaphore, 1000));
    CHECK_OK(mp_semaphore_value(semaphore, &value));
    CHECK_EQ(1000, value);
    CHECK_STATUS(MP_ERR_OVERFLOW, mp_semaphore_release(semaphore, INT32_MAX));
    CHECK_STATUS(MP_ERR_OVERFLOW, mp_semaphore_release(semaphore, UINT32_MAX));
    CHECK_OK(mp_semaphore_value(semaphore, &value));
    CHECK_EQ(1000, value);
    mp_semaphore_free(semaphore);
}

static void bounds(void) {
    mp_semaphore *semaphore = NULL;
    mp_semaphore_options options;
    CHECK_OK(mp_bounded_semaphore_new(1, &semaphore));
    CHECK_STATUS(MP_ERR_OVERFLOW, mp_semaphore_release(semaphore, 1));
    CHECK_OK(mp_semaphore_acquire(semaphore, 0));
    CHECK_STATUS(MP_ERR_OVERFLOW, mp_semaphore_release(semaphore, 2));
    CHECK_OK(mp_semaphore_release(semaphore, 1));
    mp_semaphore_free(semaphore);
    CHECK_OK(mp_bounded_semaphore_new(0, &semaphore));
    CHECK_STATUS(MP_ERR_OVERFLOW, mp_semaphore_release(semaphore, 1));
    mp_semaphore_free(semaphore);

    CHECK_OK(mp_semaphore_options_init(&options));
    CHECK_EQ(sizeof options, options.size);
    CHECK(options.max == 0 && !options.robust);
    options.max = 3;
    CHECK_OK(mp_semaphore_new(3, &options, &semaphore));
    CHECK_STATUS(MP_ERR_OVERFLOW, mp_semaphore_release(semaphore, 1));
    mp_semaphore_free(semaphore);
    CHECK_STATUS(MP_ERR_INVALID, mp_semaphore_new(4, &options, &semaphore));
    CHECK(semaphore == NULL);
}

static void bad_arguments(void) {
    mp_semaphore *semaphore = (mp_semaphore *)1;
    mp_semaphore_options options;
    uint32_t value = 0;
    CHECK_OK(mp_semaphore_options_init(&options));
    memset(&options, 0, sizeof options);
    CHECK_STATUS(MP_ERR_INVALID, mp_semaphore_new(1, &options, &semaphore));
    CHECK_STATUS(MP_ERR_INVALID, mp_semaphore_options_init(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_semaphore_new(1, NULL, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_semaphore_new(UINT32_MAX, NULL, &semaphore));
    CHECK_STATUS(MP_ERR_INVALID, mp_bounded_semaphore_new(UINT32_MAX, &semaphore));
    CHECK_STATUS(MP_ERR_INVALID, mp_bounded_semaphore_new(1, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_semaphore_acquire(NULL, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_semaphore_release(NULL, 1));
    CHECK_STATUS(MP_ERR_INVALID, mp_semaphore_value(NULL, &value));
    CHECK_OK(mp_semaphore_new(1, NULL, &semaphore));
    CHECK_STATUS(MP_ERR_INVALID, mp_semaphore_value(semaphore, NULL));
    mp_semaphore_free(semaphore);
    mp_semaphore_free(NULL);
}

/* Two processes pass a permit to and fro; the dead one's is not given back. */
static void between_processes(void) {
    mp_semaphore *there = NULL, *back = NULL;
    CHECK_OK(mp_semaphore_new(0, NULL, &there));
    CHECK_OK(mp_semaphore_new(0, NULL, &back));
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 1000; i++) {
            CHECK_OK(mp_semaphore_acquire(there, MP_FOREVER));
            CHECK_OK(mp_semaphore_release(back, 1));
        }
        CHECK_OK(mp_semaphore_acquire(there, MP_FOREVER));
        kill(getpid(), SIGKILL);
    }
    for (int i = 0; i < 1000; i++) {
        CHECK_OK(mp_semaphore_release(there, 1));
        CHECK_OK(mp_semaphore_acquire(back, MP_FOREVER));
    }
    CHECK_OK(mp_semaphore_release(there, 1));
    CHECK_EQ(-SIGKILL, check_wait(child));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_semaphore_acquire(there, 0));
    mp_semaphore_free(there);
    mp_semaphore_free(back);
}

int main(void) {
    check_begin();
    counts();
    bounds();
    bad_arguments();
    between_processes();
    return 0;
}
