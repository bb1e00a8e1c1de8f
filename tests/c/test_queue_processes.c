/* Queues between processes: waiting, closing, cancelling, tokens, buffers, ends of processes, a full arena. */
#include "queue.h"

#include <pthread.h>

static mp_token token_of(const mp_queue *queue) {
    mp_token token;
    CHECK_OK(mp_queue_token(queue, &token));
    return token;
}

/* -- waiters -- */

enum { GETTERS = 3 };

static void messages_wake_getters(void) {
    mp_queue *queue = queue_of(0), *back = queue_of(0);
    pid_t children[GETTERS];
    for (int i = 0; i < GETTERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            uint64_t number;
            do {
                number = get_number(queue);
                put_number(back, number);
            } while (number != 0);
            _exit(0);
        }
    }
    for (uint64_t round = 0; round < 300; round++) {
        for (uint64_t i = 0; i < GETTERS; i++)
            put_number(queue, round * GETTERS + i + 1);
        for (uint64_t i = 0, seen = 0; i < GETTERS; i++) {
            uint64_t place = get_number(back) - 1 - round * GETTERS;
            CHECK(place < GETTERS && !(seen & (UINT64_C(1) << place)));
            seen |= UINT64_C(1) << place;
        }
    }
    for (int i = 0; i < GETTERS; i++)
        put_number(queue, 0);
    for (int i = 0; i < GETTERS; i++)
        CHECK_EQ(0, check_wait(children[i]));
    mp_queue_free(queue);
    mp_queue_free(back);
}

static void room_wakes_putters(void) {
    mp_queue *queue = queue_of(1);
    pid_t children[GETTERS];
    put_number(queue, 99);
    for (uint64_t i = 0; i < GETTERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            put_number(queue, i);
            _exit(0);
        }
    }
    for (int i = 0; i < GETTERS; i++)
        wait_until_asleep(children[i]);
    CHECK_EQ(1, size_of(queue));
    CHECK_EQ(99, get_number(queue));
    for (uint64_t i = 0, seen = 0; i < GETTERS; i++) {
        uint64_t number = get_number(queue);
        CHECK(number < GETTERS && !(seen & (UINT64_C(1) << number)));
        seen |= UINT64_C(1) << number;
    }
    for (int i = 0; i < GETTERS; i++)
        CHECK_EQ(0, check_wait(children[i]));
    mp_queue_free(queue);
}

/* A child closes the queue on which others sleep, on both sides. */
static void closing_wakes_all(void) {
    mp_queue *empty = queue_of(0), *full = queue_of(1);
    pid_t children[2 * GETTERS], closer;
    put_number(full, 5);
    for (int i = 0; i < 2 * GETTERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            mp_buffer *buffer;
            if (i < GETTERS)
                CHECK_STATUS(MP_ERR_CLOSED, mp_queue_get(empty, i == 0 ? MP_FOREVER : 50 * CHECK_SECOND, &buffer));
            else
                CHECK_STATUS(MP_ERR_CLOSED, mp_queue_put(full, "", 0, MP_FOREVER));
            _exit(0);
        }
    }
    for (int i = 0; i < 2 * GETTERS; i++)
        wait_until_asleep(children[i]);
    closer = fork();
    if (closer == 0) {
        for (int i = 0; i < 2; i++) {
            CHECK_OK(mp_queue_close(empty));
            CHECK_OK(mp_queue_close(full));
        }
        _exit(0);
    }
    CHECK_EQ(0, check_wait(closer));
    for (int i = 0; i < 2 * GETTERS; i++)
        CHECK_EQ(0, check_wait(children[i]));
    CHECK_EQ(5, get_number(full));
    CHECK_STATUS(MP_ERR_CLOSED, mp_queue_put(full, "", 0, 0));
    mp_queue_free(empty);
    mp_queue_free(full);
}

struct cancelled {
    mp_queue *queue;
    mp_cancel *cancel;
    int put;
};

static void *be_cancelled(void *argument) {
    struct cancelled *what = argument;
    mp_buffer *buffer = (mp_buffer *)1;
    unsigned char byte;
    size_t length;
    CHECK_OK(mp_cancel_use(what->cancel));
    if (what->put) {
        CHECK_STATUS(MP_ERR_CANCELLED, mp_queue_put(what->queue, "", 0, MP_FOREVER));
    } else {
        CHECK_STATUS(MP_ERR_CANCELLED, mp_queue_get(what->queue, MP_FOREVER, &buffer));
        CHECK(buffer == NULL);
        CHECK_STATUS(MP_ERR_CANCELLED, mp_queue_get_into(what->queue, &byte, 1, &length, 50 * CHECK_SECOND));
    }
    CHECK_OK(mp_cancel_use(NULL));
    return NULL;
}

