#include "csv_interrupt.h"
#include "csv_modes.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Messages of the queue: enough to keep every worker busy, few enough to stay small. */
#define PLACES_MAX 64

struct stream;

/* One consumer's task. Its callback, on the pool's service thread, writes `ended` last. */
struct consumer {
    struct stream *stream;
    mp_result *result;
    mp_task_error error;
    char message[256];
    int merge_error;
    bool failed;
    atomic_bool ended;
    bool reported;
};

struct stream {
    struct csv_run *run;
    mp_queue *queue;
    struct consumer *consumers;
    uint32_t count;
    uint64_t batches; /* put into the queue so far */
    atomic_uint ended;
    enum csv_exit code; /* the worst that consumers came to */
};

static void end_consumer(struct consumer *consumer) {
    atomic_store(&consumer->ended, true);
    atomic_fetch_add(&consumer->stream->ended, 1);
}

static void on_result(void *user, const mp_result *result) {
    struct consumer *consumer = user;
    mp_slice packed;
    if (MP_SUCCEEDED(mp_result_item(result, 0, &packed)))
        consumer->merge_error = tally_merge(&consumer->stream->run->tally, packed.data, packed.len);
    end_consumer(consumer);
}

static void on_error(void *user, const mp_task_error *error) {
    struct consumer *consumer = user;
    consumer->error = *error;
    snprintf(consumer->message, sizeof consumer->message, "%s", error->message);
    consumer->error.message = consumer->message;
    consumer->failed = true;
    end_consumer(consumer);
}

static void report_failure(struct stream *stream, struct consumer *consumer) {
    enum csv_exit code = CSV_FAILED;
    if (consumer->failed)
        code = csv_task_failed(stream->run, &consumer->error);
    else
        csv_say(stream->run, "merging the counts: %s", strerror(consumer->merge_error));
    stream->code = stream->code == CSV_WORKER_DIED ? stream->code : code;
}

/* The part of the batches put that is counted: not those in the queue, nor the one that each consumer may hold. */
static double part_done(const struct stream *stream) {
    size_t waiting = 0;
    mp_queue_size(stream->queue, &waiting);
    uint64_t open = waiting + stream->count - atomic_load(&stream->ended);
    return open < stream->batches ? 1 - (double)open / (double)stream->batches : 0;
}

static void show_progress(struct stream *stream) {
    struct csv_run *run = stream->run;
    double done = part_done(stream);
    double part = run->file_bytes > 0 ? done * (double)run->reader.offset / (double)run->file_bytes : -1;
    progress_update(&run->progress, (uint64_t)(done * (double)run->records), part);
}

/* Between two messages and while waiting: Ctrl-C, consumers that have failed, the bar. */
static enum csv_exit look_around(struct stream *stream) {
    if (csv_interrupted())
        return CSV_INTERRUPTED;
    for (uint32_t i = 0; i < stream->count && atomic_load(&stream->ended) > 0; i++) {
        struct consumer *consumer = &stream->consumers[i];
        if (consumer->reported || !atomic_load(&consumer->ended))
            continue;
        consumer->reported = true;
        if (consumer->failed || consumer->merge_error != 0)
            report_failure(stream, consumer);
    }
    show_progress(stream);
    return CSV_FINE;
}

static bool nobody_left(struct stream *stream) { return atomic_load(&stream->ended) == stream->count; }

/* Puts one message. The queue may be full because its consumers are slow, or because they are dead: look from time to
 * time. */
static enum csv_exit put(struct stream *stream, const void *data, size_t len) {
    while (!nobody_left(stream)) {
        mp_status status = mp_queue_put(stream->queue, data, len, CSV_TICK);
        enum csv_exit code = look_around(stream);
        if (code != CSV_FINE || MP_SUCCEEDED(status))
            return code;
        if (status != MP_ERR_FULL)
            return csv_mp_failed(stream->run, "mp_queue_put");
    }
    return look_around(stream);
}

/* The whole file, then an end marker for each consumer; what is left of the file has no reader once all are dead. */
static enum csv_exit feed(struct stream *stream) {
    enum csv_exit code = CSV_FINE;
    while (code == CSV_FINE && !nobody_left(stream)) {
        struct csv_batch batch;
        code = csv_next_batch(stream->run, &batch);
        if (code == CSV_FINE && batch.len == 0)
            break;
        if (code == CSV_FINE)
            code = put(stream, batch.data - CSV_LABEL, CSV_LABEL + batch.len);
        stream->batches++;
    }
    for (uint32_t i = 0; i < stream->count && code == CSV_FINE; i++)
        code = put(stream, "", 0);
    return code;
}

static enum csv_exit wait_for_consumers(struct stream *stream) {
    for (uint32_t i = 0; i < stream->count;) {
        mp_status status = mp_result_wait(stream->consumers[i].result, CSV_TICK);
        enum csv_exit code = look_around(stream);
        if (code != CSV_FINE)
            return code;
        if (MP_SUCCEEDED(status))
            i++;
        else if (status != MP_ERR_TIMEOUT)
            return csv_mp_failed(stream->run, "mp_result_wait");
    }
    return look_around(stream);
}

static enum csv_exit start_consumers(struct stream *stream) {
    mp_token token;
    if (MP_FAILED(mp_queue_token(stream->queue, &token)))
        return csv_mp_failed(stream->run, "mp_queue_token");
    mp_slice argument = {&token, sizeof token};
    mp_task_options options;
    mp_task_options_init(&options);
    options.on_result = on_result;
    options.on_error = on_error;
    for (uint32_t i = 0; i < stream->count; i++) {
        struct consumer *consumer = &stream->consumers[i];
        consumer->stream = stream;
        options.user = consumer;
        if (MP_FAILED(
                mp_pool_apply_async(stream->run->pool, csv_consume_task, &argument, 1, &options, &consumer->result)))
            return csv_mp_failed(stream->run, "mp_pool_apply_async");
    }
    return CSV_FINE;
}

static enum csv_exit make_queue(struct stream *stream) {
    mp_queue_options options;
    mp_queue_options_init(&options);
    options.maxsize = stream->count < PLACES_MAX / 4 ? 4 * (int64_t)stream->count : PLACES_MAX;
    if (MP_FAILED(mp_queue_new(&options, &stream->queue)))
        return csv_mp_failed(stream->run, "mp_queue_new");
    return CSV_FINE;
}

static enum csv_exit run_stream(struct stream *stream) {
    enum csv_exit code = make_queue(stream);
    if (code == CSV_FINE)
        code = start_consumers(stream);
    if (code == CSV_FINE)
        code = feed(stream);
    if (code == CSV_FINE)
        code = wait_for_consumers(stream);
    return code == CSV_FINE ? stream->code : code;
}

enum csv_exit csv_stream(struct csv_run *run) {
    struct stream stream = {.run = run, .count = run->processes};
    stream.consumers = calloc(stream.count, sizeof *stream.consumers);
    if (stream.consumers == NULL) {
        csv_say(run, "out of memory");
        return csv_end_pool(run, CSV_FAILED);
    }
    enum csv_exit code = csv_end_pool(run, run_stream(&stream));
    for (uint32_t i = 0; i < stream.count; i++)
        mp_result_free(stream.consumers[i].result);
    free(stream.consumers);
    mp_queue_free(stream.queue);
    return code;
}
