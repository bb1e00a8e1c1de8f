/* Arrays through mp.h: sizes, alignment, locks, typed helpers, huge pages, tokens. check: valgrind, check: leaks */
#include "check.h"

static mp_array *make(size_t elem_size, size_t count, const void *init, int32_t lock) {
    mp_array *array = NULL;
    CHECK_OK(mp_array_new(elem_size, count, init, lock, &array));
    CHECK(array != NULL);
    return array;
}

static bool is_zero(const mp_array *array) {
    const unsigned char *bytes = mp_array_data(array);
    size_t n = mp_array_len(array) * mp_array_elem_size(array);
    return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}

static void sizes(void) {
    static const size_t ELEMENTS[] = {1, 2, 3, 4, 8, 12, 100, 5000};
    static const size_t COUNTS[] = {0, 1, 2, 7, 500, 4096, 20000};
    for (size_t i = 0; i < sizeof ELEMENTS / sizeof *ELEMENTS; i++) {
        for (size_t k = 0; k < sizeof COUNTS / sizeof *COUNTS; k++) {
            size_t size = ELEMENTS[i], count = COUNTS[k];
            if (size * count > 8 << 20)
                continue;
            for (int round = 0; round < 3; round++) {
                mp_array *array = make(size, count, NULL, MP_LOCK_NONE);
                CHECK_EQ(size, mp_array_elem_size(array));
                CHECK_EQ(count, mp_array_len(array));
                CHECK(mp_array_data(array) != NULL);
                CHECK_EQ(0, (uintptr_t)mp_array_data(array) % 64);
                /* Also in used memory. */
                CHECK(is_zero(array));
                memset(mp_array_data(array), 0x5a, size * count);
                mp_array_free(array);
            }
        }
    }
}

static void beginning(void) {
    int32_t numbers[100];
    mp_array *array;
    for (int i = 0; i < 100; i++)
        numbers[i] = i * i;
    array = make(sizeof *numbers, 100, numbers, MP_LOCK_PLAIN);
    CHECK(memcmp(numbers, MP_ARRAY(array, int32_t), sizeof numbers) == 0);
    /* A copy: the original may go. */
    memset(numbers, 0, sizeof numbers);
    CHECK_EQ(99 * 99, MP_ARRAY(array, int32_t)[99]);
    mp_array_free(array);
    array = make(4, 0, numbers, MP_LOCK_PLAIN);
    CHECK_EQ(0, mp_array_len(array));
    mp_array_free(array);
}

