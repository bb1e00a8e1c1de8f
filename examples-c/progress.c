#define _POSIX_C_SOURCE 200809L
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define REDRAW_EVERY (SECOND / 10)
#define LINE_EVERY (5 * SECOND)
#define BAR_MAX 40
#define TEXT_MAX 160

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

/* 1234567 as 1,234,567. */
static const char *grouped(uint64_t n, char text[32]) {
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    char *out = text;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    return text;
}

static void print_time_left(double seconds, char *text, size_t size) {
    if (seconds > 359999)
        seconds = 359999;
    unsigned s = (unsigned)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text, size, ", %u:%02u:%02u left", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, size, ", %u:%02u left", s / 60, s % 60);
}

static void describe(const struct progress *p, int64_t at, uint64_t records, double fraction, char *text, size_t size) {
    double seconds = (double)(at - p->started) / (double)SECOND;
    double rate = seconds > 0 ? (double)records / seconds : 0;
    char count[32], speed[32], left[32] = "", percent[16] = "";
    if (fraction >= 0)
        snprintf(percent, sizeof percent, "%3d%%  ", (int)(fraction * 100));
    if (fraction >= 1)
        snprintf(left, sizeof left, ", %.1f s", seconds);
    else if (fraction > 0)
        print_time_left(seconds * (1 - fraction) / fraction, left, sizeof left);
    snprintf(text, size, "%s%s records, %s/s%s", percent, grouped(records, count), grouped((uint64_t)rate, speed),
             left);
}

static size_t terminal_columns(void) {
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

static void draw(struct progress *p, double fraction, const char *text) {
    char bar[BAR_MAX + 4] = "";
    size_t columns = terminal_columns() - 1; /* the last one would break the line on some terminals */
    size_t len = strlen(text);
    if (fraction >= 0 && len + 13 <= columns) {
        size_t width = columns - len - 3 < BAR_MAX ? columns - len - 3 : BAR_MAX;
        size_t filled = (size_t)(fraction * (double)width);
        bar[0] = '[';
        memset(bar + 1, '#', filled);
        memset(bar + 1 + filled, '-', width - filled);
        memcpy(bar + 1 + width, "] ", 3);
    }
    fprintf(stderr, "\r%s%.*s\033[K", bar, (int)columns, text);
    fflush(stderr);
    p->drawn = true;
}

static void show(struct progress *p, int64_t at, uint64_t records, double fraction) {
    char text[TEXT_MAX];
    p->last = at;
    fraction = fraction > 1 ? 1 : fraction;
    describe(p, at, records, fraction, text, sizeof text);
    if (p->terminal)
        draw(p, fraction, text);
    else
        fprintf(stderr, "csv_pool: %s\n", text);
}

static bool is_terminal(void) {
    const char *kind = getenv("TERM");
    return isatty(STDERR_FILENO) == 1 && (kind == NULL || strcmp(kind, "dumb") != 0);
}

void progress_start(struct progress *progress, bool quiet) {
    int64_t at = now();
    *progress = (struct progress){.quiet = quiet, .terminal = is_terminal(), .started = at, .last = at};
}

void progress_update(struct progress *progress, uint64_t records, double fraction) {
    if (progress->quiet)
        return;
    int64_t at = now();
    if (at - progress->last >= (progress->terminal ? REDRAW_EVERY : LINE_EVERY))
        show(progress, at, records, fraction);
}

void progress_clear(struct progress *progress) {
    if (!progress->drawn)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    progress->drawn = false;
}

void progress_finish(struct progress *progress, uint64_t records) {
    if (progress->quiet)
        return;
    show(progress, now(), records, 1);
    if (progress->drawn)
        putc('\n', stderr);
    progress->drawn = false;
}
