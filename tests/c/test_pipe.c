/* Pipes through mp.h, in one process: directions, lengths, timeouts, ends, closing, descriptors, bad arguments.
 * check: valgrind check: leaks */
#include "pipe.h"

/* -- messages -- */

static void check_received(mp_connection *connection, size_t length, uint64_t seed) {
    mp_buffer *buffer = NULL;
    CHECK(ready(connection, 0));
    CHECK_OK(mp_connection_recv(connection, 0, &buffer));
    CHECK_EQ(length, mp_buffer_len(buffer));
    check_filled(mp_buffer_data(buffer), length, seed);
    mp_buffer_free(buffer);
}

static void check_received_into(mp_connection *connection, unsigned char *into, size_t length, uint64_t seed) {
    size_t found = SIZE_MAX;
    if (length > 0) {
        into[0] = 1;
        CHECK_STATUS(MP_ERR_TOO_LARGE, mp_connection_recv_into(connection, into, length - 1, &found, MP_FOREVER));
        CHECK_EQ(length, found);
        CHECK_EQ(1, into[0]);
        CHECK_STATUS(MP_ERR_TOO_LARGE, mp_connection_recv_into(connection, NULL, 0, &found, 0));
        CHECK_EQ(length, found);
    }
    CHECK_OK(mp_connection_recv_into(connection, into, length, &found, 0));
    CHECK_EQ(length, found);
    check_filled(into, length, seed);
}

static void lengths(mp_connection *from, mp_connection *to) {
    static const size_t LENGTHS[] = {0, 1, 8, 16, 1023, 1024, 1025, 4096, 16384, 70000, 0};
    enum { COUNT = sizeof LENGTHS / sizeof *LENGTHS };
    unsigned char bytes[70000];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            fill(bytes, LENGTHS[i], i);
            CHECK_OK(mp_connection_send(from, LENGTHS[i] > 0 ? bytes : NULL, LENGTHS[i], 0));
        }
        for (size_t i = 0; i < COUNT; i++) {
            if (round == 0)
                check_received(to, LENGTHS[i], i);
            else
                check_received_into(to, bytes, LENGTHS[i], i);
        }
        CHECK(!ready(to, 0));
    }
}

static void duplex(void) {
    pipe_ends ends = pipe_of(true);
    lengths(ends.a, ends.b);
    lengths(ends.b, ends.a);
    /* The directions have nothing to do with each other. */
    send_number(ends.a, 1);
    send_number(ends.b, 2);
    send_number(ends.a, 3);
    CHECK_EQ(1, recv_number(ends.b));
    CHECK_EQ(2, recv_number(ends.a));
    CHECK(!ready(ends.a, 0));
    CHECK_EQ(3, recv_number(ends.b));
    free_ends(ends);
}

static void one_way(void) {
    pipe_ends ends = pipe_of(false);
    mp_buffer *buffer = (mp_buffer *)1;
    bool answer;
    char byte;
    size_t length;
    int32_t fd = -1;
    lengths(ends.b, ends.a);
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_connection_send(ends.a, "x", 1, MP_FOREVER));
    CHECK_ERROR_HAS("only receives");
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_connection_recv(ends.b, MP_FOREVER, &buffer));
    CHECK(buffer == NULL);
    CHECK_ERROR_HAS("only sends");
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_connection_recv_into(ends.b, &byte, 1, &length, MP_FOREVER));
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_connection_poll(ends.b, MP_FOREVER, &answer));
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_connection_fd(ends.b, &fd));
    CHECK_EQ(-1, fd);
    /* Also of another handle of the same end. */
    mp_token token;
    mp_connection *again = NULL;
    CHECK_OK(mp_connection_token(ends.b, &token));
    CHECK_OK(mp_connection_from_token(&token, &again));
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_connection_recv(again, MP_FOREVER, &buffer));
    send_number(again, 5);
    CHECK_EQ(5, recv_number(ends.a));
    mp_connection_free(ends.b);
    send_number(again, 6);
    mp_connection_free(again);
    CHECK_EQ(6, recv_number(ends.a));
    at_end(ends.a);
    mp_connection_free(ends.a);
}