static void bad_arguments(void) {
    mp_array *array = (mp_array *)1;
    mp_array_options options;
    mp_token token;
    int64_t number = 7;
    CHECK_STATUS(MP_ERR_INVALID, mp_array_new(0, 5, NULL, MP_LOCK_NONE, &array));
    CHECK_ERROR_HAS("0 bytes");
    CHECK(array == NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_array_new(0, 0, NULL, MP_LOCK_NONE, &array));
    CHECK_STATUS(MP_ERR_TOO_LARGE, mp_array_new(SIZE_MAX / 2, 3, NULL, MP_LOCK_NONE, &array));
    CHECK_ERROR_HAS("larger than all memory");
    CHECK_STATUS(MP_ERR_TOO_LARGE, mp_array_new((size_t)1 << 32, (size_t)1 << 32, &number, MP_LOCK_NONE, &array));
    CHECK_STATUS(MP_ERR_NO_MEMORY, mp_array_new(1, (size_t)1 << 50, NULL, MP_LOCK_NONE, &array));
    CHECK_ERROR_HAS("free");
    CHECK_STATUS(MP_ERR_INVALID, mp_array_new(8, 1, NULL, 3, &array));
    CHECK_STATUS(MP_ERR_INVALID, mp_array_new(8, 1, NULL, MP_LOCK_NONE, NULL));
    CHECK_OK(mp_array_options_init(&options));
    options.lock = 77;
    CHECK_STATUS(MP_ERR_INVALID, mp_array_new_with(8, 1, NULL, &options, &array));
    CHECK_ERROR_HAS("lock is 77");
    options.size = 3;
    CHECK_STATUS(MP_ERR_INVALID, mp_array_new_with(8, 1, NULL, &options, &array));
    CHECK(array == NULL);
    CHECK(mp_array_data(NULL) == NULL);
    CHECK_EQ(0, mp_array_len(NULL));
    CHECK_EQ(0, mp_array_elem_size(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_array_acquire(NULL, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_array_release(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_array_token(NULL, &token));
    CHECK_STATUS(MP_ERR_INVALID, mp_array_from_token(NULL, &array));
    mp_array_free(NULL);

    array = make(8, 3, NULL, MP_LOCK_PLAIN);
    CHECK_STATUS(MP_ERR_INVALID, mp_array_get_i64(array, 3, &number));
    CHECK_ERROR_HAS("no element 3");
    CHECK_STATUS(MP_ERR_INVALID, mp_array_set_i64(array, SIZE_MAX, 1));
    CHECK_STATUS(MP_ERR_INVALID, mp_array_get_i64(array, 0, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_array_set_i32(array, 0, 1));
    CHECK_ERROR_HAS("8 bytes, not 4");
    CHECK_EQ(7, number);
    CHECK(MP_ARRAY(array, char) == NULL);
    CHECK(mp_array_f32(array) == NULL);
    CHECK(is_zero(array));
    mp_value *value = (mp_value *)1;
    CHECK_OK(mp_array_token(array, &token));
    CHECK_STATUS(MP_ERR_INVALID, mp_value_from_token(&token, &value));
    CHECK_ERROR_HAS("an array, not a value");
    CHECK(value == NULL);
    mp_array_free(array);
    CHECK_STATUS(MP_ERR_STALE, mp_array_from_token(&token, &array));
}

static void typed(void) {
    mp_array *array = NULL;
#define ROUND_TRIP(T, type, first, second)                                                                             \
    do {                                                                                                               \
        static const type init[] = {first, second, first};                                                             \
        type found = 0;                                                                                                \
        CHECK_OK(mp_array_new_##T(3, init, MP_LOCK_NONE, &array));                                                     \
        CHECK_EQ(3, mp_array_len(array));                                                                              \
        CHECK_EQ(sizeof(type), mp_array_elem_size(array));                                                             \
        CHECK_OK(mp_array_get_##T(array, 1, &found));                                                                  \
        CHECK(found == (second));                                                                                      \
        CHECK_OK(mp_array_set_##T(array, 2, second));                                                                  \
        CHECK(mp_array_##T(array)[0] == (first) && mp_array_##T(array)[2] == (second));                                \
        mp_array_free(array);                                                                                          \
        CHECK_OK(mp_array_new_##T(1000, NULL, MP_LOCK_NONE, &array));                                                  \
        CHECK(is_zero(array));                                                                                         \
        mp_array_free(array);                                                                                          \
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
}

static void locks(void) {
    mp_array *array = make(1, 1, NULL, MP_LOCK_NONE);
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_array_acquire(array, 0));
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_array_release(array));
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_array_acquire_as(array, 3, 0));
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_array_release_as(array, 3));
    mp_array_free(array);
    array = make(1, 1, NULL, MP_LOCK_PLAIN);
    CHECK_OK(mp_array_acquire(array, MP_FOREVER));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_array_acquire(array, 0));
    CHECK_OK(mp_array_release(array));
    CHECK_STATUS(MP_ERR_OVERFLOW, mp_array_release(array));
    mp_array_free(array);
    /* The default is recursive. */
    CHECK_OK(mp_array_new_with(1, 1, NULL, NULL, &array));
    CHECK_OK(mp_array_acquire(array, MP_FOREVER));
    CHECK_OK(mp_array_acquire(array, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_array_acquire_as(array, 3, CHECK_SECOND / 100));
    CHECK_OK(mp_array_release(array));
    CHECK_OK(mp_array_release(array));
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_array_release(array));
    CHECK_OK(mp_array_acquire_as(array, 3, 0));
    CHECK_OK(mp_array_release_as(array, 3));
    mp_array_free(array);
}

/* Several processes write under the lock, and some die while they do. */
static void writers_die(int32_t lock) {
    enum { WRITERS = 12, LENGTH = 300 };
    mp_array *array = NULL;
    pid_t children[WRITERS];
    CHECK_OK(mp_array_new_u32(LENGTH, NULL, lock, &array));
    for (int i = 0; i < WRITERS; i++) {
        children[i] = fork();
        if (children[i] != 0)
            continue;
        for (int round = 0; round < 100; round++) {
            uint32_t *data = mp_array_u32(array);
            mp_status status = mp_array_acquire(array, MP_FOREVER);
            CHECK(MP_SUCCEEDED(status));
            /* Who inherits it from a dead one mends it: all elements are equal. */
            if (status == MP_OWNER_DEAD)
                for (int k = 1; k < LENGTH; k++)
                    data[k] = data[0];
            for (int k = 0; k < LENGTH; k++) {
                CHECK_EQ(data[LENGTH - 1], data[k]);
                data[k]++;
                if (i % 3 == 0 && round == 40 + i && k == LENGTH / 2)
                    kill(getpid(), SIGKILL);
            }
            CHECK_OK(mp_array_release(array));
        }
        _exit(0);
    }
    for (int i = 0; i < WRITERS; i++)
        CHECK_EQ(i % 3 == 0 ? -SIGKILL : 0, check_wait(children[i]));
    CHECK(MP_SUCCEEDED(mp_array_acquire(array, MP_FOREVER)));
    mp_array_free(array);
}

static void huge(void) {
    enum { COUNT = 700000 };
    mp_array_options options;
    mp_array *array = NULL, *again = NULL;
    mp_token token;
    CHECK_OK(mp_array_options_init(&options));
    CHECK(!options.huge_pages && options.lock == MP_LOCK_RECURSIVE);
    options.huge_pages = true;
    options.lock = MP_LOCK_PLAIN;
    for (int round = 0; round < 3; round++) {
        CHECK_OK(mp_array_new_with(sizeof(double), COUNT, NULL, &options, &array));
        CHECK_EQ(0, (uintptr_t)mp_array_data(array) % (2 << 20));
        CHECK(is_zero(array));
        for (int i = 0; i < COUNT; i++)
            mp_array_f64(array)[i] = i;
        CHECK_OK(mp_array_token(array, &token));
        pid_t child = fork();
        if (child == 0) {
            mp_array_free(array);
            CHECK_OK(mp_array_from_token(&token, &again));
            for (int i = 0; i < COUNT; i++)
                CHECK(mp_array_f64(again)[i] == i);
            _exit(0);
        }
        CHECK_EQ(0, check_wait(child));
        mp_array_free(array);
    }
    /* Too small for them. */
    CHECK_OK(mp_array_new_with(1, 100, NULL, &options, &array));
    CHECK_OK(mp_array_acquire(array, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_array_acquire(array, 0));
    mp_array_free(array);
}

int main(void) {
    check_begin();
    sizes();
    beginning();
    bad_arguments();
    typed();
    locks();
    writers_die(MP_LOCK_PLAIN);
    writers_die(MP_LOCK_RECURSIVE);
    huge();
    return 0;
}
