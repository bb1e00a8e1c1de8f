/*
 * Counts the records of a CSV file per value of one column, with a pool of processes.
 *
 *     csv_pool FILE --column NAME [--mode map|stream] [--processes N] [--start fork|spawn] [--cost N] [--quiet]
 *
 * The result on stdout is the same for every mode, start method, number of processes and cost: COUNT<TAB>VALUE, by
 * count, then by the value's bytes. This file is the program's frame; csv_map.c and csv_stream.c are the two ways of
 * using libmp, csv_worker.c is what the workers run.
 */
#define _POSIX_C_SOURCE 200809L
#include "csv_interrupt.h"
#include "csv_modes.h"
#include "csv_options.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH_BYTES_MAX ((size_t)64 * 1024)

/* Prints bytes from the file so that they cannot disturb a terminal. */
static void print_name(const unsigned char *name, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (name[i] < 0x20 || name[i] == 0x7f)
            fprintf(stderr, "\\x%02x", name[i]);
        else
            putc(name[i], stderr);
    }
}

static void say_unknown_column(struct csv_run *run, const char *column, const struct csv_record *header) {
    fprintf(stderr, "csv_pool: %s: no column '%s'; there are: ", run->path, column);
    for (size_t i = 0; i < header->fields; i++) {
        size_t len;
        const unsigned char *name = csv_record_field(header, i, &len);
        fputs(i > 0 ? ", '" : "'", stderr);
        print_name(name, len);
        putc('\'', stderr);
    }
    putc('\n', stderr);
}

static bool column_is(const struct csv_record *header, size_t i, const char *name) {
    size_t len;
    const unsigned char *field = csv_record_field(header, i, &len);
    return len == strlen(name) && memcmp(field, name, len) == 0;
}

/* A UTF-8 mark at the start of the file is part of the first name, but nobody would type it. */
static bool is_marked_first(const struct csv_record *header, const char *name) {
    static const unsigned char mark[] = {0xef, 0xbb, 0xbf};
    size_t len;
    const unsigned char *field = csv_record_field(header, 0, &len);
    return len == sizeof mark + strlen(name) && memcmp(field, mark, sizeof mark) == 0 &&
           memcmp(field + sizeof mark, name, strlen(name)) == 0;
}

static enum csv_exit find_column(struct csv_run *run, const char *column, const struct csv_record *header) {
    size_t found = 0, times = 0;
    for (size_t i = header->fields; i-- > 0;)
        if (column_is(header, i, column))
            found = i, times++;
    if (times == 0 && !is_marked_first(header, column)) {
        say_unknown_column(run, column, header);
        return CSV_UNUSABLE;
    }
    if (times > 1)
        csv_say(run, "%s: %zu columns are called '%s'; counting the first", run->path, times, column);
    run->job.column = (uint32_t)found;
    run->job.fields = (uint32_t)header->fields;
    return CSV_FINE;
}

/* The header is the first record that is not blank. */
static enum csv_exit read_header(struct csv_run *run, struct csv_record *header) {
    struct csv_batch batch;
    run->batch_bytes = 1;
    do {
        enum csv_exit code = csv_next_batch(run, &batch);
        if (code != CSV_FINE)
            return code;
        if (batch.len == 0) {
            csv_say(run, "%s: the file is empty", run->path);
            return CSV_UNUSABLE;
        }
        if (csv_record_parse(header, batch.data, batch.len) == 0) {
            csv_say(run, "out of memory");
            return CSV_FAILED;
        }
    } while (header->fields == 0);
    run->records = 0;
    return CSV_FINE;
}

/* Small enough that every worker gets several and the bar moves, large enough that handing one over costs little. */
static size_t choose_batch_bytes(const struct csv_run *run) {
    uint64_t parts = (uint64_t)run->processes * 16;
    uint64_t bytes = BATCH_BYTES_MAX;
    if (run->file_bytes > 0 && run->file_bytes / parts < bytes)
        bytes = run->file_bytes / parts;
    bytes /= 1 + run->job.cost / 64;
    return bytes > 0 ? (size_t)bytes : 1;
}

