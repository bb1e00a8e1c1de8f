/*
 * Reading CSV exactly as Python's csv.reader does in its default dialect, with newline='': a comma separates, a quote
 * at the start of a field opens it, a doubled quote stands for one, CR, LF and CRLF end a record outside quotes. Bytes
 * are bytes: no character set is assumed.
 *
 * Two halves: a reader that cuts a file into batches of whole records, which is all that a parent has to know about
 * CSV, and a parser that splits one record of a batch into its fields, which is the workers' part.
 */
#ifndef CSV_READER_H
#define CSV_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the state machine stands between two bytes. */
enum csv_state {
    CSV_START_RECORD,
    CSV_START_FIELD,
    CSV_IN_FIELD,
    CSV_IN_QUOTES,
    CSV_QUOTE_SEEN, /* a quote inside quotes: the end of the quoted part, or the first of two */
    CSV_END         /* an end of line outside quotes */
};

/* Bytes in front of each batch that belong to the caller, so that a batch can be labelled without copying it. */
#define CSV_HEADROOM 32

struct csv_reader {
    int fd;
    bool at_end;
    enum csv_state state; /* after the bytes scanned */
    unsigned char *buffer;
    size_t capacity;
    size_t start;     /* of the bytes not yet handed out; never inside the first headroom */
    size_t scanned;   /* how far the state machine has come */
    size_t end;       /* of the bytes read */
    uint64_t records; /* complete ones between start and scanned */
    uint64_t line;    /* where the next batch starts */
    uint64_t offset;  /* bytes handed out so far */
};

struct csv_batch {
    unsigned char *data; /* whole records, with CSV_HEADROOM bytes free before them; until the next call */
    size_t len;
    uint64_t line;    /* of the first byte, counted from 1 */
    uint64_t records; /* blank lines are none */
};

void csv_reader_init(struct csv_reader *reader, int fd);
void csv_reader_free(struct csv_reader *reader);

/*
 * The next batch: as many whole records as it takes to reach `target` bytes, at least one line.
 * Returns 1, 0 at the end of the file, or -1 with errno set; after EINTR it may be called again.
 */
int csv_reader_next(struct csv_reader *reader, size_t target, struct csv_batch *batch);

/* A record split into its fields. Zeroed before first use; its memory serves all records that follow. */
struct csv_record {
    size_t fields;  /* none: a blank line */
    size_t raw_len; /* its bytes in the file, without the end of line */
    unsigned char *text;
    size_t text_capacity;
    size_t *ends; /* where each field ends in text */
    size_t ends_capacity;
};

/* Parses the record at the start of `data`. Returns the bytes it took, end of line included; 0: out of memory. */
size_t csv_record_parse(struct csv_record *record, const unsigned char *data, size_t len);
const unsigned char *csv_record_field(const struct csv_record *record, size_t i, size_t *len);
void csv_record_free(struct csv_record *record);

/* How many lines end in these bytes: by LF, CRLF or a lone CR. */
uint64_t csv_count_lines(const unsigned char *data, size_t len);

#endif
