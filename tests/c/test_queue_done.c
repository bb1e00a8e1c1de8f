/* Done: task_done and join, and takers that die. check: leaks check: once */
#include "process.h"
#include "queue.h"

static const int32_t KINDS[] = {MP_QUEUE_FIFO, MP_QUEUE_LIFO, MP_QUEUE_PRIORITY};

static mp_queue *of_kind(int32_t kind, bool redeliver) {
    mp_queue_options options = queue_options(kind, 0);
    options.redeliver = redeliver;
    return queue_with(&options);
}

static mp_token token_of(const mp_queue *queue) {
    mp_token token;
    CHECK_OK(mp_queue_token(queue, &token));
    return token;
}

/* A process that joins, asleep by the time this returns. */
static pid_t join_elsewhere(mp_queue *queue) {
    pid_t child = fork();
    if (child == 0) {
        CHECK_OK(mp_queue_join(queue, MP_FOREVER));
        _exit(0);
    }
    wait_until_asleep(child);
    return child;
}

/* -- task_done and join -- */

static void counting(int32_t kind) {
    mp_queue *queue = of_kind(kind, false);
    CHECK_OK(mp_queue_join(queue, 0));
    CHECK_OK(mp_queue_join(queue, MP_FOREVER));
    CHECK_STATUS(MP_ERR_OVERFLOW, mp_queue_task_done(queue));
    CHECK_ERROR_HAS("task_done");
    for (uint64_t i = 0; i < 3; i++)
        put_number(queue, i);
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_queue_join(queue, INT64_MIN));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_queue_join(queue, 1000000));
    pid_t joiners[2] = {join_elsewhere(queue), join_elsewhere(queue)};
    for (int i = 0; i < 3; i++) {
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_queue_join(queue, 0));
        get_number(queue);
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_queue_join(queue, 0));
        CHECK_OK(mp_queue_task_done(queue));
    }
    for (int i = 0; i < 2; i++)
        CHECK_EQ(0, check_wait(joiners[i]));
    CHECK_STATUS(MP_ERR_OVERFLOW, mp_queue_task_done(queue));
    /* A closed queue is joined as any other, and a buffer that lives on is nobody's task. */
    put_number(queue, 1);
    CHECK_OK(mp_queue_close(queue));
    mp_buffer *buffer = get_buffer(queue, 0);
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_queue_join(queue, 0));
    CHECK_OK(mp_queue_task_done(queue));
    CHECK_OK(mp_queue_join(queue, MP_FOREVER));
    mp_buffer_free(buffer);
    mp_queue_free(queue);
}

/* Every way of putting and of taking counts. */
static void all_ways_count(int32_t kind) {
    mp_queue *queue = of_kind(kind, false);
    mp_slice messages[3] = {{"a", 1}, {"b", 1}, {"c", 1}}, found[3];
    mp_reservation *reservation = NULL;
    mp_buffer *buffers[2];
    void *data;
    size_t n, length, taken = 0;
    char into[3];
    CHECK_OK(mp_queue_put_many(queue, messages, 3, 0, &n));
    CHECK_OK(mp_queue_put_buffer(queue, new_buffer(1, 0), 0));
    CHECK_OK(mp_queue_reserve(queue, 1, 0, &data, &reservation));
    CHECK_OK(mp_queue_commit(reservation));
    CHECK_OK(mp_queue_reserve(queue, 1, 0, &data, &reservation));
    CHECK_OK(mp_queue_abandon(reservation));
    CHECK_OK(mp_queue_get_many(queue, buffers, 2, 0, &n));
    for (size_t i = 0; i < n; i++)
        mp_buffer_free(buffers[i]);
    taken += n;
    CHECK_OK(mp_queue_get_into(queue, into, sizeof into, &length, 0));
    taken++;
    while (size_of(queue) > 0) {
        CHECK_OK(mp_queue_get_many_into(queue, into, sizeof into, found, 3, 0, &n));
        taken += n;
    }
    CHECK_EQ(5, taken);
    for (int i = 0; i < 5; i++) {
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_queue_join(queue, 0));
        CHECK_OK(mp_queue_task_done(queue));
    }
    CHECK_OK(mp_queue_join(queue, 0));
    CHECK_STATUS(MP_ERR_OVERFLOW, mp_queue_task_done(queue));
    mp_queue_free(queue);
}

