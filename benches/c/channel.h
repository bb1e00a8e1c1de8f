/*
 * Ways to pass messages, each as a few functions, for what is measured of all of them. The file of a way adds it before
 * main runs, so that what is not linked (Boost, where there is none) does not take part.
 */
#ifndef BENCH_CHANNEL_H
#define BENCH_CHANNEL_H

#include "bench.h"

enum {
    KIB = 1024,
    /* From here on the producer writes, and the consumer reads, every byte. */
    LARGE = 64 * KIB,
    MIB = 1024 * KIB,
    PRODUCERS = 2,
    MOST_CHANNELS = 16,
    /* How many messages the calls take that take many. */
    BATCH = 64,
    /* How many are written before the first of them is sent, by the calls that take one. */
    AHEAD = 8
};

#define ALWAYS_INLINE __attribute__((always_inline)) inline

/* What a way of passing messages takes part in. */
enum {
    ONE_TO_ONE = 1,
    TWO_TO_TWO = 2,
    TRIP = 4,
    /* Its waits sleep, or let others run: only then it can be measured on one core. */
    SLEEPS = 8,
    EVERYWHERE = ONE_TO_ONE | TWO_TO_TWO | TRIP | SLEEPS
};

struct ring;

/* An open channel, as one process sees it: after the fork each has its own copy. */
struct channel {
    const struct way *way;
    size_t size;
    /* How many messages it is to hold. */
    unsigned room;
    union {
        mp_queue *queue;
        mp_connection *connections[2];
        int ends[2];
        struct ring *ring;
        void *boost;
    };
};

/*
 * One process's end of a channel. A message begins with its number, which has the producer's in its top byte; the
 * consumer checks that those of each producer rise, and that the sum of all is right.
 */
struct lane {
    uint64_t next;
    uint64_t last[PRODUCERS];
    uint64_t sum;
    /* Room for BATCH small messages, or one large one; all lanes of a process have the same. */
    char *buffer;
    /* Of the polled rings: how far this side is, and how far it knows the other one to be. */
    uint64_t mine, seen;
};

struct way {
    const char *name;
    unsigned parts;
    /* The sizes of message that it is measured with. */
    size_t least, most;
    /* False if the system does not allow such a channel. */
    bool (*open)(struct channel *);
    void (*produce)(struct channel *, struct lane *, unsigned count);
    void (*consume)(struct channel *, struct lane *, unsigned count);
    void (*close)(struct channel *);
};

void add_way(const struct way *way);

/* Calls `open` for all that take part. Answers how many are open. */
int open_channels(struct channel *channels, unsigned part, size_t size);
void close_channels(struct channel *channels, int count);
/* One for each channel. */
void open_lanes(struct lane *lanes, int count, unsigned producer, size_t size);

/* Writes a large message that begins with `number`, and reads one: the same code for all ways. */
void write_all(void *message, size_t size, uint64_t number);
void read_all(const void *message, size_t size, uint64_t number);

ALWAYS_INLINE static void write_message(void *message, size_t size, struct lane *lane) {
    uint64_t number = lane->next++;
    if (size >= LARGE) {
        write_all(message, size, number);
    } else {
        memcpy(message, &number, sizeof number);
    }
}

/* Both counts are read and written at fixed places, since a store to a place that is not known yet holds up later
 * loads. */
ALWAYS_INLINE static void read_message(const void *message, size_t size, struct lane *lane) {
    uint64_t number, first = lane->last[0], second = lane->last[1];
    memcpy(&number, message, sizeof number);
    bool of_first = number >> 56 == 0;
    if (number <= (of_first ? first : second) || number >> 56 >= PRODUCERS) {
        errno = 0;
        fail("a message is lost or out of order");
    }
    lane->last[0] = of_first ? number : first;
    lane->last[1] = of_first ? second : number;
    lane->sum += number;
    if (size >= LARGE) {
        read_all(message, size, number);
    }
}

/*
 * The two loops of a way that copies messages, compiled for each of them, so that no call by a pointer is in them. A
 * few messages are written before they are sent: a processor that copies what it has just written in part has to wait.
 */
ALWAYS_INLINE static void produce_by(struct channel *channel, struct lane *lane, unsigned count,
                                     void (*send)(struct channel *, struct lane *, const void *)) {
    size_t size = channel->size;
    unsigned most = size < LARGE ? AHEAD : 1;
    while (count > 0) {
        unsigned some = count < most ? count : most;
        for (unsigned i = 0; i < some; i++) {
            write_message(lane->buffer + i * size, size, lane);
        }
        for (unsigned i = 0; i < some; i++) {
            send(channel, lane, lane->buffer + i * size);
        }
        count -= some;
    }
}

ALWAYS_INLINE static void consume_by(struct channel *channel, struct lane *lane, unsigned count,
                                     void (*receive)(struct channel *, struct lane *, void *)) {
    for (unsigned i = 0; i < count; i++) {
        receive(channel, lane, lane->buffer);
        read_message(lane->buffer, channel->size, lane);
    }
}

/* Defines both loops for NAME_send and NAME_receive. */
#define LOOPS(NAME)                                                                                                    \
    static void NAME##_produce(struct channel *channel, struct lane *lane, unsigned count) {                           \
        produce_by(channel, lane, count, NAME##_send);                                                                 \
    }                                                                                                                  \
    static void NAME##_consume(struct channel *channel, struct lane *lane, unsigned count) {                           \
        consume_by(channel, lane, count, NAME##_receive);                                                              \
    }

/* Adds a list of ways before main runs. */
#define WAYS(LIST)                                                                                                     \
    __attribute__((constructor)) static void add_ways(void) {                                                          \
        for (size_t i = 0; i < sizeof LIST / sizeof *LIST; i++) {                                                      \
            add_way(&LIST[i]);                                                                                         \
        }                                                                                                              \
    }

#endif
