/* Values and arrays by name, between strangers. check: valgrind */
#include "check.h"

enum { STRANGERS = 3, ROUNDS = 300, LENGTH = 1000 };

static mp_arena *opened(const char *name) {
    mp_arena *arena = NULL;
    CHECK_OK(mp_arena_open(name, NULL, &arena));
    return arena;
}

/* Counts in a value and in an array; whoever comes first makes them. */
static void count(const char *name) {
    int64_t start = 1000;
    mp_arena *arena = opened(name);
    mp_value *counter = NULL;
    mp_array *table = NULL;
    CHECK_OK(mp_arena_value(arena, "counter", sizeof start, &start, MP_LOCK_NONE, &counter));
    CHECK_OK(mp_arena_array(arena, "table", sizeof(uint32_t), LENGTH, NULL, MP_LOCK_RECURSIVE, &table));
    mp_arena_free(arena);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(mp_value_fetch_add_i64(counter, 1, NULL));
        CHECK_OK(mp_array_acquire(table, MP_FOREVER));
        for (int k = 0; k < LENGTH; k++)
            mp_array_u32(table)[k]++;
        CHECK_OK(mp_array_release(table));
    }
    mp_value_free(counter);
    mp_array_free(table);
}

static void strangers(const char *name) {
    pid_t children[STRANGERS];
    for (int i = 0; i < STRANGERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            count(name);
            _exit(0);
        }
    }
    for (int i = 0; i < STRANGERS; i++)
        CHECK_EQ(0, check_wait(children[i]));
}

static void refusals(mp_arena *arena) {
    mp_value *value = (mp_value *)1;
    mp_array *array = (mp_array *)1;
    mp_lock *lock = NULL;
    CHECK_STATUS(MP_ERR_EXISTS, mp_arena_value(arena, "counter", 4, NULL, MP_LOCK_NONE, &value));
    CHECK_ERROR_HAS("other options");
    CHECK(value == NULL);
    CHECK_STATUS(MP_ERR_EXISTS, mp_arena_value(arena, "counter", 8, NULL, MP_LOCK_PLAIN, &value));
    CHECK_STATUS(MP_ERR_EXISTS, mp_arena_value(arena, "table", 8, NULL, MP_LOCK_NONE, &value));
    CHECK_STATUS(MP_ERR_EXISTS, mp_arena_lock(arena, "table", &lock));
    CHECK_STATUS(MP_ERR_EXISTS, mp_arena_array(arena, "table", 4, LENGTH + 1, NULL, MP_LOCK_RECURSIVE, &array));
    CHECK_STATUS(MP_ERR_EXISTS, mp_arena_array(arena, "table", 8, LENGTH / 2, NULL, MP_LOCK_RECURSIVE, &array));
    CHECK_STATUS(MP_ERR_EXISTS, mp_arena_array(arena, "table", 4, LENGTH, NULL, MP_LOCK_NONE, &array));
    CHECK(array == NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_value(arena, "new", 0, NULL, MP_LOCK_NONE, &value));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_value(arena, "new", 8, NULL, 9, &value));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_value(arena, "", 8, NULL, MP_LOCK_NONE, &value));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_value(NULL, "new", 8, NULL, MP_LOCK_NONE, &value));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_value(arena, "new", 8, NULL, MP_LOCK_NONE, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_array(arena, "new", 0, 1, NULL, MP_LOCK_NONE, &array));
    CHECK_STATUS(MP_ERR_TOO_LARGE, mp_arena_array(arena, "new", 8, SIZE_MAX, NULL, MP_LOCK_NONE, &array));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_array(arena, NULL, 8, 1, NULL, MP_LOCK_NONE, &array));
    CHECK_STATUS(MP_ERR_NOT_FOUND, mp_arena_remove(arena, "new"));
}

int main(void) {
    char name[64];
    mp_value *counter = NULL, *other = NULL;
    mp_array *table = NULL;
    mp_token token;
    int64_t total = 0;
    check_begin();
    snprintf(name, sizeof name, "test-c-values-%d", (int)getpid());
    strangers(name);
    /* All who made it are gone, and it is all there. */
    mp_arena *arena = opened(name);
    CHECK_OK(mp_arena_value(arena, "counter", sizeof total, NULL, MP_LOCK_NONE, &counter));
    CHECK_OK(mp_value_load_i64(counter, &total));
    CHECK_EQ(1000 + STRANGERS * ROUNDS, total);
    CHECK_OK(mp_arena_array(arena, "table", sizeof(uint32_t), LENGTH, NULL, MP_LOCK_RECURSIVE, &table));
    CHECK_EQ(0, (uintptr_t)mp_array_data(table) % 64);
    for (int k = 0; k < LENGTH; k++)
        CHECK_EQ(STRANGERS * ROUNDS, mp_array_u32(table)[k]);
    refusals(arena);
    /* One removed lives on with its handles, and the name is free for another. */
    CHECK_OK(mp_arena_remove(arena, "counter"));
    CHECK_OK(mp_arena_value(arena, "counter", 4, NULL, MP_LOCK_PLAIN, &other));
    CHECK_OK(mp_value_load_i64(counter, &total));
    CHECK_EQ(1000 + STRANGERS * ROUNDS, total);
    CHECK_OK(mp_value_token(counter, &token));
    mp_value_free(counter);
    CHECK_STATUS(MP_ERR_STALE, mp_value_from_token(&token, &counter));
    CHECK_OK(mp_value_token(other, &token));
    mp_value_free(other);
    CHECK_OK(mp_value_from_token(&token, &other));
    CHECK_EQ(4, mp_value_size(other));
    mp_value_free(other);
    mp_array_free(table);
    mp_arena_free(arena);
    CHECK_OK(mp_arena_unlink(name));
    return 0;
}
