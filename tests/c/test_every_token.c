/* What holds for the tokens of every kind of object. check: valgrind */
#include "check.h"

/* A kind of object, its functions behind pointers to nothing in particular. */
typedef struct kind {
    const char *name;
    void *(*make)(void);
    mp_token (*token)(void *object);
    mp_status (*find)(const mp_token *token, void **out);
    void (*free)(void *object);
} kind;

static mp_status one_end(mp_connection **out) {
    mp_connection *other;
    mp_status status = mp_pipe(true, out, &other);
    mp_connection_free(other);
    return status;
}

/* The functions of one kind; `call` makes one in `it`. */
#define KIND(type, call)                                                                                               \
    static void *make_##type(void) {                                                                                   \
        mp_##type *it = NULL;                                                                                          \
        CHECK_OK(call);                                                                                                \
        return it;                                                                                                     \
    }                                                                                                                  \
    static mp_token token_##type(void *object) {                                                                       \
        mp_token token;                                                                                                \
        CHECK_OK(mp_##type##_token(object, &token));                                                                   \
        return token;                                                                                                  \
    }                                                                                                                  \
    static mp_status find_##type(const mp_token *token, void **out) {                                                  \
        mp_##type *found = (mp_##type *)1;                                                                             \
        mp_status status = mp_##type##_from_token(token, &found);                                                      \
        *out = found;                                                                                                  \
        return status;                                                                                                 \
    }                                                                                                                  \
    static void free_##type(void *object) { mp_##type##_free(object); }

KIND(lock, mp_lock_new(&it))
KIND(rlock, mp_rlock_new(&it))
KIND(semaphore, mp_semaphore_new(3, NULL, &it))
KIND(condition, mp_condition_new(NULL, &it))
KIND(barrier, mp_barrier_new(2, &it))
KIND(queue, mp_queue_new(NULL, &it))
KIND(connection, one_end(&it))
KIND(value, mp_value_new(8, NULL, MP_LOCK_RECURSIVE, &it))
KIND(array, mp_array_new(4, 5000, NULL, MP_LOCK_PLAIN, &it))
KIND(shared_memory, mp_shared_memory_create(NULL, 5000, &it))

#define ENTRY(type)                                                                                                    \
    { #type, make_##type, token_##type, find_##type, free_##type }

static const kind kinds[] = {ENTRY(lock),  ENTRY(rlock), ENTRY(semaphore), ENTRY(condition),     ENTRY(barrier),
                             ENTRY(queue), ENTRY(value), ENTRY(array),     ENTRY(shared_memory), ENTRY(connection)};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static void refused(const kind *of, const mp_token *token, mp_status expected) {
    void *out;
    mp_status found = of->find(token, &out);
    if (found != expected || out != NULL)
        check_fail(__FILE__, __LINE__, of->name, MP_FAILED(found) ? mp_last_error() : "it was found");
}

/* A handle by token is as good as the first; then the object goes, others come in its place, and it stays refused. */
static void destroyed(const kind *of) {
    void *again, *others[50];
    void *object = of->make();
    mp_token token = of->token(object);
    pid_t child = fork();
    if (child == 0) {
        of->free(object);
        CHECK_OK(of->find(&token, &again));
        of->free(again);
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    CHECK_OK(of->find(&token, &again));
    mp_token second = of->token(again);
    CHECK(memcmp(&token, &second, sizeof token) == 0);
    of->free(object);
    CHECK_OK(mp_token_keep(&token));
    of->free(again);
    CHECK_OK(of->find(&token, &again));
    of->free(again);
    CHECK_OK(mp_token_drop(&token));
    refused(of, &token, MP_ERR_STALE);
    for (int i = 0; i < 50; i++)
        others[i] = of->make();
    refused(of, &token, MP_ERR_STALE);
    CHECK_STATUS(MP_ERR_STALE, mp_token_keep(&token));
    CHECK_STATUS(MP_ERR_STALE, mp_token_drop(&token));
    for (int i = 0; i < 50; i++)
        of->free(others[i]);
    refused(of, &token, MP_ERR_STALE);
}

static void invented(const kind *of) {
    void *object = of->make();
    mp_token good = of->token(object), bad;
    for (size_t bit = 0; bit < 8 * sizeof good; bit++) {
        bad = good;
        bad.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        refused(of, &bad, MP_ERR_INVALID);
        CHECK_STATUS(MP_ERR_INVALID, mp_token_keep(&bad));
    }
    for (int i = 0; i < 2000; i++) {
        for (size_t k = 0; k < sizeof bad.bytes; k++)
            bad.bytes[k] = (uint8_t)random();
        refused(of, &bad, MP_ERR_INVALID);
    }
    for (int i = 0; i < KINDS; i++)
        if (&kinds[i] != of) {
            refused(&kinds[i], &good, MP_ERR_INVALID);
            CHECK(strstr(mp_last_error(), ", not "));
        }
    of->free(object);
}

int main(void) {
    check_begin();
    srandom(7);
    for (int i = 0; i < KINDS; i++) {
        destroyed(&kinds[i]);
        invented(&kinds[i]);
    }
    return 0;
}
