/* Pipes between processes: forks and what they inherit, tokens, start methods, ends that go with their processes.
 * check: once */
#include "pipe.h"
#include "process.h"

#include <sys/mman.h>

static mp_token token_of(const mp_connection *connection) {
    mp_token token;
    CHECK_OK(mp_connection_token(connection, &token));
    return token;
}

static mp_connection *of_token(const void *token) {
    mp_connection *connection = NULL;
    CHECK_OK(mp_connection_from_token(token, &connection));
    return connection;
}

/* Sends back what comes, until the other end goes. */
static void echo_all(mp_connection *connection) {
    mp_buffer *buffer = NULL;
    mp_status status;
    while ((status = mp_connection_recv(connection, MP_FOREVER, &buffer)) == MP_OK) {
        CHECK_OK(mp_connection_send(connection, mp_buffer_data(buffer), mp_buffer_len(buffer), MP_FOREVER));
        mp_buffer_free(buffer);
    }
    CHECK_EQ(MP_ERR_END, status);
}

static void be_echoed(mp_connection *connection, size_t most) {
    unsigned char *bytes = malloc(most);
    CHECK(bytes != NULL);
    for (size_t length = 0, round = 0; length < most; length = length * 3 / 2 + round++) {
        mp_buffer *buffer = NULL;
        fill(bytes, length, length);
        CHECK_OK(mp_connection_send(connection, bytes, length, 0));
        CHECK_OK(mp_connection_recv(connection, MP_FOREVER, &buffer));
        CHECK_EQ(length, mp_buffer_len(buffer));
        check_filled(mp_buffer_data(buffer), length, length);
        mp_buffer_free(buffer);
    }
    free(bytes);
}

/* -- forks -- */

static void a_forked_echo(void) {
    pipe_ends ends = pipe_of(true);
    pid_t child = fork();
    if (child == 0) {
        CHECK_OK(mp_connection_close(ends.a));
        echo_all(ends.b);
        _exit(0);
    }
    mp_connection_free(ends.b);
    be_echoed(ends.a, 3 << 20);
    for (uint64_t i = 0; i < 5000; i++) {
        send_number(ends.a, i);
        CHECK_EQ(i, recv_number(ends.a));
    }
    CHECK_OK(mp_connection_close(ends.a));
    CHECK_EQ(0, check_wait(child));
    mp_connection_free(ends.a);
}

/* An end has gone when all have closed their copies. */
static void all_copies_count(void) {
    pipe_ends ends = pipe_of(true), go = pipe_of(true);
    pid_t child = fork();
    if (child == 0) {
        mp_connection_free(go.a);
        CHECK_EQ(1, recv_number(go.b));
        mp_connection_free(ends.b);
        send_number(go.b, 2);
        CHECK_EQ(3, recv_number(go.b));
        /* Its own copy of the other end is still good. */
        at_end(ends.a);
        send_number(go.b, 4);
        CHECK(ready(go.b, MP_FOREVER));
        at_end(go.b);
        _exit(0);
    }
    mp_connection_free(go.b);
    CHECK(!ready(ends.a, 0));
    send_number(go.a, 1);
    CHECK_EQ(2, recv_number(go.a));
    CHECK(!ready(ends.a, 0));
    CHECK_OK(mp_connection_close(ends.b));
    CHECK(ready(ends.a, 0));
    at_end(ends.a);
    send_number(go.a, 3);
    CHECK_EQ(4, recv_number(go.a));
    mp_connection_free(go.a);
    CHECK_EQ(0, check_wait(child));
    free_ends(ends);
}

static void *receive(void *argument) {
    mp_buffer *buffer = NULL;
    CHECK_STATUS(MP_ERR_CLOSED, mp_connection_recv(argument, MP_FOREVER, &buffer));
    return NULL;
}

/* A thread that is inside a call at the fork is not in the child, which can close the connection all the same: before
 * its parent does, or after a close that the fork came into. */