/* A process may tell it of what another took; then the other's death changes nothing. */
static void told_for_another(int32_t kind) {
    mp_queue *queue = of_kind(kind, false);
    put_number(queue, 1);
    put_number(queue, 2);
    pid_t child = fork();
    if (child == 0) {
        get_number(queue);
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_queue_join(queue, 0));
    get_number(queue);
    CHECK_OK(mp_queue_task_done(queue));
    CHECK_OK(mp_queue_join(queue, MP_FOREVER));

    int ends[2];
    char byte;
    CHECK_EQ(0, pipe(ends));
    put_number(queue, 3);
    put_number(queue, 4);
    child = fork();
    if (child == 0) {
        get_number(queue);
        CHECK_EQ(1, write(ends[1], "x", 1));
        pause();
    }
    CHECK_EQ(1, read(ends[0], &byte, 1));
    CHECK_OK(mp_queue_task_done(queue));
    kill(child, SIGKILL);
    CHECK_EQ(-SIGKILL, check_wait(child));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_queue_join(queue, CHECK_SECOND / 10));
    get_number(queue);
    CHECK_OK(mp_queue_task_done(queue));
    CHECK_OK(mp_queue_join(queue, MP_FOREVER));
    close(ends[0]);
    close(ends[1]);
    mp_queue_free(queue);
}

/* -- dead takers -- */

static int32_t take_and_die(mp_call *call) {
    mp_queue *queue = NULL;
    CHECK_OK(mp_queue_from_token(mp_call_arg(call, 0).data, &queue));
    for (int i = 0; i < 3; i++)
        get_buffer(queue, MP_FOREVER);
    CHECK_OK(mp_queue_task_done(queue));
    kill(getpid(), SIGKILL);
    return 0;
}

/* Join does not wait for what the dead had taken, whoever started them; for the rest it does. */
static void join_with_dead_takers(int32_t kind) {
    for (int how = 0; how < 4; how++) {
        mp_queue *queue = of_kind(kind, false);
        for (uint64_t i = 0; i < 4; i++)
            put_number(queue, i);
        pid_t joiner = join_elsewhere(queue), child = 0;
        if (how < 2) {
            mp_token token = token_of(queue);
            CHECK_EQ(-SIGKILL, run(take_and_die, &token, sizeof token, METHODS[how]));
        } else if ((child = fork()) == 0) {
            for (int i = 0; i < 3; i++)
                get_number(queue);
            if (how == 3)
                kill(getpid(), SIGKILL);
            _exit(0);
        } else {
            check_wait(child);
        }
        CHECK_EQ(1, size_of(queue));
        CHECK_STATUS(MP_ERR_TIMEOUT, mp_queue_join(queue, CHECK_SECOND / 100));
        get_number(queue);
        CHECK_OK(mp_queue_task_done(queue));
        CHECK_EQ(0, check_wait(joiner));
        CHECK_OK(mp_queue_join(queue, 0));
        mp_queue_free(queue);
    }
}

/* The taker dies while others sleep in join, and nothing else happens. */
static void a_death_ends_the_join(int32_t kind) {
    mp_queue *queue = of_kind(kind, false), *ready = queue_of(0);
    put_number(queue, 1);
    pid_t taker = fork();
    if (taker == 0) {
        get_number(queue);
        put_number(ready, 1);
        pause();
    }
    get_number(ready);
    pid_t joiner = join_elsewhere(queue);
    kill(taker, SIGKILL);
    CHECK_EQ(0, check_wait(joiner));
    CHECK_EQ(-SIGKILL, check_wait(taker));
    CHECK_OK(mp_queue_join(queue, MP_FOREVER));
    mp_queue_free(queue);
    mp_queue_free(ready);
}

