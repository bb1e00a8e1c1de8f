/*
 * What the pool's tests share: making pools, items that are numbers, and a look at the process's children.
 */
#ifndef MP_TEST_POOL_H
#define MP_TEST_POOL_H

#include "check.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>

#define POOL_WAIT (30 * CHECK_SECOND)

static inline mp_pool *pool_new(int32_t method, uint32_t processes) {
    mp_pool_options options;
    mp_pool *pool = NULL;
    CHECK_OK(mp_pool_options_init(&options));
    options.processes = processes;
    options.start_method = method;
    CHECK_OK(mp_pool_new(&options, &pool));
    CHECK(pool != NULL);
    return pool;
}

/* Ends a pool in order. */
static inline void pool_end(mp_pool *pool) {
    CHECK_OK(mp_pool_close(pool));
    CHECK_OK(mp_pool_join(pool, POOL_WAIT));
    mp_pool_free(pool);
}

static inline int64_t pool_number(mp_slice slice) {
    int64_t number;
    CHECK_EQ(sizeof number, slice.len);
    memcpy(&number, slice.data, sizeof number);
    return number;
}

static inline int64_t pool_arg(mp_call *call, size_t i) { return pool_number(mp_call_arg(call, i)); }

static inline int32_t pool_give(mp_call *call, int64_t number) {
    CHECK_OK(mp_call_return(call, &number, sizeof number));
    return 0;
}

/* Items 0, 1, 2 ... as arguments of eight bytes. */
typedef struct {
    int64_t *numbers;
    mp_slice *slices;
} pool_items;

static inline pool_items pool_items_new(size_t n) {
    pool_items items = {calloc(n + 1, sizeof *items.numbers), calloc(n + 1, sizeof *items.slices)};
    CHECK(items.numbers && items.slices);
    for (size_t i = 0; i < n; i++) {
        items.numbers[i] = (int64_t)i;
        items.slices[i] = (mp_slice){&items.numbers[i], sizeof items.numbers[i]};
    }
    return items;
}

static inline void pool_items_free(pool_items items) {
    free(items.numbers);
    free(items.slices);
}

/* Memory that children share, zeroed. */
static inline void *pool_shared(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

/* The children of a process, of all its threads: as many as fit; answers how many there are. */
static inline size_t pool_children(pid_t parent, pid_t *pids, size_t cap) {
    char path[320];
    size_t n = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)parent);
    DIR *tasks = opendir(path);
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)parent, task->d_name);
        FILE *list = task->d_name[0] == '.' ? NULL : fopen(path, "re");
        for (int pid; list && fscanf(list, "%d", &pid) == 1; n++)
            if (n < cap)
                pids[n] = pid;
        if (list)
            fclose(list);
    }
    if (tasks)
        closedir(tasks);
    return n;
}

/* The state of a process and its name, as the kernel has them; 'Z' for one that is not there. */
static inline char pool_look_at(pid_t pid, char name[32]) {
    char path[64], state = 'Z';
    name[0] = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file) {
        CHECK(fscanf(file, "%*d (%31[^)]) %c", name, &state) != 0);
        fclose(file);
    }
    return state;
}

static inline void pool_no_children(void) {
    pid_t pid = 0;
    CHECK_OK(mp_forkserver_stop());
    CHECK_EQ(0, pool_children(getpid(), &pid, 1));
}

static inline size_t pool_entries(const char *path) {
    size_t n = 0;
    DIR *directory = opendir(path);
    CHECK(directory != NULL);
    while (readdir(directory))
        n++;
    closedir(directory);
    return n;
}

/* -- tasks, and every way of submitting them -- */

static inline int32_t pool_square(mp_call *call) {
    int64_t number = pool_arg(call, 0);
    return pool_give(call, number * number);
}

static inline int32_t pool_nap(mp_call *call) {
    check_sleep(pool_arg(call, 0));
    return pool_give(call, getpid());
}

static inline int64_t pool_item(const mp_result *result, size_t i) {
    mp_slice slice;
    CHECK_OK(mp_result_item(result, i, &slice));
    return pool_number(slice);
}

static inline void pool_check_squares(mp_result *result, size_t n) {
    bool flag = false;
    size_t done = 1, total = 1;
    mp_slice slice;
    CHECK_OK(mp_result_ready(result, &flag));
    CHECK(flag);
    CHECK_OK(mp_result_successful(result, &flag));
    CHECK(flag);
    CHECK_OK(mp_result_wait(result, 0));
    CHECK_OK(mp_result_get(result, 0));
    CHECK_EQ(n, mp_result_count(result));
    CHECK_OK(mp_result_progress(result, &done, &total));
    CHECK_EQ(n, done);
    CHECK_EQ(n, total);
    for (size_t i = 0; i < n; i++)
        CHECK_EQ((int64_t)(i * i), pool_item(result, i));
    CHECK_STATUS(MP_ERR_INVALID, mp_result_item(result, n, &slice));
    mp_result_free(result);
}

static inline void pool_maps(mp_pool *pool, size_t n, size_t chunk) {
    pool_items items = pool_items_new(n);
    mp_args *many = calloc(n + 1, sizeof *many);
    mp_result *result = NULL;
    for (size_t i = 0; i < n; i++)
        many[i] = (mp_args){&items.slices[i], 1};
    CHECK_OK(mp_pool_map(pool, pool_square, items.slices, n, chunk, &result));
    pool_check_squares(result, n);
    CHECK_OK(mp_pool_starmap(pool, pool_square, many, n, chunk, &result));
    pool_check_squares(result, n);
    mp_result *first = NULL;
    CHECK_OK(mp_pool_map_async(pool, pool_square, items.slices, n, chunk, NULL, &first));
    CHECK_OK(mp_pool_starmap_async(pool, pool_square, many, n, chunk, NULL, &result));
    /* Arguments are copied at the call. */
    memset(items.numbers, 0xee, n * sizeof *items.numbers);
    CHECK_OK(mp_result_get(result, MP_FOREVER));
    pool_check_squares(result, n);
    CHECK_OK(mp_result_wait(first, MP_FOREVER));
    pool_check_squares(first, n);
    free(many);
    pool_items_free(items);
}

#endif
