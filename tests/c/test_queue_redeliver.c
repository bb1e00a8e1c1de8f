/* Queues that redeliver: what is acknowledged, what comes back and where to. check: leaks check: once */
#include "process.h"
#include "queue.h"

static const int32_t KINDS[] = {MP_QUEUE_FIFO, MP_QUEUE_LIFO, MP_QUEUE_PRIORITY};

static mp_queue *of_kind(int32_t kind) {
    mp_queue_options options = queue_options(kind, 0);
    options.redeliver = true;
    return queue_with(&options);
}

static uint64_t number_of(mp_buffer *buffer) {
    uint64_t number = 0;
    CHECK_EQ(sizeof number, mp_buffer_len(buffer));
    memcpy(&number, mp_buffer_data(buffer), sizeof number);
    return number;
}

static void take(mp_queue *queue, uint64_t expected, int64_t timeout) {
    mp_buffer *buffer = get_buffer(queue, timeout);
    CHECK_EQ(expected, number_of(buffer));
    CHECK_OK(mp_queue_ack(queue, buffer));
    mp_buffer_free(buffer);
}

/* A process that takes so many messages and sleeps. */
static pid_t hold_elsewhere(mp_queue *queue, int n) {
    mp_queue *ready = queue_of(0);
    pid_t child = fork();
    if (child == 0) {
        while (n-- > 0)
            get_buffer(queue, MP_FOREVER);
        put_number(ready, 1);
        while (pause() < 0) {
        }
    }
    get_number(ready);
    mp_queue_free(ready);
    return child;
}

static void end(pid_t child) {
    kill(child, SIGKILL);
    CHECK_EQ(-SIGKILL, check_wait(child));
}

static void acknowledging(int32_t kind) {
    mp_queue *queue = of_kind(kind), *other = of_kind(kind), *plain = queue_of(0);
    mp_buffer *mine = new_buffer(8, 0);
    size_t length = 0, n = 0;
    uint64_t number;
    mp_slice found;
    put_number(queue, 5);
    put_number(other, 5);
    put_number(plain, 5);
    mp_buffer *buffer = get_buffer(queue, 0), *foreign = get_buffer(other, 0), *common = get_buffer(plain, 0);
    CHECK_EQ(0, size_of(queue));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_ack(queue, foreign));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_ack(queue, mine));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_ack(queue, common));
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_queue_ack(plain, common));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_ack(queue, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_ack(NULL, buffer));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_queue_join(queue, 0));
    CHECK_OK(mp_queue_ack(queue, buffer));
    CHECK_OK(mp_queue_join(queue, MP_FOREVER));
    CHECK_STATUS(MP_ERR_STATE, mp_queue_ack(queue, buffer));
    CHECK_EQ(5, number_of(buffer));
    mp_buffer_free(buffer);
    if (!is_leak_check())
        CHECK_STATUS(MP_ERR_INVALID, mp_queue_ack(queue, buffer));
    /* Into the caller's memory nothing is taken that could be acknowledged. */
    put_number(queue, 6);
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_queue_get_into(queue, &number, sizeof number, &length, MP_FOREVER));
    CHECK_STATUS(MP_ERR_UNSUPPORTED, mp_queue_get_many_into(queue, &number, sizeof number, &found, 1, MP_FOREVER, &n));
    CHECK_EQ(1, size_of(queue));
    /* In another order than they were taken in; a slot is used again. */
    for (uint64_t i = 0; i < 5; i++)
        put_number(queue, i);
    mp_buffer *taken[6];
    for (int i = 0; i < 6; i++)
        taken[i] = get_buffer(queue, 0);
    static const int order[] = {3, 0, 5, 1, 4, 2};
    for (int i = 0; i < 6; i++) {
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_queue_join(queue, 0));
        CHECK_OK(mp_queue_ack(queue, taken[order[i]]));
        put_number(queue, 100);
        take(queue, 100, 0);
        CHECK_STATUS(MP_ERR_STATE, mp_queue_ack(queue, taken[order[i]]));
        mp_buffer_free(taken[order[i]]);
    }
    CHECK_OK(mp_queue_join(queue, 0));
    mp_buffer_free(mine);
    mp_buffer_free(foreign);
    mp_buffer_free(common);
    mp_queue_free(queue);
    mp_queue_free(other);
    mp_queue_free(plain);
}

