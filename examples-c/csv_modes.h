/* The two ways in which csv_pool gives its workers something to do, and what both share. */
#ifndef CSV_MODES_H
#define CSV_MODES_H

#include "csv_reader.h"
#include "csv_worker.h"
#include "progress.h"
#include "tally.h"

#include <mp.h>

enum csv_exit {
    CSV_FINE = 0,
    CSV_BAD_RECORDS = 1,
    CSV_UNUSABLE = 2, /* usage, missing file, unknown column, empty file */
    CSV_WORKER_DIED = 3,
    CSV_FAILED = 4,     /* memory, a write to stdout, a call of libmp */
    CSV_INTERRUPTED = 5 /* never seen outside: the program dies of the signal */
};

/* One run of the program. */
struct csv_run {
    const char *path;
    uint32_t processes;
    size_t batch_bytes;
    uint64_t file_bytes; /* 0: not known, it is no regular file */
    uint64_t records;    /* read so far, bad ones too */
    struct csv_reader reader;
    struct csv_job job;
    struct progress progress;
    struct tally tally;
    mp_pool *pool;
};

/* Everything in memory: one mp_pool_map_async over batches of records. */
enum csv_exit csv_map(struct csv_run *run);

/* Constant memory: a bounded queue that N consumers empty, as N tasks of mp_pool_apply_async. */
enum csv_exit csv_stream(struct csv_run *run);

/* A message on stderr, in place of the bar. */
__attribute__((format(printf, 2, 3))) void csv_say(struct csv_run *run, const char *format, ...);

/* The failure of a call of libmp: says so. */
enum csv_exit csv_mp_failed(struct csv_run *run, const char *call);

/* The failure of a task: says who died and how, or what went wrong in the worker. */
enum csv_exit csv_task_failed(struct csv_run *run, const mp_task_error *error);

/*
 * The next batch, labelled: it starts CSV_LABEL bytes before batch->data. CSV_FINE with batch->len 0 is the end of the
 * file.
 */
enum csv_exit csv_next_batch(struct csv_run *run, struct csv_batch *batch);

/*
 * Ends the pool: in peace after CSV_FINE, else at once. When it returns all workers are gone and no callback runs any
 * more. Answers `code`, or what went wrong here.
 */
enum csv_exit csv_end_pool(struct csv_run *run, enum csv_exit code);

/* How long a wait may last before the bar and the consumers want to be looked at. */
#define CSV_TICK INT64_C(100000000)

#endif
