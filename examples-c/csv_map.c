#include "csv_interrupt.h"
#include "csv_modes.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The file in memory, a labelled batch for each task. */
struct items {
    mp_slice *slices;
    size_t len, capacity;
};

/* What the callbacks on the pool's service thread tell the main thread. */
struct outcome {
    struct tally *tally;
    atomic_size_t done, total;
    int merge_error; /* read when the result is ready, and so after the callback */
};

static void free_items(struct items *items) {
    for (size_t i = 0; i < items->len; i++)
        free((void *)items->slices[i].data);
    free(items->slices);
    *items = (struct items){0};
}

static bool add_item(struct items *items, const unsigned char *data, size_t len) {
    if (items->len == items->capacity) {
        size_t capacity = items->capacity * 2 + 64;
        mp_slice *slices = realloc(items->slices, capacity * sizeof *slices);
        if (slices == NULL)
            return false;
        items->slices = slices;
        items->capacity = capacity;
    }
    void *copy = malloc(len);
    if (copy == NULL)
        return false;
    memcpy(copy, data, len);
    items->slices[items->len++] = (mp_slice){copy, len};
    return true;
}

static enum csv_exit read_items(struct csv_run *run, struct items *items) {
    for (;;) {
        struct csv_batch batch;
        enum csv_exit code = csv_next_batch(run, &batch);
        if (code != CSV_FINE || batch.len == 0)
            return code;
        if (!add_item(items, batch.data - CSV_LABEL, CSV_LABEL + batch.len)) {
            csv_say(run, "%s: too large for this machine's memory; try --mode stream", run->path);
            return CSV_FAILED;
        }
    }
}

static void on_result(void *user, const mp_result *result) {
    struct outcome *outcome = user;
    for (size_t i = 0; i < mp_result_count(result) && outcome->merge_error == 0; i++) {
        mp_slice packed;
        if (MP_SUCCEEDED(mp_result_item(result, i, &packed)))
            outcome->merge_error = tally_merge(outcome->tally, packed.data, packed.len);
    }
}

static void on_progress(void *user, size_t done, size_t total) {
    struct outcome *outcome = user;
    atomic_store(&outcome->total, total);
    atomic_store(&outcome->done, done);
}

static enum csv_exit wait_for(struct csv_run *run, mp_result *result, struct outcome *outcome) {
    for (;;) {
        mp_status status = mp_result_wait(result, CSV_TICK);
        if (csv_interrupted())
            return CSV_INTERRUPTED;
        if (MP_SUCCEEDED(status))
            return CSV_FINE;
        if (status != MP_ERR_TIMEOUT)
            return csv_mp_failed(run, "mp_result_wait");
        size_t total = atomic_load(&outcome->total), done = atomic_load(&outcome->done);
        double part = total > 0 ? (double)done / (double)total : 0;
        progress_update(&run->progress, (uint64_t)(part * (double)run->records), part);
    }
}

/* Names every item that failed; a death outweighs other failures. */
static enum csv_exit report_failures(struct csv_run *run, const mp_result *result) {
    enum csv_exit code = CSV_FINE;
    for (size_t i = 0; i < mp_result_count(result); i++) {
        mp_slice packed;
        mp_task_error error = {.size = sizeof error};
        if (MP_SUCCEEDED(mp_result_item(result, i, &packed)))
            continue;
        if (MP_FAILED(mp_result_error_at(result, i, &error)))
            return csv_mp_failed(run, "mp_result_error_at");
        enum csv_exit failure = csv_task_failed(run, &error);
        code = code == CSV_WORKER_DIED ? code : failure;
    }
    return code;
}

static enum csv_exit finish(struct csv_run *run, mp_result *result, struct outcome *outcome) {
    enum csv_exit code = wait_for(run, result, outcome);
    if (code == CSV_FINE)
        code = report_failures(run, result);
    if (code == CSV_FINE && outcome->merge_error != 0) {
        csv_say(run, "merging the counts: %s", strerror(outcome->merge_error));
        code = CSV_FAILED;
    }
    return code;
}

enum csv_exit csv_map(struct csv_run *run) {
    struct items items = {0};
    struct outcome outcome = {.tally = &run->tally};
    mp_result *result = NULL;
    mp_task_options options;
    mp_task_options_init(&options);
    options.on_result = on_result;
    options.on_progress = on_progress;
    options.user = &outcome;
    enum csv_exit code = read_items(run, &items);
    if (code == CSV_FINE) {
        mp_status status = mp_pool_map_async(run->pool, csv_count_task, items.slices, items.len, 1, &options, &result);
        free_items(&items); /* libmp has its own copy */
        code = MP_FAILED(status) ? csv_mp_failed(run, "mp_pool_map_async") : finish(run, result, &outcome);
    }
    free_items(&items);
    code = csv_end_pool(run, code);
    mp_result_free(result);
    return code;
}