/* A buffer of a queue that has gone is foreign to the one that has come to lie in its place. */
static void of_another_time(int32_t kind) {
    mp_queue *queue = of_kind(kind);
    put_number(queue, 1);
    mp_buffer *old = get_buffer(queue, 0);
    mp_queue_free(queue);
    queue = of_kind(kind);
    put_number(queue, 1);
    mp_buffer *new = get_buffer(queue, 0);
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_ack(queue, old));
    CHECK_OK(mp_queue_ack(queue, new));
    mp_buffer_free(old);
    mp_buffer_free(new);
    mp_queue_free(queue);
}

/* task_done, before or after the acknowledgement, changes nothing. */
static void task_done_as_well(int32_t kind) {
    mp_queue *queue = of_kind(kind);
    CHECK_STATUS(MP_ERR_OVERFLOW, mp_queue_task_done(queue));
    put_number(queue, 1);
    put_number(queue, 2);
    for (int i = 0; i < 2; i++) {
        mp_buffer *buffer = get_buffer(queue, 0);
        if (i == 0)
            CHECK_OK(mp_queue_ack(queue, buffer));
        CHECK_OK(mp_queue_task_done(queue));
        if (i == 1)
            CHECK_OK(mp_queue_ack(queue, buffer));
        CHECK_STATUS(i == 0 ? MP_ERR_TIMEOUT : MP_OK, mp_queue_join(queue, 0));
        mp_buffer_free(buffer);
    }
    CHECK_STATUS(MP_ERR_OVERFLOW, mp_queue_task_done(queue));
    mp_queue_free(queue);
}

/* What is freed and not acknowledged stays its taker's until that has ended. */
static void freed_is_not_acknowledged(int32_t kind) {
    mp_queue *queue = of_kind(kind), *go = queue_of(0), *ready = queue_of(0);
    put_number(queue, 7);
    pid_t child = fork();
    if (child == 0) {
        mp_buffer_free(get_buffer(queue, 0));
        expect_get(queue, MP_ERR_EMPTY);
        put_number(ready, 1);
        get_number(go);
        _exit(0);
    }
    get_number(ready);
    expect_get(queue, MP_ERR_EMPTY);
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_queue_join(queue, 0));
    put_number(go, 1);
    take(queue, 7, MP_FOREVER);
    CHECK_EQ(0, check_wait(child));
    CHECK_OK(mp_queue_join(queue, 0));
    mp_queue_free(queue);
    mp_queue_free(go);
    mp_queue_free(ready);
}

/* The taker is killed: its messages come back in their old places. */
static void they_come_back_in_their_place(int32_t kind) {
    static const uint64_t after[3][5] = {{0, 1, 2, 3, 4}, {2, 4, 3, 1, 0}, {1, 3, 0, 2, 4}};
    mp_queue *queue = of_kind(kind);
    for (uint64_t i = 0; i < 5; i++) {
        if (i == 3) {
            end(hold_elsewhere(queue, 3));
            /* Waits until it is noticed. */
            take(queue, after[kind][0], MP_FOREVER);
        }
        if (kind == MP_QUEUE_PRIORITY)
            CHECK_OK(mp_queue_put_priority(queue, i % 2 ? -1 : 1, &i, sizeof i, 0));
        else
            put_number(queue, i);
    }
    for (int i = 1; i < 5; i++)
        take(queue, after[kind][i], 0);
    CHECK_OK(mp_queue_join(queue, MP_FOREVER));
    expect_get(queue, MP_ERR_EMPTY);
    mp_queue_free(queue);
}

/* Long ones come back whole, from several that have died. */
static void long_ones_come_back(int32_t kind) {
    enum { N = 4, LENGTH = 100 << 10 };
    mp_queue *queue = of_kind(kind);
    unsigned char *bytes = malloc(LENGTH);
    pid_t children[2];
    CHECK(bytes != NULL);
    for (uint64_t i = 0; i < N; i++) {
        fill(bytes, LENGTH, i);
        CHECK_OK(mp_queue_put(queue, bytes, LENGTH, 0));
    }
    for (int i = 0; i < 2; i++)
        children[i] = hold_elsewhere(queue, 2);
    for (int i = 0; i < 2; i++)
        end(children[i]);
    for (uint64_t i = 0; i < N; i++) {
        mp_buffer *buffer = get_buffer(queue, MP_FOREVER);
        CHECK_EQ(LENGTH, mp_buffer_len(buffer));
        check_filled(mp_buffer_data(buffer), LENGTH, kind == MP_QUEUE_LIFO ? N - 1 - i : i);
        CHECK_OK(mp_queue_ack(queue, buffer));
        mp_buffer_free(buffer);
    }
    free(bytes);
    mp_queue_free(queue);
}

