/* Values, arrays and shared memory in processes that libmp starts, by token. */
#include "process.h"

enum { LENGTH = 50000 };

struct tokens {
    mp_token value, array, unnamed, named;
};

static int32_t use(mp_call *call) {
    struct tokens tokens;
    mp_value *value = NULL;
    mp_array *array = NULL;
    mp_shared_memory *unnamed = NULL, *named = NULL;
    CHECK_EQ(sizeof tokens, mp_call_arg(call, 0).len);
    memcpy(&tokens, mp_call_arg(call, 0).data, sizeof tokens);
    CHECK_OK(mp_value_from_token(&tokens.value, &value));
    CHECK_OK(mp_array_from_token(&tokens.array, &array));
    CHECK_OK(mp_shared_memory_from_token(&tokens.unnamed, &unnamed));
    CHECK_OK(mp_shared_memory_from_token(&tokens.named, &named));
    CHECK_EQ(LENGTH, mp_array_len(array));
    CHECK_EQ(0, (uintptr_t)mp_array_data(array) % 64);
    for (int i = 0; i < LENGTH; i++) {
        CHECK_EQ(i, mp_array_i32(array)[i]);
        mp_array_i32(array)[i] = -i;
    }
    CHECK_EQ(100, mp_shared_memory_size(unnamed));
    CHECK_EQ(10000, mp_shared_memory_size(named));
    CHECK_STRING("", mp_shared_memory_name(unnamed));
    CHECK_STRING("hello", mp_shared_memory_data(unnamed));
    CHECK_STRING("hello", mp_shared_memory_data(named));
    strcpy(mp_shared_memory_data(unnamed), "goodbye");
    strcpy(mp_shared_memory_data(named), mp_shared_memory_name(named));
    CHECK_OK(mp_value_fetch_add_i64(value, 42, NULL));
    /* Ends without a release. */
    CHECK_OK(mp_value_acquire(value, MP_FOREVER));
    CHECK_OK(mp_array_acquire(array, MP_FOREVER));
    return 0;
}

static void shared_with(int32_t method) {
    struct tokens tokens;
    mp_value *value = NULL;
    mp_array *array = NULL;
    mp_shared_memory *unnamed = NULL, *named = NULL;
    char name[60];
    snprintf(name, sizeof name, "libmp-test-processes-%d", (int)getpid());
    CHECK_OK(mp_value_new_i64(58, MP_LOCK_RECURSIVE, &value));
    CHECK_OK(mp_array_new_i32(LENGTH, NULL, MP_LOCK_PLAIN, &array));
    CHECK_OK(mp_shared_memory_create(NULL, 100, &unnamed));
    CHECK_OK(mp_shared_memory_create(name, 10000, &named));
    for (int i = 0; i < LENGTH; i++)
        mp_array_i32(array)[i] = i;
    strcpy(mp_shared_memory_data(unnamed), "hello");
    strcpy(mp_shared_memory_data(named), "hello");
    CHECK_OK(mp_value_token(value, &tokens.value));
    CHECK_OK(mp_array_token(array, &tokens.array));
    CHECK_OK(mp_shared_memory_token(unnamed, &tokens.unnamed));
    CHECK_OK(mp_shared_memory_token(named, &tokens.named));
    CHECK_EQ(0, run(use, &tokens, sizeof tokens, method));
    CHECK_STATUS(MP_OWNER_DEAD, mp_value_acquire(value, MP_FOREVER));
    CHECK_EQ(100, *mp_value_i64(value));
    CHECK_STATUS(MP_OWNER_DEAD, mp_array_acquire(array, MP_FOREVER));
    for (int i = 0; i < LENGTH; i++)
        CHECK_EQ(-i, mp_array_i32(array)[i]);
    CHECK_STRING("goodbye", mp_shared_memory_data(unnamed));
    CHECK_STRING(name, mp_shared_memory_data(named));
    mp_value_free(value);
    mp_array_free(array);
    mp_shared_memory_free(unnamed);
    mp_shared_memory_free(named);
    CHECK_OK(mp_shared_memory_unlink(name));
}

int main(int argc, char **argv) {
    CHECK_OK(mp_main_init(argc, argv));
    check_begin();
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++)
        shared_with(METHODS[i]);
    return 0;
}
