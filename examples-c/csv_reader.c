#define _POSIX_C_SOURCE 200809L
#include "csv_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES ((size_t)64 * 1024)

enum byte_class { ORDINARY, COMMA, QUOTE, LINE_END, CLASSES };

static const unsigned char class_of[256] = {[','] = COMMA, ['"'] = QUOTE, ['\n'] = LINE_END, ['\r'] = LINE_END};

/* A quote opens quotes only where a field starts; whatever follows a closing quote goes on as an unquoted field. */
static const unsigned char next_state[CSV_END][CLASSES] = {
    [CSV_START_RECORD] = {CSV_IN_FIELD, CSV_START_FIELD, CSV_IN_QUOTES, CSV_END},
    [CSV_START_FIELD] = {CSV_IN_FIELD, CSV_START_FIELD, CSV_IN_QUOTES, CSV_END},
    [CSV_IN_FIELD] = {CSV_IN_FIELD, CSV_START_FIELD, CSV_IN_FIELD, CSV_END},
    [CSV_IN_QUOTES] = {CSV_IN_QUOTES, CSV_IN_QUOTES, CSV_QUOTE_SEEN, CSV_IN_QUOTES},
    [CSV_QUOTE_SEEN] = {CSV_IN_FIELD, CSV_START_FIELD, CSV_IN_QUOTES, CSV_END},
};

static enum csv_state step(enum csv_state state, unsigned char byte) {
    return (enum csv_state)next_state[state][class_of[byte]];
}

uint64_t csv_count_lines(const unsigned char *data, size_t len) {
    uint64_t lines = 0;
    for (size_t i = 0; i < len; i++)
        lines += data[i] == '\n' || (data[i] == '\r' && !(i + 1 < len && data[i + 1] == '\n'));
    return lines;
}

void csv_reader_init(struct csv_reader *reader, int fd) {
    *reader = (struct csv_reader){
        .fd = fd,
        .state = CSV_START_RECORD,
        .start = CSV_HEADROOM,
        .scanned = CSV_HEADROOM,
        .end = CSV_HEADROOM,
        .line = 1,
    };
}

void csv_reader_free(struct csv_reader *reader) {
    free(reader->buffer);
    reader->buffer = NULL;
}

/*
 * Goes on to the first end of a record at or behind `target` bytes; false if the bytes end before. A CR that is the
 * last byte is left for later: the LF that may follow belongs to the same end of line.
 */
static bool scan(struct csv_reader *reader, size_t target) {
    const unsigned char *data = reader->buffer;
    size_t i = reader->scanned, end = reader->end;
    enum csv_state state = reader->state;
    bool found = false;
    while (i < end && !found) {
        enum csv_state next = step(state, data[i]);
        if (next != CSV_END) {
            state = next;
            i++;
            continue;
        }
        bool cr = data[i] == '\r';
        if (cr && i + 1 == end && !reader->at_end)
            break;
        i += cr && i + 1 < end && data[i + 1] == '\n' ? 2 : 1;
        reader->records += state != CSV_START_RECORD;
        state = CSV_START_RECORD;
        found = i - reader->start >= target;
    }
    reader->scanned = i;
    reader->state = state;
    return found;
}

/* Moves what is left to the front, where it keeps its headroom, and reads on behind it. */
static int fill(struct csv_reader *reader) {
    size_t left = reader->end - reader->start;
    if (left > 0)
        memmove(reader->buffer + CSV_HEADROOM, reader->buffer + reader->start, left);
    reader->scanned -= reader->start - CSV_HEADROOM;
    reader->start = CSV_HEADROOM;
    reader->end = CSV_HEADROOM + left;
    size_t need = reader->end + READ_BYTES;
    if (need > reader->capacity) {
        size_t capacity = reader->capacity * 2 > need ? reader->capacity * 2 : need;
        unsigned char *buffer = realloc(reader->buffer, capacity);
        if (buffer == NULL)
            return -1;
        reader->buffer = buffer;
        reader->capacity = capacity;
    }
    ssize_t got = read(reader->fd, reader->buffer + reader->end, READ_BYTES);
    if (got < 0)
        return -1;
    reader->end += (size_t)got;
    reader->at_end = got == 0;
    return 0;
}

/* The file ends: what is left is a record even without an end of line, or with its quotes left open. */
static void finish(struct csv_reader *reader) {
    reader->records += reader->state != CSV_START_RECORD;
    reader->state = CSV_START_RECORD;
    reader->scanned = reader->end;
}

int csv_reader_next(struct csv_reader *reader, size_t target, struct csv_batch *batch) {
    while (!scan(reader, target)) {
        if (reader->at_end) {
            finish(reader);
            break;
        }
        if (fill(reader) != 0)
            return -1;
    }
    size_t len = reader->scanned - reader->start;
    if (len == 0)
        return 0;
    *batch = (struct csv_batch){reader->buffer + reader->start, len, reader->line, reader->records};
    reader->start = reader->scanned;
    reader->records = 0;
    reader->offset += len;
    reader->line += csv_count_lines(batch->data, len);
    return 1;
}

static bool record_reserve(struct csv_record *record, size_t len) {
    if (len <= record->text_capacity && record->text != NULL)
        return true;
    unsigned char *text = realloc(record->text, len + 1);
    if (text == NULL)
        return false;
    record->text = text;
    record->text_capacity = len;
    return true;
}

static bool end_field(struct csv_record *record, size_t end) {
    if (record->fields == record->ends_capacity) {
        size_t capacity = record->ends_capacity * 2 + 16;
        size_t *ends = realloc(record->ends, capacity * sizeof *ends);
        if (ends == NULL)
            return false;
        record->ends = ends;
        record->ends_capacity = capacity;
    }
    record->ends[record->fields++] = end;
    return true;
}

/* A byte belongs to the field's value unless it is a comma or an end of line outside quotes, or a quote that quotes. */
static bool keeps_byte(enum csv_state before, enum csv_state after) {
    return after == CSV_IN_FIELD || (after == CSV_IN_QUOTES && before >= CSV_IN_QUOTES);
}

size_t csv_record_parse(struct csv_record *record, const unsigned char *data, size_t len) {
    record->fields = 0;
    if (!record_reserve(record, len))
        return 0;
    enum csv_state state = CSV_START_RECORD;
    size_t text_len = 0, i = 0;
    for (; i < len; i++) {
        enum csv_state next = step(state, data[i]);
        if (next == CSV_END)
            break;
        if (next == CSV_START_FIELD && !end_field(record, text_len))
            return 0;
        if (keeps_byte(state, next))
            record->text[text_len++] = data[i];
        state = next;
    }
    record->raw_len = i;
    if (state != CSV_START_RECORD && !end_field(record, text_len))
        return 0;
    if (i + 1 < len && data[i] == '\r' && data[i + 1] == '\n')
        return i + 2;
    return i < len ? i + 1 : i;
}

const unsigned char *csv_record_field(const struct csv_record *record, size_t i, size_t *len) {
    size_t start = i == 0 ? 0 : record->ends[i - 1];
    *len = record->ends[i] - start;
    return record->text + start;
}

void csv_record_free(struct csv_record *record) {
    free(record->text);
    free(record->ends);
    *record = (struct csv_record){0};
}