static enum csv_exit open_file(struct csv_run *run) {
    struct stat stat;
    int fd = open(run->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0) {
        csv_say(run, "%s: %s", run->path, strerror(errno));
        return CSV_UNUSABLE;
    }
    run->file_bytes = S_ISREG(stat.st_mode) ? (uint64_t)stat.st_size : 0;
    csv_reader_init(&run->reader, fd);
    return CSV_FINE;
}

static enum csv_exit prepare(struct csv_run *run, const struct csv_options *options) {
    struct csv_record header = {0};
    enum csv_exit code = open_file(run);
    if (code == CSV_FINE)
        code = read_header(run, &header);
    if (code == CSV_FINE)
        code = find_column(run, options->column, &header);
    csv_record_free(&header);
    run->batch_bytes = choose_batch_bytes(run);
    return code;
}

static enum csv_exit make_pool(struct csv_run *run, int32_t start_method) {
    mp_pool_options options;
    mp_pool_options_init(&options);
    options.processes = run->processes;
    options.start_method = start_method;
    if (MP_FAILED(mp_pool_new(&options, &run->pool)))
        return csv_mp_failed(run, "mp_pool_new");
    /* Not before the workers have started: the handler is the parent's alone. */
    if (MP_FAILED(csv_interrupt_catch()))
        return csv_mp_failed(run, "mp_cancel_new");
    return CSV_FINE;
}

static void say_bad_records(struct csv_run *run) {
    const struct tally *tally = &run->tally;
    size_t shown = tally->bad_len < TALLY_BAD_KEPT ? tally->bad_len : TALLY_BAD_KEPT;
    for (size_t i = 0; i < shown; i++)
        csv_say(run, "%s:%" PRIu64 ": %" PRIu64 " field%s, the header has %" PRIu32 "; skipped", run->path,
                tally->bad[i].line, tally->bad[i].fields, tally->bad[i].fields == 1 ? "" : "s", run->job.fields);
    if (tally->bad_total > shown)
        csv_say(run, "%s: %" PRIu64 " more bad records", run->path, tally->bad_total - shown);
}

static enum csv_exit print_result(struct csv_run *run) {
    tally_sort(&run->tally);
    say_bad_records(run);
    if (run->job.cost > 0 && !run->progress.quiet)
        csv_say(run, "hashes add up to %016" PRIx64, run->tally.checksum);
    tally_print(&run->tally, stdout);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        csv_say(run, "writing the result: %s", strerror(errno));
        return CSV_FAILED;
    }
    return run->tally.bad_total > 0 ? CSV_BAD_RECORDS : CSV_FINE;
}

static enum csv_exit count(struct csv_run *run, const struct csv_options *options) {
    progress_start(&run->progress, options->quiet);
    enum csv_exit code = options->stream ? csv_stream(run) : csv_map(run);
    if (code == CSV_FINE) {
        progress_finish(&run->progress, run->records);
        return print_result(run);
    }
    progress_clear(&run->progress);
    if (code == CSV_INTERRUPTED)
        csv_say(run, "interrupted");
    else
        csv_say(run, "no result, since a part of it is missing");
    return code;
}

int main(int argc, char **argv) {
    if (MP_FAILED(mp_main_init(argc, argv))) {
        fprintf(stderr, "csv_pool: mp_main_init: %s\n", mp_last_error());
        return CSV_FAILED;
    }
    struct csv_options options;
    if (!csv_options_parse(&options, argc, argv)) {
        csv_options_usage(stderr);
        return CSV_UNUSABLE;
    }
    if (options.help) {
        csv_options_help(stdout);
        return fflush(stdout) == 0 ? CSV_FINE : CSV_FAILED;
    }
    struct csv_run run = {.path = options.path, .processes = options.processes, .job = {.cost = options.cost}};
    enum csv_exit code = prepare(&run, &options);
    if (code == CSV_FINE)
        code = make_pool(&run, options.start_method);
    if (code == CSV_FINE)
        code = count(&run, &options);
    mp_pool_free(run.pool);
    csv_reader_free(&run.reader);
    tally_free(&run.tally);
    if (code == CSV_INTERRUPTED)
        csv_interrupt_die();
    return (int)code;
}
