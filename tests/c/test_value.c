/* Values through mp.h: sizes, locks, typed helpers, atomics, tokens, owners that end. check: valgrind, check: leaks */
#include "check.h"
#include <pthread.h>

struct point {
    double x, y;
    char name[40];
};

static mp_value *make(size_t size, const void *init, int32_t lock) {
    mp_value *value = NULL;
    CHECK_OK(mp_value_new(size, init, lock, &value));
    CHECK(value != NULL);
    return value;
}

static bool all_are(const unsigned char *bytes, size_t n, unsigned char byte) {
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != byte)
            return false;
    return true;
}

static void sizes(void) {
    static const size_t SIZES[] = {1, 2, 8, 47, 48, 49, 64, 1000, 4095, 4096, 4097, 100000, 3 << 20};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        size_t size = SIZES[i];
        unsigned char *init = malloc(size);
        memset(init, 0xa5, size);
        mp_value *value = make(size, init, MP_LOCK_PLAIN);
        unsigned char *data = mp_value_data(value);
        CHECK_EQ(size, mp_value_size(value));
        CHECK(data != NULL && (uintptr_t)data % 16 == 0);
        CHECK(size <= 48 || (uintptr_t)data % 64 == 0);
        CHECK(memcmp(data, init, size) == 0);
        mp_value_free(value);
        /* New ones get the memory of old ones, and show nothing of it. */
        for (int k = 0; k < 20; k++) {
            value = make(size, NULL, MP_LOCK_PLAIN);
            data = mp_value_data(value);
            CHECK(all_are(data, size, 0));
            memset(data, 0x5a, size);
            mp_value_free(value);
        }
        free(init);
    }
}

static void bad_arguments(void) {
    mp_value *value = (mp_value *)1, *stale;
    mp_lock *lock = NULL;
    mp_token token;
    char byte = 0;
    CHECK_STATUS(MP_ERR_INVALID, mp_value_new(0, NULL, MP_LOCK_NONE, &value));
    CHECK_ERROR_HAS("0 bytes");
    CHECK(value == NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_value_new(4, NULL, MP_LOCK_NONE, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_value_new(4, NULL, 3, &value));
    CHECK_ERROR_HAS("lock is 3");
    CHECK_STATUS(MP_ERR_INVALID, mp_value_new(4, NULL, -1, &value));
    CHECK_STATUS(MP_ERR_INVALID, mp_value_new(SIZE_MAX, &byte, MP_LOCK_NONE, &value));
    CHECK_STATUS(MP_ERR_NO_MEMORY, mp_value_new(SIZE_MAX, NULL, MP_LOCK_NONE, &value));
    CHECK_STATUS(MP_ERR_NO_MEMORY, mp_value_new((size_t)1 << 50, NULL, MP_LOCK_NONE, &value));
    CHECK_ERROR_HAS("free");
    CHECK(value == NULL);
    CHECK(mp_value_data(NULL) == NULL);
    CHECK_ERROR_HAS("value is NULL");
    CHECK_EQ(0, mp_value_size(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_value_acquire(NULL, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_value_release(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_value_acquire_as(NULL, 1, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_value_release_as(NULL, 1));
    CHECK_STATUS(MP_ERR_INVALID, mp_value_token(NULL, &token));
    CHECK_STATUS(MP_ERR_INVALID, mp_value_from_token(NULL, &value));
    CHECK_STATUS(MP_ERR_INVALID, mp_value_get(NULL, &byte, 1));
    CHECK_STATUS(MP_ERR_INVALID, mp_value_set(NULL, &byte, 1));
    mp_value_free(NULL);

    value = make(4, NULL, MP_LOCK_PLAIN);
    CHECK_STATUS(MP_ERR_INVALID, mp_value_token(value, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_value_get(value, NULL, 4));
    CHECK_STATUS(MP_ERR_INVALID, mp_value_get(value, &byte, 1));
    CHECK_ERROR_HAS("4 bytes, not 1");
    CHECK_STATUS(MP_ERR_INVALID, mp_value_set(value, NULL, 4));
    CHECK_STATUS(MP_ERR_INVALID, mp_value_set(value, &byte, 1));
    CHECK_STATUS(MP_ERR_INVALID, mp_value_set(value, &byte, 0));
    CHECK_OK(mp_value_token(value, &token));
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_from_token(&token, &lock));
    CHECK_ERROR_HAS("names a value");
    stale = value;
    mp_value_free(value);
    if (!getenv("MP_HANDLES")) {
        CHECK(mp_value_data(stale) == NULL);
        CHECK_ERROR_HAS("it was freed");
        CHECK_STATUS(MP_ERR_INVALID, mp_value_acquire(stale, 0));
    }
    CHECK_STATUS(MP_ERR_STALE, mp_value_from_token(&token, &value));
    CHECK_ERROR_HAS("a value that has been destroyed");
}

static void *try_it(void *argument) {
    mp_value *value = argument;
    return (void *)(intptr_t)mp_value_acquire(value, 0);
}

static mp_status from_another_thread(mp_value *value) {
    pthread_t thread;
    void *status;
    CHECK_EQ(0, pthread_create(&thread, NULL, try_it, value));
    CHECK_EQ(0, pthread_join(thread, &status));
    return (mp_status)(intptr_t)status;
}

static void locks(void) {
    mp_value *value = make(8, NULL, MP_LOCK_NONE);
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_value_acquire(value, MP_FOREVER));
    CHECK_ERROR_HAS("MP_LOCK_NONE");
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_value_release(value));
    mp_value_free(value);

    value = make(8, NULL, MP_LOCK_PLAIN);
    errno = ENOTTY;
    CHECK_OK(mp_value_acquire(value, MP_FOREVER));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_value_acquire(value, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_value_acquire(value, CHECK_SECOND / 50));
    CHECK_OK(mp_value_release(value));
    CHECK_STATUS(MP_ERR_OVERFLOW, mp_value_release(value));
    CHECK_OK(mp_value_acquire_as(value, 1, 0));
    CHECK_OK(mp_value_release_as(value, 2));
    CHECK_OK(mp_value_acquire(value, 0));
    pid_t child = fork();
    if (child == 0) {
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_value_acquire(value, 0));
        CHECK_OK(mp_value_release(value));
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    CHECK_OK(mp_value_acquire(value, 0));
    mp_value_free(value);

    value = make(8, NULL, MP_LOCK_RECURSIVE);
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_value_release(value));
    for (int i = 0; i < 5; i++)
        CHECK_OK(mp_value_acquire(value, i % 2 ? 0 : MP_FOREVER));
    CHECK_STATUS(MP_ERR_TIMEOUT, from_another_thread(value));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_value_acquire_as(value, 7, 0));
    for (int i = 0; i < 5; i++)
        CHECK_OK(mp_value_release(value));
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_value_release(value));
    CHECK_OK(mp_value_acquire_as(value, 7, 0));
    CHECK_OK(mp_value_acquire_as(value, 7, 0));
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_value_release_as(value, 8));
    CHECK_OK(mp_value_release_as(value, 7));
    CHECK_OK(mp_value_release_as(value, 7));
    mp_value_free(value);
}

