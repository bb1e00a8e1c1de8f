/*
 * Round trips: a message of eight bytes there by one channel and back by another, between two cores and on one. The
 * floor between two cores is a pair of polled rings, which on one core would wait for the scheduler's next tick.
 */
#include "channel.h"

enum { SIZE = 8, TWO_CORES = 0, ONE_CORE = 1, PLACES = 2 };

struct page {
    _Alignas(64) atomic_uint turn;
    atomic_uint channel;
    atomic_uint trips;
};

static struct page *page;
static struct channel there[MOST_CHANNELS], back[MOST_CHANNELS];
static struct lane out[MOST_CHANNELS], in[MOST_CHANNELS];

/* Answers each message by another. */
static void answer(int place, int count) {
    pin(place == TWO_CORES);
    open_lanes(out, count, 1, SIZE);
    open_lanes(in, count, 1, SIZE);
    for (unsigned turn = 1;; turn++) {
        until(&page->turn, turn);
        unsigned trips = atomic_load(&page->trips), c = atomic_load(&page->channel);
        if (trips == 0) {
            _exit(0);
        }
        for (unsigned i = 0; i < trips; i++) {
            there[c].way->consume(&there[c], &in[c], 1);
            back[c].way->produce(&back[c], &out[c], 1);
        }
    }
}

/* One block of round trips, in ns each. The first ones only bring both to the point. */
static double round_trips(unsigned c) {
    enum { BEFORE = 20, TIMED = 40 };
    uint64_t start = 0;
    atomic_store(&page->channel, c);
    atomic_store(&page->trips, BEFORE + TIMED);
    atomic_fetch_add(&page->turn, 1);
    for (int i = 0; i < BEFORE + TIMED; i++) {
        if (i == BEFORE) {
            start = now_ns();
        }
        there[c].way->produce(&there[c], &out[c], 1);
        back[c].way->consume(&back[c], &in[c], 1);
    }
    return (double)(now_ns() - start) / TIMED;
}

static void measure(int place, int share) {
    static const char *const names[PLACES] = {"trip", "trip, one core"};
    static struct samples samples[MOST_CHANNELS];
    unsigned part = place == TWO_CORES ? TRIP : TRIP | SLEEPS;
    int count = open_channels(there, part, SIZE);
    open_channels(back, part, SIZE);
    atomic_store(&page->turn, 0);
    pid_t other = helper();
    if (other == 0) {
        answer(place, count);
    }
    pin(0);
    open_lanes(out, count, 0, SIZE);
    open_lanes(in, count, 0, SIZE);
    for (int block = 0; block < 10 + share; block++) {
        for (int c = 0; c < count; c++) {
            add(&samples[c], round_trips((unsigned)c));
        }
    }
    atomic_store(&page->trips, 0);
    atomic_fetch_add(&page->turn, 1);
    reap(other);
    for (int c = 0; c < count; c++) {
        tell(names[place], there[c].way->name, &samples[c]);
    }
    close_channels(there, count);
    close_channels(back, count);
}

int main(int argc, char **argv) {
    int share = percent(argc, argv);
    page = shared_page();
    for (int place = 0; place < PLACES; place++) {
        measure(place, share);
    }
    return 0;
}