static void timeouts(void) {
    pipe_ends ends = pipe_of(true);
    mp_buffer *buffer = (mp_buffer *)1;
    char byte;
    size_t length;
    const int64_t times[] = {INT64_MIN, -1, 0, 1, 1000, CHECK_SECOND / 8};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        int64_t begun = check_now();
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_connection_recv(ends.a, times[i], &buffer));
        CHECK(buffer == NULL);
        CHECK(times[i] <= 0 || check_now() - begun >= times[i]);
        begun = check_now();
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_connection_recv_into(ends.a, &byte, 1, &length, times[i]));
        CHECK(times[i] <= 0 || check_now() - begun >= times[i]);
        begun = check_now();
        CHECK(!ready(ends.a, times[i]));
        CHECK(times[i] <= 0 || check_now() - begun >= times[i]);
    }
    free_ends(ends);
}

/* -- ends -- */

static void the_other_end_goes(bool close) {
    pipe_ends ends = pipe_of(true);
    mp_buffer *buffer = NULL;
    static unsigned char bytes[5000];
    send_number(ends.a, 1);
    fill(bytes, sizeof bytes, 2);
    CHECK_OK(mp_connection_send(ends.a, bytes, sizeof bytes, 0));
    CHECK_OK(mp_connection_send(ends.a, "", 0, 0));
    CHECK_OK(mp_connection_send(ends.b, bytes, sizeof bytes, 0));
    if (close)
        CHECK_OK(mp_connection_close(ends.a));
    else
        mp_connection_free(ends.a);
    CHECK_STATUS(MP_ERR_CLOSED, mp_connection_send(ends.b, "x", 1, MP_FOREVER));
    CHECK_STATUS(MP_ERR_CLOSED, mp_connection_send(ends.b, bytes, sizeof bytes, 0));
    CHECK_ERROR_HAS("nobody");
    CHECK_EQ(1, recv_number(ends.b));
    check_received(ends.b, sizeof bytes, 2);
    CHECK_OK(mp_connection_recv(ends.b, MP_FOREVER, &buffer));
    CHECK_EQ(0, mp_buffer_len(buffer));
    mp_buffer_free(buffer);
    at_end(ends.b);
    CHECK_STATUS(MP_ERR_CLOSED, mp_connection_send(ends.b, "x", 1, MP_FOREVER));
    mp_connection_free(ends.b);
    if (close)
        mp_connection_free(ends.a);
}

static void after_a_close(void) {
    pipe_ends ends = pipe_of(true);
    mp_buffer *buffer = (mp_buffer *)1;
    mp_connection *again = NULL;
    mp_token token;
    char byte;
    size_t length;
    bool answer;
    int32_t fd;
    CHECK_OK(mp_connection_token(ends.a, &token));
    send_number(ends.b, 1);
    CHECK_OK(mp_connection_close(ends.a));
    CHECK_OK(mp_connection_close(ends.a));
    CHECK_STATUS(MP_ERR_CLOSED, mp_connection_send(ends.a, "x", 1, MP_FOREVER));
    CHECK_ERROR_HAS("this process has closed");
    CHECK_STATUS(MP_ERR_CLOSED, mp_connection_recv(ends.a, MP_FOREVER, &buffer));
    CHECK(buffer == NULL);
    CHECK_STATUS(MP_ERR_CLOSED, mp_connection_recv_into(ends.a, &byte, 1, &length, 0));
    CHECK_STATUS(MP_ERR_CLOSED, mp_connection_poll(ends.a, 0, &answer));
    CHECK_STATUS(MP_ERR_CLOSED, mp_connection_fd(ends.a, &fd));
    CHECK_STATUS(MP_ERR_CLOSED, mp_connection_token(ends.a, &token));
    CHECK_STATUS(MP_ERR_STALE, mp_connection_from_token(&token, &again));
    CHECK(again == NULL);
    /* Other pipes come and go in its place. */
    for (int i = 0; i < 20; i++)
        free_ends(pipe_of(i % 2));
    CHECK_OK(mp_connection_close(ends.a));
    at_end(ends.b);
    free_ends(ends);
}

/* -- descriptors -- */

static void descriptors(void) {
    pipe_ends ends = pipe_of(true), other = pipe_of(false);
    int32_t fd = -1, again = -1;
    CHECK_OK(mp_connection_fd(ends.a, &fd));
    CHECK_OK(mp_connection_fd(ends.a, &again));
    CHECK_EQ(fd, again);
    CHECK(!polls(fd, 0));
    for (uint64_t i = 0; i < 20; i++) {
        send_number(ends.b, i);
        send_number(ends.b, i);
        becomes(fd, true);
        CHECK_EQ(i, recv_number(ends.a));
        becomes(fd, true);
        CHECK_EQ(i, recv_number(ends.a));
        becomes(fd, false);
        CHECK(!ready(ends.a, 0));
        /* The other direction is another matter. */
        send_number(ends.a, i);
        CHECK_EQ(i, recv_number(ends.b));
    }
    CHECK_OK(mp_connection_close(ends.b));
    becomes(fd, true);
    at_end(ends.a);
    free_ends(ends);
    /* Closed here. */
    CHECK_OK(mp_connection_fd(other.a, &fd));
    CHECK(!polls(fd, 0));
    CHECK_OK(mp_connection_close(other.a));
    becomes(fd, true);
    free_ends(other);
}

