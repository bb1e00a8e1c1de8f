/* Four producers and four consumers: each of 200,000 messages arrives once, whole, in the order of its producer. */
#include "queue.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

enum { PRODUCERS = 4, CONSUMERS = 4, EACH = 50000, LONGEST = 2000 };

/* What the processes say of themselves, in memory that is shared without the library. */
struct record {
    atomic_uchar seen[PRODUCERS][EACH];
    atomic_uint count;
};

struct message {
    uint32_t producer, number;
    unsigned char bytes[LONGEST];
};

/* Mostly short ones, now and then one that travels in a block. */
static size_t length_of(uint32_t producer, uint32_t number) {
    uint32_t mixed = (number * PRODUCERS + producer) * UINT32_C(2654435761) >> 8;
    return mixed % 64 == 0 ? 1000 + mixed / 64 % (LONGEST - 1000) : mixed % 120;
}

static void produce(mp_queue *queue, uint32_t producer) {
    struct message message = {.producer = producer};
    for (; message.number < EACH; message.number++) {
        size_t length = length_of(producer, message.number);
        fill(message.bytes, length, message.number);
        CHECK_OK(mp_queue_put(queue, &message, offsetof(struct message, bytes) + length, MP_FOREVER));
    }
}

static void consume(mp_queue *queue, struct record *record, int with_buffers) {
    struct message message;
    uint32_t next[PRODUCERS] = {0};
    for (;;) {
        size_t length = 0;
        mp_status status;
        if (with_buffers) {
            mp_buffer *buffer = NULL;
            status = mp_queue_get(queue, MP_FOREVER, &buffer);
            if (status == MP_OK) {
                length = mp_buffer_len(buffer);
                CHECK(length <= sizeof message);
                memcpy(&message, mp_buffer_data(buffer), length);
            }
            mp_buffer_free(buffer);
        } else {
            status = mp_queue_get_into(queue, &message, sizeof message, &length, MP_FOREVER);
        }
        if (status == MP_ERR_CLOSED)
            return;
        CHECK_OK(status);
        CHECK(message.producer < PRODUCERS && message.number < EACH);
        CHECK(message.number >= next[message.producer]);
        next[message.producer] = message.number + 1;
        CHECK_EQ(offsetof(struct message, bytes) + length_of(message.producer, message.number), length);
        check_filled(message.bytes, length - offsetof(struct message, bytes), message.number);
        CHECK_EQ(0, atomic_exchange(&record->seen[message.producer][message.number], 1));
        atomic_fetch_add(&record->count, 1);
    }
}

static void crowd(int64_t maxsize) {
    mp_queue *queue = queue_of(maxsize);
    pid_t producers[PRODUCERS], consumers[CONSUMERS];
    struct record *record = mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(record != MAP_FAILED);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i] = fork();
        if (producers[i] == 0) {
            produce(queue, i);
            _exit(0);
        }
    }
    for (int i = 0; i < CONSUMERS; i++) {
        consumers[i] = fork();
        if (consumers[i] == 0) {
            consume(queue, record, i % 2);
            _exit(0);
        }
    }
    for (int i = 0; i < PRODUCERS; i++)
        CHECK_EQ(0, check_wait(producers[i]));
    CHECK_OK(mp_queue_close(queue));
    for (int i = 0; i < CONSUMERS; i++)
        CHECK_EQ(0, check_wait(consumers[i]));
    CHECK_EQ(PRODUCERS * EACH, atomic_load(&record->count));
    CHECK_EQ(0, size_of(queue));
    munmap(record, sizeof *record);
    mp_queue_free(queue);
}

int main(void) {
    check_begin();
    check_watchdog(110);
    crowd(0);
    crowd(1);
    crowd(100);
    return 0;
}