static void owner_dies(int32_t lock) {
    mp_value *value = make(sizeof(int64_t), NULL, lock);
    for (int round = 0; round < 3; round++) {
        pid_t child = fork();
        if (child == 0) {
            CHECK_OK(mp_value_acquire(value, MP_FOREVER));
            *mp_value_i64(value) = round + 1;
            kill(getpid(), SIGKILL);
        }
        CHECK_EQ(-SIGKILL, check_wait(child));
        CHECK_STATUS(MP_OWNER_DEAD, mp_value_acquire(value, MP_FOREVER));
        CHECK_EQ(round + 1, *mp_value_i64(value));
        CHECK_OK(mp_value_release(value));
        CHECK_OK(mp_value_acquire(value, 0));
        CHECK_OK(mp_value_release(value));
    }
    mp_value_free(value);
}

static void typed(void) {
    struct point origin = {1.5, -2.5, "start"};
    mp_value *value = make(sizeof origin, &origin, MP_LOCK_PLAIN);
    struct point *point = MP_VALUE(value, struct point);
    CHECK(point != NULL && point->x == 1.5 && strcmp(point->name, "start") == 0);
    CHECK(MP_VALUE(value, double) == NULL);
    CHECK_ERROR_HAS("bytes, not 8");
    CHECK(mp_value_i64(value) == NULL);
    mp_value_free(value);

#define ROUND_TRIP(T, type, first, second)                                                                             \
    do {                                                                                                               \
        type found = 0;                                                                                                \
        CHECK_OK(mp_value_new_##T(first, MP_LOCK_NONE, &value));                                                       \
        CHECK_EQ(sizeof(type), mp_value_size(value));                                                                  \
        CHECK_OK(mp_value_get_##T(value, &found));                                                                     \
        CHECK(found == (first) && *mp_value_##T(value) == (first));                                                    \
        CHECK_OK(mp_value_set_##T(value, second));                                                                     \
        CHECK(*mp_value_##T(value) == (second));                                                                       \
        CHECK_STATUS(MP_ERR_INVALID, mp_value_get_##T(value, NULL));                                                   \
        CHECK_STATUS(MP_ERR_INVALID, mp_value_get_##T(NULL, &found));                                                  \
        mp_value_free(value);                                                                                          \
    } while (0)
    ROUND_TRIP(i8, int8_t, INT8_MIN, 5);
    ROUND_TRIP(u8, uint8_t, UINT8_MAX, 5);
    ROUND_TRIP(i16, int16_t, INT16_MIN, 5);
    ROUND_TRIP(u16, uint16_t, UINT16_MAX, 5);
    ROUND_TRIP(i32, int32_t, INT32_MIN, 5);
    ROUND_TRIP(u32, uint32_t, UINT32_MAX, 5);
    ROUND_TRIP(i64, int64_t, INT64_MIN, 5);
    ROUND_TRIP(u64, uint64_t, UINT64_MAX, 5);
    ROUND_TRIP(f32, float, 0.25f, -1e30f);
    ROUND_TRIP(f64, double, 0.1, -1e300);
    ROUND_TRIP(bool, bool, true, false);
    CHECK_OK(mp_value_new_f64(1, MP_LOCK_NONE, &value));
    CHECK_STATUS(MP_ERR_INVALID, mp_value_set_f32(value, 1));
    mp_value_free(value);
}

#define ATOMIC(T, type, big)                                                                                           \
    do {                                                                                                               \
        mp_value *value = NULL;                                                                                        \
        type was = 1, expected;                                                                                        \
        bool exchanged = false;                                                                                        \
        CHECK_OK(mp_value_new_##T((big), MP_LOCK_NONE, &value));                                                       \
        errno = ENOTTY;                                                                                                \
        CHECK_OK(mp_value_load_##T(value, &was));                                                                      \
        CHECK(was == (big));                                                                                           \
        CHECK_OK(mp_value_fetch_add_##T(value, 1, &was));                                                              \
        CHECK(was == (big));                                                                                           \
        CHECK_OK(mp_value_fetch_sub_##T(value, 1, NULL));                                                              \
        CHECK_OK(mp_value_exchange_##T(value, 12, &was));                                                              \
        CHECK(was == (big));                                                                                           \
        CHECK_OK(mp_value_fetch_or_##T(value, 3, &was));                                                               \
        CHECK(was == 12);                                                                                              \
        CHECK_OK(mp_value_fetch_and_##T(value, 6, &was));                                                              \
        CHECK(was == 15);                                                                                              \
        CHECK_OK(mp_value_fetch_add_##T(value, (type)-2, &was));                                                       \
        CHECK(was == 6);                                                                                               \
        expected = 5;                                                                                                  \
        CHECK_OK(mp_value_compare_exchange_##T(value, &expected, 9, &exchanged));                                      \
        CHECK(!exchanged && expected == 4);                                                                            \
        CHECK_OK(mp_value_compare_exchange_##T(value, &expected, 9, &exchanged));                                      \
        CHECK(exchanged &&expected == 4);                                                                              \
        CHECK_OK(mp_value_store_##T(value, (type)-7));                                                                 \
        CHECK_OK(mp_value_load_##T(value, &was));                                                                      \
        CHECK(was == (type)-7 && *mp_value_##T(value) == was);                                                         \
        CHECK_EQ(ENOTTY, errno);                                                                                       \
        CHECK_STATUS(MP_ERR_INVALID, mp_value_load_##T(value, NULL));                                                  \
        CHECK_STATUS(MP_ERR_INVALID, mp_value_compare_exchange_##T(value, NULL, 9, &exchanged));                       \
        CHECK_STATUS(MP_ERR_INVALID, mp_value_compare_exchange_##T(value, &expected, 9, NULL));                        \
        CHECK_STATUS(MP_ERR_INVALID, mp_value_fetch_add_##T(NULL, 1, NULL));                                           \
        mp_value_free(value);                                                                                          \
        value = make(sizeof(type) * 2, NULL, MP_LOCK_NONE);                                                            \
        was = 77;                                                                                                      \
        CHECK_STATUS(MP_ERR_INVALID, mp_value_load_##T(value, &was));                                                  \
        CHECK_STATUS(MP_ERR_INVALID, mp_value_store_##T(value, 1));                                                    \
        CHECK_STATUS(MP_ERR_INVALID, mp_value_exchange_##T(value, 1, &was));                                           \
        CHECK_STATUS(MP_ERR_INVALID, mp_value_fetch_add_##T(value, 1, &was));                                          \
        CHECK_STATUS(MP_ERR_INVALID, mp_value_fetch_sub_##T(value, 1, &was));                                          \
        CHECK_STATUS(MP_ERR_INVALID, mp_value_fetch_and_##T(value, 1, &was));                                          \
        CHECK_STATUS(MP_ERR_INVALID, mp_value_fetch_or_##T(value, 1, &was));                                           \
        CHECK_STATUS(MP_ERR_INVALID, mp_value_compare_exchange_##T(value, &was, 1, &exchanged));                       \
        CHECK(was == 77);                                                                                              \
        mp_value_free(value);                                                                                          \
    } while (0)

static void atomics(void) {
    ATOMIC(i64, int64_t, INT64_MAX);
    ATOMIC(u64, uint64_t, UINT64_MAX);
    ATOMIC(i32, int32_t, INT32_MAX);
    ATOMIC(u32, uint32_t, UINT32_MAX);
}

enum { PROCESSES = 4, ROUNDS = 20000 };

/* Four processes count at once, two of them by a token; nothing is lost. */
static void counting(void) {
    mp_value *plain = NULL, *swapped = NULL, *small = NULL, *locked = NULL;
    mp_token token;
    pid_t children[PROCESSES];
    int64_t total = 0;
    uint64_t swaps = 0;
    int32_t below = 0;
    CHECK_OK(mp_value_new_i64(0, MP_LOCK_NONE, &plain));
    CHECK_OK(mp_value_new_u64(0, MP_LOCK_NONE, &swapped));
    CHECK_OK(mp_value_new_i32(0, MP_LOCK_NONE, &small));
    CHECK_OK(mp_value_new_i64(0, MP_LOCK_RECURSIVE, &locked));
    CHECK_OK(mp_value_token(plain, &token));
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] != 0)
            continue;
        if (i % 2) {
            mp_value_free(plain);
            CHECK_OK(mp_value_from_token(&token, &plain));
        }
        for (int k = 0; k < ROUNDS; k++) {
            bool done = false;
            uint64_t seen = 0;
            CHECK_OK(mp_value_fetch_add_i64(plain, 3, NULL));
            CHECK_OK(mp_value_fetch_sub_i32(small, 1, NULL));
            while (!done)
                CHECK_OK(mp_value_compare_exchange_u64(swapped, &seen, seen + 1, &done));
            if (k % 10 == 0) {
                CHECK_OK(mp_value_acquire(locked, MP_FOREVER));
                CHECK_OK(mp_value_acquire(locked, MP_FOREVER));
                ++*mp_value_i64(locked);
                CHECK_OK(mp_value_release(locked));
                CHECK_OK(mp_value_release(locked));
            }
        }
        _exit(0);
    }
    for (int i = 0; i < PROCESSES; i++)
        CHECK_EQ(0, check_wait(children[i]));
    CHECK_OK(mp_value_load_i64(plain, &total));
    CHECK_EQ((int64_t)3 * PROCESSES * ROUNDS, total);
    CHECK_OK(mp_value_load_u64(swapped, &swaps));
    CHECK_EQ(PROCESSES * ROUNDS, swaps);
    CHECK_OK(mp_value_load_i32(small, &below));
    CHECK_EQ(-PROCESSES * ROUNDS, below);
    CHECK_EQ(PROCESSES * ROUNDS / 10, *mp_value_i64(locked));
    mp_value_free(plain);
    mp_value_free(swapped);
    mp_value_free(small);
    mp_value_free(locked);
}

/* A value's handles come and go; its bytes stay until the last. */
static void tokens(void) {
    mp_value *value = make(1000, NULL, MP_LOCK_PLAIN), *again = NULL;
    mp_token token;
    CHECK_OK(mp_value_token(value, &token));
    strcpy(mp_value_data(value), "hello");
    pid_t child = fork();
    if (child == 0) {
        /* The pointer is as good here. */
        CHECK_STRING("hello", mp_value_data(value));
        mp_value_free(value);
        CHECK_OK(mp_value_from_token(&token, &again));
        CHECK_EQ(1000, mp_value_size(again));
        CHECK_STRING("hello", mp_value_data(again));
        strcpy(mp_value_data(again), "goodbye");
        mp_value_free(again);
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    CHECK_STRING("goodbye", mp_value_data(value));
    CHECK_OK(mp_token_keep(&token));
    mp_value_free(value);
    CHECK_OK(mp_value_from_token(&token, &value));
    CHECK_STRING("goodbye", mp_value_data(value));
    CHECK_OK(mp_token_drop(&token));
    mp_value_free(value);
    CHECK_STATUS(MP_ERR_STALE, mp_value_from_token(&token, &value));
}

int main(void) {
    check_begin();
    sizes();
    bad_arguments();
    locks();
    owner_dies(MP_LOCK_PLAIN);
    owner_dies(MP_LOCK_RECURSIVE);
    typed();
    atomics();
    counting();
    tokens();
    return 0;
}