static void forked_from_inside(bool closed_before) {
    for (int round = 0; round < 20; round++) {
        pipe_ends ends = pipe_of(true);
        pthread_t threads[2];
        for (int i = 0; i < 2; i++)
            CHECK_EQ(0, pthread_create(&threads[i], NULL, receive, ends.a));
        check_sleep(round % 4 * CHECK_SECOND / 1000);
        if (closed_before)
            CHECK_OK(mp_connection_close(ends.a));
        pid_t child = fork();
        if (child == 0) {
            if (round % 2)
                CHECK_OK(mp_connection_close(ends.a));
            mp_connection_free(ends.a);
            CHECK(ready(ends.b, MP_FOREVER));
            at_end(ends.b);
            _exit(0);
        }
        CHECK_OK(mp_connection_close(ends.b));
        CHECK_OK(mp_connection_close(ends.a));
        CHECK_EQ(0, check_wait(child));
        for (int i = 0; i < 2; i++)
            CHECK_EQ(0, pthread_join(threads[i], NULL));
        free_ends(ends);
    }
}

static void *fork_always(void *argument) {
    const volatile int *stop = argument;
    while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        CHECK_EQ(0, check_wait(child));
    }
    return NULL;
}

/* Pipes come and go while another thread forks: what a child has got of them goes with it. */
static void forks_beside(void) {
    pthread_t forker;
    int stop = 0;
    CHECK_EQ(0, pthread_create(&forker, NULL, fork_always, &stop));
    for (uint64_t i = 0; i < 300; i++) {
        pipe_ends ends = pipe_of(true);
        mp_buffer *buffer = NULL;
        send_number(ends.a, i);
        if (i % 2)
            CHECK_OK(mp_connection_close(ends.a));
        mp_connection_free(ends.a);
        CHECK_EQ(i, recv_number(ends.b));
        CHECK_STATUS(MP_ERR_END, mp_connection_recv(ends.b, MP_FOREVER, &buffer));
        mp_connection_free(ends.b);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    CHECK_EQ(0, pthread_join(forker, NULL));
}

/* -- tokens and start methods -- */

static int32_t echo(mp_call *call) {
    mp_connection *connection = of_token(mp_call_arg(call, 0).data);
    mp_connection *other = of_token(mp_call_arg(call, 1).data);
    send_number(connection, 4711);
    /* A forked child has all that its parent has. */
    mp_connection_free(other);
    echo_all(connection);
    mp_connection_free(connection);
    return 0;
}

static void started(int32_t method) {
    pipe_ends ends = pipe_of(true);
    mp_token tokens[2] = {token_of(ends.b), token_of(ends.a)};
    mp_slice args[2] = {{&tokens[0], sizeof tokens[0]}, {&tokens[1], sizeof tokens[1]}};
    mp_process *process = make(echo, args, 2, method, false, NULL);
    CHECK_OK(mp_process_start(process));
    CHECK_EQ(4711, recv_number(ends.a));
    mp_connection_free(ends.b);
    be_echoed(ends.a, 100000);
    if (method == MP_START_FORK) {
        /* Its inherited copies live as long as it does. */
        CHECK_OK(mp_process_kill(process));
        CHECK_EQ(-SIGKILL, finish(process));
        at_end(ends.a);
        mp_connection_free(ends.a);
    } else {
        mp_connection_free(ends.a);
        CHECK_EQ(0, finish(process));
    }
}

/* An end travels through another pipe, and lives on the way. */
static void through_another(void) {
    pipe_ends outer = pipe_of(true), inner = pipe_of(true);
    mp_token token = token_of(inner.b);
    size_t length;
    pid_t child = fork();
    if (child == 0) {
        mp_token found;
        free_ends(inner);
        mp_connection_free(outer.a);
        CHECK_OK(mp_connection_recv_into(outer.b, &found, sizeof found, &length, MP_FOREVER));
        mp_connection *connection = of_token(&found);
        CHECK_OK(mp_token_drop(&found));
        send_number(outer.b, 1);
        echo_all(connection);
        _exit(0);
    }
    CHECK_OK(mp_token_keep(&token));
    mp_connection_free(inner.b);
    send_number(inner.a, 77);
    CHECK_OK(mp_connection_send(outer.a, &token, sizeof token, 0));
    CHECK_EQ(77, recv_number(inner.a));
    CHECK_EQ(1, recv_number(outer.a));
    mp_connection_free(inner.a);
    CHECK_EQ(0, check_wait(child));
    free_ends(outer);
}

/* -- several at one end -- */

enum { READERS = 3, MESSAGES = 3000 };

static void one_message_to_one(void) {
    pipe_ends ends = pipe_of(false);
    pid_t children[READERS];
    unsigned char *seen = mmap(NULL, MESSAGES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(seen != MAP_FAILED);
    for (int i = 0; i < READERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            uint64_t number, last = 0;
            size_t length;
            mp_status status;
            CHECK_OK(mp_connection_close(ends.b));
            for (;;) {
                /* What another took in between is another's. */
                if (i == 0)
                    CHECK(ready(ends.a, MP_FOREVER));
                status = mp_connection_recv_into(ends.a, &number, sizeof number, &length, i == 0 ? 0 : MP_FOREVER);
                if (status == MP_ERR_END)
                    break;
                if (i == 0 && status == MP_ERR_TIMEOUT)
                    continue;
                CHECK_OK(status);
                CHECK(number > last && number <= MESSAGES);
                CHECK_EQ(0, __atomic_exchange_n(&seen[number - 1], 1, __ATOMIC_RELAXED));
                last = number;
            }
            _exit(0);
        }
    }
    CHECK_OK(mp_connection_close(ends.a));
    for (uint64_t i = 1; i <= MESSAGES; i++)
        send_number(ends.b, i);
    mp_connection_free(ends.b);
    for (int i = 0; i < READERS; i++)
        CHECK_EQ(0, check_wait(children[i]));
    for (int i = 0; i < MESSAGES; i++)
        CHECK_EQ(1, seen[i]);
    munmap(seen, MESSAGES);
    mp_connection_free(ends.a);
}

/* -- death -- */

enum { RECV, POLL, SEND, DESCRIPTOR, AMONG_OTHERS, TRIES, WAYS };

/* Before the other end goes. */
static void prepare(mp_connection *connection, int way) {
    static unsigned char bytes[64 << 20];
    if (way == SEND)
        CHECK_OK(mp_connection_send(connection, bytes, sizeof bytes, 0));
}

/* Waits in one way or another until the other end has gone. */
static void notice(mp_connection *connection, int way) {
    mp_buffer *buffer = NULL;
    mp_waitable item = {MP_WAIT_CONNECTION, -1, connection, false};
    int32_t fd = -1;
    switch (way) {
    case RECV:
        CHECK_STATUS(MP_ERR_END, mp_connection_recv(connection, MP_FOREVER, &buffer));
        break;
    case POLL:
        CHECK(ready(connection, MP_FOREVER));
        break;
    case SEND:
        CHECK_STATUS(MP_ERR_CLOSED, mp_connection_send(connection, "x", 1, MP_FOREVER));
        break;
    case DESCRIPTOR:
        CHECK_OK(mp_connection_fd(connection, &fd));
        becomes(fd, true);
        break;
    case AMONG_OTHERS:
        CHECK_OK(mp_wait(&item, 1, MP_FOREVER));
        CHECK(item.ready);
        break;
    default:
        while (!ready(connection, 0))
            check_sleep(CHECK_SECOND / 1000);
    }
    at_end(connection);
    CHECK_STATUS(MP_ERR_CLOSED, mp_connection_send(connection, "x", 1, 0));
}

typedef struct {
    mp_connection *connection;
    int way;
} noticing;

static void *notice_in_thread(void *argument) {
    noticing *it = argument;
    notice(it->connection, it->way);
    return NULL;
}

static int32_t hold(mp_call *call) {
    mp_connection *connection = of_token(mp_call_arg(call, 0).data);
    send_number(connection, 1);
    return sleep_for_ever(call);
}

static void killed_child(int32_t method, int way) {
    pipe_ends ends = pipe_of(true);
    pthread_t thread;
    noticing it = {ends.a, way};
    mp_token token = token_of(ends.b);
    mp_process *process = start(hold, &token, sizeof token, method, false);
    CHECK_EQ(1, recv_number(ends.a));
    mp_connection_free(ends.b);
    prepare(ends.a, way);
    CHECK_EQ(0, pthread_create(&thread, NULL, notice_in_thread, &it));
    check_sleep(CHECK_SECOND / 50);
    CHECK_OK(mp_process_kill(process));
    CHECK_EQ(0, pthread_join(thread, NULL));
    CHECK_EQ(-SIGKILL, finish(process));
    mp_connection_free(ends.a);
}

/* Nobody waits for this one, nor tells libmp that it has gone. */
static void killed_fork(int way) {
    pipe_ends ends = pipe_of(true);
    pid_t child = fork();
    if (child == 0) {
        mp_connection_free(ends.a);
        send_number(ends.b, 1);
        for (;;)
            pause();
    }
    mp_connection_free(ends.b);
    CHECK_EQ(1, recv_number(ends.a));
    prepare(ends.a, way);
    CHECK_EQ(0, kill(child, SIGKILL));
    notice(ends.a, way);
    CHECK_EQ(-SIGKILL, check_wait(child));
    mp_connection_free(ends.a);
}

/* What a killed sender had sent is received, whole and in order, then the end. */
static void sender_killed_at_work(void) {
    static unsigned char bytes[200000];
    for (int round = 0; round < 8; round++) {
        pipe_ends ends = pipe_of(false);
        uint64_t seed = 0;
        mp_buffer *buffer = NULL;
        mp_status status;
        pid_t child = fork();
        if (child == 0) {
            mp_connection_free(ends.a);
            for (;; seed++) {
                size_t length = seed * 7919 % (seed % 2 ? 2000 : sizeof bytes);
                fill(bytes, length, seed);
                CHECK_OK(mp_connection_send(ends.b, bytes, length, MP_FOREVER));
            }
        }
        mp_connection_free(ends.b);
        CHECK(ready(ends.a, MP_FOREVER));
        check_sleep(round * CHECK_SECOND / 2000);
        CHECK_EQ(0, kill(child, SIGKILL));
        while ((status = mp_connection_recv(ends.a, MP_FOREVER, &buffer)) == MP_OK) {
            CHECK_EQ(seed * 7919 % (seed % 2 ? 2000 : sizeof bytes), mp_buffer_len(buffer));
            check_filled(mp_buffer_data(buffer), mp_buffer_len(buffer), seed++);
            mp_buffer_free(buffer);
        }
        CHECK_EQ(MP_ERR_END, status);
        CHECK_EQ(-SIGKILL, check_wait(child));
        mp_connection_free(ends.a);
    }
}

int main(int argc, char **argv) {
    CHECK_OK(mp_main_init(argc, argv));
    check_begin();
    check_watchdog(110);
    a_forked_echo();
    all_copies_count();
    forked_from_inside(false);
    forked_from_inside(true);
    forks_beside();
    started(MP_START_FORK);
    started(MP_START_FORKSERVER);
    started(MP_START_SPAWN);
    through_another();
    one_message_to_one();
    for (int way = 0; way < WAYS; way++) {
        killed_child(MP_START_SPAWN, way);
        killed_fork(way);
    }
    sender_killed_at_work();
    return 0;
}
