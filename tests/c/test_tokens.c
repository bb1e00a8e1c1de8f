/* Tokens through mp.h: they name objects in every process of the family, and nothing else. check: valgrind */
#include "check.h"

static void names_an_object(void) {
    mp_lock *lock = NULL, *again = NULL;
    mp_token token;
    CHECK_EQ(32, sizeof token);
    CHECK_OK(mp_lock_new(&lock));
    CHECK_OK(mp_lock_token(lock, &token));
    pid_t child = fork();
    if (child == 0) {
        /* The handle that was inherited goes; the token gives another. */
        mp_lock_free(lock);
        CHECK_OK(mp_lock_from_token(&token, &again));
        CHECK_OK(mp_lock_acquire(again, 0));
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    CHECK_STATUS(MP_OWNER_DEAD, mp_lock_acquire(lock, MP_FOREVER));
    CHECK_OK(mp_lock_from_token(&token, &again));
    mp_lock_free(lock);
    CHECK_OK(mp_lock_release(again));
    mp_lock_free(again);
    CHECK_STATUS(MP_ERR_STALE, mp_lock_from_token(&token, &again));
    CHECK(again == NULL);
    CHECK_STATUS(MP_ERR_STALE, mp_token_keep(&token));
    CHECK_ERROR_HAS("destroyed");
}

static void only_its_kind(void) {
    mp_lock *lock = NULL;
    mp_semaphore *semaphore = NULL, *wrong = (mp_semaphore *)1;
    mp_token token;
    CHECK_OK(mp_lock_new(&lock));
    CHECK_OK(mp_lock_token(lock, &token));
    CHECK_STATUS(MP_ERR_INVALID, mp_semaphore_from_token(&token, &wrong));
    CHECK_ERROR_HAS("a lock");
    CHECK(wrong == NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_from_token(NULL, &lock));
    CHECK(lock == NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_from_token(&token, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_token_keep(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_token_drop(NULL));
    CHECK_OK(mp_semaphore_new(1, NULL, &semaphore));
    CHECK_STATUS(MP_ERR_INVALID, mp_semaphore_token(semaphore, NULL));
    CHECK_OK(mp_semaphore_token(semaphore, &token));
    CHECK_OK(mp_semaphore_from_token(&token, &wrong));
    mp_semaphore_free(wrong);
    mp_semaphore_free(semaphore);
    CHECK_STATUS(MP_ERR_STALE, mp_semaphore_from_token(&token, &wrong));
    CHECK(wrong == NULL);
}

static void invented(void) {
    mp_lock *lock = NULL;
    mp_token token;
    srandom(7);
    for (int i = 0; i < 20000; i++) {
        for (size_t k = 0; k < sizeof token.bytes; k++)
            token.bytes[k] = (uint8_t)random();
        CHECK_STATUS(MP_ERR_INVALID, mp_lock_from_token(&token, &lock));
        CHECK(lock == NULL);
    }
    memset(&token, 0, sizeof token);
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_from_token(&token, &lock));
}

static void kept(void) {
    mp_semaphore *semaphore = NULL;
    mp_token token;
    uint32_t value = 0;
    CHECK_OK(mp_semaphore_new(5, NULL, &semaphore));
    CHECK_OK(mp_semaphore_token(semaphore, &token));
    CHECK_STATUS(MP_ERR_OVERFLOW, mp_token_drop(&token));
    CHECK_OK(mp_token_keep(&token));
    mp_semaphore_free(semaphore);
    /* A process that keeps and ends does not take its keep along; another one drops it. */
    pid_t child = fork();
    if (child == 0) {
        CHECK_OK(mp_token_keep(&token));
        CHECK_OK(mp_token_drop(&token));
        CHECK_OK(mp_token_keep(&token));
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    CHECK_OK(mp_token_drop(&token));
    CHECK_OK(mp_semaphore_from_token(&token, &semaphore));
    CHECK_OK(mp_semaphore_value(semaphore, &value));
    CHECK_EQ(5, value);
    mp_semaphore_free(semaphore);
    CHECK_OK(mp_token_drop(&token));
    CHECK_STATUS(MP_ERR_STALE, mp_semaphore_from_token(&token, &semaphore));
}

int main(void) {
    check_begin();
    names_an_object();
    only_its_kind();
    invented();
    kept();
    return 0;
}
