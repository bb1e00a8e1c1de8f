/* The pool: a map of 100,000 empty tasks, one at a time, and the round trip of a single one. */
#include "bench.h"

enum { TASKS = 100000, WORKERS = 2 };

static int32_t nothing(mp_call *call) {
    (void)call;
    return 0;
}

static void map(mp_pool *pool, const mp_slice *items, struct samples *samples) {
    mp_result *result = NULL;
    uint64_t start = now_ns();
    ok(mp_pool_map(pool, nothing, items, TASKS, 1, &result), "map");
    add(samples, TASKS * 1e6 / (double)(now_ns() - start));
    if (mp_result_count(result) != TASKS) {
        errno = 0;
        fail("the map lost tasks");
    }
    mp_result_free(result);
}

static void apply(mp_pool *pool, const mp_slice *item, struct samples *samples) {
    mp_buffer *out = NULL;
    uint64_t start = now_ns();
    ok(mp_pool_apply(pool, nothing, item, 1, &out), "apply");
    add(samples, (double)(now_ns() - start) / 1e3);
    mp_buffer_free(out);
}

int main(int argc, char **argv) {
    int share = percent(argc, argv);
    static uint64_t numbers[TASKS];
    static mp_slice items[TASKS];
    static struct samples samples;
    for (size_t i = 0; i < TASKS; i++) {
        numbers[i] = i;
        items[i] = (mp_slice){&numbers[i], sizeof numbers[i]};
    }
    mp_pool_options options;
    mp_pool *pool = NULL;
    ok(mp_pool_options_init(&options), "options");
    options.processes = WORKERS;
    ok(mp_pool_new(&options, &pool), "pool");
    map(pool, items, &samples);
    samples.count = 0;
    uint64_t end = now_ns() + 5000000U * (unsigned)share;
    do {
        map(pool, items, &samples);
    } while (now_ns() < end);
    tell("map", "libmp", &samples);
    for (int i = 0; i < 100 + 10 * share; i++) {
        apply(pool, items, &samples);
    }
    tell("apply", "libmp", &samples);
    ok(mp_pool_close(pool), "close");
    ok(mp_pool_join(pool, LONGEST), "join");
    mp_pool_free(pool);
    return 0;
}
