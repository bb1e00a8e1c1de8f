/* Queues of all kinds in a named arena: strangers meet in them with the same options, and are refused with others. */
#include "queue.h"

static char name[64];

static mp_arena *opened(void) {
    mp_arena *arena = NULL;
    CHECK_OK(mp_arena_open(name, NULL, &arena));
    return arena;
}

/* The n-th of a list of options that are all different. */
static mp_queue_options options_of(int n) {
    mp_queue_options options = queue_options(n % 3, n / 3 % 2 ? 7 : 0);
    options.overflow = n / 6 % 3;
    options.redeliver = n / 18 % 2 == 1;
    options.max_bytes = n / 36 ? 5000 : 0;
    return options;
}

enum { DIFFERENT = 72 };

static void only_equals_are_the_same(void) {
    mp_arena *arena = opened();
    mp_queue *queue = NULL, *again = NULL;
    for (int n = 0; n < DIFFERENT; n++) {
        mp_queue_options options = options_of(n);
        CHECK_OK(mp_arena_queue(arena, "queue", &options, &queue));
        for (int other = 0; other < DIFFERENT; other++) {
            options = options_of(other);
            again = (mp_queue *)1;
            CHECK_STATUS(other == n ? MP_OK : MP_ERR_EXISTS, mp_arena_queue(arena, "queue", &options, &again));
            CHECK((again != NULL) == (other == n));
            mp_queue_free(again);
        }
        CHECK_OK(mp_arena_queue(arena, "queue", NULL, &again));
        put_text(queue, "hello");
        expect_text(again, "hello");
        mp_queue_free(again);
        mp_queue_free(queue);
        CHECK_OK(mp_arena_remove(arena, "queue"));
        CHECK_STATUS(MP_ERR_NOT_FOUND, mp_arena_queue(arena, "queue", NULL, &queue));
    }
    /* Two ways to say unbounded are the same. */
    mp_queue_options options = queue_options(MP_QUEUE_FIFO, 0);
    CHECK_OK(mp_arena_queue(arena, "queue", &options, &queue));
    options.maxsize = -5;
    CHECK_OK(mp_arena_queue(arena, "queue", &options, &again));
    options.maxsize = INT64_MAX;
    mp_queue *none = (mp_queue *)1;
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_queue(arena, "queue", &options, &none));
    CHECK(none == NULL);
    mp_queue_free(queue);
    mp_queue_free(again);
    CHECK_OK(mp_arena_remove(arena, "queue"));
    mp_arena_free(arena);
}

/* Takes all three messages as a stranger, keeps one unacknowledged, and dies. */
static void take_as_a_stranger(const mp_queue_options *options) {
    mp_arena *arena = opened();
    mp_queue *queue = NULL;
    CHECK_OK(mp_arena_queue(arena, "jobs", options, &queue));
    for (int i = 0; i < 3; i++) {
        mp_buffer *buffer = get_buffer(queue, MP_FOREVER);
        if (i > 0)
            CHECK_OK(mp_queue_ack(queue, buffer));
    }
    kill(getpid(), SIGKILL);
}

/* A message outlives two programs, of which the second had it when it was killed. */
static void redelivered_from_a_stranger(int32_t kind) {
    mp_queue_options options = queue_options(kind, 3);
    options.redeliver = true;
    pid_t producer = fork();
    if (producer == 0) {
        mp_arena *arena = opened();
        mp_queue *queue = NULL;
        CHECK_OK(mp_arena_queue(arena, "jobs", &options, &queue));
        for (uint64_t i = 0; i < 3; i++)
            put_number(queue, i);
        _exit(0);
    }
    CHECK_EQ(0, check_wait(producer));
    pid_t taker = fork();
    if (taker == 0)
        take_as_a_stranger(&options);
    CHECK_EQ(-SIGKILL, check_wait(taker));
    pid_t heir = fork();
    if (heir == 0) {
        mp_arena *arena = opened();
        mp_queue *queue = NULL;
        CHECK_OK(mp_arena_queue(arena, "jobs", NULL, &queue));
        mp_buffer *buffer = get_buffer(queue, MP_FOREVER);
        CHECK_EQ(kind == MP_QUEUE_LIFO ? 2 : 0, *(const uint64_t *)mp_buffer_data(buffer));
        CHECK_OK(mp_queue_ack(queue, buffer));
        expect_get(queue, MP_ERR_EMPTY);
        CHECK_OK(mp_queue_join(queue, MP_FOREVER));
        CHECK_OK(mp_arena_remove(arena, "jobs"));
        _exit(0);
    }
    CHECK_EQ(0, check_wait(heir));
}

/* A buffer of the family's arena is copied into another one, and the other way round. */
static void buffers_between_arenas(void) {
    enum { LENGTH = 5000 };
    mp_arena *arena = opened();
    mp_queue_options options = queue_options(MP_QUEUE_LIFO, 1);
    mp_queue *far = NULL, *near = queue_of(0);
    mp_reservation *reservation = NULL;
    void *place = NULL;
    CHECK_OK(mp_arena_queue(arena, "far", &options, &far));
    mp_buffer *buffer = new_buffer(LENGTH, 1);
    const void *data = mp_buffer_data(buffer);
    CHECK_OK(mp_queue_put_buffer(far, buffer, 0));
    buffer = get_buffer(far, 0);
    CHECK(mp_buffer_data(buffer) != data);
    check_filled(mp_buffer_data(buffer), LENGTH, 1);
    data = mp_buffer_data(buffer);
    CHECK_OK(mp_queue_put_buffer(near, buffer, 0));
    buffer = get_buffer(near, 0);
    CHECK(mp_buffer_data(buffer) != data);
    check_filled(mp_buffer_data(buffer), LENGTH, 1);
    mp_buffer_free(buffer);
    CHECK_OK(mp_queue_reserve(far, LENGTH, 0, &place, &reservation));
    fill(place, LENGTH, 2);
    CHECK_OK(mp_queue_commit(reservation));
    buffer = get_buffer(far, 0);
    CHECK(mp_buffer_data(buffer) == place);
    mp_buffer_free(buffer);
    mp_queue_free(far);
    mp_queue_free(near);
    mp_arena_free(arena);
}

int main(void) {
    check_begin();
    check_watchdog(110);
    snprintf(name, sizeof name, "test-queue-%d", (int)getpid());
    /* First, while this process has no part in the arena: the others are strangers. */
    for (int32_t kind = MP_QUEUE_FIFO; kind <= MP_QUEUE_PRIORITY; kind++)
        redelivered_from_a_stranger(kind);
    only_equals_are_the_same();
    buffers_between_arenas();
    CHECK_OK(mp_arena_unlink(name));
    return 0;
}