/* Though the queue is never empty, so that nobody ever waits, what the dead had is there again some time. */
static void in_a_queue_that_is_never_empty(int32_t kind) {
    mp_queue *queue = of_kind(kind);
    uint64_t number = 1;
    put_number(queue, 0);
    pid_t holder = hold_elsewhere(queue, 1);
    put_number(queue, 1);
    put_number(queue, 1);
    end(holder);
    while (number != 0) {
        mp_buffer *buffer = get_buffer(queue, 0);
        number = number_of(buffer);
        CHECK_OK(mp_queue_ack(queue, buffer));
        mp_buffer_free(buffer);
        if (kind == MP_QUEUE_PRIORITY)
            CHECK_OK(mp_queue_put_priority(queue, 1, "another", 8, 0));
        else
            CHECK_OK(mp_queue_put(queue, "another", 8, 0));
    }
    mp_queue_free(queue);
}

/* A getter that already sleeps, and one that only tries, get what the dead had. */
static void who_waits_gets_it(int32_t kind, bool tries) {
    mp_queue *queue = of_kind(kind);
    put_number(queue, 3);
    pid_t holder = hold_elsewhere(queue, 1), getter = fork();
    if (getter == 0) {
        mp_buffer *buffer = NULL;
        while (tries && mp_queue_get(queue, 0, &buffer) == MP_ERR_EMPTY)
            check_sleep(CHECK_SECOND / 1000);
        if (!tries)
            buffer = get_buffer(queue, MP_FOREVER);
        CHECK_EQ(3, number_of(buffer));
        CHECK_OK(mp_queue_ack(queue, buffer));
        _exit(0);
    }
    wait_until_asleep(getter);
    /* Nobody who is told of the death has any part in the queue: the getter sees for itself. */
    kill(holder, SIGKILL);
    CHECK_EQ(0, check_wait(getter));
    CHECK_EQ(-SIGKILL, check_wait(holder));
    CHECK_OK(mp_queue_join(queue, MP_FOREVER));
    mp_queue_free(queue);
}

