#define _POSIX_C_SOURCE 200809L
#include "csv_modes.h"

#include "csv_interrupt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The tasks are done, or their workers killed, when the pool is joined: this is a watchdog. */
#define CSV_JOIN_LIMIT INT64_C(30000000000)

void csv_say(struct csv_run *run, const char *format, ...) {
    va_list args;
    va_start(args, format);
    progress_clear(&run->progress);
    fputs("csv_pool: ", stderr);
    vfprintf(stderr, format, args);
    putc('\n', stderr);
    va_end(args);
}

enum csv_exit csv_mp_failed(struct csv_run *run, const char *call) {
    if (csv_interrupted())
        return CSV_INTERRUPTED;
    csv_say(run, "%s: %s", call, mp_last_error());
    return CSV_FAILED;
}

enum csv_exit csv_task_failed(struct csv_run *run, const mp_task_error *error) {
    if (error->status != MP_ERR_WORKER_DIED) {
        csv_say(run, "a worker failed: %s (%s)", error->message, mp_status_name(error->status));
        return CSV_FAILED;
    }
    if (error->signal != 0)
        csv_say(run, "worker %" PRId32 " was killed by signal %" PRId32 " (%s), and its counts are lost", error->pid,
                error->signal, strsignal(error->signal));
    else
        csv_say(run, "worker %" PRId32 " ended with exit code %" PRId32 ", and its counts are lost", error->pid,
                error->code);
    return CSV_WORKER_DIED;
}

enum csv_exit csv_next_batch(struct csv_run *run, struct csv_batch *batch) {
    int got;
    batch->len = 0;
    do {
        if (csv_interrupted())
            return CSV_INTERRUPTED;
        got = csv_reader_next(&run->reader, run->batch_bytes, batch);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        csv_say(run, "%s: %s", run->path, strerror(errno));
        return errno == ENOMEM ? CSV_FAILED : CSV_UNUSABLE;
    }
    if (got > 0) {
        run->job.line = batch->line;
        run->records += batch->records;
        memcpy(batch->data - CSV_LABEL, &run->job, CSV_LABEL);
    }
    return CSV_FINE;
}

enum csv_exit csv_end_pool(struct csv_run *run, enum csv_exit code) {
    mp_status status = code == CSV_FINE ? mp_pool_close(run->pool) : mp_pool_terminate(run->pool);
    csv_interrupt_done(); /* a wait that Ctrl-C has already cancelled would not wait here */
    if (MP_SUCCEEDED(status))
        status = mp_pool_join(run->pool, CSV_JOIN_LIMIT);
    if (MP_FAILED(status) && code == CSV_FINE && !csv_interrupted())
        code = csv_mp_failed(run, "mp_pool_join");
    return csv_interrupted() ? CSV_INTERRUPTED : code;
}