/* -- arguments -- */

static void bad_arguments(void) {
    pipe_ends ends = {(mp_connection *)1, (mp_connection *)1};
    mp_buffer *buffer = (mp_buffer *)1;
    mp_token token;
    size_t length = 0;
    char byte = 0;
    bool answer;
    int32_t fd;
    CHECK_STATUS(MP_ERR_INVALID, mp_pipe(true, NULL, &ends.b));
    CHECK(ends.b == NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_pipe(true, &ends.a, NULL));
    CHECK(ends.a == NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_pipe(true, NULL, NULL));
    ends.a = (mp_connection *)1;
    CHECK_STATUS(MP_ERR_INVALID, mp_pipe(true, &ends.a, &ends.a));
    CHECK(ends.a == NULL);
    ends = pipe_of(true);
    CHECK_STATUS(MP_ERR_INVALID, mp_connection_send(NULL, "", 0, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_connection_send(ends.a, NULL, 1, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_connection_send(ends.a, &byte, SIZE_MAX, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_connection_recv(NULL, 0, &buffer));
    CHECK(buffer == NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_connection_recv(ends.a, 0, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_connection_recv_into(ends.a, NULL, 1, &length, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_connection_recv_into(ends.a, &byte, 1, NULL, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_connection_recv_into(NULL, &byte, 1, &length, 0));
    CHECK_STATUS(MP_ERR_INVALID, mp_connection_poll(NULL, 0, &answer));
    CHECK_STATUS(MP_ERR_INVALID, mp_connection_poll(ends.a, 0, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_connection_close(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_connection_fd(NULL, &fd));
    CHECK_STATUS(MP_ERR_INVALID, mp_connection_fd(ends.a, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_connection_token(ends.a, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_connection_token(NULL, &token));
    CHECK_STATUS(MP_ERR_INVALID, mp_connection_send((mp_connection *)(void *)&byte, "", 0, 0));
    CHECK_OK(mp_connection_token(ends.a, &token));
    mp_queue *queue = NULL;
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_from_token(&token, &queue));
    CHECK_ERROR_HAS("a connection");
    free_ends(ends);
    mp_connection_free(NULL);
    CHECK_STATUS(MP_ERR_STALE, mp_connection_from_token(&token, &ends.a));
    CHECK_ERROR_HAS("a connection");
    CHECK(ends.a == NULL);
}

/* A kept token keeps its end, though nobody has it. */
static void kept(void) {
    pipe_ends ends = pipe_of(true);
    mp_buffer *buffer;
    mp_token token;
    CHECK_OK(mp_connection_token(ends.a, &token));
    CHECK_OK(mp_token_keep(&token));
    mp_connection_free(ends.a);
    send_number(ends.b, 8);
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_connection_recv(ends.b, CHECK_SECOND / 8, &buffer));
    CHECK_OK(mp_connection_from_token(&token, &ends.a));
    CHECK_OK(mp_token_drop(&token));
    CHECK_EQ(8, recv_number(ends.a));
    CHECK_OK(mp_token_keep(&token));
    mp_connection_free(ends.a);
    CHECK(!ready(ends.b, 0));
    CHECK_OK(mp_token_drop(&token));
    at_end(ends.b);
    mp_connection_free(ends.b);
}

static void many(void) {
    enum { MANY = 1000 };
    static pipe_ends pipes[MANY];
    for (uint64_t i = 0; i < MANY; i++) {
        pipes[i] = pipe_of(i % 2);
        send_number(pipes[i].b, i);
    }
    for (uint64_t i = 0; i < MANY; i++) {
        CHECK_EQ(i, recv_number(pipes[i].a));
        free_ends(pipes[i]);
    }
}

int main(void) {
    check_begin();
    check_watchdog(110);
    duplex();
    one_way();
    timeouts();
    the_other_end_goes(true);
    the_other_end_goes(false);
    after_a_close();
    descriptors();
    bad_arguments();
    kept();
    many();
    return 0;
}