/* Who is dead can't be acknowledged for. */
static void too_late(int32_t kind) {
    mp_queue *queue = of_kind(kind);
    put_number(queue, 1);
    mp_buffer *buffer = get_buffer(queue, 0);
    pid_t child = fork();
    if (child == 0) {
        /* A child may acknowledge what its parent has taken, once. */
        CHECK_OK(mp_queue_ack(queue, buffer));
        CHECK_STATUS(MP_ERR_STATE, mp_queue_ack(queue, buffer));
        mp_buffer_free(buffer);
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    CHECK_STATUS(MP_ERR_STATE, mp_queue_ack(queue, buffer));
    CHECK_OK(mp_queue_join(queue, MP_FOREVER));
    mp_buffer_free(buffer);

    /* The parent of this child dies; its message is another's by the time the child acknowledges it. */
    mp_queue *go = queue_of(0), *answer = queue_of(0);
    put_number(queue, 2);
    child = fork();
    if (child == 0) {
        buffer = get_buffer(queue, 0);
        if (fork() == 0) {
            get_number(go);
            CHECK_STATUS(MP_ERR_STATE, mp_queue_ack(queue, buffer));
            put_number(answer, 1);
        }
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    buffer = get_buffer(queue, MP_FOREVER);
    put_number(go, 1);
    CHECK_EQ(1, get_number(answer));
    CHECK_OK(mp_queue_ack(queue, buffer));
    mp_buffer_free(buffer);
    mp_queue_free(queue);
    mp_queue_free(go);
    mp_queue_free(answer);
}

/* A closed queue is not drained as long as something may come back. */
static void closed_with_some_elsewhere(int32_t kind) {
    for (int killed = 0; killed < 2; killed++) {
        mp_queue *queue = of_kind(kind), *go = queue_of(0), *ready = queue_of(0);
        put_number(queue, 9);
        pid_t holder = fork(), getter;
        if (holder == 0) {
            mp_buffer *buffer = get_buffer(queue, 0);
            put_number(ready, 1);
            get_number(go);
            CHECK_OK(mp_queue_ack(queue, buffer));
            _exit(0);
        }
        get_number(ready);
        CHECK_OK(mp_queue_close(queue));
        expect_get(queue, MP_ERR_EMPTY);
        getter = fork();
        if (getter == 0) {
            mp_buffer *buffer = NULL;
            mp_status status = mp_queue_get(queue, MP_FOREVER, &buffer);
            CHECK_EQ(killed ? MP_OK : MP_ERR_CLOSED, status);
            if (killed)
                CHECK_OK(mp_queue_ack(queue, buffer));
            _exit(0);
        }
        wait_until_asleep(getter);
        if (killed)
            end(holder);
        else
            put_number(go, 1);
        CHECK_EQ(0, check_wait(getter));
        if (!killed)
            CHECK_EQ(0, check_wait(holder));
        expect_get(queue, MP_ERR_CLOSED);
        CHECK_OK(mp_queue_join(queue, MP_FOREVER));
        mp_queue_free(queue);
        mp_queue_free(go);
        mp_queue_free(ready);
    }
}

/* A message that comes back is one more than the bound; until there is room again, nothing is put. */
static void bounded(int32_t kind) {
    mp_queue_options options = queue_options(kind, 2);
    options.redeliver = true;
    mp_queue *queue = queue_with(&options);
    put_number(queue, 0);
    put_number(queue, 1);
    pid_t holder = hold_elsewhere(queue, 1);
    put_number(queue, 2);
    CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, "", 0, 0));
    end(holder);
    uint64_t sum = 0;
    for (int i = 0; i < 3; i++) {
        mp_buffer *buffer = get_buffer(queue, MP_FOREVER);
        sum += number_of(buffer);
        CHECK_OK(mp_queue_ack(queue, buffer));
        mp_buffer_free(buffer);
    }
    CHECK_EQ(3, sum);
    expect_get(queue, MP_ERR_EMPTY);
    put_number(queue, 1);
    put_number(queue, 1);
    CHECK_STATUS(MP_ERR_FULL, mp_queue_put(queue, "", 0, 0));
    mp_queue_free(queue);
}

static int32_t take_two(mp_call *call) {
    mp_queue *queue = NULL;
    CHECK_OK(mp_queue_from_token(mp_call_arg(call, 0).data, &queue));
    CHECK_OK(mp_queue_ack(queue, get_buffer(queue, MP_FOREVER)));
    get_buffer(queue, MP_FOREVER);
    return 0;
}

/* A worker that ends as it should, with one of two unacknowledged. */
static void a_worker_ends(int32_t method) {
    mp_queue *queue = of_kind(MP_QUEUE_FIFO);
    mp_token token;
    put_number(queue, 1);
    put_number(queue, 2);
    CHECK_OK(mp_queue_token(queue, &token));
    CHECK_EQ(0, run(take_two, &token, sizeof token, method));
    take(queue, 2, MP_FOREVER);
    CHECK_OK(mp_queue_join(queue, MP_FOREVER));
    mp_queue_free(queue);
}

int main(int argc, char **argv) {
    CHECK_OK(mp_main_init(argc, argv));
    check_begin();
    check_watchdog(110);
    for (int i = 0; i < 3; i++) {
        acknowledging(KINDS[i]);
        of_another_time(KINDS[i]);
        task_done_as_well(KINDS[i]);
        if (is_leak_check())
            continue;
        freed_is_not_acknowledged(KINDS[i]);
        they_come_back_in_their_place(KINDS[i]);
        long_ones_come_back(KINDS[i]);
        who_waits_gets_it(KINDS[i], false);
        who_waits_gets_it(KINDS[i], true);
        too_late(KINDS[i]);
        closed_with_some_elsewhere(KINDS[i]);
        bounded(KINDS[i]);
    }
    if (is_leak_check())
        return 0;
    in_a_queue_that_is_never_empty(MP_QUEUE_FIFO);
    in_a_queue_that_is_never_empty(MP_QUEUE_PRIORITY);
    a_worker_ends(MP_START_FORK);
    a_worker_ends(MP_START_FORKSERVER);
    a_worker_ends(MP_START_SPAWN);
    return 0;
}
