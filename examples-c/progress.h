/*
 * A progress bar on stderr: on a terminal one line, drawn again and again; elsewhere a line every few seconds, and one
 * at the end.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool quiet;
    bool terminal;
    bool drawn;            /* a bar stands on the terminal's current line */
    int64_t started, last; /* nanoseconds of the monotonic clock */
};

void progress_start(struct progress *progress, bool quiet);

/* Call it as often as you like. `fraction` is the part of the work that is done, or negative where nobody knows. */
void progress_update(struct progress *progress, uint64_t records, double fraction);

/* Takes the bar away, so that something else can be printed. */
void progress_clear(struct progress *progress);

/* The last line, which stays. */
void progress_finish(struct progress *progress, uint64_t records);

#endif