static void cancelling(void) {
    mp_queue *empty = queue_of(0), *full = queue_of(1);
    mp_cancel *cancel = NULL;
    pthread_t threads[4];
    put_number(full, 1);
    CHECK_OK(mp_cancel_new(&cancel));
    struct cancelled put = {full, cancel, 1}, get = {empty, cancel, 0};
    for (int i = 0; i < 4; i++)
        CHECK_EQ(0, pthread_create(&threads[i], NULL, be_cancelled, i % 2 ? &put : &get));
    check_sleep(CHECK_SECOND / 20);
    CHECK_OK(mp_cancel_fire(cancel));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(0, pthread_join(threads[i], NULL));
    /* What need not wait is not cancelled, a close neither. */
    CHECK_OK(mp_cancel_use(cancel));
    CHECK_EQ(1, get_number(full));
    put_number(full, 2);
    put_number(empty, 3);
    CHECK_EQ(3, get_number(empty));
    CHECK_OK(mp_queue_close(full));
    CHECK_OK(mp_cancel_use(NULL));
    CHECK_EQ(2, get_number(full));
    mp_cancel_free(cancel);
    mp_queue_free(empty);
    mp_queue_free(full);
}

/* -- tokens and start methods -- */

static void tokens_through_queues(void) {
    mp_queue *outer = queue_of(0), *inner = queue_of(0), *found = NULL;
    mp_token token = token_of(inner);
    size_t length;
    CHECK_OK(mp_queue_put(outer, &token, sizeof token, 0));
    pid_t child = fork();
    if (child == 0) {
        mp_token in_child;
        CHECK_OK(mp_queue_get_into(outer, &in_child, sizeof in_child, &length, MP_FOREVER));
        CHECK_OK(mp_queue_from_token(&in_child, &found));
        put_number(found, 4711);
        /* A queue of the child's, kept for whoever gets its token. */
        mp_queue *childs = queue_of(0);
        put_number(childs, 815);
        in_child = token_of(childs);
        CHECK_OK(mp_token_keep(&in_child));
        CHECK_OK(mp_queue_put(outer, &in_child, sizeof in_child, 0));
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    CHECK_EQ(4711, get_number(inner));
    CHECK_OK(mp_queue_get_into(outer, &token, sizeof token, &length, 0));
    CHECK_OK(mp_queue_from_token(&token, &found));
    CHECK_OK(mp_token_drop(&token));
    CHECK_EQ(815, get_number(found));
    mp_queue_free(found);
    mp_queue_free(inner);
    mp_queue_free(outer);
}

static int32_t echo(mp_call *call) {
    mp_queue *there = NULL, *back = NULL;
    mp_buffer *buffer = NULL;
    CHECK_OK(mp_queue_from_token(mp_call_arg(call, 0).data, &there));
    CHECK_OK(mp_queue_from_token(mp_call_arg(call, 1).data, &back));
    for (;;) {
        mp_status status = mp_queue_get(there, MP_FOREVER, &buffer);
        if (status == MP_ERR_CLOSED)
            break;
        CHECK_OK(status);
        CHECK_OK(mp_queue_put(back, mp_buffer_data(buffer), mp_buffer_len(buffer), MP_FOREVER));
        mp_buffer_free(buffer);
    }
    mp_queue_free(there);
    mp_queue_free(back);
    return 0;
}

static void started(int32_t method) {
    mp_queue *there = queue_of(0), *back = queue_of(2);
    mp_token tokens[2] = {token_of(there), token_of(back)};
    mp_slice args[2] = {{&tokens[0], sizeof tokens[0]}, {&tokens[1], sizeof tokens[1]}};
    mp_process_options options;
    mp_process *process = NULL;
    unsigned char bytes[5000];
    int32_t code = -1;
    CHECK_OK(mp_process_options_init(&options));
    options.start_method = method;
    CHECK_OK(mp_process_new(echo, args, 2, &options, &process));
    CHECK_OK(mp_process_start(process));
    for (size_t length = 0; length < sizeof bytes; length += 491) {
        mp_buffer *buffer = NULL;
        fill(bytes, length, length);
        CHECK_OK(mp_queue_put(there, bytes, length, 0));
        CHECK_OK(mp_queue_get(back, MP_FOREVER, &buffer));
        CHECK_EQ(length, mp_buffer_len(buffer));
        check_filled(mp_buffer_data(buffer), length, length);
        mp_buffer_free(buffer);
    }
    CHECK_OK(mp_queue_close(there));
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    CHECK_OK(mp_process_exitcode(process, &code));
    CHECK_EQ(0, code);
    mp_process_free(process);
    mp_queue_free(there);
    mp_queue_free(back);
}

/* -- ends -- */

static void putter_exits_at_once(void) {
    const size_t length = 300000;
    mp_queue *queue = queue_of(0);
    unsigned char *bytes = malloc(length);
    CHECK(bytes != NULL);
    for (int round = 0; round < 50; round++) {
        pid_t child = fork();
        if (child == 0) {
            fill(bytes, length, (uint64_t)round);
            CHECK_OK(mp_queue_put(queue, bytes, length, 0));
            put_number(queue, (uint64_t)round);
            if (round % 2)
                kill(getpid(), SIGKILL);
            _exit(0);
        }
        CHECK_EQ(round % 2 ? -SIGKILL : 0, check_wait(child));
        mp_buffer *buffer = NULL;
        CHECK_OK(mp_queue_get(queue, 0, &buffer));
        CHECK_EQ(length, mp_buffer_len(buffer));
        check_filled(mp_buffer_data(buffer), length, (uint64_t)round);
        mp_buffer_free(buffer);
        CHECK_EQ(round, get_number(queue));
    }
    free(bytes);
    mp_queue_free(queue);
}

/* The child's handle to a buffer is its own, whatever becomes of the parent's. */
static void buffers_are_inherited(void) {
    static const size_t LENGTHS[] = {5, 1024, 1025, 70000};
    mp_queue *go = queue_of(0), *churn = queue_of(0);
    mp_buffer *buffers[4] = {NULL};
    unsigned char bytes[70000];
    for (int i = 0; i < 4; i++) {
        mp_queue *queue = queue_of(0);
        fill(bytes, LENGTHS[i], (uint64_t)i);
        CHECK_OK(mp_queue_put(queue, bytes, LENGTHS[i], 0));
        CHECK_OK(mp_queue_get(queue, 0, &buffers[i]));
        mp_queue_free(queue);
    }
    pid_t child = fork();
    if (child == 0) {
        get_number(go);
        for (int i = 0; i < 4; i++) {
            check_filled(mp_buffer_data(buffers[i]), LENGTHS[i], (uint64_t)i);
            mp_buffer_free(buffers[i]);
        }
        _exit(0);
    }
    for (int i = 0; i < 4; i++)
        mp_buffer_free(buffers[i]);
    /* Were they free, these would come to lie there. */
    for (int i = 0; i < 40; i++)
        CHECK_OK(mp_queue_put(churn, memset(bytes, 1, sizeof bytes), LENGTHS[i % 4], 0));
    for (int i = 0; i < 40; i++) {
        size_t length;
        CHECK_OK(mp_queue_get_into(churn, bytes, sizeof bytes, &length, 0));
    }
    put_number(go, 1);
    CHECK_EQ(0, check_wait(child));
    mp_queue_free(go);
    mp_queue_free(churn);
}

/* With 64 MiB in all: puts fail cleanly when the arena is full, and the queue goes on. */
static void fills_the_arena(mp_queue *queue, size_t length, uint64_t least) {
    static unsigned char bytes[3 << 20];
    uint64_t put = 0;
    mp_status status;
    while ((status = mp_queue_put(queue, bytes, length, MP_FOREVER)) == MP_OK)
        put++;
    CHECK_EQ(MP_ERR_NO_MEMORY, status);
    CHECK_ERROR_HAS("free");
    CHECK(put >= least);
    CHECK_EQ(put, size_of(queue));
    for (uint64_t i = 0; i < put; i++) {
        size_t got;
        CHECK_OK(mp_queue_get_into(queue, bytes, sizeof bytes, &got, 0));
        CHECK_EQ(length, got);
        /* There is room again: what is taken out can be put in. */
        if (i == 10) {
            CHECK_OK(mp_queue_put(queue, bytes, length, 0));
            put++;
        }
    }
    CHECK_EQ(0, size_of(queue));
}

static void full_arena(void) {
    setenv("MP_ARENA_BYTES", "67108864", 1);
    mp_queue *queue = queue_of(0);
    for (int round = 0; round < 3; round++)
        fills_the_arena(queue, 3 << 20, 15);
    for (int round = 0; round < 3; round++)
        fills_the_arena(queue, 100, 100000);
    for (int round = 0; round < 3; round++) {
        fills_the_arena(queue, 5000, 4000);
        fills_the_arena(queue, 100, 100000);
    }
    mp_queue *other = queue_of(0);
    put_number(other, 1);
    mp_queue_free(other);
    mp_queue_free(queue);
}

int main(int argc, char **argv) {
    CHECK_OK(mp_main_init(argc, argv));
    check_begin();
    check_watchdog(110);
    /* First, while there is no arena. */
    pid_t child = fork();
    if (child == 0) {
        full_arena();
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    messages_wake_getters();
    room_wakes_putters();
    closing_wakes_all();
    cancelling();
    tokens_through_queues();
    started(MP_START_FORK);
    started(MP_START_FORKSERVER);
    started(MP_START_SPAWN);
    putter_exits_at_once();
    buffers_are_inherited();
    return 0;
}
