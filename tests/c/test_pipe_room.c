/* Pipes through mp.h, in one process, that are full: bounds, messages longer than these, threads that are closed or
 * cancelled while they wait. */
#include "pipe.h"

static void a_huge_message(void) {
    const size_t length = ((size_t)64 << 20) + 5;
    unsigned char *bytes = malloc(length);
    pipe_ends ends = pipe_of(true);
    mp_buffer *buffer = NULL;
    CHECK(bytes != NULL);
    fill(bytes, length, 3);
    for (int round = 0; round < 2; round++) {
        /* More than the connection has room for, but alone it goes. */
        CHECK_OK(mp_connection_send(ends.a, bytes, length, 0));
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_connection_send(ends.a, "x", 1, 0));
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_connection_send(ends.a, bytes, length, 1000));
        CHECK_ERROR_HAS("full");
        CHECK_OK(mp_connection_recv(ends.b, 0, &buffer));
        CHECK_EQ(length, mp_buffer_len(buffer));
        CHECK(memcmp(bytes, mp_buffer_data(buffer), length) == 0);
        mp_buffer_free(buffer);
        CHECK_OK(mp_connection_send(ends.a, "x", 1, 0));
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_connection_send(ends.a, bytes, length, 0));
        CHECK_OK(mp_connection_recv(ends.b, 0, &buffer));
        mp_buffer_free(buffer);
    }
    /* One that goes with its pipe. */
    CHECK_OK(mp_connection_send(ends.a, bytes, length, 0));
    free_ends(ends);
    free(bytes);
}

static void room(void) {
    const size_t length = 1 << 20;
    unsigned char *bytes = calloc(1, length);
    pipe_ends ends = pipe_of(true);
    mp_buffer *buffer = NULL;
    CHECK(bytes != NULL);
    for (int i = 0; i < 64; i++)
        CHECK_OK(mp_connection_send(ends.b, bytes, length, 0));
    const int64_t times[] = {INT64_MIN, -1, 0, 1, CHECK_SECOND / 20};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        int64_t begun = check_now();
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_connection_send(ends.b, "x", 1, times[i]));
        CHECK(times[i] <= 0 || check_now() - begun >= times[i]);
    }
    /* What has no bytes takes no room, but the number is bounded too. */
    CHECK_OK(mp_connection_send(ends.b, NULL, 0, 0));
    CHECK_OK(mp_connection_recv(ends.a, 0, &buffer));
    mp_buffer_free(buffer);
    CHECK_OK(mp_connection_send(ends.b, bytes, length, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_connection_send(ends.b, "x", 1, 0));
    free_ends(ends);
    free(bytes);
}

typedef struct {
    pipe_ends ends;
    int call;
} inside;

static void *be_closed(void *argument) {
    inside *it = argument;
    mp_buffer *buffer = (mp_buffer *)1;
    char byte;
    size_t length;
    bool answer;
    switch (it->call) {
    case 0:
        CHECK_STATUS(MP_ERR_CLOSED, mp_connection_recv(it->ends.a, MP_FOREVER, &buffer));
        CHECK(buffer == NULL);
        break;
    case 1:
        CHECK_STATUS(MP_ERR_CLOSED, mp_connection_recv_into(it->ends.a, &byte, 1, &length, 50 * CHECK_SECOND));
        break;
    case 2:
        CHECK_STATUS(MP_ERR_CLOSED, mp_connection_poll(it->ends.a, MP_FOREVER, &answer));
        break;
    default:
        CHECK_STATUS(MP_ERR_CLOSED, mp_connection_send(it->ends.a, "x", 1, MP_FOREVER));
    }
    return NULL;
}

/* Threads inside, of which the last one to leave takes the handle's holder with it; another handle is not concerned. */
static void closing_wakes_threads(bool asleep) {
    static unsigned char bytes[64 << 20];
    pthread_t threads[8];
    inside them[8];
    pipe_ends ends = pipe_of(true);
    mp_connection *again = NULL;
    mp_token token;
    CHECK_OK(mp_connection_token(ends.a, &token));
    CHECK_OK(mp_connection_from_token(&token, &again));
    CHECK_OK(mp_connection_send(ends.a, bytes, sizeof bytes, 0));
    for (int i = 0; i < 8; i++) {
        them[i] = (inside){ends, asleep ? i % 4 : i % 3};
        CHECK_EQ(0, pthread_create(&threads[i], NULL, be_closed, &them[i]));
    }
    if (asleep)
        check_sleep(CHECK_SECOND / 10);
    CHECK_OK(mp_connection_close(ends.a));
    for (int i = 0; i < 8; i++)
        CHECK_EQ(0, pthread_join(threads[i], NULL));
    send_number(ends.b, 4);
    CHECK_EQ(4, recv_number(again));
    mp_connection_free(again);
    CHECK_STATUS(MP_ERR_CLOSED, mp_connection_send(ends.b, "x", 1, MP_FOREVER));
    free_ends(ends);
}

/* -- cancelling -- */

static void *be_cancelled(void *argument) {
    static unsigned char bytes[64 << 20];
    mp_cancel *cancel = argument;
    pipe_ends ends = pipe_of(true);
    mp_buffer *buffer = (mp_buffer *)1;
    bool answer;
    CHECK_OK(mp_connection_send(ends.a, bytes, sizeof bytes, 0));
    CHECK_OK(mp_cancel_use(cancel));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_connection_recv(ends.a, MP_FOREVER, &buffer));
    CHECK(buffer == NULL);
    CHECK_STATUS(MP_ERR_CANCELLED, mp_connection_recv(ends.a, 0, &buffer));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_connection_poll(ends.a, MP_FOREVER, &answer));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_connection_poll(ends.a, 0, &answer));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_connection_send(ends.a, "x", 1, MP_FOREVER));
    /* What need not wait is not cancelled. */
    send_number(ends.b, 1);
    CHECK(ready(ends.a, 0));
    CHECK_EQ(1, recv_number(ends.a));
    CHECK_OK(mp_connection_close(ends.b));
    at_end(ends.a);
    CHECK_OK(mp_cancel_use(NULL));
    free_ends(ends);
    return NULL;
}

static void cancelling(void) {
    mp_cancel *cancel = NULL;
    pthread_t thread;
    CHECK_OK(mp_cancel_new(&cancel));
    CHECK_EQ(0, pthread_create(&thread, NULL, be_cancelled, cancel));
    check_sleep(CHECK_SECOND / 20);
    CHECK_OK(mp_cancel_fire(cancel));
    CHECK_EQ(0, pthread_join(thread, NULL));
    mp_cancel_free(cancel);
}

int main(void) {
    check_begin();
    check_watchdog(110);
    a_huge_message();
    room();
    for (int i = 0; i < 4; i++)
        closing_wakes_threads(i % 2);
    cancelling();
    return 0;
}
