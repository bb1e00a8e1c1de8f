/* Threads and processes that use one queue in all ways at once: nothing is lost, nothing comes twice, and nobody sleeps
 * on beside what it waits for. A lost wake-up costs up to a second here, of which the watchdog forgives some. */
#include "queue.h"

#include <pthread.h>

enum { PUTTERS = 3, GETTERS = 3, ROUNDS = 1500, LONGEST = 1500 };

struct mixture {
    mp_queue *queue;
    mp_queue *sums;
    bool redeliver;
    unsigned seed;
};

/* A message has its own length in its first byte, modulo 256; its sum is its length and 1. */
static unsigned char MESSAGES[256][LONGEST];

static const unsigned char *message(size_t length) { return MESSAGES[length % 256]; }

static uint64_t sum_of(const void *data, size_t length) {
    CHECK(length == 0 || *(const unsigned char *)data == (unsigned char)length);
    return length + 1;
}

static uint64_t put_some(const struct mixture *mixture, unsigned *seed) {
    size_t length = (size_t)rand_r(seed) % (rand_r(seed) % 8 ? 200 : LONGEST), done = 0;
    mp_queue *queue = mixture->queue;
    unsigned how = (unsigned)rand_r(seed) % 10;
    if (how < 2) {
        mp_reservation *reservation = NULL;
        void *data = NULL;
        CHECK_OK(mp_queue_reserve(queue, length, MP_FOREVER, &data, &reservation));
        if (how == 0 && length % 2) {
            CHECK_OK(mp_queue_abandon(reservation));
            return 0;
        }
        length = how == 0 ? length / 3 : length;
        memcpy(data, message(length), length);
        CHECK_OK(mp_queue_commit_len(reservation, length));
    } else if (how < 4) {
        mp_slice messages[3] = {{message(length), length}, {message(length / 2), length / 2}, {message(3), 3}};
        CHECK_OK(mp_queue_put_many(queue, messages, 3, MP_FOREVER, &done));
        return length + length / 2 + 6;
    } else if (how == 4) {
        mp_status status = mp_queue_put(queue, message(length), length, 20000);
        CHECK(status == MP_OK || status == MP_ERR_FULL);
        return status == MP_OK ? length + 1 : 0;
    } else if (how == 5) {
        mp_buffer *buffer = NULL;
        CHECK_OK(mp_buffer_new(length, &buffer));
        memcpy((void *)(uintptr_t)mp_buffer_data(buffer), message(length), length);
        CHECK_OK(mp_queue_put_buffer(queue, buffer, MP_FOREVER));
    } else {
        CHECK_OK(mp_queue_put(queue, message(length), length, MP_FOREVER));
    }
    return length + 1;
}

static void *put(void *argument) {
    struct mixture mixture = *(struct mixture *)argument;
    uint64_t sum = 0;
    for (int i = 0; i < ROUNDS; i++)
        sum += put_some(&mixture, &mixture.seed);
    put_number(mixture.sums, sum);
    return NULL;
}

static uint64_t take(const struct mixture *mixture, mp_buffer *buffer) {
    uint64_t sum = sum_of(mp_buffer_data(buffer), mp_buffer_len(buffer));
    CHECK_OK(mixture->redeliver ? mp_queue_ack(mixture->queue, buffer) : mp_queue_task_done(mixture->queue));
    mp_buffer_free(buffer);
    return sum;
}

static mp_status get_some(const struct mixture *mixture, unsigned *seed, uint64_t *sum) {
    unsigned char into[4 * LONGEST];
    mp_buffer *buffers[8];
    mp_slice found[8];
    size_t n = 0;
    unsigned how = (unsigned)rand_r(seed) % 10;
    mp_status status;
    if (how < 3) {
        status = mp_queue_get_many(mixture->queue, buffers, 1 + (size_t)rand_r(seed) % 8, MP_FOREVER, &n);
        for (size_t i = 0; i < n; i++)
            *sum += take(mixture, buffers[i]);
    } else if (how < 5 && !mixture->redeliver) {
        status = mp_queue_get_many_into(mixture->queue, into, sizeof into, found, 8, MP_FOREVER, &n);
        for (size_t i = 0; i < n; i++) {
            *sum += sum_of(found[i].data, found[i].len);
            CHECK_OK(mp_queue_task_done(mixture->queue));
        }
    } else {
        status = mp_queue_get(mixture->queue, how == 5 ? 20000 : MP_FOREVER, &buffers[0]);
        if (status == MP_OK)
            *sum += take(mixture, buffers[0]);
    }
    return status;
}

static void *get(void *argument) {
    struct mixture mixture = *(struct mixture *)argument;
    uint64_t sum = 0;
    mp_status status;
    while ((status = get_some(&mixture, &mixture.seed, &sum)) != MP_ERR_CLOSED)
        CHECK(status == MP_OK || status == MP_ERR_EMPTY);
    put_number(mixture.sums, sum);
    return NULL;
}

static uint64_t sum_up(mp_queue *sums, int n) {
    uint64_t sum = 0;
    while (n-- > 0)
        sum += get_number(sums);
    return sum;
}

/* In threads of this process, or each in a process of its own. */
static void mix(const mp_queue_options *options, bool in_processes) {
    struct mixture of[PUTTERS + GETTERS];
    pthread_t threads[PUTTERS + GETTERS];
    pid_t children[PUTTERS + GETTERS];
    mp_queue *queue = queue_with(options), *put_sums = queue_of(0), *got_sums = queue_of(0);
    for (int i = 0; i < PUTTERS + GETTERS; i++) {
        void *(*body)(void *) = i < PUTTERS ? put : get;
        of[i] = (struct mixture){queue, i < PUTTERS ? put_sums : got_sums, options->redeliver, (unsigned)i + 1};
        if (!in_processes) {
            CHECK_EQ(0, pthread_create(&threads[i], NULL, body, &of[i]));
        } else if ((children[i] = fork()) == 0) {
            body(&of[i]);
            _exit(0);
        }
    }
    uint64_t put_sum = sum_up(put_sums, PUTTERS);
    CHECK_OK(mp_queue_join(queue, MP_FOREVER));
    CHECK_OK(mp_queue_close(queue));
    CHECK_EQ(put_sum, sum_up(got_sums, GETTERS));
    for (int i = 0; i < PUTTERS + GETTERS; i++) {
        if (in_processes)
            CHECK_EQ(0, check_wait(children[i]));
        else
            CHECK_EQ(0, pthread_join(threads[i], NULL));
    }
    CHECK_EQ(0, size_of(queue));
    mp_queue_free(queue);
    mp_queue_free(put_sums);
    mp_queue_free(got_sums);
}

int main(void) {
    static const int32_t kinds[] = {MP_QUEUE_FIFO, MP_QUEUE_LIFO, MP_QUEUE_PRIORITY};
    check_begin();
    check_watchdog(110);
    for (int i = 0; i < 256; i++)
        MESSAGES[i][0] = (unsigned char)i;
    for (int i = 0; i < 3 * 2 * 2 * 2; i++) {
        mp_queue_options options = queue_options(kinds[i % 3], i / 3 % 2 ? 3 : 0);
        options.max_bytes = i / 3 % 2 ? 0 : LONGEST + 500;
        options.redeliver = i / 6 % 2 == 1;
        mix(&options, i / 12 == 1);
    }
    return 0;
}