/* More takers than the first table of accounts has room for, the dead among them. */
static void many_takers(void) {
    enum { TAKERS = 20 };
    mp_queue *queue = queue_of(0), *go = queue_of(0);
    pid_t children[TAKERS];
    for (uint64_t i = 0; i < 3 * TAKERS; i++)
        put_number(queue, i);
    for (int i = 0; i < TAKERS; i++) {
        children[i] = fork();
        if (children[i] != 0)
            continue;
        for (int n = 0; n < 3; n++)
            get_number(queue);
        CHECK_OK(mp_queue_task_done(queue));
        get_number(go);
        if (i % 2) {
            CHECK_OK(mp_queue_task_done(queue));
            CHECK_OK(mp_queue_task_done(queue));
        }
        _exit(0);
    }
    while (size_of(queue) > 0)
        check_sleep(CHECK_SECOND / 1000);
    pid_t joiner = join_elsewhere(queue);
    for (int i = 0; i < TAKERS; i++)
        put_number(go, 1);
    for (int i = 0; i < TAKERS; i++)
        CHECK_EQ(0, check_wait(children[i]));
    CHECK_EQ(0, check_wait(joiner));
    CHECK_OK(mp_queue_join(queue, MP_FOREVER));
    CHECK_STATUS(MP_ERR_OVERFLOW, mp_queue_task_done(queue));
    mp_queue_free(queue);
    mp_queue_free(go);
}

/* A child that uses the very handle with which its parent has taken something. */
static void the_same_handle_in_a_child(void) {
    mp_queue *queue = queue_of(0);
    for (uint64_t i = 0; i < 4; i++)
        put_number(queue, i);
    get_number(queue);
    get_number(queue);
    pid_t child = fork();
    if (child == 0) {
        get_number(queue);
        get_number(queue);
        CHECK_OK(mp_queue_task_done(queue));
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    /* The child's own two are done, the parent's are not. */
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_queue_join(queue, CHECK_SECOND / 10));
    CHECK_OK(mp_queue_task_done(queue));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_queue_join(queue, 0));
    CHECK_OK(mp_queue_task_done(queue));
    CHECK_OK(mp_queue_join(queue, MP_FOREVER));
    mp_queue_free(queue);
}

static void bad_arguments(void) {
    mp_queue *queue = queue_of(0);
    mp_buffer *buffer = new_buffer(1, 1);
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_task_done(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_join(NULL, 0));
    mp_queue_free(queue);
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_task_done(queue));
    CHECK_STATUS(MP_ERR_INVALID, mp_queue_join(queue, MP_FOREVER));
    mp_buffer_free(buffer);
}

static void cancelled(void) {
    mp_queue *queue = queue_of(0);
    mp_cancel *cancel = NULL;
    put_number(queue, 1);
    CHECK_OK(mp_cancel_new(&cancel));
    CHECK_OK(mp_cancel_use(cancel));
    CHECK_OK(mp_cancel_fire(cancel));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_queue_join(queue, MP_FOREVER));
    get_number(queue);
    CHECK_OK(mp_queue_task_done(queue));
    CHECK_OK(mp_queue_join(queue, MP_FOREVER));
    CHECK_OK(mp_cancel_use(NULL));
    mp_cancel_free(cancel);
    mp_queue_free(queue);
}

/* What was told to be done before anybody took it is not counted again for a taker that dies. */
static void told_too_early(int32_t kind) {
    mp_queue *queue = of_kind(kind, false);
    put_number(queue, 1);
    put_number(queue, 2);
    CHECK_OK(mp_queue_task_done(queue));
    pid_t child = fork();
    if (child == 0) {
        get_number(queue);
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_queue_join(queue, 200000000));
    get_number(queue);
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_queue_join(queue, 0));
    CHECK_OK(mp_queue_task_done(queue));
    CHECK_OK(mp_queue_join(queue, MP_FOREVER));
    mp_queue_free(queue);
}

int main(int argc, char **argv) {
    CHECK_OK(mp_main_init(argc, argv));
    check_begin();
    check_watchdog(110);
    cancelled();
    for (int i = 0; i < 3; i++) {
        all_ways_count(KINDS[i]);
        if (is_leak_check())
            continue;
        counting(KINDS[i]);
        told_for_another(KINDS[i]);
        told_too_early(KINDS[i]);
        join_with_dead_takers(KINDS[i]);
        a_death_ends_the_join(KINDS[i]);
    }
    if (is_leak_check())
        return 0;
    many_takers();
    the_same_handle_in_a_child();
    bad_arguments();
    return 0;
}
