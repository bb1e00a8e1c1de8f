/*
 * Messages from one process to another, and from two to two. All ways of passing them take turns, block by block: a
 * block begins with an empty channel, and ends when its last message has been checked.
 *
 * One producer and one consumer have a processor each. Of two and two, each processor has one of both: so producers
 * meet producers, consumers meet consumers, and none of the processors is idle while another has two to run.
 */
#include "channel.h"

enum { SIDES = 2 };

struct page {
    /* A block begins when its number is stored here. */
    _Alignas(64) atomic_uint block;
    atomic_uint channel;
    /* For each producer to send; 0 is the end. */
    atomic_uint messages;
    /* The block that each of the others has done, producers first, and the sum of the numbers that it has received. */
    struct {
        _Alignas(64) atomic_uint done;
        uint64_t sum;
    } others[2 * SIDES];
};

static struct page *page;
static struct channel channels[MOST_CHANNELS];
static struct lane lanes[MOST_CHANNELS];
static int count;

static const struct test {
    const char *name;
    size_t size;
    int sides;
    unsigned milliseconds; /* of a block, about */
} tests[] = {
    {"8 B", 8, 1, 2},     {"64 B", 64, 1, 2},     {"1 KiB", KIB, 1, 2},     {"64 KiB", LARGE, 1, 3},
    {"1 MiB", MIB, 1, 5}, {"8 B, 2P2C", 8, 2, 3}, {"64 B, 2P2C", 64, 2, 3}, {"1 KiB, 2P2C", KIB, 2, 3},
};
enum { TESTS = sizeof tests / sizeof *tests };

/* The `number`th producer or consumer does its part of each block. */
static void take_part(const struct test *test, int number, bool consumer) {
    int place = consumer ? SIDES + number : number;
    pin(consumer ? 1 - number : number);
    open_lanes(lanes, count, (unsigned)number, test->size);
    for (unsigned block = 1;; block++) {
        until(&page->block, block);
        unsigned messages = atomic_load(&page->messages), which = atomic_load(&page->channel);
        struct channel *channel = &channels[which];
        struct lane *lane = &lanes[which];
        if (messages == 0) {
            _exit(0);
        }
        lane->sum = 0;
        if (consumer) {
            channel->way->consume(channel, lane, messages);
        } else {
            channel->way->produce(channel, lane, messages);
        }
        page->others[place].sum = lane->sum;
        atomic_store(&page->others[place].done, block);
    }
}

/* Starts all but the first producer, which this process is. */
static void start(const struct test *test, pid_t *pids) {
    for (int number = 0; number < test->sides; number++) {
        for (int consumer = 0; consumer < 2; consumer++) {
            int place = consumer ? SIDES + number : number;
            pids[place] = 0;
            atomic_store(&page->others[place].done, 0);
            if (place > 0 && (pids[place] = helper()) == 0) {
                take_part(test, number, consumer);
            }
        }
    }
}

/* That each message has come once: each producer sent those from `first` on, without the producer's number. */
static void check_sum(const struct test *test, uint64_t first, uint64_t messages) {
    uint64_t wanted = 0, found = 0;
    for (uint64_t i = 0; i < (uint64_t)test->sides; i++) {
        wanted += messages * ((i << 56) + first) + messages * (messages - 1) / 2;
        found += page->others[SIDES + i].sum;
    }
    if (found != wanted) {
        errno = 0;
        fail("messages are lost");
    }
}

/* One block. Answers how many messages passed in a microsecond. */
static double pass(const struct test *test, int which, unsigned messages) {
    struct channel *channel = &channels[which];
    struct lane *lane = &lanes[which];
    uint64_t first = lane->next;
    atomic_store(&page->channel, (unsigned)which);
    atomic_store(&page->messages, messages);
    uint64_t begin = now_ns();
    unsigned block = atomic_fetch_add(&page->block, 1) + 1;
    channel->way->produce(channel, lane, messages);
    for (int number = 0; number < test->sides; number++) {
        if (number > 0) {
            until(&page->others[number].done, block);
        }
        until(&page->others[SIDES + number].done, block);
    }
    double took = (double)(now_ns() - begin) / 1e3;
    check_sum(test, first, messages);
    return (double)messages * test->sides / took;
}

/* The first turns only tell how many messages make a block of the wanted length. A busy machine gets fewer blocks. */
static void measure(const struct test *test, int share) {
    enum { TRIALS = 6, BLOCKS = 40, FEWEST = 4, SECONDS = 3 };
    static struct samples samples[MOST_CHANNELS];
    double best[MOST_CHANNELS] = {0};
    pid_t pids[2 * SIDES];
    count = open_channels(channels, test->sides > 1 ? TWO_TO_TWO : ONE_TO_ONE, test->size);
    atomic_store(&page->block, 0);
    start(test, pids);
    pin(0);
    open_lanes(lanes, count, 0, test->size);
    uint64_t end = now_ns() + SECONDS * UINT64_C(1000000000);
    int turns = TRIALS + FEWEST + BLOCKS * share / 100;
    for (int turn = 0; turn < TRIALS + FEWEST || (turn < turns && now_ns() < end); turn++) {
        for (int c = 0; c < count; c++) {
            unsigned messages = (unsigned)(best[c] * test->milliseconds * 1e3 / test->sides) + FEWEST;
            double rate = pass(test, c, turn == 0 && test->size < LARGE ? 100 : messages);
            if (turn >= TRIALS) {
                add(&samples[c], test->size < LARGE ? rate * 1e3 : rate * (double)test->size);
            } else {
                best[c] = rate > best[c] ? rate : best[c];
            }
        }
    }
    atomic_store(&page->messages, 0);
    atomic_fetch_add(&page->block, 1);
    for (int place = 1; place < 2 * SIDES; place++) {
        if (place % SIDES < test->sides) {
            reap(pids[place]);
        }
    }
    for (int c = 0; c < count; c++) {
        tell(test->name, channels[c].way->name, &samples[c]);
    }
    close_channels(channels, count);
    free(lanes[0].buffer);
}

int main(int argc, char **argv) {
    int share = percent(argc, argv);
    page = shared_page();
    for (int t = 0; t < TESTS; t++) {
        measure(&tests[t], share);
    }
    return 0;
}
