/*
 * Where are the two processors? A hypervisor may put them on two cores or on the two hardware threads of one, and
 * change that at any time. Two figures: how many times longer a loop of arithmetic takes while the other processor
 * runs it too (1 on two cores, nearly 2 on one), and a polled round trip between the two, in ns.
 */
#include "bench.h"

struct page {
    _Alignas(64) atomic_uint ping;
    _Alignas(64) atomic_uint pong;
    _Alignas(64) atomic_uint busy;
};

/* Independent chains fill a core's units, so that a second thread of the same core must slow this one down. */
static uint64_t crunch(void) {
    uint64_t a = 1, b = 2, c = 3, d = 4, start = now_ns();
    for (int i = 0; i < 20000; i++) {
        a = a * 5 + 1;
        b = b * 7 + 3;
        c = (c << 3) ^ (c + 11);
        d = (d << 1) ^ (d + 13);
        __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
    }
    return now_ns() - start;
}

/* The least of several, which leaves out the moments in which something else ran. */
static uint64_t least_crunch(void) {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 40; i++) {
        uint64_t took = crunch();
        least = took < least ? took : least;
    }
    return least;
}

static double round_trip(struct page *page) {
    double least = 1e9;
    unsigned turn = 0;
    for (int run = 0; run < 25; run++) {
        uint64_t start = now_ns();
        for (int i = 0; i < 40; i++) {
            atomic_store(&page->ping, ++turn);
            until(&page->pong, turn);
        }
        double each = (double)(now_ns() - start) / 40;
        least = each < least ? each : least;
    }
    atomic_store(&page->ping, UINT32_MAX);
    return least;
}

static void other_side(struct page *page) {
    pin(1);
    while (atomic_load(&page->busy) == 1) {
        crunch();
    }
    for (unsigned seen = 0; seen != UINT32_MAX;) {
        seen = atomic_load(&page->ping);
        atomic_store(&page->pong, seen);
    }
    _exit(0);
}

int main(void) {
    struct page *page = shared_page();
    pin(0);
    crunch();
    double alone = (double)least_crunch();
    atomic_store(&page->busy, 1);
    pid_t other = helper();
    if (other == 0) {
        other_side(page);
    }
    sleep_ns(1000000);
    double together = (double)least_crunch();
    atomic_store(&page->busy, 0);
    printf("{\"slowdown\": %.3f, \"round_trip\": %.0f}\n", together / alone, round_trip(page));
    reap(other);
    return 0;
}
